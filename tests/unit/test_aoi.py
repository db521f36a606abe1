"""Areas of interest: the files in the repository, the grid they give, and what is refused."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import shapely
from odc.geo.geobox import GeoBox

from enggang.aoi import AoiProperties, aoi_bytes, list_aois, load_aoi, parse_aoi
from enggang.errors import AoiError

OURS = ("ikn", "kaltim", "riau", "santa_cruz")


def feature(geometry: Any = None, **changes: Any) -> dict[str, Any]:
    properties = {
        "id": "uji",
        "name_id": "Uji",
        "name_en": "Test",
        "crs": "EPSG:32750",
        "resolution_m": 10,
        "monitors": ["kaltim"],
        "monitor_from": "2026-01-01",
    } | changes
    outline = shapely.box(116.5, -1.0, 116.52, -0.99) if geometry is None else geometry
    return {"type": "Feature", "geometry": shapely.geometry.mapping(outline), "properties": properties}


@pytest.mark.parametrize("aoi_id", OURS)
def test_files_in_the_repository_load_and_are_in_canonical_form(repository: Path, aoi_id: str) -> None:
    aoi = load_aoi(aoi_id, repository / "aoi")
    assert aoi_bytes(aoi) == (repository / "aoi" / f"{aoi_id}.geojson").read_bytes()
    assert aoi.geometry.exterior.is_ccw


@pytest.mark.parametrize(("aoi_id", "pattern"), [("riau", "riau_s1_vh/*.tif"), ("santa_cruz", "bolivia_[sl]*/*.tif")])
def test_the_grid_of_a_real_stack_is_that_of_every_one_of_its_files(
    repository: Path, shared_data: Path, aoi_id: str, pattern: str
) -> None:
    aoi = load_aoi(aoi_id, repository / "aoi")
    files = sorted((shared_data / "sar_optical_bayts").glob(pattern))
    assert len(files) > 100
    for file in files:
        with rasterio.open(file) as raster:
            assert aoi.geobox == GeoBox(raster.shape, raster.transform, str(raster.crs)), file.name
    assert aoi.inside(aoi.geobox).all()


def test_the_coarse_outline_of_kaltim_is_near_the_province(repository: Path, shared_data: Path) -> None:
    import geopandas as gpd

    aoi = load_aoi("kaltim", repository / "aoi")
    districts = gpd.read_file(shared_data / "boundaries" / "kaltim_kabupaten_kota.geojson").to_crs("EPSG:6933")
    province = districts.union_all()
    drawn = gpd.GeoSeries([aoi.geometry], crs="EPSG:4326").to_crs("EPSG:6933").iloc[0]
    assert drawn.intersection(province).area / drawn.union(province).area >= 0.9
    assert aoi.properties.coarse
    tiles = gpd.read_file(shared_data / "boundaries" / "kaltim_sentinel2_mgrs_tiles.geojson")
    assert sorted(aoi.properties.sentinel2_tiles) == sorted(tiles.tile_id)
    assert tiles.union_all().covers(aoi.geometry)


def test_the_readme_documents_every_property_and_every_area(repository: Path) -> None:
    text = (repository / "aoi" / "README.md").read_text(encoding="utf-8")
    rows = "\n".join(line.split("|")[1] for line in text.splitlines() if line.startswith("| `"))
    documented = set(re.findall(r"`([a-z0-9_]+)`", rows))
    assert documented >= set(AoiProperties.model_fields) | set(list_aois(repository / "aoi"))


def test_blocks_see_the_same_outline_as_the_whole_grid() -> None:
    outline = shapely.Point(116.51, -0.99).buffer(0.01)
    aoi = parse_aoi(feature(outline), "test")
    whole = aoi.inside(aoi.geobox)
    rows, columns = whole.shape
    parts = [
        [aoi.inside(aoi.geobox[y : min(y + 64, rows), x : min(x + 64, columns)]) for x in range(0, columns, 64)]
        for y in range(0, rows, 64)
    ]
    assert np.array_equal(np.block(parts), whole)
    assert 0.75 < whole.mean() < 0.8  # a disc in its bounds: pi / 4


def test_the_grid_is_snapped_outward_to_whole_pixels() -> None:
    box = parse_aoi(feature(), "test").geobox
    assert box.resolution.x == 10
    assert [v % 10 for v in box.boundingbox.bbox] == [0, 0, 0, 0]
    assert box.footprint("EPSG:4326").geom.buffer(1e-9).covers(shapely.box(116.5, -1.0, 116.52, -0.99))


@pytest.mark.parametrize(
    ("change", "what", "remedy"),
    [
        ({"resolution": 10}, "resolution", "did you mean resolution_m?"),
        ({"crs": "EPSG:999999"}, "no coordinate reference system EPSG:999999", "correct"),
        ({"crs": "EPSG:4326"}, "not in metres", "correct"),
        ({"timezone": "Asia/Balikpapan"}, "no time zone Asia/Balikpapan", "correct"),
        ({"id": "Kalimantan Timur"}, "id", "correct"),
        ({"monitors": []}, "monitors", "correct"),
        ({"resolution_m": 0}, "resolution_m", "correct"),
        ({"grid": {"shape": [2, 2]}}, "grid.transform", "correct"),
    ],
)
def test_a_wrong_property_is_named_with_a_remedy(change: dict[str, Any], what: str, remedy: str) -> None:
    with pytest.raises(AoiError) as caught:
        parse_aoi(feature(**change), "aoi/uji.geojson")
    assert what in caught.value.what
    assert "aoi/uji.geojson" in caught.value.what
    assert remedy in caught.value.remedy


@pytest.mark.parametrize(
    ("geometry", "what"),
    [
        (shapely.Point(116, 0), "Point"),
        (shapely.Polygon(), "empty"),
        (shapely.box(-1, 116, 0, 117), "outside of longitude"),
        (shapely.Polygon([(116, 0), (117, 1), (117, 0), (116, 1)]), "Self-intersection"),
    ],
)
def test_a_wrong_outline_is_refused(geometry: shapely.Geometry, what: str) -> None:
    with pytest.raises(AoiError, match=what):
        parse_aoi(feature(geometry), "test")


def test_an_unknown_area_names_the_nearest(repository: Path) -> None:
    with pytest.raises(AoiError, match="did you mean kaltim"):
        load_aoi("kalitm", repository / "aoi")


@pytest.mark.parametrize(
    ("text", "what"),
    [("{", "is not JSON"), ("[]", "not a GeoJSON feature"), ('{"type": "Feature"}', "not a GeoJSON feature")],
)
def test_a_damaged_file_is_an_aoi_error(tmp_path: Path, text: str, what: str) -> None:
    (tmp_path / "uji.geojson").write_text(text)
    with pytest.raises(AoiError, match=what):
        load_aoi("uji", tmp_path)


def test_a_file_whose_id_is_another_is_refused(tmp_path: Path) -> None:
    (tmp_path / "lain.geojson").write_text(json.dumps(feature()))
    with pytest.raises(AoiError, match="says id uji"):
        load_aoi("lain", tmp_path)
