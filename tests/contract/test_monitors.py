"""What every monitor preset must do, whatever it watches; a new preset is tested by being there."""

from __future__ import annotations

from itertools import groupby
from typing import Any

import numpy as np
import orjson
import pytest
import yaml

from enggang.monitors.baseline import Baseline, FitOptions, HarmonicModel, fit
from enggang.monitors.config import ChannelConfig, MonitorConfig, list_monitors, load_monitor, parse_monitor
from enggang.monitors.series import ChannelValue, SceneValues, monitor
from enggang.types import PixelStatus

SIZE, PATCH = 20, (slice(5, 12), slice(6, 14))
#: Pixels that are never observed.
BLIND = (slice(16, 20), slice(0, 20))
HISTORY, CLEARED_FROM, SCENES = 48, 6, 26


@pytest.fixture(params=list_monitors())
def preset(request: pytest.FixtureRequest) -> MonitorConfig:
    return load_monitor(request.param)


def level_of(channel: ChannelConfig) -> float:
    """A forest's mean, safely above the limit below which a pixel is no forest."""
    return (channel.forest_min or 0.0) + abs(channel.shift)


def noise_of(channel: ChannelConfig) -> float:
    return 1.2 * channel.sd_min


def observe(channel: ChannelConfig, count: int, seed: int, cleared_from: int | None) -> np.ndarray:
    """(time, y, x) float32: forest with noise, cleared in the patch from one scene on; a sixth of it unseen."""
    rng = np.random.default_rng([seed, *channel.measure.encode()])
    values = level_of(channel) + noise_of(channel) * rng.standard_normal((count, SIZE, SIZE))
    if cleared_from is not None:
        values[cleared_from:, PATCH[0], PATCH[1]] += channel.shift
    values[rng.random(values.shape) < 1 / 6] = np.nan
    values[:, BLIND[0], BLIND[1]] = np.nan
    return values.astype(np.float32)


def run(preset: MonitorConfig, cleared_from: int | None) -> np.ndarray:
    """Status after the whole series, (y, x)."""
    days = 4000 + 6 * np.arange(HISTORY + SCENES)
    baselines: dict[str, Baseline] = {}
    found: list[tuple[int, str, ChannelValue]] = []
    for channel in preset.channels:
        model = HarmonicModel(channel.harmonics, channel.trend)
        basis = model.basis(days)
        options = FitOptions(preset.baseline.robust_iterations, preset.baseline.min_observations)
        baselines[channel.measure] = fit(observe(channel, HISTORY, 1, None), basis[:HISTORY], options)
        values = observe(channel, SCENES, 2, cleared_from)
        for n in range(SCENES):
            view = ChannelValue(channel.measure, channel, values[n], basis[HISTORY + n])
            found.append((int(days[HISTORY + n]), channel.sensor, view))
    found.sort(key=lambda f: f[:2])
    scenes = [
        SceneValues(day, tuple(view for *_, view in views)) for (day, _), views in groupby(found, key=lambda f: f[:2])
    ]
    return monitor(scenes, baselines, preset).status.numpy()


def test_its_digest_is_of_its_content(preset: MonitorConfig) -> None:
    document = preset.model_dump(mode="json")
    through_json = parse_monitor(orjson.loads(orjson.dumps(document)), "JSON")
    through_yaml = parse_monitor(yaml.safe_load(yaml.safe_dump(document)), "YAML")
    assert through_json == through_yaml == preset
    assert through_json.digest == through_yaml.digest == preset.digest
    other: dict[str, Any] = {**document, "belief": {**document["belief"], "expire_days": 181}}
    assert parse_monitor(other, "other").digest != preset.digest


def test_its_state_can_be_told_from_every_other(preset: MonitorConfig) -> None:
    keys = [load_monitor(name).key for name in list_monitors()]
    assert keys.count(preset.key) == 1
    digests = [load_monitor(name).digest for name in list_monitors()]
    assert digests.count(preset.digest) == 1


def test_a_clearing_is_confirmed_and_stable_forest_is_left_alone(preset: MonitorConfig) -> None:
    status = run(preset, CLEARED_FROM)
    inner = status[PATCH[0].start + 1 : PATCH[0].stop - 1, PATCH[1].start + 1 : PATCH[1].stop - 1]
    assert (inner == PixelStatus.CONFIRMED).mean() > 0.95
    around = np.ones((SIZE, SIZE), bool)
    around[PATCH[0].start - 1 : PATCH[0].stop + 1, PATCH[1].start - 1 : PATCH[1].stop + 1] = False
    around[BLIND] = False
    assert (status[around] == PixelStatus.FOREST).all()


def test_without_a_clearing_nothing_is_flagged(preset: MonitorConfig) -> None:
    status = run(preset, None)
    assert set(np.unique(status)) == {PixelStatus.UNKNOWN, PixelStatus.FOREST}


def test_what_was_never_seen_is_unknown_and_never_forest(preset: MonitorConfig) -> None:
    """P6: silence is never read as safety."""
    assert (run(preset, CLEARED_FROM)[BLIND] == PixelStatus.UNKNOWN).all()
