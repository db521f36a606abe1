"""Shared fixtures: where the real data lies, and a clean environment."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from shapely.geometry import box, mapping

from enggang.sources.builder import BuildSpec, build_catalog

ROOT = Path(__file__).resolve().parents[1]
SHARED_DATA = ROOT.parent / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The real data sets; a clone elsewhere has none."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"the real data sets are not at {SHARED_DATA}")
    return SHARED_DATA


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the checkout."""
    return ROOT


@dataclass(frozen=True)
class RadarArea:
    """A small real area: its catalogue of Sentinel-1 VH scenes, the days of the history and of the monitored scenes,
    and the first day on which 100 pixels of 20 m (4 ha) were cleared."""

    id: str
    catalogue: Path
    history: tuple[date, ...]
    monitored: tuple[date, ...]
    cleared: date

    def write_aoi(self, folder: Path, aoi_id: str = "", source: str = "") -> Path:
        """Its file below `folder`; another id or source make another area of the same ground."""
        aoi_id = aoi_id or self.id
        properties = {
            "id": aoi_id,
            "name_id": f"Hutan uji {aoi_id}",
            "name_en": f"Test forest {aoi_id}",
            "crs": "EPSG:32750",
            "resolution_m": 20.0,
            "monitors": ["riau"],
            "monitor_from": self.monitored[0].isoformat(),
            "source": source or str(self.catalogue),
            "grid": {"shape": [40, 40], "transform": [20.0, 0.0, 453000.0, 0.0, -20.0, 9903000.0]},
        }
        outline = mapping(box(116.5775, -0.8848, 116.5847, -0.8775))
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{aoi_id}.geojson"
        path.write_text(json.dumps({"type": "Feature", "properties": properties, "geometry": outline}))
        return path


@pytest.fixture(scope="session")
def radar_area(tmp_path_factory: pytest.TempPathFactory) -> RadarArea:
    """Eighteen dates of VH backscatter in dB on 40 × 40 pixels, written with rasterio and catalogued."""
    folder = tmp_path_factory.mktemp("radar")
    days = tuple(date(2025, 8, 5) + timedelta(days=12 * n) for n in range(18))
    history, monitored = days[:12], days[12:]
    draw = np.random.default_rng(7)
    for day in days:
        values = draw.normal(-13.0, 0.5, (40, 40)).astype(np.float32)
        if day >= monitored[1]:
            values[10:20, 15:25] -= 6.0
        profile = {"driver": "GTiff", "width": 40, "height": 40, "count": 1, "dtype": "float32", "nodata": np.nan}
        grid = {"crs": "EPSG:32750", "transform": Affine(20.0, 0.0, 453000.0, 0.0, -20.0, 9903000.0)}
        with rasterio.open(folder / f"vh_{day:%Y%m%d}.tif", "w", **profile, **grid) as file:
            file.write(values, 1)
    spec = BuildSpec("s1-vh", "sar", ("vh",), "dB")
    report = build_catalog(folder, folder / "catalogue", spec)
    return RadarArea("hutan", report.catalogue, history, monitored, monitored[1])


def snapshot(folder: Path) -> dict[str, tuple[int, str]]:
    """Every file below `folder` with its time of last change in nanoseconds and its SHA-256."""
    return {
        str(path.relative_to(folder)): (path.stat().st_mtime_ns, hashlib.sha256(path.read_bytes()).hexdigest())
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="session")
def snapshot_of() -> Callable[[Path], dict[str, tuple[int, str]]]:
    """See `snapshot`: equal results mean that nothing was written in between."""
    return snapshot
