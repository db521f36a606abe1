"""The nightly job on folders of dated GeoTIFFs, scored pixel by pixel against a reference of loss years."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rasterio.errors import RasterioIOError

from enggang.aoi import Aoi, AoiProperties, Grid
from enggang.errors import EvaluationError
from enggang.evaluate.scores import Accuracy, compare
from enggang.monitors.config import load_monitor
from enggang.settings import Settings
from enggang.sources.base import Source
from enggang.sources.builder import BuildSpec, build_catalog
from enggang.sources.registry import open_source
from enggang.stages.job import Job
from enggang.stages.night import NightOptions, run_night
from enggang.stages.progress import Progress, Silent
from enggang.types import AnyArray, BoolArray, PixelStatus, Sensor, day_of

PRESET = "stack"
_UNITS: Mapping[Sensor, str] = {"sar": "dB", "optical": "1"}
#: Years in the reference's code: 16 stands for 2016, as in Hansen Global Forest Change; 255 = not given.
_CENTURY, _NOT_GIVEN = 2000, 255


@dataclass(frozen=True, slots=True)
class StackInput:
    """What to run on. `folders`: sensor kind and band (("sar", "vv"), ("optical", "ndvi")) → folder of GeoTIFFs, all on
    the grid of `reference`. `score_mask`: only pixels where it is not 0 are scored."""

    folders: Mapping[tuple[Sensor, str], Path]
    reference: Path
    reference_year: int
    monitor_from: date
    score_mask: Path | None = None
    monitor: str = PRESET


@dataclass(frozen=True, slots=True)
class StackResult:
    """Pixel accuracy, and the median dates over the pixels that were found (None where none was)."""

    accuracy: Accuracy
    median_flag_date: date | None
    median_confirm_date: date | None

    def document(self) -> dict[str, Any]:
        """Flat, as JSON."""
        a = self.accuracy
        return {
            "n": a.n,
            "loss": a.loss,
            "ua": round(a.users, 4),
            "pa": round(a.producers, 4),
            "f1": round(a.f1, 4),
            "median_flag_date": self.median_flag_date.isoformat() if self.median_flag_date else None,
            "median_confirm_date": self.median_confirm_date.isoformat() if self.median_confirm_date else None,
        }


def stack_folders(bands: str, s1: Path, optical: Path | None) -> dict[tuple[Sensor, str], Path]:
    """Folders by sensor and band, for `bands` such as "vv,ndvi": radar first, then the index of the optical folder.

    Raises `EvaluationError` for a band that no monitor of stacks watches.
    """
    radar, _, index = (part.strip() for part in bands.partition(","))
    folders: dict[tuple[Sensor, str], Path] = {("sar", radar): s1}
    if optical is not None:
        folders["optical", index] = optical
    watched = {(c.sensor, c.measure) for c in load_monitor(PRESET).channels}
    for key in folders:
        if key not in watched:
            known = ", ".join(sorted(measure for _, measure in watched))
            raise EvaluationError(f"no channel for {key[0]} band {key[1]!r}", f"bands of stacks: {known}")
    return folders


def evaluate_stack(
    given: StackInput, settings: Settings, home: Path | None = None, progress: Progress | None = None
) -> StackResult:
    """Build a catalogue of the folders, run baseline and monitoring through the nightly job, and score the state.

    Everything is written below `home` (default: a temporary folder). Raises `EvaluationError`, `SourceError`,
    `BaselineMissing`.
    """
    if home is not None:
        return _evaluate(given, settings, home, progress or Silent())
    with tempfile.TemporaryDirectory(prefix="enggang-evaluate-") as folder:
        return _evaluate(given, settings, Path(folder), progress or Silent())


def _evaluate(given: StackInput, settings: Settings, home: Path, progress: Progress) -> StackResult:
    reference, geobox = _read(given.reference)
    scored = _scored(given, reference, geobox)
    aoi = _aoi(given, geobox)
    source = open_source(str(_catalogue(given, home)))
    # A scratch home needs no reserve: nothing else depends on this disk being roomy.
    settings = settings.model_copy(update={"home": home, "min_free_share": 0.0})
    job = Job(aoi, load_monitor(given.monitor), settings, source)
    run_night(job, _last_day(source, aoi), NightOptions(publish=False), progress)
    reader = job.store.reader()
    whole = (slice(0, int(geobox.shape[0])), slice(0, int(geobox.shape[1])))
    found = reader.read("status", whole) == PixelStatus.CONFIRMED
    flag, confirm = (_median(reader.read(name, whole), found & scored) for name in ("flagged_on", "confirmed_on"))
    return StackResult(compare(found, reference == given.reference_year - _CENTURY, scored), flag, confirm)


def _scored(given: StackInput, reference: AnyArray, geobox: GeoBox) -> BoolArray:
    """Pixels to score: those that the reference gives, those that were seen, without those lost in other years."""
    year = given.reference_year - _CENTURY
    scored: BoolArray = (reference == 0) | (reference == year)
    if not 0 < year < _NOT_GIVEN:
        raise EvaluationError(f"reference year {given.reference_year} has no code", "give a year from 2001 on")
    if given.score_mask is not None:
        mask, grid = _read(given.score_mask)
        if grid != geobox:
            raise EvaluationError(f"{given.score_mask} lies on another grid than {given.reference}", "align them")
        scored &= mask != 0
    return scored & _seen(given, geobox)


def _seen(given: StackInput, geobox: GeoBox) -> BoolArray:
    """Pixels with a valid value in any file: outside the forest mask of a stack there is nothing to find."""
    seen = np.zeros(tuple(geobox.shape), bool)
    for folder in given.folders.values():
        for path in sorted(folder.glob("*.tif")):
            values, grid = _read(path, masked=True)
            if grid != geobox:
                raise EvaluationError(f"{path} lies on another grid than {given.reference}", "align the stack first")
            seen |= ~np.ma.getmaskarray(values) & np.isfinite(np.ma.getdata(values))
    return seen


def _read(path: Path, masked: bool = False) -> tuple[AnyArray, GeoBox]:
    try:
        with rasterio.open(path) as source:
            return source.read(1, masked=masked), GeoBox.from_rio(source)
    except RasterioIOError as error:
        raise EvaluationError(f"{path} can't be read ({error})", "give a GeoTIFF") from error


def _catalogue(given: StackInput, home: Path) -> Path:
    """One catalogue over all folders."""
    out = home / "archives" / "stack"
    for (sensor, band), folder in given.folders.items():
        build_catalog(folder, out, BuildSpec(f"{sensor}-{band}", sensor, (band,), _UNITS[sensor]))
    return out / "catalog.json"


def _last_day(source: Source, aoi: Aoi) -> date:
    end = datetime.combine(date.max, time(), UTC)
    scenes = source.search(aoi.geometry.bounds, datetime.combine(aoi.properties.monitor_from, time(), UTC), end).scenes
    if not scenes:
        raise EvaluationError(f"no scene since {aoi.properties.monitor_from}", "move --monitor-from, or add scenes")
    return scenes[-1].acquired.date()


def _aoi(given: StackInput, geobox: GeoBox) -> Aoi:
    """An area that is just the reference's grid."""
    properties = AoiProperties(
        id="stack",
        name_id="Tumpukan uji",
        name_en="Test stack",
        crs=str(geobox.crs),
        resolution_m=_metres(geobox),
        monitors=(given.monitor,),
        monitor_from=given.monitor_from,
        timezone="UTC",
        source="stack",
        grid=Grid(shape=(int(geobox.shape[0]), int(geobox.shape[1])), transform=tuple(geobox.transform)[:6]),
    )
    return Aoi(properties=properties, geometry=geobox.geographic_extent.geom)


def _metres(geobox: GeoBox) -> float:
    degrees = geobox.crs is not None and geobox.crs.geographic
    return abs(float(geobox.resolution.x)) * (111_320.0 if degrees else 1.0)


def _median(days: NDArray[np.uint16], found: BoolArray) -> date | None:
    seen = days[found]
    return day_of(int(np.median(seen))) if seen.size else None
