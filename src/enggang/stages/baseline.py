"""Fit the baseline of an AOI on its stable history: one commit, once for each monitor version."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import partial

import numpy as np
from odc.geo.geobox import GeoBox

from enggang.aoi import Aoi
from enggang.cube import check_scene, observe_block
from enggang.errors import BaselineMissing, SceneError
from enggang.monitors.baseline import FitOptions, fit, recent_level
from enggang.monitors.history import Change
from enggang.monitors.schema import BELIEF, UNIT_SCALE, ArraySpec, baseline_name, baseline_specs, pack
from enggang.monitors.writer import Transaction, Writer
from enggang.sources.base import failure_of
from enggang.stages.channels import Channel, channels_of, specs_of
from enggang.stages.job import Job
from enggang.stages.pool import Window, map_blocks, windows_of
from enggang.stages.progress import Progress
from enggang.stages.shift import history_shifts
from enggang.types import AnyArray, BoolArray, Failure, FloatArray, PixelStatus, Scene, day_number

#: The stack of one fit stays below this many float32 values for each worker (256 MB).
_STACK = 64_000_000


@dataclass(frozen=True, slots=True)
class _Series:
    """The history of one channel: its scenes, ascending, and their scene-wide shifts."""

    channel: Channel
    scenes: tuple[Scene, ...]
    shifts: FloatArray

    @property
    def days(self) -> FloatArray:
        """Days since 2014-12-31 of the scenes: (time) float32."""
        return np.array([day_number(s.acquired.date()) for s in self.scenes], np.float32)


class _BadScene(SceneError):
    """Carries a failing scene out of the blocks; the fit starts again without it."""

    def __init__(self, scene: Scene, error: SceneError) -> None:
        super().__init__(error.what, error.remedy)
        self.scene = scene
        self.error = error

    def __reduce__(self) -> tuple[type, tuple[Scene, SceneError]]:
        return (_BadScene, (self.scene, self.error))


def fit_baseline(job: Job, writer: Writer, scenes: Sequence[Scene], progress: Progress) -> list[Failure]:
    """Fit and commit the baseline from the history `scenes`; returns the scenes left out.

    Raises `BaselineMissing` where no channel has enough observations to fit anything.
    """
    failures: list[Failure] = []
    usable = _checked(job, scenes, failures)
    while True:
        try:
            _commit(job, writer, _series(job, usable), progress)
            return failures
        except _BadScene as bad:
            failures.append(failure_of(bad.scene.id, bad.error))
            usable = [(s, c) for s, c in usable if s.id != bad.scene.id]


def _checked(job: Job, scenes: Sequence[Scene], failures: list[Failure]) -> list[tuple[Scene, tuple[Channel, ...]]]:
    usable = []
    for scene in sorted(scenes, key=lambda s: s.sort_key):
        try:
            channels = channels_of(scene, job.monitor)
            if channels:
                check_scene(scene, job.aoi.geobox, specs_of(channels))
                usable.append((scene, channels))
        except SceneError as error:
            failures.append(failure_of(scene.id, error))
    return usable


def _series(job: Job, usable: Sequence[tuple[Scene, tuple[Channel, ...]]]) -> list[_Series]:
    """Channels with enough scenes to fit, and their scenes."""
    grouped: dict[Channel, list[Scene]] = defaultdict(list)
    for scene, channels in usable:
        for channel in channels:
            grouped[channel].append(scene)
    least = job.monitor.baseline.min_observations
    found = []
    for channel, scenes in sorted(grouped.items(), key=lambda item: item[0].key):
        if len(scenes) >= least:
            found.append(_Series(channel, tuple(scenes), _shifts(job, scenes, channel)))
    if not found:
        counts = ", ".join(f"{c.key}: {len(s)}" for c, s in sorted(grouped.items(), key=lambda i: i[0].key)) or "none"
        raise BaselineMissing(
            f"{job.aoi.id}: no channel has the {least} scenes before {job.aoi.properties.monitor_from} that a baseline "
            f"needs ({counts})",
            "give a longer history, move monitor_from, or lower baseline.min_observations",
        )
    return found


def _shifts(job: Job, scenes: Sequence[Scene], channel: Channel) -> FloatArray:
    try:
        return history_shifts(job, scenes, channel)
    except SceneError:
        for scene in scenes:  # find out which one it was
            _observe(scene, job.aoi.geobox, (channel,))
        raise


def _commit(job: Job, writer: Writer, series: Sequence[_Series], progress: Progress) -> None:
    digest = hashlib.sha256()
    for one in series:
        digest.update(one.channel.key.encode())
        for scene in one.scenes:
            digest.update(scene.fingerprint.encode())
    counts = {s.channel.key: len(s.scenes) for s in series}
    windows = windows_of(job.identity.shape, job.settings.block)
    task = partial(_fit_block, job.aoi, tuple(series), _Fit.of(job))
    last = day_number(job.aoi.properties.monitor_from) - 1
    change = Change("baseline", fingerprint=digest.hexdigest(), extra={"scenes": counts, "until": last})
    with writer.transaction(change) as transaction, progress.step("baseline", len(windows)) as tick:
        for one in series:
            transaction.add_arrays(_specs(one.channel))

        def save(window: Window, arrays: dict[str, AnyArray]) -> None:
            _save(transaction, window, arrays)
            tick()

        map_blocks(job, task, windows, save)


def _save(transaction: Transaction, window: Window, arrays: Mapping[str, AnyArray]) -> None:
    for name, values in arrays.items():
        transaction.write(name, window, values)


def _specs(channel: Channel) -> tuple[ArraySpec, ...]:
    return baseline_specs(channel.key, channel.model.size, UNIT_SCALE[channel.config.sensor])


@dataclass(frozen=True, slots=True)
class _Fit:
    """How a block is fitted, and how the end of its history is judged."""

    options: FitOptions
    recent_observations: int
    recent_share: float

    @classmethod
    def of(cls, job: Job) -> _Fit:
        config = job.monitor.baseline
        engine = job.engine
        options = FitOptions(config.robust_iterations, config.min_observations, engine.device, engine.compile)
        return cls(options, config.recent_observations, config.recent_share)


@dataclass(frozen=True, slots=True)
class _Fitted:
    """One channel of some rows. cleared: (y, x) bool, no forest at the end of the history by this channel.
    last: (y, x) uint16, day of the last valid observation."""

    coef: FloatArray
    sd: FloatArray
    n: AnyArray
    cleared: BoolArray
    last: AnyArray

    def packed(self, channel: Channel) -> dict[str, AnyArray]:
        return {s.name: pack(s, getattr(self, s.name.rsplit("/", 1)[1])) for s in _specs(channel)}


def _fit_block(aoi: Aoi, series: tuple[_Series, ...], how: _Fit, window: Window) -> dict[str, AnyArray]:
    """All packed arrays of one block: baselines, and the belief before the first scene."""
    geobox = aoi.geobox[window]
    shape = (int(geobox.shape[0]), int(geobox.shape[1]))
    arrays: dict[str, AnyArray] = {spec.name: np.full(shape, spec.fill, spec.dtype) for spec in BELIEF}
    known, cleared = np.zeros(shape, bool), np.zeros(shape, bool)
    for one in series:
        fitted = _fit_channel(one, geobox, how)
        arrays |= fitted.packed(one.channel)
        known |= arrays[baseline_name(one.channel.key, "sd")] > 0
        cleared |= fitted.cleared
        np.maximum(arrays["last_valid"], fitted.last, out=arrays["last_valid"])
    status = np.where(known, np.where(cleared, PixelStatus.NONFOREST, PixelStatus.FOREST), PixelStatus.UNKNOWN)
    arrays["status"] = np.where(aoi.inside(geobox), status, PixelStatus.OUTSIDE).astype(np.uint8)
    return arrays


def _fit_channel(one: _Series, geobox: GeoBox, how: _Fit) -> _Fitted:
    """Fit one channel on a block, strip by strip, so that the stack of all dates stays within `_STACK`."""
    rows, columns = (int(n) for n in geobox.shape)
    height = max(1, min(rows, _STACK // (len(one.scenes) * columns)))
    strips = [geobox[top : min(top + height, rows), 0:columns] for top in range(0, rows, height)]
    parts = [_fit_strip(one, strip, how) for strip in strips]
    names = [f.name for f in fields(_Fitted)]
    return _Fitted(**{n: np.concatenate([getattr(part, n) for part in parts], axis=-2) for n in names})


def _fit_strip(one: _Series, geobox: GeoBox, how: _Fit) -> _Fitted:
    stack = np.stack([_observe(s, geobox, (one.channel,)) for s in one.scenes])
    stack -= one.shifts[:, None, None]
    basis, config = one.channel.model.basis(one.days), one.channel.config
    found = fit(stack, basis, how.options)
    last = np.where(np.isfinite(stack), one.days[:, None, None], 0).max(axis=0).astype(np.uint16)
    cleared = np.zeros(last.shape, bool)
    if config.forest_min is not None:
        cleared |= found.coef[0] < config.forest_min
    if config.late_clearing:
        level = recent_level(stack, np.tensordot(basis, found.coef, axes=1), how.recent_observations)
        cleared |= level < how.recent_share * config.shift
    return _Fitted(found.coef, found.sd, found.n, cleared, last)


def _observe(scene: Scene, geobox: GeoBox, channels: tuple[Channel]) -> FloatArray:
    try:
        return observe_block(scene, geobox, specs_of(channels))[channels[0].spec.measure]
    except SceneError as error:
        raise _BadScene(scene, error) from error
