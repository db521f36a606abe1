"""GeoJSON as RFC 7946 wants it, read back by GDAL."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import orjson
import pyogrio
import pytest
import shapely

from enggang.alerts.fields import FIELDS
from enggang.alerts.geojson import feature_collection, tidy, write_geojson
from enggang.alerts.records import Alert, AlertStatus, EventKind
from enggang.alerts.track import TrackContext, track
from enggang.alerts.words import EVENT_WORDS, STATUS_WORDS
from enggang.types import PixelTable

NIGHT = date(2028, 2, 29)


@pytest.fixture
def alerts(pixels_of: Callable[..., PixelTable], context_of: Callable[..., TrackContext]) -> tuple[Alert, ...]:
    """A confirmed alert with a hole, a flagged one of two parts, and a withdrawn one."""
    status = np.ones((60, 60), dtype=np.uint8)
    status[40:45, 40:45] = 2
    first = track(None, pixels_of(status, NIGHT), context_of(NIGHT))
    status[40:45, 40:45] = 1
    status[5:12, 5:12] = 4
    status[8, 8] = 1
    status[20:24, 20:24] = status[24:27, 24:27] = 2
    night = NIGHT + timedelta(1)
    return track(first, pixels_of(status, night), context_of(night)).alerts


def test_the_collection_is_what_the_standard_says(alerts: tuple[Alert, ...]) -> None:
    whole = orjson.loads(feature_collection(alerts))
    assert list(whole) == ["type", "bbox", "features"]
    assert "crs" not in whole
    west, south, east, north = shapely.total_bounds([a.geometry for a in alerts])
    assert whole["bbox"] == [west, south, east, north]
    for alert, feature in zip(alerts, whole["features"], strict=True):
        assert list(feature) == ["type", "id", "bbox", "properties", "geometry"]
        assert feature["id"] == feature["properties"]["id"] == alert.id
        assert feature["bbox"] == list(alert.geometry.bounds)
        assert list(feature["properties"]) == [f.name for f in FIELDS]
        shape = shapely.geometry.shape(feature["geometry"])
        assert shape.equals_exact(alert.geometry, 0)
        for polygon in shapely.get_parts(shape):
            assert polygon.exterior.is_ccw
            assert not any(ring.is_ccw for ring in polygon.interiors)


def test_gdal_reads_it(alerts: tuple[Alert, ...], tmp_path: Path) -> None:
    path = write_geojson(tmp_path / "alerts.geojson", alerts)
    info = pyogrio.read_info(path)
    assert (info["features"], info["crs"]) == (3, "EPSG:4326")
    frame = pyogrio.read_dataframe(path)
    assert list(frame["id"]) == [a.id for a in alerts]
    assert list(frame["status_id"]) == [STATUS_WORDS[a.status].id for a in alerts]
    assert frame["first_seen"].astype(str).tolist() == [a.first_seen.isoformat() for a in alerts]
    assert frame["area_ha"].tolist() == [a.area_ha for a in alerts]
    assert {a.status for a in alerts} == {AlertStatus.WITHDRAWN, AlertStatus.CONFIRMED, AlertStatus.FLAGGED}
    assert frame.geometry.is_valid.all()


def test_no_alerts_is_a_collection_too(tmp_path: Path) -> None:
    assert orjson.loads(feature_collection(())) == {"type": "FeatureCollection", "features": []}
    assert pyogrio.read_info(write_geojson(tmp_path / "alerts.geojson", ()))["features"] == 0


def test_equal_alerts_give_equal_bytes(alerts: tuple[Alert, ...]) -> None:
    assert feature_collection(alerts) == feature_collection(tuple(alerts))


def test_foreign_geometry_is_put_right() -> None:
    clockwise = shapely.Polygon([(0.123456789, 0), (0.123456789, 1), (1, 1), (1, 0)])
    (tidied,) = tidy(np.array([clockwise]))
    assert tidied.exterior.is_ccw
    assert shapely.get_coordinates(tidied)[:, 0].min() == 0.1234568


def test_every_field_has_the_type_that_it_declares(alerts: tuple[Alert, ...]) -> None:
    types = {"string": str, "date": date, "float64": float, "int32": int}
    assert len({f.name for f in FIELDS}) == len(FIELDS)
    for alert in alerts:
        for field in FIELDS:
            value = field.get(alert)
            assert (value is None and field.nullable) or type(value) is types[field.dtype], field.name


def test_every_status_and_event_has_words_in_both_languages() -> None:
    assert set(STATUS_WORDS) == set(AlertStatus)
    assert set(EVENT_WORDS) == set(EventKind)
    words = [*STATUS_WORDS.values(), *EVENT_WORDS.values()]
    assert all(w.get("en") and w.get("id") and w.get("en") != w.get("id") for w in words)
    assert "ilegal" not in " ".join(w.id for w in words)
