"""Fitting baselines and updating belief in memory, beside nrt's fits and its EWMA monitor.

Everything runs in one thread, in a process of its own: the linear algebra below numba takes its number of threads from
the environment, and its idle threads would be charged to whatever runs next.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime

import numpy as np
import torch
import xarray as xr
from nrt.fit_methods import ols, rirls
from nrt.monitor.ewma import EWMA

from bench.rows import BenchRow
from bench.timing import medians
from enggang.monitors.baseline import FitOptions, HarmonicModel, fit
from enggang.monitors.config import load_monitor
from enggang.monitors.device import compiled, keep_heap
from enggang.monitors.update import Limits, Watch, step
from enggang.types import FloatArray

MODEL = HarmonicModel(harmonics=2, trend=True)
DATES, FIRST_DAY, LAST_DAY = 140, 3_000, 3_730
_MISSING = 0.5
_ONE_THREAD = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL", "NUMBA")}
#: Numbers a pixel that one update reads or writes: value, baseline, log-odds and last valid twice, status, active.
_TOUCHED = 1 + MODEL.size + 1 + 2 + 2 + 1 + 1


def run(quick: bool) -> list[BenchRow]:
    """Fits of trend and two harmonics, then one new image; all in one thread."""
    command = [sys.executable, "-m", "bench.kernels", *(["--quick"] if quick else [])]
    answer = subprocess.run(command, env={**os.environ, **_ONE_THREAD}, stdout=subprocess.PIPE, text=True, check=True)
    return [BenchRow(**fields) for fields in json.loads(answer.stdout)]


def cube(pixels: int) -> tuple[FloatArray, FloatArray]:
    """Series with season, noise and gaps, (time, 1, pixel) float32 with NaN, and their design matrix."""
    rng = np.random.default_rng(0)
    basis = MODEL.basis(np.sort(rng.integers(FIRST_DAY, LAST_DAY, DATES)).astype(np.float64), FIRST_DAY)
    values = 0.1 * basis @ rng.standard_normal((MODEL.size, pixels), dtype=np.float32)
    values += 0.03 * rng.standard_normal(values.shape, dtype=np.float32)
    cloud = rng.random(values.shape, dtype=np.float32)
    values[cloud < 0.05] -= 0.3
    values[cloud > 1 - _MISSING] = np.nan
    return values[:, None], basis


def _fits(pixels: int) -> list[BenchRow]:
    values, basis = cube(pixels)
    flat, design = values[:, 0].astype(np.float64), basis.astype(np.float64)  # as nrt itself hands them on
    few = np.ascontiguousarray(flat[:, : pixels // 16])
    rows = []
    peers: tuple[tuple[str, int, Callable[[], object], int], ...] = (
        ("fit by least squares beside nrt OLS", 0, lambda: ols(design, flat), pixels),
        ("robust fit, 10 iterations, beside nrt RIRLS", 10, lambda: rirls(design, few, maxiter=10), few.shape[1]),
    )  # fmt: skip
    for name, iterations, peer, of in peers:
        options = FitOptions(robust_iterations=iterations, min_observations=12, compile="always")
        mine, theirs = medians((lambda o=options: fit(values, basis, o), peer), rounds=3)
        rates = (pixels * DATES / mine.cpu / 1e6, of * DATES / theirs.cpu / 1e6)
        note = f"1 thread, {DATES} dates, half of them missing; ours float32, compiled; nrt float64, numba; both warm"
        rows.append(BenchRow(name, *rates, "Mpx-dates/s", 15.0, note))
    return rows


def _updates(edge: int, rounds: int) -> list[BenchRow]:
    """One new image on a whole in-memory area, and how near that comes to the speed of memory."""
    image = _image(edge)
    ours, peer = _our_update(image), _their_update(image)
    source = torch.rand(_TOUCHED // 2 * image.size)
    target = torch.empty_like(source)
    mine, theirs, copy = medians((ours, peer, lambda: target.copy_(source)), rounds)
    megapixels = image.size / 1e6
    moved = 4 * _TOUCHED * megapixels / 1e3 / mine.cpu
    copied = 2 * source.numel() * source.element_size() / 1e9 / copy.cpu
    note = (
        f"1 thread, {edge} × {edge}, trend and 2 harmonics, float32, 40 % missing; ours compiled, in place; both warm"
    )
    return [
        BenchRow("one new image beside nrt EWMA", megapixels / mine.cpu, megapixels / theirs.cpu, "Mpx/s", 12.0, note),
        BenchRow(
            "one new image beside copying memory", moved, copied, "GB/s", 0.7, "bytes read and written on each side"
        ),
    ]


def _image(edge: int) -> FloatArray:
    rng = np.random.default_rng(2)
    values = 0.7 + 0.03 * rng.standard_normal((edge, edge), dtype=np.float32)
    values[rng.random(values.shape, dtype=np.float32) < 0.4] = np.nan
    return values


def _our_update(image: FloatArray) -> Callable[[], object]:
    config = load_monitor("optical_index")
    channel, limits = config.channels[0], Limits.of(config.belief)
    value = torch.from_numpy(image.reshape(-1))
    basis = torch.from_numpy(MODEL.basis(np.array([float(LAST_DAY)]), FIRST_DAY)[0])
    coef = torch.zeros(MODEL.size, value.numel())
    coef[0] = 0.7
    blank = torch.zeros_like(value)
    prior = torch.full_like(value, limits.prior)
    watch = Watch(coef, torch.full_like(value, 0.04), prior, blank.clone(), torch.ones_like(value), blank)

    def once(watch: Watch, value: torch.Tensor, moment: tuple[torch.Tensor, torch.Tensor]) -> None:
        step(watch, value, moment, channel, limits)

    kernel = compiled(once, "always", value.numel())
    return lambda: kernel(watch, value, (basis, torch.tensor(float(LAST_DAY))))


def _their_update(image: FloatArray) -> Callable[[], object]:
    """A monitor fitted on a short history of the same scene; its fit is not timed."""
    rng = np.random.default_rng(3)
    dates = np.datetime64("2022-01-01") + 24 * np.arange(30)
    edge = image.shape[0]
    small = xr.DataArray(
        0.7 + 0.03 * rng.standard_normal((len(dates), 8, 8)),
        dims=("time", "y", "x"),
        coords={"time": dates.astype("datetime64[ns]"), "y": np.arange(8) * 10.0, "x": np.arange(8) * 10.0},
    )
    monitor = EWMA(trend=True, harmonic_order=2)
    monitor.fit(small, method="OLS", screen_outliers=None)
    fitted = {"beta": monitor.beta, "sigma": monitor.sigma, "boundary": monitor.boundary, "process": monitor.process}
    times = edge // 8
    for name, values in fitted.items():
        tiled = np.tile(values, (*(1,) * (values.ndim - 2), times, times)).astype(np.float32)
        setattr(monitor, name, tiled)
    monitor.mask = np.ones((edge, edge), np.uint8)
    when = datetime(2024, 6, 1)  # noqa: DTZ001 - nrt takes dates without zone
    return lambda: monitor.monitor(image, when)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    small = parser.parse_args().quick
    torch.set_num_threads(1)
    keep_heap()
    measured = [*_fits(16_384 if small else 131_072), *_updates(1_000 if small else 4_000, 3 if small else 9)]
    print(json.dumps([asdict(row) for row in measured]))
