"""Laws of evidence and belief over random observations."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from enggang.monitors.config import ChannelConfig, list_monitors, load_monitor
from enggang.monitors.series import initial_belief
from enggang.monitors.update import Belief, Limits, Moment, evidence, neighbourhood, smooth, update
from enggang.types import SENSOR_BIT, PixelStatus

CHANNELS = [c for name in list_monitors() for c in load_monitor(name).channels]
MONITOR = load_monitor("kaltim")
LIMITS = Limits.of(MONITOR.belief)
FLAGGED = (PixelStatus.FLAGGED, PixelStatus.PROVISIONAL, PixelStatus.CONFIRMED)

channels = st.sampled_from(CHANNELS)
finite = st.floats(-60, 60, width=32)
spreads = st.floats(2**-10, 8, width=32)
seeds = st.integers(0, 2**32 - 1)


def llr(residuals: list[float], sd: float, channel: ChannelConfig) -> np.ndarray:
    return evidence(torch.tensor(residuals), torch.full((len(residuals),), sd), channel).numpy()


@settings(max_examples=60, deadline=None)
@given(channels, st.lists(finite, min_size=1, max_size=20), spreads)
def test_evidence_is_capped_and_defined(channel: ChannelConfig, residuals: list[float], sd: float) -> None:
    found = llr(residuals, sd, channel)
    assert np.isfinite(found).all()
    assert (np.abs(found) <= np.float32(channel.cap)).all()


@settings(max_examples=60, deadline=None)
@given(channels, st.lists(st.floats(0, 1, width=32), min_size=2, max_size=20), spreads)
def test_between_forest_and_cleared_evidence_falls_with_the_value(
    channel: ChannelConfig, shares: list[float], sd: float
) -> None:
    residuals = [channel.shift * share for share in sorted(shares, reverse=True)]
    assert (np.diff(llr(residuals, sd, channel)) <= 1e-5).all()


@settings(max_examples=60, deadline=None)
@given(channels, st.sampled_from([-1, 1]), spreads)
def test_what_is_far_from_both_decides_nothing(channel: ChannelConfig, side: int, sd: float) -> None:
    widest = max(channel.cleared_sd, channel.cleared_far_sd or 0.0, channel.sd_max)
    far = [side * (abs(channel.shift) + 8 * widest)]
    assert abs(llr(far, sd, channel)[0]) < 1e-3


@settings(max_examples=60, deadline=None)
@given(channels, spreads)
def test_a_forest_speaks_against_clearing_and_a_clearing_for_it(channel: ChannelConfig, sd: float) -> None:
    at_forest, at_cleared = llr([0.0, channel.shift], sd, channel)
    assert at_forest < 0 < at_cleared


@settings(max_examples=60, deadline=None)
@given(channels)
def test_evidence_of_nothing_is_nothing(channel: ChannelConfig) -> None:
    nan = float("nan")
    assert np.isnan(evidence(torch.tensor([nan, 0.0]), torch.tensor([1.0, nan]), channel)).all()


def histories(seed: int, scenes: int = 25, pixels: int = 48) -> list[tuple[Moment, torch.Tensor]]:
    """Ratios of a few dozen pixels, a third not seen; some drift up, some down, some to and fro."""
    rng = np.random.default_rng(seed)
    ratios = rng.normal(rng.normal(0, 1.2, pixels), 1.0, (scenes, pixels)).clip(-3, 3).astype(np.float32)
    ratios[rng.random(ratios.shape) < 1 / 3] = np.nan
    days = 4000 + np.cumsum(rng.integers(1, 40, scenes))
    return [
        (Moment(torch.tensor(float(day)), int(rng.choice(list(SENSOR_BIT.values())))), torch.from_numpy(row))
        for day, row in zip(days, ratios, strict=True)
    ]


def beginning(pixels: int = 48) -> Belief:
    """UNKNOWN, FOREST, NONFOREST and OUTSIDE by turns, most of them FOREST."""
    belief = initial_belief(torch.ones(pixels, dtype=torch.bool))
    kinds = (PixelStatus.FOREST,) * 5 + (PixelStatus.UNKNOWN, PixelStatus.NONFOREST, PixelStatus.OUTSIDE)
    return replace(belief, status=torch.tensor([float(kinds[n % len(kinds)]) for n in range(pixels)]))


def fields_of(belief: Belief, where: torch.Tensor) -> list[np.ndarray]:
    return [getattr(belief, name)[where].numpy() for name in Belief.names()]


def assert_untouched(before: Belief, after: Belief, where: torch.Tensor) -> None:
    for old, new in zip(fields_of(before, where), fields_of(after, where), strict=True):
        np.testing.assert_array_equal(old, new)


@settings(max_examples=60, deadline=None)
@given(seeds, st.floats(0, 2.5))
def test_belief_moves_by_the_rules_only(seed: int, raised: float) -> None:
    belief = beginning()
    floor = torch.full((48,), LIMITS.prior) + raised * torch.arange(48) / 48
    for moment, ratio in histories(seed):
        before, belief = belief, update(belief, ratio, floor, moment, LIMITS)
        never = (before.status == PixelStatus.NONFOREST) | (before.status == PixelStatus.OUTSIDE)
        assert_untouched(before, belief, torch.isnan(ratio) | never)
        watched = ~torch.isnan(ratio) & ~never
        odds = belief.log_odds[watched]
        assert bool(((odds >= floor[watched] - 1e-6) & (odds <= LIMITS.ceiling + 1e-6)).all())
        assert bool((belief.last_valid[watched] == moment.day).all())
        latched = before.status == PixelStatus.CONFIRMED
        assert bool((belief.status[latched] == PixelStatus.CONFIRMED).all())
        for name in ("first_disturbed", "flagged_on", "confirmed_on"):
            assert torch.equal(getattr(belief, name)[latched], getattr(before, name)[latched])
        assert_consistent(belief, moment)


def assert_consistent(belief: Belief, moment: Moment) -> None:
    """Status and dates tell the same story."""
    flagged = torch.isin(belief.status, torch.tensor([float(s) for s in FLAGGED]))
    confirmed = belief.status == PixelStatus.CONFIRMED
    assert torch.equal(belief.flagged_on > 0, flagged)
    assert torch.equal(belief.confirmed_on > 0, confirmed)
    assert bool((belief.first_disturbed[flagged] > 0).all())
    assert bool((belief.first_disturbed <= belief.flagged_on)[flagged].all())
    assert bool((belief.flagged_on <= belief.confirmed_on)[confirmed].all())
    assert bool((belief.observations[confirmed] >= LIMITS.confirm_observations).all())
    assert torch.equal(belief.sensors > 0, belief.first_disturbed > 0)
    assert float(belief.flagged_on.max()) <= float(moment.day)


@settings(max_examples=60, deadline=None)
@given(seeds, st.floats(0, 3, width=32))
def test_more_evidence_never_gives_less_belief(seed: int, more: float) -> None:
    belief = beginning()
    floor = torch.tensor(LIMITS.prior)
    for moment, ratio in histories(seed, scenes=8):
        stronger = update(belief, ratio + more, floor, moment, LIMITS)
        belief = update(belief, ratio, floor, moment, LIMITS)
        seen = ~torch.isnan(belief.log_odds)
        assert bool((stronger.log_odds[seen] >= belief.log_odds[seen]).all())


@settings(max_examples=60, deadline=None)
@given(seeds)
def test_neighbours_are_neither_lost_nor_invented(seed: int) -> None:
    rng = np.random.default_rng(seed)
    wide = rng.normal(0, 2, (7, 9)).astype(np.float32)
    wide[rng.random(wide.shape) < 0.4] = np.nan
    found = smooth(torch.from_numpy(wide), 0.5).numpy()
    floor = neighbourhood(torch.from_numpy(wide), LIMITS).expand(5, 7).numpy()
    for y in range(5):
        for x in range(7):
            around = np.delete(wide[y : y + 3, x : x + 3].ravel(), 4)
            valid = around[~np.isnan(around)]
            mean = valid.mean() if valid.size else 0.0
            np.testing.assert_allclose(found[y, x], wide[y + 1, x + 1] + 0.5 * mean, rtol=1e-4, atol=1e-4)
            share = sum(1 / (1 + np.exp(-v)) for v in valid if v > LIMITS.released) / 8
            np.testing.assert_allclose(floor[y, x], LIMITS.prior + LIMITS.neighbour_weight * share, rtol=1e-4)
