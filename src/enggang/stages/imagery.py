"""Before and after of a night, for people who would rather look: true colour where there is, else radar in grey."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import numpy as np
from odc.geo.geobox import GeoBox

from enggang.cube import observe_block
from enggang.errors import SceneError, SourceError
from enggang.publish.imagery import Imagery
from enggang.stages.job import Job
from enggang.stages.scenes import newest_first, search
from enggang.types import BoolArray, FloatArray, ObservationSpec, Scene

#: Longest side of a picture in pixels, the days it looks back, and the newest scenes it is put together from.
_SIDE, _DAYS, _SCENES = 800, 120, 8
_RGB = ("red", "green", "blue")
_RADAR = ("vh", "vv")
#: Reflectance shown as white, and the gamma that opens up dark forest.
_WHITE, _GAMMA = 0.2, 1.7
_LONGEST_MEMORY = timedelta(days=365)
#: Black lies this far below what is dark in either radar picture.
_BELOW_DB = 1.5


@dataclass(frozen=True, slots=True)
class _Mosaic:
    """bands: (band, y, x) float32, NaN = not observed; the newest scene in it and what it is called."""

    bands: FloatArray
    acquired: datetime
    sensor: str

    @property
    def observed(self) -> BoolArray:
        """(y, x) bool."""
        seen: BoolArray = np.asarray(np.isfinite(self.bands).all(axis=0))
        return seen


def before_and_after(job: Job, night: date) -> tuple[Imagery, Imagery] | None:
    """Imagery up to `night`, and from before monitoring began (or a year ago, if that is later).

    None where the source has nothing that can be shown; a scene that can't be read is left out.
    """
    zone = ZoneInfo(job.aoi.properties.timezone)
    begin = datetime.combine(max(job.aoi.properties.monitor_from, night - _LONGEST_MEMORY), time(), zone)
    geobox = _preview(job.aoi.geobox)
    for compose in (_true_colour, _radar):
        after = _mosaic(job, geobox, job.closes(night), compose)
        before = _mosaic(job, geobox, begin, compose)
        if before is not None and after is not None:
            low, high = _stretch(before, after)
            return _imagery(before, geobox, low, high), _imagery(after, geobox, low, high)
    return None


def _preview(geobox: GeoBox) -> GeoBox:
    longest = max(int(n) for n in geobox.shape)
    return geobox if longest <= _SIDE else geobox.zoom_to(_SIDE)


def _mosaic(
    job: Job, geobox: GeoBox, end: datetime, compose: Callable[[Job, Sequence[Scene], GeoBox], _Mosaic | None]
) -> _Mosaic | None:
    try:
        found = search(job, end - timedelta(days=_DAYS), end)
    except SourceError:
        return None
    return compose(job, newest_first(found.scenes), geobox)


def _true_colour(job: Job, scenes: Sequence[Scene], geobox: GeoBox) -> _Mosaic | None:
    """The newest clear observation of each pixel."""
    specs = tuple(ObservationSpec(band, job.monitor.mask) for band in _RGB)
    usable = [s for s in scenes if s.sensor == "optical" and set(_RGB) <= set(s.assets)][:_SCENES]
    bands, acquired = None, None
    for scene in usable:
        values = _observe(scene, geobox, specs)
        if values is None or not np.isfinite(values).any():
            continue
        acquired = acquired or scene.acquired
        bands = values if bands is None else np.where(np.isfinite(bands), bands, values)
    return None if bands is None or acquired is None else _Mosaic(bands, acquired, "Sentinel-2")


def _radar(job: Job, scenes: Sequence[Scene], geobox: GeoBox) -> _Mosaic | None:
    """The mean of the newest scenes of one orbit, in dB: speckle averages out."""
    usable = [s for s in scenes if s.sensor == "sar"]
    measure = next((m for m in _RADAR if any(m in s.assets for s in usable)), None)
    if measure is None:
        return None
    first = next(s for s in usable if measure in s.assets)
    alike = [s for s in usable if measure in s.assets and s.orbit_state == first.orbit_state][: _SCENES // 2]
    spec = (ObservationSpec(measure, None, 1),)
    seen = [(s, v) for s in alike if (v := _observe(s, geobox, spec)) is not None]
    if not seen:
        return None
    stack = np.stack([values for _, values in seen])
    count = np.isfinite(stack).sum(axis=0)
    mean = np.where(count > 0, np.nansum(stack, axis=0) / np.maximum(count, 1), np.nan).astype(np.float32)
    return _Mosaic(mean, seen[0][0].acquired, f"Sentinel-1 {measure.upper()}")


def _observe(scene: Scene, geobox: GeoBox, specs: Sequence[ObservationSpec]) -> FloatArray | None:
    try:
        values = observe_block(scene, geobox, specs)
    except SceneError:
        return None
    return np.stack([values[s.measure] for s in specs])


def _stretch(before: _Mosaic, after: _Mosaic) -> tuple[float, float]:
    """What is shown black and white, the same before and after. A clearing of any size is dark and not yet black: that
    is kept for water."""
    if len(before.bands) == len(_RGB):
        return 0.0, _WHITE
    seen = [mosaic.bands[np.isfinite(mosaic.bands)] for mosaic in (before, after)]
    if not all(values.size for values in seen):
        return 0.0, 1.0
    darkest = min(float(np.percentile(values, 2)) for values in seen)
    return darkest - _BELOW_DB, float(np.percentile(seen[0], 98))


def _imagery(mosaic: _Mosaic, geobox: GeoBox, low: float, high: float) -> Imagery:
    scaled = np.nan_to_num(np.clip((mosaic.bands - low) / max(high - low, 1e-6), 0, 1))
    colour = len(mosaic.bands) == len(_RGB)
    shown = np.round(255 * (scaled ** (1 / _GAMMA) if colour else scaled)).astype(np.uint8)
    pixels = np.moveaxis(shown, 0, -1) if colour else shown[0]
    return Imagery(np.ascontiguousarray(pixels), geobox, mosaic.acquired, mosaic.sensor, mosaic.observed)
