"""FAULTS 12 for whole nights: neither how the grid is cut nor in which zone it lies changes what is believed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest

from enggang.alerts.records import Versions
from enggang.monitors.update import Belief
from enggang.simulate import DemoSpec
from enggang.stages.alerts import ledger_of
from enggang.stages.job import Job
from enggang.stages.night import NightOptions, run_night

NIGHTS = (date(2026, 1, 20), date(2026, 1, 31))
#: By so many pixels the grid of the wide AOI begins before its scenes, so that seams of 64 px cross them.
AHEAD = 40


def arrays(job: Job) -> dict[str, np.ndarray]:
    reader = job.store.reader()
    rows, columns = job.identity.shape
    return {name: reader.read(name, (slice(0, rows), slice(0, columns))) for name in reader.names}


def nights(job: Job) -> list[tuple[Any, ...]]:
    """Alerts, events and pixels of all nights, but for the versions: the state's names its block."""
    found = [ledger_of(job).read(n) for n in ledger_of(job).nights()]
    none = Versions("", "", "", "")
    return [
        ([replace(a, versions=none) for a in n.alerts], n.events, n.pixels.index.tolist(), n.pixels.alert.tolist())
        for n in found
    ]


def test_the_size_of_blocks_is_nobodys_business(
    make_job: Callable[..., Job], quick_spec: DemoSpec, tmp_path: Path
) -> None:
    a, b, west, d, e, north = list(quick_spec.geobox.transform)[:6]
    transform = [a, b, west + AHEAD * e, d, e, north - AHEAD * e]
    aoi = {"grid": {"shape": [64 + AHEAD + 6] * 2, "transform": transform}}
    cut, whole = (make_job(tmp_path / str(block), block=block, aoi=aoi) for block in (64, 1024))
    for job in (cut, whole):
        for night in NIGHTS:
            assert run_night(job, night, NightOptions(publish=False)).failures == ()
    found, expected = arrays(cut), arrays(whole)
    assert found.keys() == expected.keys() > set(Belief.names())
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values, err_msg=name)
    assert (expected["status"][:64, :64] > 1).any(), "an alert lies on either side of the seam"
    assert (expected["status"][64:] > 1).any()
    assert nights(cut) == nights(whole)


def test_in_the_neighbouring_zone_alerts_lie_where_they_lie(make_job: Callable[..., Job], tmp_path: Path) -> None:
    """The AOI's grid in UTM zone 51, its scenes in 50: everything is warped."""
    native = make_job(tmp_path / "native")
    warped = make_job(tmp_path / "warped", aoi={"crs": "EPSG:32751", "grid": None})
    frames = []
    for job in (native, warped):
        run_night(job, NIGHTS[0], NightOptions(publish=False))
        last = run_night(job, NIGHTS[1])
        assert last.failures == ()
        frame = gpd.read_file(job.layout.products / last.files["gpkg"]).to_crs("EPSG:32750")
        frames.append(frame[frame["status"] == "confirmed"])
    here, there = frames
    assert len(here) == len(there) > 1
    for centre, area in zip(here.geometry.centroid, here.geometry.area, strict=True):
        distances = there.geometry.centroid.distance(centre)
        match: Any = there.loc[distances.idxmin()]
        assert distances.min() < 15, "more than a pixel and a half off"
        assert match.geometry.area == pytest.approx(area, rel=0.35)
