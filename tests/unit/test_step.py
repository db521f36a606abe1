"""The fused step of a new image is the evidence and the recursion that a scene goes through."""

from __future__ import annotations

import pytest
import torch

from enggang.monitors.config import list_monitors, load_monitor
from enggang.monitors.update import Limits, Watch, advance, evidence, expected, step

TERMS, PIXELS = 6, 4_000


def watch_of(draw: torch.Generator, sd: float) -> Watch:
    def flat() -> torch.Tensor:
        return torch.rand(PIXELS, generator=draw)

    odds = torch.where(flat() < 0.2, torch.nan, 8 * flat() - 5)
    status = torch.floor(6 * flat())
    return Watch(torch.rand(TERMS, PIXELS, generator=draw), sd * flat(), odds, 4_000 * flat(), status, flat())


@pytest.mark.parametrize("name", list_monitors())
def test_a_step_is_evidence_and_advance(name: str) -> None:
    config = load_monitor(name)
    channel, limits = config.channels[0], Limits.of(config.belief)
    draw = torch.Generator().manual_seed(5)
    watch = watch_of(draw, channel.sd_max)
    basis, day = torch.rand(TERMS, generator=draw), torch.tensor(4_100.0)
    value = expected(basis, watch.coef) + 2 * channel.shift * torch.rand(PIXELS, generator=draw)
    value[::3] = torch.nan
    ratio = evidence(value - expected(basis, watch.coef), watch.sd, channel)
    floor = torch.tensor(limits.prior)
    odds, last, active = advance(watch.log_odds, watch.last_valid, watch.status, ratio, floor, day, limits)
    before = watch.log_odds.clone()
    step(watch, value, (basis, day), channel, limits)
    torch.testing.assert_close(watch.log_odds, odds, equal_nan=True, rtol=0, atol=0)
    torch.testing.assert_close(watch.last_valid, last, rtol=0, atol=0)
    assert torch.equal(watch.active == 1, active)
    assert torch.equal(watch.active == 0, ~active)
    unseen = torch.isnan(value) | (watch.status > 4)
    torch.testing.assert_close(watch.log_odds[unseen], before[unseen], equal_nan=True, rtol=0, atol=0)
    assert active.any()
    assert not active[unseen].any()
