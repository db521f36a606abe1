"""A job over the grid of a bench scene, with a baseline that fits it written straight into its state."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import shapely

from bench.scene_files import FIRST, FOREST, SceneFiles
from enggang.aoi import parse_aoi
from enggang.cube.indices import INDICES
from enggang.monitors.config import MonitorConfig, load_monitor, parse_monitor
from enggang.monitors.history import Change
from enggang.monitors.schema import BELIEF, UNIT_SCALE, baseline_name, baseline_specs, pack
from enggang.monitors.writer import Transaction
from enggang.settings import Settings
from enggang.sources.base import SearchResult
from enggang.stages.channels import Channel, channels_of
from enggang.stages.job import Job
from enggang.stages.pool import Window
from enggang.types import AnyArray, PixelStatus, day_number

AREA = "bench"
#: What a baseline of two years of forest looks like: seasonal terms, spread, valid observations.
_SEASON, _SPREAD, _COUNT = 0.015, 0.04, 60


class _NoSource:
    """The bench hands scenes over itself."""

    name = "bench"

    def search(self, *_: object) -> SearchResult:
        return SearchResult()


def six_band_monitor() -> MonitorConfig:
    """A variant of the shipped preset that needs all six bands: NDVI, NDMI and NDWI beside NBR."""
    document: dict[str, Any] = load_monitor("kaltim").model_dump(mode="json")
    nbr = next(c for c in document["channels"] if c["measure"] == "nbr")
    others = [nbr | {"measure": m, "forest_min": None} for m in ("ndvi", "ndmi", "ndwi")]
    return parse_monitor(document | {"id": "six-bands", "channels": [nbr, *others]}, "the bench's six-band variant")


def make_job(home: Path, files: SceneFiles, monitor: MonitorConfig, workers: int = 2, compile_: str = "always") -> Job:
    """A job whose AOI is the grid of `files`, with a state that holds a baseline and no scene."""
    west, south, east, north = files.grid.geographic_extent.boundingbox.bbox
    properties = {
        "id": AREA,
        "name_id": AREA,
        "name_en": AREA,
        "crs": str(files.grid.crs),
        "resolution_m": 10,
        "monitors": ["kaltim"],
        "monitor_from": FIRST.date().isoformat(),
        "grid": {"shape": list(files.grid.shape), "transform": list(files.grid.transform)[:6]},
    }
    outline = shapely.geometry.mapping(shapely.box(west, south, east, north))
    aoi = parse_aoi({"type": "Feature", "properties": properties, "geometry": outline}, AREA)
    settings = Settings(home=home, workers=workers, compile=compile_, device="cpu", min_free_share=0)
    job = Job(aoi, monitor, settings, _NoSource())
    _write_baseline(job, channels_of(files.scene(), monitor))
    return job


def _write_baseline(job: Job, channels: tuple[Channel, ...]) -> None:
    with job.store.writer("bench", job.settings.lease_seconds) as writer:
        writer.create(job.identity, BELIEF)
        change = Change("baseline", fingerprint="bench", extra={"scenes": {}, "until": 0})
        with writer.transaction(change) as transaction, ThreadPoolExecutor(2) as pool:
            for channel in channels:
                scale = UNIT_SCALE[channel.config.sensor]
                transaction.add_arrays(baseline_specs(channel.key, channel.model.size, scale))
            for _ in pool.map(partial(_fill, transaction, channels), list(transaction.blocks())):
                pass


def _fill(transaction: Transaction, channels: tuple[Channel, ...], window: Window) -> None:
    shape = (window[0].stop - window[0].start, window[1].stop - window[1].start)
    rng = np.random.default_rng(window[0].start * 100_003 + window[1].start)
    for channel in channels:
        noise = rng.standard_normal((channel.model.size, *shape), dtype=np.float32) * np.float32(_SPREAD / 5)
        noise[0] += np.float32(_forest_mean(channel.config.measure))
        noise[1:] += np.float32(_SEASON)
        spread = _SPREAD * (1 + 0.1 * rng.standard_normal(shape, dtype=np.float32))
        arrays: dict[str, AnyArray] = {"coef": noise, "sd": spread, "n": np.full(shape, _COUNT)}
        for part, values in arrays.items():
            name = baseline_name(channel.key, part)
            transaction.write(name, window, pack(transaction.spec(name), values))
    transaction.write("status", window, np.full(shape, PixelStatus.FOREST, np.uint8))
    last = day_number((FIRST - timedelta(days=5)).date())
    transaction.write("last_valid", window, np.full(shape, last, np.uint16))


def _forest_mean(measure: str) -> float:
    index = INDICES[measure]
    bands = [np.full((1, 1), FOREST[band][0], np.float32) for band in index.bands]
    return float(index.function(*bands)[0, 0])
