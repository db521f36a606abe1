"""Vector files: every field with its type in every format, with alerts or none, equal bytes for equal input."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import geopandas as gpd
import pyarrow.parquet as pq
import pyogrio
import pytest
import shapely

from enggang.alerts.fields import FIELDS
from enggang.alerts.records import Alert
from enggang.publish.samples import sample_alerts, sample_aoi
from enggang.publish.vector import VECTOR_FORMATS, alert_frame, write_alerts

NIGHT = date(2026, 11, 24)
AT = datetime(2026, 11, 23, 18, tzinfo=UTC)
#: FlatGeobuf has no date type: GDAL keeps dates as midnight.
OGR_TYPES = {
    "gpkg": {"string": "OFTString", "date": "OFTDate", "float64": "OFTReal", "int32": "OFTInteger"},
    "flatgeobuf": {"string": "OFTString", "date": "OFTDateTime", "float64": "OFTReal", "int32": "OFTInteger"},
}


@pytest.fixture(scope="module")
def alerts() -> tuple[Alert, ...]:
    made = sample_alerts(sample_aoi(), NIGHT)
    parts = shapely.MultiPolygon([made[1].geometry, shapely.affinity.translate(made[1].geometry, 0.001)])
    return (made[0], replace(made[1], geometry=parts), made[2])


def _read(path: Path) -> gpd.GeoDataFrame:
    frame = gpd.read_parquet(path) if path.suffix == ".parquet" else gpd.read_file(path)
    return frame.sort_values("id", ignore_index=True)


@pytest.mark.parametrize("count", [0, 3])
@pytest.mark.parametrize("name", OGR_TYPES)
def test_gdal_reads_every_field_with_its_type(name: str, count: int, alerts: tuple[Alert, ...], tmp_path: Path) -> None:
    path = write_alerts(tmp_path, alerts[:count], AT)[name]
    info = pyogrio.read_info(path, force_feature_count=True)
    assert info["features"] == count
    assert info["geometry_type"] == "MultiPolygon"
    assert info["crs"] == "EPSG:4326"
    found = dict(zip(info["fields"], info["ogr_types"], strict=True))
    assert found == {field.name: OGR_TYPES[name][field.dtype] for field in FIELDS}


@pytest.mark.parametrize("count", [0, 3])
def test_geoparquet_has_dates_as_dates(count: int, alerts: tuple[Alert, ...], tmp_path: Path) -> None:
    path = write_alerts(tmp_path, alerts[:count], AT)["geoparquet"]
    arrow = {"string": "string", "date": "date32[day]", "float64": "double", "int32": "int32"}
    schema = pq.read_schema(path)
    types = {field.name: str(schema.field(field.name).type).removeprefix("large_") for field in FIELDS}
    assert types == {field.name: arrow[field.dtype] for field in FIELDS}
    frame = gpd.read_parquet(path)
    assert len(frame) == count
    assert frame.crs.to_epsg() == 4326


@pytest.mark.parametrize("name", VECTOR_FORMATS)
def test_values_and_outlines_survive_every_format(name: str, alerts: tuple[Alert, ...], tmp_path: Path) -> None:
    frame = _read(write_alerts(tmp_path, alerts, AT)[name])
    for row, alert in zip(frame.itertuples(), sorted(alerts, key=lambda a: a.id), strict=True):
        assert row.id == alert.id
        assert str(row.first_seen)[:10] == alert.first_seen.isoformat()
        assert row.area_ha == pytest.approx(alert.area_ha)
        assert row.observations == alert.observations
        assert row.geometry.hausdorff_distance(alert.geometry) < 1e-7


@pytest.mark.parametrize("name", VECTOR_FORMATS)
def test_equal_alerts_in_any_order_give_equal_bytes(name: str, alerts: tuple[Alert, ...], tmp_path: Path) -> None:
    first = write_alerts(tmp_path / "a", alerts, AT)[name].read_bytes()
    second = write_alerts(tmp_path / "b", alerts[::-1], AT)[name].read_bytes()
    assert first == second
    assert first != write_alerts(tmp_path / "c", alerts[:1], AT)[name].read_bytes()


def test_geopackage_is_sound_and_dated_by_the_night(alerts: tuple[Alert, ...], tmp_path: Path) -> None:
    path = write_alerts(tmp_path, alerts, AT)["gpkg"]
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert database.execute("SELECT table_name, last_change, srs_id FROM gpkg_contents").fetchall() == [
            ("alerts", "2026-11-23T18:00:00.000Z", 4326)
        ]
        assert database.execute("SELECT count(*) FROM rtree_alerts_geom").fetchone() == (3,)
        assert database.execute("SELECT confirmed_on FROM alerts ORDER BY id").fetchall()[0] == ("2026-07-09",)


def test_spatial_index_answers_a_box(alerts: tuple[Alert, ...], tmp_path: Path) -> None:
    paths = write_alerts(tmp_path, alerts, AT)
    box = alerts[2].geometry.buffer(-1e-6).bounds
    for name in ("gpkg", "flatgeobuf"):
        assert pyogrio.read_dataframe(paths[name], bbox=box)["id"].tolist() == [alerts[2].id]


def test_a_frame_of_no_alerts_has_the_same_types(alerts: tuple[Alert, ...]) -> None:
    assert alert_frame(()).dtypes.to_dict() == alert_frame(alerts).dtypes.to_dict()
