"""A block's values don't depend on how the grid is cut, whatever the file's grid, CRS, mask and speckle window."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox

from enggang.cube import observe_block
from enggang.types import Asset, MaskRule, ObservationSpec, Scene

SIDE = 700
WEST, NORTH = 833_000.0, 9_950_000.0
AOI = GeoBox((SIDE, SIDE), Affine(10, 0, WEST, 0, -10, NORTH), "EPSG:32750")
OPTICAL = [
    ObservationSpec("nbr", MaskRule(dilate=3, blue_max=0.25)),
    ObservationSpec("ndvi", MaskRule(dilate=0)),
    ObservationSpec("red"),
]
RADAR = [ObservationSpec("vh", speckle_window=5), ObservationSpec("vv", speckle_window=1)]
#: Grids of files: on the AOI's, shifted by a part of a pixel, coarser, finer, and in the zone to the east.
GRIDS: Mapping[str, GeoBox] = {
    "aligned": AOI.pad(-20),
    "shifted": GeoBox((690, 690), Affine(10, 0, WEST + 3, 0, -10, NORTH - 7), "EPSG:32750"),
    "coarser": GeoBox((340, 345), Affine(20, 0, WEST + 10, 0, -20, NORTH - 30), "EPSG:32750"),
    "finer": GeoBox((1500, 1500), Affine(4, 0, WEST + 2, 0, -4, NORTH - 2), "EPSG:32750"),
    "next zone": GeoBox((720, 760), Affine(10, 0, 165_000, 0, -10, NORTH + 60), "EPSG:32751"),
}


def write(path: Path, values: Any, geobox: GeoBox, nodata: float) -> str:
    with rasterio.open(
        path, "w", driver="GTiff", width=geobox.shape.x, height=geobox.shape.y, count=1, dtype=values.dtype,
        crs=str(geobox.crs), transform=geobox.transform, nodata=nodata, tiled=True, blockxsize=256, blockysize=256,
    ) as target:  # fmt: skip
        target.write(values, 1)
    return str(path)


def make_scene(folder: Path, geobox: GeoBox, sensor: Any) -> Scene:
    rng = np.random.default_rng(7)
    shape = (geobox.shape.y, geobox.shape.x)
    if sensor == "sar":
        bands = {b: rng.normal(-14, 3, shape).astype(np.float32) for b in ("vh", "vv")}
        for values in bands.values():
            values[rng.random(shape) < 0.05] = -9999
        assets = [Asset(write(folder / f"{b}.tif", v, geobox, -9999), b, unit="dB") for b, v in bands.items()]
    else:
        optical = {b: rng.integers(0, 5000, shape).astype(np.uint16) for b in ("blue", "red", "nir", "swir22")}
        assets = [
            Asset(write(folder / f"{b}.tif", v, geobox, 0), b, 1e-4, -0.02, 0.0, "reflectance")
            for b, v in optical.items()
        ]
        scl = rng.choice([4, 5, 9], shape, p=[0.7, 0.28, 0.02]).astype(np.uint8)
        assets.append(Asset(write(folder / "scl.tif", scl, geobox, 0), "scl", unit="class"))
    when = datetime(2026, 1, 2, tzinfo=UTC)
    return Scene("one", "c", when, sensor, {a.band: a for a in assets}, (110, -5, 121, 5), "f")


@pytest.fixture(scope="module", params=sorted(GRIDS))
def pair(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> list[tuple[Scene, list[ObservationSpec], dict[str, Any]]]:
    """An optical and a radar scene on one kind of grid, with their observations on the whole AOI."""
    folder = tmp_path_factory.mktemp("scenes")
    made = []
    for sensor, specs in (("optical", OPTICAL), ("sar", RADAR)):
        scene = make_scene(folder, GRIDS[request.param], sensor)
        made.append((scene, specs, observe_block(scene, AOI, specs)))
    return made


def spans() -> st.SearchStrategy[slice]:
    return st.tuples(st.integers(0, SIDE - 1), st.integers(1, 300)).map(lambda p: slice(p[0], min(p[0] + p[1], SIDE)))


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=spans(), cols=spans())
def test_a_block_equals_its_part_of_the_whole(pair: Any, rows: slice, cols: slice) -> None:
    for scene, specs, whole in pair:
        block = observe_block(scene, AOI[rows, cols], specs)
        for measure, values in block.items():
            np.testing.assert_array_equal(values, whole[measure][rows, cols], err_msg=measure)


def test_the_scenes_are_worth_comparing(pair: Any) -> None:
    for _, _, whole in pair:
        for values in whole.values():
            assert 0.1 < np.isfinite(values).mean() < 1
