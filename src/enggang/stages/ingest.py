"""Scenes into belief: one commit per scene, in order of acquisition; a late one rolls back and replays."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from odc.geo.geom import box

from enggang.aoi import Aoi
from enggang.cube import check_scene, observe_block
from enggang.errors import BaselineMissing, HistoryMissing, SceneError, SourceUnavailable
from enggang.monitors.block import Engine, Margins, View, block_evidence, block_update
from enggang.monitors.history import Change, Commit, applied_scenes, before_scene
from enggang.monitors.reader import StateReader
from enggang.monitors.schema import BELIEF, baseline_name
from enggang.monitors.state import StateStore
from enggang.monitors.update import Belief, Limits
from enggang.monitors.writer import Transaction, Writer
from enggang.sources.base import failure_of
from enggang.stages.channels import Channel, channels_of, specs_of
from enggang.stages.job import Job
from enggang.stages.pool import Window, map_blocks, windows_of
from enggang.stages.progress import Progress
from enggang.stages.shift import scene_shifts
from enggang.types import SENSOR_BIT, Failure, FloatArray, Scene, day_number, night_of

log = logging.getLogger(__name__)

_NEVER = next(spec.fill for spec in BELIEF if spec.name == "log_odds")
#: What one scene may raise without stopping the rest.
_OF_ONE_SCENE = (SceneError, SourceUnavailable, BaselineMissing, HistoryMissing)


@dataclass(frozen=True, slots=True)
class Ingested:
    """What came of a night's scenes: those applied for the first time, those replayed after a late one, and those left
    out, which are tried again next night."""

    applied: tuple[str, ...] = ()
    replayed: tuple[str, ...] = ()
    failures: tuple[Failure, ...] = ()


@dataclass(slots=True)
class _Tally:
    applied: list[str] = field(default_factory=list)
    replayed: list[str] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)


def catch_up(job: Job, writer: Writer, scenes: Iterable[Scene], progress: Progress) -> Ingested:
    """Bring the state up to all `scenes` (any order), each exactly once; a scene that fails is recorded and left out.

    A scene older than the last one applied, or one that was reprocessed, is read whole first, so that history is not
    rolled back for a scene that turns out to be broken.
    """
    tally = _Tally()
    known = applied_scenes(writer.log())
    offered = {s.id: s for s in watched(job, scenes)}
    pending = unapplied(offered.values(), known)
    last = max(((c.acquired, c.scene_id) for c in known.values() if c.acquired), default=None)
    fresh = [s for s in pending if s.id not in known and (last is None or s.sort_key > last)]
    late = [s for s in pending if s not in fresh and _try(tally, s, partial(_rehearse, job, writer, s))]
    late.sort(key=lambda s: _earliest(s, known))
    stale = {s.id for s in pending} - {s.id for s in late}
    replayable = {scene_id: s for scene_id, s in offered.items() if scene_id not in stale}
    while late and not _try(tally, late[0], partial(_roll_back, job, writer, late[0], replayable, known, tally)):
        late = late[1:]
    again = [offered[c] for c in tally.replayed if c not in {s.id for s in late}]
    queue = sorted([*late, *again, *fresh], key=lambda s: s.sort_key)
    with progress.step("scenes", len(queue)) as tick:
        for scene in queue:
            if _try(tally, scene, partial(apply_scene, job, writer, scene)) and scene.id not in tally.replayed:
                tally.applied.append(scene.id)
            tick()
    return Ingested(tuple(tally.applied), tuple(tally.replayed), tuple(tally.failures))


def watched(job: Job, scenes: Iterable[Scene]) -> list[Scene]:
    """The scenes of sensors that the monitor has a channel for."""
    sensors = {channel.sensor for channel in job.monitor.channels}
    return [s for s in scenes if s.sensor in sensors]


def unapplied(scenes: Iterable[Scene], known: Mapping[str, Commit]) -> list[Scene]:
    """Scenes that are not in the state, or there in an earlier version; in order of acquisition."""
    new = (s for s in scenes if s.id not in known or known[s.id].fingerprint != s.fingerprint)
    return sorted(new, key=lambda s: s.sort_key)


def apply_scene(job: Job, writer: Writer, scene: Scene) -> Commit | None:
    """Update the belief by one scene and commit.

    Raises `SceneError`, `BaselineMissing`; then nothing of the scene is in the state.
    """
    reader = job.store.reader()
    channels = _ready_channels(job, reader, scene)
    shifts = scene_shifts(job, reader, scene, channels)
    windows = [w for w in windows_of(job.identity.shape, job.settings.block) if _overlap(w, footprint(job.aoi, scene))]
    field_ = _Field.over(windows)
    sight = _Sight(job.store.folder, reader.snapshot, job.aoi, scene, channels, shifts, job.engine)
    map_blocks(job, partial(see_block, sight), windows, field_.put)
    seen = [field_.seen(w) for w in windows]
    change = Change(
        "scene",
        scene_id=scene.id,
        acquired=scene.acquired,
        fingerprint=scene.fingerprint,
        night=night_of(scene.acquired, job.aoi.properties.timezone),
        extra={
            "sensor": scene.sensor,
            "channels": [c.key for c in channels],
            "shifts": shifts,
            "seen": sum(seen),
        },
    )
    with writer.transaction(change) as transaction:
        touched = [w for w, pixels in zip(windows, seen, strict=True) if pixels]
        map_blocks(job, partial(_update_block, job, transaction, field_, scene), touched, _nothing, local=True)
    return transaction.commit


@dataclass(frozen=True, slots=True)
class _Sight:
    """All that a worker needs to draw evidence from a scene: paths and records, no arrays."""

    folder: Path
    snapshot: str
    aoi: Aoi
    scene: Scene
    channels: tuple[Channel, ...]
    shifts: dict[str, float]
    engine: Engine


def see_block(sight: _Sight, window: Window) -> tuple[FloatArray, NDArray[np.int16]]:
    """Evidence of a scene on one block, (y, x) float32, NaN = not valid, and the packed log-odds before it, (y, x)
    int16. Raises `SceneError`."""
    reader = _reader(str(sight.folder), sight.snapshot)
    odds = reader.read("log_odds", window)
    values = observe_block(sight.scene, sight.aoi.geobox[window], specs_of(sight.channels))
    day = np.array([day_number(sight.scene.acquired.date())])
    views = []
    for channel in sight.channels:
        value = values[channel.spec.measure]
        if not np.isfinite(value).any():
            continue
        value -= np.float32(sight.shifts[channel.key])
        coef = baseline_name(channel.key, "coef")
        packed = reader.read(coef, window), reader.read(baseline_name(channel.key, "sd"), window)
        views.append(View(channel.config, value, *packed, reader.spec(coef).scale, channel.model.basis(day)[0]))
    if not views:
        return np.full(odds.shape, np.nan, np.float32), odds
    return block_evidence(tuple(views), sight.engine), odds


@lru_cache(maxsize=4)
def _reader(folder: str, snapshot: str) -> StateReader:
    return StateStore(Path(folder)).reader(snapshot)


@dataclass(frozen=True, slots=True)
class _Field:
    """Evidence (float32, NaN = not valid) and log-odds (int16, packed) over the blocks that a scene covers, (y + 2,
    x + 2) with a margin, so that blocks see their neighbours and results don't depend on how the grid is cut.
    `origin`: (row, column) of the first pixel."""

    ratio: FloatArray
    log_odds: NDArray[np.int16]
    origin: tuple[int, int]

    @classmethod
    def over(cls, windows: Sequence[Window]) -> _Field:
        top = min((w[0].start for w in windows), default=0)
        left = min((w[1].start for w in windows), default=0)
        wide = (
            max((w[0].stop for w in windows), default=0) - top + 2,
            max((w[1].stop for w in windows), default=0) - left + 2,
        )
        return cls(np.full(wide, np.nan, np.float32), np.full(wide, _NEVER, np.int16), (top, left))

    def put(self, window: Window, seen: tuple[FloatArray, NDArray[np.int16]]) -> None:
        """Keep what `see_block` saw: evidence float32 and packed log-odds int16, (y, x) each."""
        here = self._place(window, 0)
        self.ratio[here], self.log_odds[here] = seen

    def margins(self, window: Window, weight: float) -> Margins:
        wide = self._place(window, 1)
        return Margins(self.ratio[wide], self.log_odds[wide], weight)

    def seen(self, window: Window) -> int:
        """Pixels of a block that were seen clearly."""
        return int(np.count_nonzero(np.isfinite(self.ratio[self._place(window, 0)])))

    def _place(self, window: Window, margin: int) -> Window:
        rows, columns = (
            slice(span.start - first + 1 - margin, span.stop - first + 1 + margin)
            for span, first in zip(window, self.origin, strict=True)
        )
        return rows, columns


def footprint(aoi: Aoi, scene: Scene) -> Window:
    """The part of the AOI's grid that a scene can cover, as a window; a margin of two pixels allows for rounding."""
    outline = scene.geobox.extent if scene.geobox is not None else box(*scene.bounds, crs="EPSG:4326")
    bounds = outline.to_crs(aoi.properties.crs).boundingbox
    across = ~aoi.geobox.transform
    corners = [across * (x, y) for x in (bounds.left, bounds.right) for y in (bounds.bottom, bounds.top)]
    columns, rows = ([c[axis] for c in corners] for axis in (0, 1))
    return (
        slice(math.floor(min(rows)) - 2, math.ceil(max(rows)) + 2),
        slice(math.floor(min(columns)) - 2, math.ceil(max(columns)) + 2),
    )


def _overlap(a: Window, b: Window) -> bool:
    return all(x.start < y.stop and y.start < x.stop for x, y in zip(a, b, strict=True))


def _update_block(job: Job, transaction: Transaction, field_: _Field, scene: Scene, window: Window) -> None:
    weight = job.monitor.belief.neighbour_evidence.get(scene.sensor, 0.0)
    moment = (day_number(scene.acquired.date()), SENSOR_BIT[scene.sensor])
    margins = field_.margins(window, weight)
    belief = {name: transaction.read(name, window) for name in Belief.names() if name != "log_odds"}
    belief["log_odds"] = margins.log_odds[1:-1, 1:-1].copy()
    for name in block_update(belief, margins, moment, Limits.of(job.monitor.belief), job.engine):
        transaction.write(name, window, belief[name])


def _ready_channels(job: Job, reader: StateReader, scene: Scene) -> tuple[Channel, ...]:
    """The scene's channels that have a baseline; the scene is checked by its headers."""
    channels = channels_of(scene, job.monitor)
    ready = tuple(c for c in channels if baseline_name(c.key, "sd") in reader)
    if channels and not ready:
        raise BaselineMissing(
            f"scene {scene.id}: no baseline for {', '.join(c.key for c in channels)}",
            "it is passed over; a new monitor version with a later monitor_from learns the new orbit",
        )
    check_scene(scene, job.aoi.geobox, specs_of(ready))
    return ready


def _rehearse(job: Job, writer: Writer, scene: Scene) -> None:
    """Read a late scene whole and throw it away, to know before rolling back that it can be applied."""
    channels = _ready_channels(job, job.store.reader(), scene)
    task = partial(_look, job.aoi, scene, channels)
    map_blocks(job, task, windows_of(job.identity.shape, job.settings.block), _nothing)


def _look(aoi: Aoi, scene: Scene, channels: tuple[Channel, ...], window: Window) -> None:
    observe_block(scene, aoi.geobox[window], specs_of(channels))


def _roll_back(
    job: Job, writer: Writer, first: Scene, replayable: Mapping[str, Scene], known: dict[str, Commit], tally: _Tally
) -> None:
    """Reset to the commit before `first`, after making sure that everything since can be replayed."""
    target = before_scene(writer.log(), *_earliest(first, known))
    kept = {c.scene_id for c in writer.log()[: [c.snapshot for c in writer.log()].index(target.snapshot) + 1]}
    undone = [scene_id for scene_id in known if scene_id not in kept]
    reader = job.store.reader()
    gone = [scene_id for scene_id in undone if not _can_replay(job, reader, replayable.get(scene_id))]
    if gone:
        raise HistoryMissing(
            f"scene {first.id} is late and {len(gone)} later scenes are gone from the source or can't be read "
            f"({', '.join(gone[:3])})",
            "restore them in the catalogue, or go on without the late scene",
        )
    log.info("%s: %s is late: back to before it, %d scenes to replay", job.aoi.id, first.id, len(undone))
    writer.reset_to(target.snapshot)
    tally.replayed.extend(undone)


def _can_replay(job: Job, reader: StateReader, scene: Scene | None) -> bool:
    """Whether a scene that would be undone is offered as it was applied, and its files are whole by their headers."""
    try:
        return scene is not None and bool(_ready_channels(job, reader, scene))
    except (SceneError, BaselineMissing):
        return False


def _earliest(scene: Scene, known: dict[str, Commit]) -> tuple[datetime, str]:
    """Where to go back to: the scene's own place, or where its earlier version stood if that is earlier."""
    before = known.get(scene.id)
    if before is not None and before.acquired is not None:
        return min((before.acquired, scene.id), scene.sort_key)
    return scene.sort_key


def _nothing(_window: Window, _result: None) -> None:
    """The task did it all."""


def _try(tally: _Tally, scene: Scene, action: Callable[[], object]) -> bool:
    try:
        action()
    except _OF_ONE_SCENE as error:
        tally.failures.append(failure_of(scene.id, error))
        return False
    return True
