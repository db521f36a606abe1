"""The state store: transactions, history, packing and refusals, on a small real repository."""

from __future__ import annotations

import dataclasses
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from affine import Affine
from odc.geo.geobox import GeoBox

from enggang.errors import CorruptState, NewerSchema, StateError
from enggang.monitors.history import Change, Commit, as_of, before_scene, state_version
from enggang.monitors.migrate import migrate
from enggang.monitors.reader import content_digest
from enggang.monitors.schema import BELIEF, SCHEMA_VERSION, StateIdentity, baseline_name, baseline_specs, pack
from enggang.monitors.state import StateStore
from enggang.monitors.writer import Transaction

GRID = GeoBox((150, 130), Affine(10, 0, 500_000, 0, -10, 0), "EPSG:32750")
IDENTITY = StateIdentity("demo", "forest-1", "d" * 64, GRID, 64)
START = datetime(2026, 1, 1, 2, 30, tzinfo=UTC)


def scene(day: int, name: str | None = None) -> Change:
    moment = START + timedelta(days=day)
    return Change("scene", name or f"S{day}", moment, f"print-{day}", moment.date())


@pytest.fixture
def store(tmp_path: Path) -> StateStore:
    store = StateStore(tmp_path / "state")
    with store.writer("test", 90) as writer:
        writer.create(IDENTITY, BELIEF)
    return store


def paint(store: StateStore, change: Change, number: int) -> str:
    with store.writer("test", 90) as writer, writer.transaction(change) as tx:
        for window in tx.blocks():
            tx.write("last_valid", window, np.full_like(tx.read("last_valid", window), number))
    assert tx.commit is not None
    return tx.commit.snapshot


def test_new_state_holds_the_fills_and_its_identity(store: StateStore) -> None:
    reader = store.reader()
    assert store.exists()
    assert store.identity() == IDENTITY
    assert set(reader.names) == {spec.name for spec in BELIEF}
    assert [c.kind for c in store.log()] == ["create"]
    whole = (slice(0, 150), slice(0, 130))
    assert np.isnan(reader.read_values("log_odds", whole)).all()
    assert not reader.read("status", whole).any()


def test_commit_names_its_scene_and_old_snapshots_stay_readable(store: StateStore) -> None:
    before = store.reader()
    first = paint(store, scene(1), 11)
    second = paint(store, scene(2), 22)
    window = (slice(140, 150), slice(120, 130))
    assert (before.read("last_valid", window) == 0).all()
    assert (store.reader(at=first).read("last_valid", window) == 11).all()
    assert (store.reader().read("last_valid", window) == 22).all()
    assert store.reader().snapshot == second
    log = store.log()
    assert [(c.kind, c.scene_id, c.fingerprint) for c in log[1:]] == [
        ("scene", "S1", "print-1"),
        ("scene", "S2", "print-2"),
    ]
    assert log[1].acquired == START + timedelta(days=1)
    assert log[2].night == date(2026, 1, 3)


def test_failed_body_leaves_no_trace(store: StateStore) -> None:
    before = content_digest(store.reader())

    def fail() -> None:
        with store.writer("test", 90) as writer, writer.transaction(scene(1)) as tx:
            tx.write("status", (slice(0, 64), slice(0, 64)), np.ones((64, 64), np.uint8))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert len(store.log()) == 1
    assert content_digest(store.reader()) == before
    paint(store, scene(1), 5)


def test_scene_without_a_valid_pixel_is_still_a_commit(store: StateStore) -> None:
    before = content_digest(store.reader())
    with store.writer("test", 90) as writer, writer.transaction(scene(1)):
        pass
    assert [c.scene_id for c in store.log()] == ["", "S1"]
    assert content_digest(store.reader()) == before


def test_same_scene_twice_and_late_scenes_are_refused(store: StateStore) -> None:
    paint(store, scene(2), 1)
    with pytest.raises(StateError, match="S2 is applied already"):
        paint(store, scene(2), 2)
    with pytest.raises(StateError, match="older than S2"):
        paint(store, scene(1), 2)
    assert len(store.log()) == 2


def test_replay_of_a_late_scene_ends_as_if_it_had_come_in_time(store: StateStore, tmp_path: Path) -> None:
    paint(store, scene(1), 1)
    paint(store, scene(3), 3)
    late = scene(2)
    assert late.acquired is not None
    with store.writer("test", 90) as writer:
        target = before_scene(writer.log(), late.acquired, late.scene_id)
        assert target.scene_id == "S1"
        writer.reset_to(target.snapshot)
    for day in (2, 3):
        paint(store, scene(day), day)

    straight = StateStore(tmp_path / "straight")
    with straight.writer("test", 90) as writer:
        writer.create(IDENTITY, BELIEF)
    for day in (1, 2, 3):
        paint(straight, scene(day), day)
    assert state_version(store.log()) == state_version(straight.log())
    assert content_digest(store.reader()) == content_digest(straight.reader())
    assert store.log()[-1].snapshot != straight.log()[-1].snapshot


def test_rollback_to_a_night(store: StateStore) -> None:
    for day in (1, 2, 4):
        paint(store, scene(day), day)
    log = store.log()
    assert as_of(log, date(2026, 1, 4)).scene_id == "S2"
    assert as_of(log, date(2025, 12, 1)).kind == "create"
    with store.writer("test", 90) as writer:
        writer.reset_to(as_of(log, date(2026, 1, 2)).snapshot)
        with pytest.raises(StateError, match="can't be reset"):
            writer.reset_to(log[-1].snapshot)
    assert [c.scene_id for c in store.log()] == ["", "S1"]


def test_version_depends_on_config_and_scenes_alone() -> None:
    created = {"kind": "create", "scene_id": "", "acquired": None, "fingerprint": "x", "night": None}

    def log(snapshot: str, config: str, fingerprint: str) -> list[Commit]:
        root = Commit.from_metadata(snapshot, "", {**created, "extra": {"config_digest": config}})
        return [root, Commit(snapshot=snapshot, kind="scene", scene_id="a", acquired=START, fingerprint=fingerprint)]

    assert state_version(log("p", "c", "f")) == state_version(log("q", "c", "f"))
    assert len({state_version(log("p", c, f)) for c in "ab" for f in "xy"}) == 4


def test_threads_write_different_blocks_of_one_transaction(store: StateStore) -> None:
    values = np.random.default_rng(7).integers(0, 60_000, IDENTITY.shape).astype(np.uint16)
    with store.writer("test", 90) as writer, writer.transaction(scene(1)) as tx, ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda w: tx.write("last_valid", w, values[w]), tx.blocks()))
        list(pool.map(lambda w: tx.write("confirmed_on", w, values[w]), tx.blocks()))
    reader = store.reader()
    whole = (slice(0, 150), slice(0, 130))
    assert (reader.read("last_valid", whole) == values).all()
    assert (reader.read("confirmed_on", whole) == values).all()


def test_unchanged_blocks_cost_nothing(store: StateStore) -> None:
    paint(store, scene(1), 9)
    chunks = set((store.paths.repo / "chunks").iterdir())
    with store.writer("test", 90) as writer, writer.transaction(scene(2)) as tx:
        for window in tx.blocks():
            was = tx.read("last_valid", window)
            tx.write("last_valid", window, was.copy(), was=was)
    assert set((store.paths.repo / "chunks").iterdir()) == chunks


def test_baseline_arrays_are_added_once_and_read_by_xarray_as_physical_values(store: StateStore) -> None:
    specs = baseline_specs("vh/descending", 3, 1e-3)
    name = baseline_name("vh/descending", "coef")
    window = (slice(0, 64), slice(64, 128))
    with store.writer("test", 90) as writer, writer.transaction(Change("baseline", fingerprint="b")) as tx:
        tx.add_arrays(specs)
        tx.write(name, window, pack(specs[0], np.full((3, 64, 64), -14.2345)))
    with store.writer("test", 90) as writer, writer.transaction(scene(1)) as tx:
        tx.add_arrays(specs)
        with pytest.raises(StateError, match="exists as"):
            tx.add_arrays(baseline_specs("vh/descending", 5, 1e-3))
    assert (store.reader().read(name, window) == -14234).all()
    group = xr.open_zarr(store.reader().zarr_store(), group="baseline/vh/descending", consolidated=False)
    assert group["coef"].dims == ("k", "y", "x")
    assert float(group["coef"][0, 0, 64]) == pytest.approx(-14.234, abs=1e-3)
    assert np.isnan(float(group["coef"][0, 0, 0]))


@pytest.mark.parametrize(
    ("window", "values"),
    [
        ((slice(0, 32), slice(0, 64)), np.zeros((32, 64), np.uint8)),
        ((slice(0, 64), slice(100, 130)), np.zeros((64, 30), np.uint8)),
        ((slice(128, 192), slice(0, 64)), np.zeros((64, 64), np.uint8)),
        ((slice(0, 64), slice(0, 64)), np.zeros((64, 64), np.float32)),
        ((slice(0, 64), slice(0, 64)), np.zeros((64, 63), np.uint8)),
    ],
)
def test_writes_that_would_do_harm_are_refused(
    store: StateStore, window: tuple[slice, slice], values: np.ndarray[tuple[int, int], np.dtype[np.uint8]]
) -> None:
    with store.writer("test", 90) as writer, writer.transaction(scene(1)) as tx:
        with pytest.raises(StateError, match="status"):
            tx.write("status", window, values)
        with pytest.raises(StateError, match="did you mean status"):
            tx.read("statu", window)


def test_state_of_another_config_grid_or_monitor_is_refused(store: StateStore) -> None:
    identity = store.identity()
    identity.require(IDENTITY)
    with pytest.raises(StateError, match="config of monitor forest-1"):
        identity.require(dataclasses.replace(IDENTITY, config_digest="e" * 64))
    with pytest.raises(StateError, match="grid or block"):
        identity.require(dataclasses.replace(IDENTITY, block=128))
    with pytest.raises(StateError, match="not demo/forest-2"):
        identity.require(dataclasses.replace(IDENTITY, monitor="forest-2"))


def test_state_of_a_newer_release_is_refused_with_a_remedy(tmp_path: Path) -> None:
    store = StateStore(tmp_path / "state")
    with pytest.MonkeyPatch.context() as newer_release, store.writer("test", 90) as writer:
        newer_release.setattr("enggang.monitors.schema.SCHEMA_VERSION", SCHEMA_VERSION + 1)
        writer.create(dataclasses.replace(IDENTITY, schema_version=SCHEMA_VERSION + 1), BELIEF)
    with pytest.raises(NewerSchema, match="run the release that wrote it"):
        store.reader()
    with pytest.raises(CorruptState, match="identity"):
        StateIdentity.from_document({"schema_version": 1})


def test_migration_is_one_commit_a_version_and_resumes_where_it_was_cut_off(store: StateStore) -> None:
    paint(store, scene(1), 7)

    def widen(tx: Transaction) -> None:
        for window in tx.blocks():
            tx.write("observations", window, np.full_like(tx.read("observations", window), 1))

    def fail(tx: Transaction) -> None:
        widen(tx)
        raise KeyboardInterrupt

    first, last = SCHEMA_VERSION, SCHEMA_VERSION + 2
    with pytest.MonkeyPatch.context() as later_release, store.writer("test", 90) as writer:
        later_release.setattr("enggang.monitors.schema.SCHEMA_VERSION", last)
        later_release.setattr("enggang.monitors.writer.SCHEMA_VERSION", last)
        with pytest.raises(StateError, match="migrate it first"), writer.transaction(scene(2)):
            pass
        with pytest.raises(KeyboardInterrupt):
            migrate(writer, {first: widen, first + 1: fail}, last)
        assert store.identity().schema_version == first + 1
        assert [c.kind for c in migrate(writer, {first: fail, first + 1: widen}, last)] == ["migration"]
        assert store.identity().schema_version == last
        assert migrate(writer, {}, last) == []
        with writer.transaction(scene(2)) as tx:
            assert (tx.read("last_valid", (slice(0, 9), slice(0, 9))) == 7).all()
        with pytest.raises(StateError, match=f"no migration from schema {last}"):
            migrate(writer, {}, last + 1)
    assert [c.kind for c in store.log()] == ["create", "scene", "migration", "migration", "scene"]


def test_creation_happens_once_and_missing_state_says_what_to_do(store: StateStore, tmp_path: Path) -> None:
    with store.writer("test", 90) as writer, pytest.raises(StateError, match="already"):
        writer.create(IDENTITY, BELIEF)
    with pytest.raises(StateError, match="build the monitor's baseline first"):
        StateStore(tmp_path / "nowhere").log()
    assert not (tmp_path / "nowhere").exists()
