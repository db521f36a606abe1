"""The state store against a model of plain arrays, over any sequence of commits, aborts, resets and reads."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pytest
from affine import Affine
from hypothesis import HealthCheck, given, settings
from hypothesis.extra.numpy import arrays
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from enggang.errors import StateError
from enggang.monitors.backup import backup
from enggang.monitors.history import Change, Commit, before_scene, state_version
from enggang.monitors.reader import content_digest
from enggang.monitors.schema import BELIEF, ArraySpec, StateIdentity, baseline_specs, pack, unpack
from enggang.monitors.scrub import scrub
from enggang.monitors.state import StateStore

GRID = GeoBox((11, 7), Affine(10, 0, 500_000, 0, -10, 0), "EPSG:32750")
IDENTITY = StateIdentity("demo", "forest-1", "d" * 64, GRID, 4)
NAMES = ("log_odds", "status")
START = datetime(2026, 1, 1, tzinfo=UTC)
WHOLE = (slice(0, 11), slice(0, 7))
Model = dict[str, NDArray[np.generic]]


class Abort(Exception):
    """Raised by the test inside a transaction."""


class StateAgainstModel(RuleBasedStateMachine):
    """`self.past` holds, for each commit, the snapshot, the scene's day and a copy of all arrays."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.store = StateStore(self.folder / "state")
        self.past: list[tuple[str, int, Model]] = []

    @initialize()
    def create(self) -> None:
        with self.store.writer("model", 90) as writer:
            commit = writer.create(IDENTITY, BELIEF)
        fills = {s.name: np.full((11, 7), s.fill, s.dtype) for s in BELIEF if s.name in NAMES}
        self.past = [(commit.snapshot, 0, fills)]

    @rule(
        gap=st.integers(1, 3),
        blocks=st.sets(st.integers(0, 5), max_size=6),
        number=st.integers(-300, 300),
        abort=st.booleans(),
        name=st.sampled_from(NAMES),
    )
    def apply_scene(self, gap: int, blocks: set[int], number: int, abort: bool, name: str) -> None:
        day = self.past[-1][1] + gap
        model = {key: values.copy() for key, values in self.past[-1][2].items()}
        change = Change("scene", f"S{day:04}", START + timedelta(days=day), str(number))
        with self.store.writer("model", 90) as writer, suppress(Abort), writer.transaction(change) as tx:
            windows = list(tx.blocks())
            assert len(windows) == 6
            for index in blocks:
                window = windows[index]
                was = tx.read(name, window)
                values = (was.astype(np.int64) + number).astype(was.dtype)
                tx.write(name, window, values, was=was)
                assert (tx.read(name, window) == values).all()
                model[name][window] = values
            if abort:
                raise Abort
        if not abort:
            assert tx.commit is not None
            self.past.append((tx.commit.snapshot, day, model))

    @precondition(lambda self: len(self.past) > 1)
    @rule(data=st.data())
    def go_back(self, data: st.DataObject) -> None:
        index = data.draw(st.integers(0, len(self.past) - 1))
        with self.store.writer("model", 90) as writer:
            writer.reset_to(self.past[index][0])
        del self.past[index + 1 :]

    @precondition(lambda self: len(self.past) > 1)
    @rule(data=st.data())
    def same_or_late_scene_is_refused(self, data: st.DataObject) -> None:
        day = data.draw(st.integers(1, self.past[-1][1]))
        moment, name = START + timedelta(days=day), f"S{day:04}"
        with self.store.writer("model", 90) as writer:
            with pytest.raises(StateError), writer.transaction(Change("scene", name, moment, "f")):
                pass
            target = before_scene(writer.log(), moment, name)
        assert target.snapshot == [s for s, other, _ in self.past if other < day or other == 0][-1]

    @rule()
    def back_up(self) -> None:
        target = self.folder / "backup"
        backup(self.store.folder, target)
        assert content_digest(StateStore(target).reader()) == content_digest(self.store.reader())

    @rule(data=st.data())
    def read_any_moment(self, data: st.DataObject) -> None:
        snapshot, _, model = data.draw(st.sampled_from(self.past))
        reader = self.store.reader(at=snapshot)
        for name in NAMES:
            assert (reader.read(name, WHOLE) == model[name]).all()

    @invariant()
    def log_and_content_agree_with_the_model(self) -> None:
        if self.past:
            log = self.store.log()
            assert [c.snapshot for c in log] == [snapshot for snapshot, _, _ in self.past]
            reader = self.store.reader()
            for name in NAMES:
                assert (reader.read(name, WHOLE) == self.past[-1][2][name]).all()

    def teardown(self) -> None:
        if self.past:
            assert scrub(self.store.folder).damages == ()
        shutil.rmtree(self.folder)


TestStateAgainstModel = StateAgainstModel.TestCase
TestStateAgainstModel.settings = settings(
    max_examples=12, stateful_step_count=12, deadline=None, suppress_health_check=list(HealthCheck)
)

SCALED = (BELIEF[0], *baseline_specs("vh", 1, 1e-3)[:2], *baseline_specs("nbr", 1, 1e-4)[:2])


@pytest.mark.parametrize("spec", SCALED, ids=lambda s: f"{s.name}-{s.scale}")
@given(values=arrays(np.float32, 24, elements=st.floats(width=32, allow_nan=True, allow_infinity=True)))
@settings(deadline=None)
def test_packing_keeps_values_to_half_a_quantum_saturates_and_keeps_nan_apart(
    spec: ArraySpec, values: NDArray[np.float32]
) -> None:
    packed = pack(spec, values)
    assert packed.dtype == np.dtype(spec.dtype)
    back = unpack(spec, packed)
    assert (np.isnan(back) == np.isnan(values)).all()
    limits = np.iinfo(spec.dtype)
    low, high = limits.min + (spec.fill == limits.min), limits.max - (spec.fill == limits.max)
    inside = (values >= low * spec.scale) & (values <= high * spec.scale)
    # half a quantum, and what float32 itself can't tell apart
    assert (np.abs(back[inside] - values[inside]) <= spec.scale * 0.501 + np.abs(values[inside]) * 1e-6).all()
    assert (packed[values > high * spec.scale] == high).all()
    assert (packed[values < low * spec.scale] == low).all()
    assert (pack(spec, back) == packed).all()


@given(values=arrays(np.int64, 24, elements=st.integers(-(2**40), 2**40)))
@settings(deadline=None)
def test_unscaled_numbers_saturate(values: NDArray[np.int64]) -> None:
    for spec in BELIEF[1:]:
        limits = np.iinfo(spec.dtype)
        assert (pack(spec, values) == np.clip(values, limits.min, limits.max)).all()


@given(prints=st.lists(st.text("ab", max_size=3), min_size=1, max_size=5), swap=st.booleans())
@settings(deadline=None)
def test_version_tells_orders_and_fingerprints_apart(prints: list[str], swap: bool) -> None:
    def log(given_prints: list[str]) -> list[Commit]:
        return [
            Commit(snapshot=str(i), kind="scene", scene_id=f"S{i}", fingerprint=p) for i, p in enumerate(given_prints)
        ]

    other = prints[::-1] if swap else [*prints]
    assert (state_version(log(prints)) == state_version(log(other))) == (prints == other)
