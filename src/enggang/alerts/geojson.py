"""Alerts as GeoJSON (RFC 7946): WGS84, right-hand rings, seven decimal places, no `crs` member."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import orjson
import shapely

from enggang.alerts.fields import alert_properties
from enggang.alerts.geometry import DIGITS, Geometries
from enggang.alerts.records import Alert
from enggang.files import write_bytes
from enggang.types import AnyArray


def feature_collection(alerts: Sequence[Alert]) -> bytes:
    """A FeatureCollection in UTF-8, features in the order given; equal alerts give equal bytes.

    Each feature has `id`, `bbox` (west, south, east, north) and the properties of `fields.FIELDS` with ISO dates. The
    collection has a `bbox` where it has a feature.
    """
    shapes = tidy(np.array([a.geometry for a in alerts], dtype=object))
    boxes = shapely.bounds(shapes)
    features = [
        {
            "type": "Feature",
            "id": alert.id,
            "bbox": box,
            "properties": alert_properties(alert),
            "geometry": orjson.Fragment(text),
        }
        for alert, box, text in zip(alerts, boxes.tolist(), shapely.to_geojson(shapes), strict=True)
    ]
    whole: dict[str, object] = {"type": "FeatureCollection"}
    if alerts:
        whole["bbox"] = [*boxes[:, :2].min(axis=0).tolist(), *boxes[:, 2:].max(axis=0).tolist()]
    return orjson.dumps({**whole, "features": features}, option=orjson.OPT_APPEND_NEWLINE)


def write_geojson(path: Path, alerts: Sequence[Alert]) -> Path:
    """Write `feature_collection` to `path` atomically. Raises `DiskFull`."""
    return write_bytes(path, feature_collection(alerts))


def tidy(geometries: Geometries) -> Geometries:
    """WGS84 polygons with coordinates at `DIGITS` places and right-hand rings, whatever drew them."""

    def rounded(points: AnyArray) -> AnyArray:
        return np.round(points, DIGITS)

    tidied: Geometries = shapely.orient_polygons(shapely.transform(geometries, rounded), exterior_cw=False)
    return tidied
