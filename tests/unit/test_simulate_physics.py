"""The parts of the demo: noise of the stated statistics, skies of the stated cover, clearings of every kind."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from enggang.simulate import DemoSpec
from enggang.simulate.clearings import MARGIN
from enggang.simulate.clouds import make_sky
from enggang.simulate.noise import correlated_field, speckle
from enggang.simulate.optical import render_optical
from enggang.simulate.passes import overpasses
from enggang.simulate.radar import LOOKS, render_sar
from enggang.simulate.signatures import KIND_SURFACES, SIGNATURES, TRAP_EFFECTS, ClearingKind, Cover, TrapKind
from enggang.simulate.world import World

SEEDS = range(6)


@settings(max_examples=20, deadline=None)
@given(slope=st.floats(0.5, 3.0), longest=st.floats(4, 60), seed=st.integers(0, 2**32))
def test_field_has_unit_variance_over_many_draws(slope: float, longest: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    fields = np.stack([correlated_field(rng, (64, 48), slope=slope, longest=longest) for _ in range(40)])
    assert abs(float(fields.mean())) < 1e-4
    assert float(np.mean(np.square(fields))) == pytest.approx(1.0, rel=0.3)


def test_field_is_correlated_between_neighbours() -> None:
    field = correlated_field(np.random.default_rng(1), (256, 256), slope=2.5, longest=60)
    assert np.corrcoef(field[:, 1:].ravel(), field[:, :-1].ravel())[0, 1] > 0.9


def test_speckle_has_its_looks_and_a_little_correlation() -> None:
    noise = speckle(np.random.default_rng(3), (512, 512), LOOKS).astype(np.float64)
    inner = noise[2:-2, 2:-2]
    assert inner.mean() == pytest.approx(1.0, abs=0.01)
    assert inner.mean() ** 2 / inner.var() == pytest.approx(LOOKS, rel=0.03)
    assert np.corrcoef(inner[:, 1:].ravel(), inner[:, :-1].ravel())[0, 1] == pytest.approx(0.30, abs=0.03)


def test_cover_of_the_skies_of_the_demo_is_tropical() -> None:
    """Mean cloud of 60–80 % over the demo's calendar, with overcast and with usable days."""
    spec = DemoSpec()
    dates = [one for one in overpasses(spec) if one.track.sensor == "optical"]
    cover = [
        float((make_sky(spec.generator(99, one.day), 128, one.year_fraction, spec.cloud_cover).opacity > 0.08).mean())
        for one in dates
    ]
    assert 0.60 < np.mean(cover) < 0.80
    assert np.quantile(cover, 0.1) < 0.45
    assert np.quantile(cover, 0.8) > 0.9


def test_classification_misses_some_cloud_but_not_much() -> None:
    spec = DemoSpec.tiny()
    world = World.make(spec)
    bright, clear = 0, 0
    for one in overpasses(spec):
        if one.track.sensor == "optical":
            image = render_optical(world, one)
            blue = image.bands["blue"] * 0.0001 - 0.1
            kept = np.isin(image.scl, (4, 5, 6)) & (world.landscape.cover != Cover.SETTLEMENT)
            bright += int((kept & (blue > 0.12)).sum())
            clear += int(kept.sum())
    assert 0.005 < bright / clear < 0.12


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("make", [DemoSpec.tiny, DemoSpec])
def test_every_kind_of_clearing_is_there_and_apart(make: type[DemoSpec], seed: int) -> None:
    spec = make(seed=seed)
    world = World.make(spec)
    first, last = spec.monitor_days
    watched = [one for one in world.clearings if one.days.min() >= first]
    assert {one.kind for one in watched} == set(ClearingKind)
    assert sum(len(one.rows) >= 0.1 * spec.pixels_per_ha for one in watched) >= 3
    assert any(one.days.max() < first for one in world.clearings), "something is cleared in the history"
    assert {one.kind for one in world.traps} == set(TrapKind)
    owner = np.zeros((spec.size, spec.size), dtype=int)
    for number, one in enumerate(world.clearings, start=1):
        assert not owner[one.rows, one.cols].any()
        owner[one.rows, one.cols] = number
        assert one.days.max() < last
    for step in ((0, 1), (1, 0), (1, 1), (1, -1), (0, 3), (3, 0)):
        moved = np.roll(owner, step, axis=(0, 1))
        both = (owner > 0) & (moved > 0) & (np.maximum(owner, moved) != np.minimum(owner, moved))
        assert not both.any(), "two clearings touch"
    rows, cols = np.nonzero(owner)
    assert min(rows.min(), cols.min()) >= MARGIN - 2
    assert max(rows.max(), cols.max()) < spec.size - MARGIN + 2


def test_plots_come_in_three_sizes() -> None:
    world = World.make(DemoSpec())
    areas = np.array([len(c.rows) for c in world.clearings if c.kind is ClearingKind.PLOT]) / DemoSpec().pixels_per_ha
    counts = np.histogram(areas, [0.04, 0.1, 0.5, 2.05])[0]
    assert counts.min() >= 10
    assert counts.sum() == len(areas)


def test_scenes_do_not_depend_on_the_order_of_work() -> None:
    world = World.make(DemoSpec.tiny())
    picked = [one for one in overpasses(world.spec) if one.track.sensor == "optical"][-3:]
    forward = [render_optical(world, one).bands["nir"] for one in picked]
    backward = [render_optical(world, one).bands["nir"] for one in reversed(picked)][::-1]
    for a, b in zip(forward, backward, strict=True):
        np.testing.assert_array_equal(a, b)
    assert not np.array_equal(forward[0], forward[1])


def test_the_two_orbits_differ_in_level_and_never_hold_a_hole() -> None:
    world = World.make(DemoSpec.tiny())
    levels: dict[str, list[float]] = {"ascending": [], "descending": []}
    for one in overpasses(world.spec):
        if one.track.sensor == "sar":
            band = render_sar(world, one).bands["vh"]
            assert np.isfinite(band).all()
            levels[one.track.orbit_state].append(float(band[world.landscape.forest].mean()))
    assert np.mean(levels["ascending"]) - np.mean(levels["descending"]) == pytest.approx(0.9, abs=0.25)


def test_traps_pass() -> None:
    """Every trap is at its height some time and all but gone a fading time after its end."""
    for trap in World.make(DemoSpec()).traps:
        course = [trap.strength(day) for day in range(trap.start - 5, trap.end + 200)]
        assert course[0] == 0.0
        assert max(course) == pytest.approx(1.0)
        assert course[-1] < 0.02
        assert trap.strength(trap.end) == pytest.approx(0.05, abs=0.02)


def test_tables_are_complete() -> None:
    assert set(SIGNATURES) == set(Cover)
    assert set(KIND_SURFACES) == set(ClearingKind)
    assert set(TRAP_EFFECTS) == set(TrapKind)
