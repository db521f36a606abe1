"""Scene-wide shifts of radar scenes: rain and soil moisture move a whole scene, clearing moves parts of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from enggang.cube import observe_block
from enggang.monitors.reader import StateReader
from enggang.monitors.schema import baseline_name
from enggang.monitors.update import expected
from enggang.stages.channels import Channel, specs_of
from enggang.stages.job import Job
from enggang.stages.pool import Window
from enggang.types import FloatArray, PixelStatus, Scene, day_number

#: The sample: at most this many windows a side, each of this edge in pixels. An AOI up to 512 px a side is seen whole.
_WINDOWS, _EDGE = 4, 128


def sample_windows(shape: tuple[int, int]) -> list[Window]:
    """Windows spread evenly over a grid of `shape` (rows, columns); the whole grid where it is small."""
    spans = [_spans(size) for size in shape]
    return [(rows, columns) for rows in spans[0] for columns in spans[1]]


def scene_shifts(job: Job, reader: StateReader, scene: Scene, channels: Sequence[Channel]) -> dict[str, float]:
    """Median of observation − baseline over the sampled pixels believed forest, in the measure's unit, by channel key;
    0 for channels that are not corrected or where nothing was seen. Raises `SceneError`."""
    wanted = [c for c in channels if c.config.scene_shift]
    residuals: dict[str, list[FloatArray]] = {c.key: [] for c in wanted}
    windows = sample_windows(job.identity.shape) if wanted else []
    for window in windows:
        values = observe_block(scene, job.aoi.geobox[window], specs_of(wanted))
        forest = reader.read("status", window) == PixelStatus.FOREST
        for channel in wanted:
            basis = torch.from_numpy(channel.model.basis(np.array([day_number(scene.acquired.date())]))[0])
            coef = torch.from_numpy(reader.read_values(baseline_name(channel.key, "coef"), window))
            residual = values[channel.spec.measure] - expected(basis, coef).numpy()
            residuals[channel.key].append(residual[forest & np.isfinite(residual)])
    shifts = {c.key: 0.0 for c in channels}
    return shifts | {key: _median(np.concatenate(parts)) for key, parts in residuals.items()}


def history_shifts(job: Job, scenes: Sequence[Scene], channel: Channel) -> FloatArray:
    """For each scene of the history the median of observation − the pixel's median over time: (time) float32, in the
    measure's unit; 0 where nothing was seen. Raises `SceneError`."""
    if not channel.config.scene_shift:
        return np.zeros(len(scenes), np.float32)
    parts = []
    for window in sample_windows(job.identity.shape):
        part = job.aoi.geobox[window]
        stack = [observe_block(s, part, (channel.spec,))[channel.spec.measure].reshape(-1) for s in scenes]
        parts.append(np.stack(stack))
    sample = np.concatenate(parts, axis=1)
    seen = np.isfinite(sample)
    sample = sample[:, seen.any(0)]
    middle = np.nanmedian(sample, axis=0) if sample.size else np.zeros(0, np.float32)
    return np.array([_median((row - middle)[np.isfinite(row)]) for row in sample], np.float32)


def _median(values: FloatArray) -> float:
    return float(np.median(values)) if values.size else 0.0


def _spans(size: int) -> list[slice]:
    if size <= _WINDOWS * _EDGE:
        return [slice(0, size)]
    starts = np.linspace(0, size - _EDGE, _WINDOWS).astype(int)
    return [slice(int(start), int(start) + _EDGE) for start in starts]
