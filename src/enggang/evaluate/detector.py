"""The monitor on a bare cube of one optical index: the interface of the field's detection benchmarks."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from enggang.errors import EvaluationError
from enggang.monitors.baseline import FitOptions, HarmonicModel, fit
from enggang.monitors.config import MonitorConfig, load_monitor
from enggang.monitors.series import ChannelValue, SceneValues, monitor
from enggang.types import EPOCH, FloatArray

PRESET = "optical_index"
_EPOCH = np.datetime64(EPOCH)


def detector(dates: NDArray[np.datetime64], cube: FloatArray, hist_end: int) -> NDArray[np.datetime64]:
    """First alarm of each pixel, from a baseline on `cube[:hist_end]` and one observation after the other since.

    dates: (time) datetime64[D], ascending. cube: (time, y, x) float32, a vegetation index of about 0–1 that falls with
    clearing, NaN = not valid. Returns (y, x) datetime64[D], NaT = none. Causal: an alarm depends on nothing later.
    Raises `EvaluationError` for inputs that don't fit together.
    """
    _check(dates, cube, hist_end)
    config = load_monitor(PRESET)
    channel = config.channels[0]
    days = (dates.astype("datetime64[D]") - _EPOCH).astype(int)
    basis = HarmonicModel(channel.harmonics, channel.trend).basis(days)
    options = FitOptions(config.baseline.robust_iterations, config.baseline.min_observations)
    history = np.asarray(cube[:hist_end], np.float32)
    baseline = fit(history, basis[:hist_end], options)
    scenes = _scenes(days[hist_end:], np.asarray(cube[hist_end:], np.float32), basis[hist_end:], config)
    confirmed = monitor(scenes, {channel.measure: baseline}, config).confirmed_on.numpy().astype(int)
    alarms = np.full(confirmed.shape, np.datetime64("NaT", "D"))
    alarms[confirmed > 0] = _EPOCH + confirmed[confirmed > 0].astype("timedelta64[D]")
    return alarms


def _scenes(
    days: NDArray[np.int_], cube: FloatArray, basis: FloatArray, config: MonitorConfig
) -> Iterator[SceneValues]:
    channel = config.channels[0]
    for day, value, row in zip(days, cube, basis, strict=True):
        yield SceneValues(int(day), (ChannelValue(channel.measure, channel, value, row),))


def _check(dates: NDArray[np.datetime64], cube: FloatArray, hist_end: int) -> None:
    if cube.ndim != 3 or len(dates) != len(cube):
        raise EvaluationError(
            f"{len(dates)} dates for a cube of shape {cube.shape}",
            "give one date for each layer of a (time, y, x) cube",
        )
    if not 0 < hist_end <= len(dates):
        raise EvaluationError(f"hist_end {hist_end} is not within the {len(dates)} dates", "leave history before it")
    if np.any(np.diff(dates.astype("datetime64[D]").astype(int)) < 0):
        raise EvaluationError("the dates are not ascending", "sort cube and dates by time")
