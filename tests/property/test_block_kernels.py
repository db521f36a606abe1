"""The kernels on packed blocks follow the plain recursion, however they are cut in chunks."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from enggang.monitors import block
from enggang.monitors.baseline import Baseline
from enggang.monitors.block import Engine, Margins, View, block_evidence, block_update
from enggang.monitors.config import load_monitor
from enggang.monitors.schema import BELIEF, baseline_specs, pack, unpack
from enggang.monitors.series import ChannelValue, SceneValues, apply_scene, initial_belief
from enggang.monitors.update import Limits
from enggang.types import SENSOR_BIT

MONITOR = load_monitor("kaltim")
LIMITS = Limits.of(MONITOR.belief)
seeds = st.integers(0, 2**32 - 1)


def packed_views(rng: np.random.Generator, shape: tuple[int, int]) -> tuple[tuple[View, ...], dict[str, Baseline]]:
    """Both radar channels of a scene, packed as the state holds them, and the same baselines unpacked."""
    views, baselines = [], {}
    for channel in (c for c in MONITOR.channels if c.sensor == "sar"):
        coef, sd, _ = baseline_specs(channel.measure, 1, 1e-3)
        mean = pack(coef, rng.normal(-11, 1, (1, *shape)).astype(np.float32))
        spread = pack(sd, rng.uniform(0.4, 2.2, shape).astype(np.float32))
        spread[rng.random(shape) < 0.1] = 0
        value = (unpack(coef, mean)[0] + rng.normal(-1.5, 2.0, shape)).astype(np.float32)
        value[rng.random(shape) < 0.2] = np.nan
        views.append(View(channel, value, mean, spread, coef.scale, np.ones(1, np.float32)))
        known = np.where(spread > 0, unpack(sd, spread), np.nan).astype(np.float32)
        baselines[channel.measure] = Baseline(unpack(coef, mean), known, np.zeros(shape, np.uint16))
    return tuple(views), baselines


def wide(values: np.ndarray, margin: float) -> np.ndarray:
    return np.pad(values, 1, constant_values=margin)


def step(belief: dict[str, np.ndarray], views: tuple[View, ...], day: int) -> dict[str, np.ndarray]:
    ratio = block_evidence(views, Engine())
    odds = next(spec for spec in BELIEF if spec.name == "log_odds")
    margins = Margins(wide(ratio, np.nan), wide(belief["log_odds"], odds.fill), 0.5)
    new = {name: values.copy() for name, values in belief.items()}
    changed = block_update(new, margins, (day, SENSOR_BIT["sar"]), LIMITS, Engine())
    really = {name for name, values in new.items() if not np.array_equal(values, belief[name])}
    assert really <= set(changed), "a change that would not be stored"
    return new


@settings(max_examples=20, deadline=None)
@given(seeds, st.tuples(st.integers(1, 40), st.integers(1, 40)))
def test_packed_blocks_follow_the_plain_recursion(seed: int, shape: tuple[int, int]) -> None:
    """Up to the quantum of the packing: 0.01 in log-odds a step, and what lies that near to a threshold."""
    rng = np.random.default_rng(seed)
    plain = initial_belief(torch.ones(shape, dtype=torch.bool))
    packed = {s.name: pack(s, getattr(plain, s.name).numpy()) for s in BELIEF}
    for number in range(4):
        views, baselines = packed_views(rng, shape)
        day = 4100 + 6 * number
        scene = SceneValues(day, tuple(ChannelValue(v.channel.measure, v.channel, v.value, v.basis) for v in views))
        plain = apply_scene(plain, scene, baselines, MONITOR)
        packed = step(packed, views, day)
        exact = plain.log_odds.numpy()
        stored = unpack(next(s for s in BELIEF if s.name == "log_odds"), packed["log_odds"])
        np.testing.assert_array_equal(np.isnan(stored), np.isnan(exact))
        np.testing.assert_allclose(np.nan_to_num(stored), np.nan_to_num(exact), atol=0.02 * (number + 1))
        limits = (LIMITS.flagged, LIMITS.provisional, LIMITS.confirmed, LIMITS.released)
        clear = np.min([np.abs(np.nan_to_num(exact) - limit) for limit in limits], axis=0) > 0.03 * (number + 1)
        if number == 0:  # later on a pixel's past may differ by such a near miss
            np.testing.assert_array_equal(packed["status"][clear], plain.status.numpy()[clear])


@settings(max_examples=10, deadline=None)
@given(seed=seeds, chunk=st.sampled_from([64, 97, 1000]))
def test_chunks_do_not_show(seed: int, chunk: int) -> None:
    results = []
    for size in (chunk, 65_536):
        rng = np.random.default_rng(seed)
        shape = (37, 29)
        packed = {s.name: np.full(shape, s.fill, s.dtype) for s in BELIEF} | {"status": np.ones(shape, np.uint8)}
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(block, "CHUNK", size)
            for number in range(3):
                packed = step(packed, packed_views(rng, shape)[0], 4100 + 6 * number)
        results.append(packed)
    for name, values in results[0].items():
        np.testing.assert_array_equal(values, results[1][name], err_msg=name)
