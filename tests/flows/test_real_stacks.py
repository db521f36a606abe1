"""The nightly job, through Prefect, on real stacks: Riau (Sentinel-1) and Santa Cruz (Sentinel-1 and Landsat)."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import shapely
from odc.geo.geobox import GeoBox

from enggang.evaluate.scores import compare
from enggang.monitors.history import applied_scenes
from enggang.settings import load_settings
from enggang.sources.builder import BuildSpec, build_catalog
from enggang.stages.alerts import ledger_of
from enggang.stages.job import Job, open_job
from enggang.stages.scenes import monitor_begin
from enggang.types import PixelStatus, night_of
from flows.backfill import backfill
from flows.nightly import nightly

pytestmark = [pytest.mark.xdist_group("prefect"), pytest.mark.slow]


@pytest.fixture
def stacks(shared_data: Path, repository: Path, settled: Path) -> Path:
    """The real stacks, with the areas that come with the repository."""
    for name in ("riau", "santa_cruz"):
        shutil.copy(repository / "aoi" / f"{name}.geojson", settled.parent / "aoi")
    return shared_data / "sar_optical_bayts"


def monitored_scenes(job: Job) -> dict[str, datetime]:
    """Scene ids of the monitoring period, and when they were taken."""
    log = job.store.log()
    return {name: commit.acquired for name, commit in applied_scenes(log).items() if commit.acquired is not None}


def require_sound_geojson(path: Path, job: Job) -> list[dict[str, Any]]:
    """RFC 7946: WGS84 positions within the area, right-hand rings, no `crs` member; the features."""
    document = json.loads(path.read_text(encoding="utf-8"))
    assert document["type"] == "FeatureCollection"
    assert "crs" not in document
    around = shapely.box(*job.aoi.geometry.bounds).buffer(0.001)
    for feature in document["features"]:
        outline = shapely.geometry.shape(feature["geometry"])
        assert outline.is_valid
        assert around.contains(outline)
        assert all(polygon.exterior.is_ccw for polygon in getattr(outline, "geoms", [outline]))
    features: list[dict[str, Any]] = document["features"]
    return features


def test_riau_night_by_night(stacks: Path, settled: Path) -> None:
    folder = stacks / "riau_s1_vh"
    build_catalog(folder, settled / "archives" / "riau", BuildSpec("s1", "sar", ("vh",), "dB"))
    first, last = date(2016, 1, 1), date(2017, 7, 16)  # the last pass, 22.55 UTC, is of the next local date
    summaries = backfill("riau", first, last)
    job = open_job("riau", load_settings())

    applied = monitored_scenes(job)
    begin = monitor_begin(job)
    offered = [datetime.strptime(f"{p.stem[3:]}Z", "%Y%m%dT%H%M%S%z") for p in folder.glob("S1_*.tif")]
    assert sorted(applied.values()) == sorted(moment for moment in offered if moment >= begin)
    assert len(applied) == 67
    told = Counter(scene for summary in summaries for scene in summary["applied"])
    assert told == Counter(applied.keys())  # each on one night, once
    assert [f for summary in summaries for f in summary["failures"]] == []

    zone = job.aoi.properties.timezone
    by_night = {summary["night"]: set(summary["applied"]) for summary in summaries}
    assert all(name in by_night[night_of(taken, zone).isoformat()] for name, taken in applied.items())
    assert ledger_of(job).nights() == [first + timedelta(days=n) for n in range((last - first).days + 1)]

    features = require_sound_geojson(settled / "products" / summaries[-1]["files"]["geojson"], job)
    standing = [f for f in features if f["properties"]["status"] == "confirmed"]
    assert standing
    # About 15 % of the stack's 244 ha drop by more than 2 dB for good.
    assert 10 < sum(f["properties"]["area_ha"] for f in standing) < 80


def test_santa_cruz_against_hansen(stacks: Path, settled: Path) -> None:
    archive = settled / "archives" / "santa_cruz"
    build_catalog(stacks / "bolivia_s1_vv", archive, BuildSpec("s1", "sar", ("vv",), "dB"))
    build_catalog(stacks / "bolivia_landsat_ndvi", archive, BuildSpec("landsat", "optical", ("ndvi",), "1"))
    backfill("santa_cruz", date(2016, 1, 1), date(2016, 5, 15))
    for day in (17, 25, 31):
        result = nightly(["santa_cruz"], date(2016, 5, day))
        assert result["failed"] == {}
    summary = result["done"]["santa_cruz"]
    job = open_job("santa_cruz", load_settings())
    assert summary["failures"] == []
    assert summary["alerts"]["confirmed"] > 0
    assert set(summary["last_scene"]) == {"sar", "optical"}
    require_sound_geojson(settled / "products" / summary["files"]["geojson"], job)

    with rasterio.open(stacks / "bolivia_reference" / "hansen_gfc_v17_lossyear_30m.tif") as file:
        year, grid = file.read(1), GeoBox.from_rio(file)
    assert grid == job.aoi.geobox
    whole = (slice(0, grid.shape[0]), slice(0, grid.shape[1]))
    status = job.store.reader().read("status", whole)
    scored = np.isin(year, (0, 16)) & (status != PixelStatus.UNKNOWN)
    accuracy = compare(status == PixelStatus.CONFIRMED, year == 16, scored)
    assert accuracy.loss > 300
    assert accuracy.f1 >= 0.95, accuracy
