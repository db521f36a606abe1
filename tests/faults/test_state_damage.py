"""Bytes that change on disk are found, named and put back from the backup; a restore gives the same content."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from odc.geo.geobox import GeoBox

from enggang.errors import CorruptState, StateError
from enggang.monitors.backup import backup, repair, restore
from enggang.monitors.garbage import collect_garbage
from enggang.monitors.history import Change, state_version
from enggang.monitors.reader import content_digest
from enggang.monitors.schema import BELIEF, StateIdentity, baseline_specs
from enggang.monitors.scrub import scrub
from enggang.monitors.state import StateStore

GRID = GeoBox((150, 130), Affine(10, 0, 500_000, 0, -10, 0), "EPSG:32750")
IDENTITY = StateIdentity("demo", "forest-1", "d" * 64, GRID, 64)
NOW = datetime(2100, 1, 1, tzinfo=UTC)


def apply(store: StateStore, day: int) -> None:
    moment = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=day)
    with store.writer("me", 90) as writer, writer.transaction(Change("scene", f"S{day}", moment, "f")) as tx:
        for window in tx.blocks():
            rng = np.random.default_rng([day, window[0].start, window[1].start])
            shape = tx.read("log_odds", window).shape
            tx.write("log_odds", window, rng.integers(-500, 900, shape).astype(np.int16))
            tx.write("status", window, rng.integers(1, 5, shape).astype(np.uint8))


@pytest.fixture
def store(tmp_path: Path) -> StateStore:
    store = StateStore(tmp_path / "state")
    with store.writer("me", 90) as writer:
        writer.create(IDENTITY, (*BELIEF, *baseline_specs("vh", 3, 1e-3)))
    for day in (1, 2):
        apply(store, day)
    return store


@pytest.fixture
def kept(store: StateStore, tmp_path: Path) -> Path:
    """A backup of the state."""
    backup(store.folder, tmp_path / "backup")
    return tmp_path / "backup"


def flip(path: Path, at: float) -> None:
    """Change one byte, at this share of the file."""
    data = bytearray(path.read_bytes())
    data[int(at * (len(data) - 1))] ^= 0x11
    path.write_bytes(data)


def newest(folder: Path) -> Path:
    return max((p for p in folder.iterdir() if p.is_file()), key=lambda p: p.stat().st_mtime_ns)


KINDS: dict[str, Callable[[StateStore], Path]] = {
    "chunk": lambda store: newest(store.paths.repo / "chunks"),
    "manifest": lambda store: newest(store.paths.repo / "manifests"),
    "snapshot": lambda store: store.paths.repo / "snapshots" / store.log()[-1].snapshot,
    "transaction": lambda store: store.paths.repo / "transactions" / store.log()[-1].snapshot,
    "config": lambda store: store.paths.repo / "config.yaml",
    "ref": lambda store: store.paths.ref,
    "seal": lambda store: store.paths.seal(store.log()[-1].snapshot),
    "head": lambda store: store.paths.head,
}


@pytest.mark.parametrize("at", [0.0, 0.45, 1.0])
@pytest.mark.parametrize("kind", KINDS)
def test_one_flipped_byte_is_found_named_and_mended(store: StateStore, kept: Path, kind: str, at: float) -> None:
    digest = content_digest(store.reader())
    path = KINDS[kind](store)
    whole = path.read_bytes()
    flip(path, at)
    damages = scrub(store.folder).damages
    assert [(d.kind, d.path) for d in damages] == [(kind, path.relative_to(store.folder).as_posix())]
    if kind != "head":  # the second record is for repair alone, no reader needs it
        with pytest.raises(CorruptState, match="scrub"):
            content_digest(StateStore(store.folder).reader())
    with store.writer("repair", 90) as writer:
        assert repair(writer, kept, damages) == ()
    assert path.read_bytes() == whole
    assert content_digest(StateStore(store.folder).reader()) == digest
    apply(store, 3)


def test_damaged_chunk_is_named_by_array_block_and_scene(store: StateStore) -> None:
    chunks = {p.name for p in (store.paths.repo / "chunks").iterdir()}
    window = (slice(64, 128), slice(128, 130))
    with (
        store.writer("me", 90) as writer,
        writer.transaction(Change("scene", "S9", datetime(2026, 2, 1, tzinfo=UTC), "f")) as tx,
    ):
        tx.write("last_valid", window, np.full((64, 2), 4_000, np.uint16))
    (new,) = {p.name for p in (store.paths.repo / "chunks").iterdir()} - chunks
    flip(store.paths.repo / "chunks" / new, 0.5)
    (damage,) = scrub(store.folder).damages
    assert damage.path == f"repo/chunks/{new}"
    assert damage.owner.startswith("last_valid block (1, 2), written by scene S9")
    with pytest.raises(CorruptState, match="last_valid at rows 64–128, columns 128–130"):
        store.reader().read("last_valid", window)
    store.reader().read("last_valid", (slice(0, 64), slice(0, 64)))


@pytest.mark.parametrize("change", ["missing", "empty", "cut"])
def test_lost_or_shortened_chunk_is_found_and_mended(store: StateStore, kept: Path, change: str) -> None:
    digest = content_digest(store.reader())
    path = newest(store.paths.repo / "chunks")
    data = path.read_bytes()
    if change == "missing":
        path.unlink()
    else:
        path.write_bytes(b"" if change == "empty" else data[:-7])
    damages = scrub(store.folder).damages
    assert {d.kind for d in damages} == {"chunk"}
    assert any("block" in d.owner and "S2" in d.owner for d in damages)
    with pytest.raises(CorruptState):
        content_digest(store.reader())
    with store.writer("repair", 90) as writer:
        assert repair(writer, kept, damages) == ()
    assert content_digest(store.reader()) == digest


def test_damage_in_an_old_commit_does_not_stop_the_current_one(store: StateStore) -> None:
    old = store.log()[1].snapshot
    flip(store.paths.repo / "snapshots" / old, 0.5)
    content_digest(store.reader())
    with pytest.raises(CorruptState, match=old):
        store.reader(at=old)
    assert [d.kind for d in scrub(store.folder).damages] == ["snapshot"]


def test_damage_newer_than_the_backup_is_reported_as_remaining(store: StateStore, kept: Path) -> None:
    apply(store, 3)
    flip(newest(store.paths.repo / "chunks"), 0.5)
    damages = scrub(store.folder).damages
    with store.writer("repair", 90) as writer:
        assert repair(writer, kept, damages) == damages


def test_damaged_branch_is_mended_without_losing_what_the_backup_lacks(store: StateStore, kept: Path) -> None:
    apply(store, 3)
    digest = content_digest(store.reader())
    flip(store.paths.ref, 0.6)
    with store.writer("repair", 90) as writer:
        assert repair(writer, kept, scrub(store.folder).damages) == ()
    assert [c.scene_id for c in store.log()] == ["", "S1", "S2", "S3"]
    assert content_digest(store.reader()) == digest


def test_backup_copies_only_what_is_new_and_can_be_read_in_place(store: StateStore, kept: Path) -> None:
    assert backup(store.folder, kept).size == 0
    apply(store, 3)
    grown = backup(store.folder, kept)
    whole = sum(p.stat().st_size for p in store.paths.repo.rglob("*") if p.is_file())
    assert 0 < grown.size < whole / 2
    assert content_digest(StateStore(kept).reader()) == content_digest(store.reader())
    assert StateStore(kept).log() == store.log()
    assert scrub(kept).damages == ()


def test_backup_of_a_damaged_state_leaves_the_good_backup_alone(store: StateStore, kept: Path) -> None:
    digest = content_digest(StateStore(kept).reader())
    apply(store, 3)
    flip(newest(store.paths.repo / "chunks"), 0.5)
    with pytest.raises(CorruptState, match="chunks"):
        backup(store.folder, kept)
    assert content_digest(StateStore(kept).reader()) == digest
    assert scrub(kept).damages == ()


def test_restore_on_an_empty_machine_gives_the_same_content_and_goes_on(
    store: StateStore, kept: Path, tmp_path: Path
) -> None:
    new = StateStore(tmp_path / "elsewhere" / "state")
    with new.writer("restore", 90) as writer:
        assert restore(kept, writer) == store.log()[-1].snapshot
        with pytest.raises(StateError, match="already"):
            restore(kept, writer)
    assert content_digest(new.reader()) == content_digest(store.reader())
    assert state_version(new.log()) == state_version(store.log())
    for each in (store, new):
        apply(each, 3)
    assert content_digest(new.reader()) == content_digest(store.reader())


def test_damaged_backup_is_not_restored(kept: Path, tmp_path: Path) -> None:
    flip(newest(kept / "repo" / "chunks"), 0.5)
    new = StateStore(tmp_path / "elsewhere")
    with new.writer("restore", 90) as writer, pytest.raises(CorruptState, match="chunks"):
        restore(kept, writer)
    assert not new.exists()


def test_garbage_of_undone_scenes_goes_and_nothing_alive_with_it_whatever_the_clock(
    store: StateStore, tmp_path: Path
) -> None:
    first = store.log()[1].snapshot
    digests = {c.snapshot: content_digest(store.reader(at=c.snapshot)) for c in store.log()[:2]}
    partial = store.paths.repo / "chunks" / "0000000000000000000G#1"
    partial.write_bytes(b"half a chunk")
    files = sum(1 for p in store.paths.repo.rglob("*"))
    with store.writer("me", 90) as writer:
        writer.reset_to(first)
        # The machine's clock is now over seventy years ahead of the one that the files were written by.
        collected = collect_garbage(writer, NOW - timedelta(days=1), NOW)
    assert collected.objects > 10
    assert collected.given_up == 0
    assert sum(1 for p in store.paths.repo.rglob("*")) == files - collected.objects
    assert not partial.exists()
    assert {c.snapshot: content_digest(store.reader(at=c.snapshot)) for c in store.log()} == digests
    assert scrub(store.folder).damages == ()
    apply(store, 2)


def test_recent_garbage_stays(store: StateStore) -> None:
    files = sorted(p.name for p in store.paths.repo.rglob("*"))
    now = datetime.now(UTC)
    with store.writer("me", 90) as writer:
        writer.reset_to(store.log()[1].snapshot)
        assert collect_garbage(writer, now - timedelta(days=1, minutes=1), now).objects == 0
        with pytest.raises(StateError, match="younger than a day"):
            collect_garbage(writer, now - timedelta(hours=23), now)
        with pytest.raises(StateError, match="younger than a day"):
            collect_garbage(writer, now - timedelta(days=2), now, give_up_before=now)
        with writer.transaction(Change("baseline")), pytest.raises(StateError, match="under way"):
            collect_garbage(writer, now - timedelta(days=2), now)
    assert set(files) <= {p.name for p in store.paths.repo.rglob("*")}


def test_given_up_commits_keep_their_record_and_refuse_to_be_read(store: StateStore, tmp_path: Path) -> None:
    apply(store, 3)
    before, version = store.log(), state_version(store.log())
    digest = content_digest(store.reader())
    with store.writer("me", 90) as writer:
        collected = collect_garbage(writer, NOW - timedelta(days=2), NOW, give_up_before=NOW - timedelta(days=1))
        assert collected.given_up == 3
        with pytest.raises(StateError, match="can't be reset"):
            writer.reset_to(before[1].snapshot)
    log = store.log()
    assert [c.scene_id for c in log] == [c.scene_id for c in before]
    assert [c.readable for c in log] == [False, False, False, True]
    assert state_version(log) == version
    with pytest.raises(StateError, match="given up"):
        store.reader(at=before[1].snapshot)
    assert content_digest(store.reader()) == digest
    assert scrub(store.folder).damages == ()
    apply(store, 4)
    backup(store.folder, tmp_path / "backup")
    assert [c.scene_id for c in StateStore(tmp_path / "backup").log()] == ["", "S1", "S2", "S3", "S4"]
    assert scrub(tmp_path / "backup").damages == ()
