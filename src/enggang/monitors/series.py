"""A monitor over a cube in memory: the recursion of the nightly job, without state on disk."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch

from enggang.monitors.baseline import Baseline
from enggang.monitors.config import ChannelConfig, MonitorConfig
from enggang.monitors.update import Belief, Limits, Moment, evidence, expected, neighbourhood, smooth, update
from enggang.types import SENSOR_BIT, FloatArray, PixelStatus


@dataclass(frozen=True, slots=True)
class ChannelValue:
    """One channel of one scene. value: (y, x) float32 in the measure's unit, NaN = not valid. basis: (k) float32."""

    key: str
    channel: ChannelConfig
    value: FloatArray
    basis: FloatArray


@dataclass(frozen=True, slots=True)
class SceneValues:
    """All channels of one scene, seen on `day` (days since 2014-12-31)."""

    day: int
    channels: tuple[ChannelValue, ...]


def monitor(scenes: Iterable[SceneValues], baselines: Mapping[str, Baseline], config: MonitorConfig) -> Belief:
    """Run the recursion over `scenes`, ascending in time; the belief's fields are (y, x) float32."""
    known = torch.stack([~torch.isnan(torch.from_numpy(b.sd)) for b in baselines.values()]).any(0)
    belief = initial_belief(known)
    for scene in scenes:
        belief = apply_scene(belief, scene, baselines, config)
    return belief


def initial_belief(known: torch.Tensor) -> Belief:
    """Belief before the first scene: FOREST where a baseline is `known` ((y, x) bool), else UNKNOWN."""
    zero = torch.zeros(known.shape)
    status = torch.where(known, float(PixelStatus.FOREST), float(PixelStatus.UNKNOWN))
    return Belief(torch.full(known.shape, torch.nan), status, zero, zero, zero, zero, zero, zero)


def apply_scene(belief: Belief, scene: SceneValues, baselines: Mapping[str, Baseline], config: MonitorConfig) -> Belief:
    """Belief after one scene; channels without a baseline are passed over."""
    ratios = [_evidence(c, baselines[c.key]) for c in scene.channels if c.key in baselines]
    if not ratios:
        return belief
    sensor = scene.channels[0].channel.sensor
    ratio = smooth(with_margin(combine(ratios)), config.belief.neighbour_evidence.get(sensor, 0.0))
    limits = Limits.of(config.belief)
    moment = Moment(torch.tensor(float(scene.day)), SENSOR_BIT[sensor])
    return update(belief, ratio, neighbourhood(with_margin(belief.log_odds), limits), moment, limits)


def combine(ratios: list[torch.Tensor]) -> torch.Tensor:
    """Sum the evidence of a scene's channels, each float32 with NaN = not valid; NaN where none is valid."""
    stacked = torch.stack(ratios)
    return torch.where(torch.isnan(stacked).all(0), torch.nan, torch.nan_to_num(stacked, nan=0.0).sum(0))


def with_margin(values: torch.Tensor) -> torch.Tensor:
    """`values` with a margin of one pixel of NaN: (y, x) → (y + 2, x + 2)."""
    wide = torch.full((values.shape[0] + 2, values.shape[1] + 2), torch.nan)
    wide[1:-1, 1:-1] = values
    return wide


def _evidence(view: ChannelValue, baseline: Baseline) -> torch.Tensor:
    mean = expected(torch.from_numpy(view.basis), torch.from_numpy(baseline.coef))
    return evidence(torch.from_numpy(view.value) - mean, torch.from_numpy(baseline.sd), view.channel)
