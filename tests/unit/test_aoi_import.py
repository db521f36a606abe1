"""Boundary files that people hand in: every format, repaired or refused, and never half written."""

from __future__ import annotations

import hashlib
import json
import time
import zipfile
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import geopandas as gpd
import pyogrio
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from enggang.aoi import load_aoi
from enggang.aoi_import import ImportOptions, Origin, import_boundary, import_districts, utm_crs
from enggang.boundary_file import Selection, area_ha
from enggang.errors import AoiError
from enggang.layout import Layout

ORIGIN = Origin(datetime(2026, 3, 1, 2, 0, tzinfo=UTC), source="Dinas Kehutanan", licence="CC BY 4.0")
WEST, EAST = shapely.box(116.0, -1.0, 116.1, -0.9), shapely.box(116.1, -1.0, 116.25, -0.9)
BOWTIE = shapely.Polygon([(116.0, -1.0), (116.1, -0.9), (116.1, -1.0), (116.0, -0.9)])


def options(**changes: Any) -> ImportOptions:
    return ImportOptions(
        **(
            {"id": "uji", "name_id": "Uji", "name_en": "Test", "monitor_from": date(2026, 1, 1), "origin": ORIGIN}
            | changes
        )
    )


def layer(*shapes: shapely.Geometry, crs: str | None = "EPSG:4326") -> gpd.GeoDataFrame:
    names = ["Paser", "Berau", "Kutai Barat"][: len(shapes)]
    return gpd.GeoDataFrame(
        {"NAMOBJ": names, "KODE": list(range(64, 64 + len(shapes)))}, geometry=list(shapes), crs=crs
    )


def geojson(path: Path, *shapes: shapely.Geometry) -> Path:
    path.write_text(layer(*shapes).to_json())
    return path


def write_format(folder: Path, kind: str, frame: gpd.GeoDataFrame) -> Path:
    if kind == "zip":
        frame.to_file(folder / "batas.shp")
        with zipfile.ZipFile(folder / "batas.zip", "w") as archive:
            for part in folder.glob("batas.*"):
                if part.suffix != ".zip":
                    archive.write(part, f"folder/{part.name}")
        return folder / "batas.zip"
    path = folder / f"batas.{kind}"
    frame.to_file(path)
    return path


@pytest.mark.parametrize("kind", ["gpkg", "shp", "zip", "geojson", "fgb"])
@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:32750", "EPSG:23830"])
def test_every_format_and_crs_gives_one_outline(tmp_path: Path, kind: str, crs: str) -> None:
    file = write_format(tmp_path, kind, layer(WEST, EAST).to_crs(crs))
    report = import_boundary(file, tmp_path / "aoi", options())
    aoi = load_aoi("uji", tmp_path / "aoi")
    assert report.features == 2
    assert report.written
    assert aoi.geometry.symmetric_difference(shapely.box(116.0, -1.0, 116.25, -0.9)).area < 1e-6
    assert report.area_ha == pytest.approx(area_ha(shapely.box(116.0, -1.0, 116.25, -0.9)), rel=1e-4)
    assert aoi.geometry.exterior.is_ccw
    assert aoi.properties.crs == "EPSG:32750"
    assert aoi.properties.provenance["source"] == "Dinas Kehutanan"
    # GeoJSON is always written in WGS84 by GDAL's RFC 7946 rules or carries its own CRS; either must be recorded.
    assert aoi.properties.provenance["original_crs"].startswith("EPSG:")
    assert aoi.geobox.shape[0] > 1000


def test_the_provenance_carries_the_hash_of_every_part_of_a_shapefile(tmp_path: Path) -> None:
    file = write_format(tmp_path, "shp", layer(WEST))
    files = import_boundary(file, tmp_path / "aoi", options()).aoi.properties.provenance["files"]
    assert set(files) >= {"batas.shp", "batas.shx", "batas.dbf", "batas.prj"}
    assert files["batas.dbf"] == hashlib.sha256((tmp_path / "batas.dbf").read_bytes()).hexdigest()


def test_where_picks_features_by_text_and_by_number(tmp_path: Path) -> None:
    file = write_format(tmp_path, "gpkg", layer(WEST, EAST))
    by_name = import_boundary(file, tmp_path, options(id="a", selection=Selection(where="NAMOBJ = Berau")))
    by_code = import_boundary(file, tmp_path, options(id="b", selection=Selection(where="KODE=65")))
    assert by_name.aoi.geometry.equals(EAST)
    assert by_code.aoi.geometry.equals(EAST)
    assert by_name.features == 1


def test_a_height_is_dropped(tmp_path: Path) -> None:
    file = geojson(tmp_path / "z.geojson", shapely.force_3d(WEST, 25.0))
    assert not import_boundary(file, tmp_path / "aoi", options()).aoi.geometry.has_z


def test_a_crossing_ring_is_repaired_and_reported_with_both_lobes(tmp_path: Path) -> None:
    report = import_boundary(geojson(tmp_path / "b.geojson", BOWTIE), tmp_path / "aoi", options())
    (repair,) = report.repairs
    assert "Self-intersection" in repair.fault
    assert repair.before_ha < 0.01 * repair.after_ha
    assert report.area_ha == pytest.approx(area_ha(WEST) / 2, rel=1e-3)
    assert report.aoi.properties.provenance["repairs"][0]["after_ha"] == repair.after_ha


def test_overlapping_parts_are_united_and_not_cut_out(tmp_path: Path) -> None:
    both = shapely.MultiPolygon([shapely.box(116.0, -1.0, 116.2, -0.8), shapely.box(116.1, -0.9, 116.3, -0.7)])
    report = import_boundary(geojson(tmp_path / "o.geojson", both), tmp_path / "aoi", options())
    assert report.area_ha == pytest.approx(area_ha(shapely.union_all(list(both.geoms))), rel=1e-6)
    assert report.repairs


@pytest.mark.filterwarnings("ignore:Non closed ring")
def test_open_rings_are_closed_and_features_without_geometry_left_out(tmp_path: Path) -> None:
    ring = [[116, -1], [116.1, -1], [116.1, -0.9], [116, -0.9]]
    features = [
        {"type": "Feature", "properties": {"n": 1}, "geometry": {"type": "Polygon", "coordinates": [ring]}},
        {"type": "Feature", "properties": {"n": 2}, "geometry": None},
    ]
    file = tmp_path / "open.geojson"
    file.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    report = import_boundary(file, tmp_path / "aoi", options())
    assert report.aoi.geometry.equals(WEST)
    assert {r.fault for r in report.repairs} == {"open rings: closed", "no geometry: left out"}


def test_lines_beside_an_area_are_left_out_of_a_collection(tmp_path: Path) -> None:
    mixed = shapely.GeometryCollection([WEST, shapely.LineString([(116, -1), (117, -1)])])
    report = import_boundary(geojson(tmp_path / "m.geojson", mixed), tmp_path / "aoi", options())
    assert report.aoi.geometry.equals(WEST)
    assert "left out" in report.repairs[0].fault


def test_equal_inputs_give_equal_bytes_and_a_repeat_writes_nothing(tmp_path: Path) -> None:
    file = write_format(tmp_path, "gpkg", layer(WEST, EAST))
    first = import_boundary(file, tmp_path / "a", options())
    assert import_boundary(file, tmp_path / "b", options()).path.read_bytes() == first.path.read_bytes()
    later = Origin(datetime(2026, 4, 1, tzinfo=UTC), ORIGIN.source, ORIGIN.licence)
    again = import_boundary(file, tmp_path / "a", options(origin=later))
    assert not again.written
    assert [p.name for p in (tmp_path / "a").iterdir()] == ["uji.geojson"]


def test_an_id_that_exists_needs_replace(tmp_path: Path) -> None:
    import_boundary(geojson(tmp_path / "w.geojson", WEST), tmp_path / "aoi", options())
    other = geojson(tmp_path / "e.geojson", EAST)
    with pytest.raises(AoiError, match=r"the AOI uji exists .*--replace"):
        import_boundary(other, tmp_path / "aoi", options())
    assert load_aoi("uji", tmp_path / "aoi").geometry.equals(WEST)
    import_boundary(other, tmp_path / "aoi", options(replace=True))
    assert load_aoi("uji", tmp_path / "aoi").geometry.equals(EAST)


def no_crs(folder: Path) -> Path:
    path = write_format(folder, "shp", layer(WEST))
    path.with_suffix(".prj").unlink()
    return path


def two_layers(folder: Path) -> Path:
    path = folder / "two.gpkg"
    layer(WEST).to_file(path, layer="kabupaten")
    layer(EAST).to_file(path, layer="kecamatan")
    return path


def text_file(folder: Path, name: str, text: str) -> Path:
    (folder / name).write_text(text)
    return folder / name


def truncated(folder: Path) -> Path:
    path = write_format(folder, "fgb", layer(WEST, EAST))
    path.write_bytes(path.read_bytes()[:-80])
    return path


EMPTY = '{"type":"FeatureCollection","features":[]}'
BAD_FILES: dict[str, tuple[Any, dict[str, Any], str]] = {
    "no crs": (no_crs, {}, "names no CRS → .*--assume-crs"),
    "empty": (lambda d: text_file(d, "e.geojson", EMPTY), {}, "has no features"),
    "lines": (lambda d: geojson(d / "l.geojson", shapely.LineString([(116, 0), (117, 0)])), {}, "1 of 1 .*LineString"),
    "swapped": (lambda d: geojson(d / "s.geojson", shapely.box(-1, 116, 0, 117)), {}, "seem swapped"),
    "projected": (lambda d: geojson(d / "p.geojson", shapely.box(4e5, 9.8e6, 5e5, 9.9e6)), {}, "seem projected"),
    "tiny": (lambda d: geojson(d / "t.geojson", shapely.box(116, 0, 116.0005, 0.0005)), {}, "less than 1"),
    "huge": (lambda d: geojson(d / "h.geojson", shapely.box(100, -10, 130, 10)), {}, "more than 500,000"),
    "180th": (
        lambda d: geojson(d / "a.geojson", shapely.box(-179, 0, -178, 1), shapely.box(178, 0, 179, 1)),
        {},
        "180th",
    ),
    "absent": (lambda d: d / "none.gpkg", {}, "no file"),
    "kind": (lambda d: text_file(d, "x.docx", "?"), {}, r"\.docx are not read → convert to GeoPackage"),
    "not json": (lambda d: text_file(d, "x.geojson", "hello"), {}, "can't be read as GeoJSON"),
    "truncated json": (lambda d: text_file(d, "x.geojson", EMPTY[:-9]), {}, "x.geojson can't be read"),
    "truncated fgb": (truncated, {}, "batas.fgb can't be read"),
    "bad zip": (lambda d: text_file(d, "x.zip", "hello"), {}, "not a readable zip"),
    "layers": (two_layers, {}, "2 layers → choose one by --layer: kabupaten, kecamatan"),
    "layer": (two_layers, {"selection": Selection("kabupatn")}, "no layer kabupatn → did you mean kabupaten"),
    "column": (no_crs, {"selection": Selection(where="NAMOBI=x", assume_crs="EPSG:4326")}, "did you mean NAMOBJ"),
    "value": (two_layers, {"selection": Selection("kabupaten", "NAMOBJ=Pasir")}, "did you mean Paser"),
    "where": (two_layers, {"selection": Selection("kabupaten", "Paser")}, "is not COLUMN=VALUE"),
    "two crs": (two_layers, {"selection": Selection("kabupaten", None, "EPSG:32750")}, "leave --assume-crs out"),
    "no such crs": (two_layers, {"selection": Selection("kabupaten", None, "EPSG:1")}, "--assume-crs EPSG:1 is no CRS"),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_a_file_that_cannot_be_used_is_refused_with_reason_and_remedy(tmp_path: Path, case: str) -> None:
    make, changes, message = BAD_FILES[case]
    with pytest.raises(AoiError, match=message) as caught:
        import_boundary(make(tmp_path), tmp_path / "aoi", options(**changes))
    assert caught.value.remedy
    assert not (tmp_path / "aoi").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"crs": "EPSG:32633"}, "made for .* leave --crs out, or give EPSG:32750"),
        ({"crs": "EPSG:4326"}, "not in metres"),
        ({"crs": "UTM 50"}, "--crs UTM 50 is no CRS"),
        ({"properties": {"grid": {}}}, "contradict each other"),
        ({"properties": {"id": "lain"}}, "id given twice"),
        ({"properties": {"time_zone": "Asia/Jakarta"}}, "did you mean timezone"),
        ({"origin": Origin(datetime(2026, 1, 1))}, "no time zone"),  # noqa: DTZ001
        ({"id": "Uji Coba"}, "id"),
        ({"resolution_m": -10.0}, "resolution_m"),
    ],
)
def test_options_that_contradict_are_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(AoiError, match=message):
        import_boundary(geojson(tmp_path / "w.geojson", WEST), tmp_path / "aoi", options(**changes))
    assert not (tmp_path / "aoi").exists()


def test_a_missing_crs_can_be_given(tmp_path: Path) -> None:
    report = import_boundary(no_crs(tmp_path), tmp_path / "aoi", options(selection=Selection(assume_crs="EPSG:4326")))
    assert report.aoi.geometry.equals(WEST)


@pytest.mark.parametrize(
    ("lon", "lat", "crs"),
    [
        (116.9, -0.9, "EPSG:32750"),
        (116.9, 0.9, "EPSG:32650"),
        (117.0, 0.0, "EPSG:32650"),
        (113.99, 1.0, "EPSG:32649"),
        (114.01, 1.0, "EPSG:32650"),
        (-180.0, 10.0, "EPSG:32601"),
        (179.9, -10.0, "EPSG:32760"),
    ],
)
def test_the_utm_zone_is_that_of_the_centroid(lon: float, lat: float, crs: str) -> None:
    assert utm_crs(shapely.Point(lon, lat)) == crs


def test_the_poles_have_no_utm_zone() -> None:
    with pytest.raises(AoiError, match="--crs"):
        utm_crs(shapely.Point(0, 85))


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(115, 117), st.floats(-1, 1)).map(lambda xy: (round(xy[0], 4), round(xy[1], 4))),
        min_size=3,
        max_size=9,
        unique=True,
    )
)
def test_any_ring_becomes_a_valid_right_handed_outline_or_is_refused(
    tmp_path_factory: pytest.TempPathFactory, ring: list[tuple[float, float]]
) -> None:
    folder = tmp_path_factory.mktemp("ring")
    file = geojson(folder / "r.geojson", shapely.Polygon(ring))
    try:
        outline = import_boundary(file, folder / "aoi", options()).aoi.geometry
    except AoiError as error:
        assert "less than 1" in error.what  # noqa: PT017
        return
    assert outline.is_valid
    assert all(
        part.exterior.is_ccw and not any(h.is_ccw for h in part.interiors) for part in shapely.get_parts(outline)
    )
    drawn = shapely.union_all(shapely.polygonize([shapely.node(shapely.LinearRing(ring))]).geoms)
    assert shapely.difference(outline, drawn.buffer(1e-5)).area < 1e-7


def test_districts_are_written_for_the_context_of_alerts(tmp_path: Path) -> None:
    file = write_format(tmp_path, "gpkg", layer(WEST, EAST).to_crs("EPSG:32750"))
    home = Layout(tmp_path / "home")
    report = import_districts(file, "NAMOBJ", home, ORIGIN)
    written = pyogrio.read_dataframe(home.boundaries(), layer="districts")
    assert list(written["name"]) == ["Paser", "Berau"] == list(report.names)
    assert written.crs.to_epsg() == 4326
    metadata = pyogrio.read_info(home.boundaries(), layer="districts")["layer_metadata"]
    assert json.loads(metadata["provenance"])["licence"] == "CC BY 4.0"


def test_districts_are_byte_identical_when_written_at_another_time(tmp_path: Path) -> None:
    file = write_format(tmp_path, "geojson", layer(WEST, EAST))
    first = import_districts(file, "NAMOBJ", Layout(tmp_path / "a"), ORIGIN).path.read_bytes()
    time.sleep(1.1)  # the clocks of GDAL and SQLite count seconds
    assert import_districts(file, "NAMOBJ", Layout(tmp_path / "b"), ORIGIN).path.read_bytes() == first


def test_district_names_must_be_there(tmp_path: Path) -> None:
    frame = layer(WEST, EAST)
    frame.loc[1, "NAMOBJ"] = None
    file = write_format(tmp_path, "gpkg", frame)
    with pytest.raises(AoiError, match="did you mean NAMOBJ"):
        import_districts(file, "NAMEOBJ", Layout(tmp_path), ORIGIN)
    with pytest.raises(AoiError, match=r"1 of 2 features .* have no NAMOBJ"):
        import_districts(file, "NAMOBJ", Layout(tmp_path), ORIGIN)
    assert not Layout(tmp_path).boundaries().exists()


def test_the_real_districts_of_kaltim_come_in_whole(tmp_path: Path, shared_data: Path) -> None:
    file = shared_data / "boundaries" / "kaltim_kabupaten_kota.geojson"
    report = import_boundary(file, tmp_path, options())
    assert report.features == 10
    assert report.area_ha / 100 == pytest.approx(126_800, rel=0.005)
    assert report.aoi.properties.crs == "EPSG:32650"
    districts = import_districts(file, "nama", Layout(tmp_path), ORIGIN)
    assert len(districts.names) == 10
    assert "Kabupaten Paser" in districts.names
