"""Alerts as vector files for GIS clients and tables, all derived from `enggang.alerts.fields.FIELDS`."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

import geopandas as gpd
import pandas as pd
import pyarrow as pa
import pyogrio
from pyogrio.errors import DataLayerError, DataSourceError, FeatureError, GeometryError
from shapely.geometry import MultiPolygon, Polygon

from enggang.alerts.fields import FIELDS, Field, FieldType
from enggang.alerts.geojson import feature_collection
from enggang.alerts.records import Alert
from enggang.errors import PublishError
from enggang.files import write_bytes

_WRITING: Mapping[str, str] = MappingProxyType(
    {"layer": "alerts", "geometry_name": "geometry", "geometry_type": "MultiPolygon", "crs": "EPSG:4326"}
)
_ARROW: Mapping[FieldType, pa.DataType] = MappingProxyType(
    {"string": pa.string(), "date": pa.date32(), "float64": pa.float64(), "int32": pa.int32()}
)
_STAMP = threading.Lock()


@dataclass(frozen=True, slots=True)
class VectorFormat:
    """One file format of alerts. `encode(alerts, at)` gives the file's bytes; `at` is the night's nominal UTC time, the
    only time that may enter a file. Files are made in memory: on a full disk GDAL leaves an index out in silence.
    """

    name: str
    title: str
    suffix: str
    media_type: str
    encode: Callable[[Sequence[Alert], datetime], bytes]


def alert_frame(alerts: Sequence[Alert]) -> gpd.GeoDataFrame:
    """Alerts as a GeoDataFrame in WGS84: one column a field, with the same types whether there are alerts or none."""
    columns = {field.name: _column(field, alerts) for field in FIELDS}
    outlines = gpd.GeoSeries([_multi(alert.geometry) for alert in alerts], crs="EPSG:4326")
    return gpd.GeoDataFrame(columns, geometry=outlines, crs="EPSG:4326")


def _column(field: Field, alerts: Sequence[Alert]) -> Any:
    return pd.array([field.get(alert) for alert in alerts], dtype=pd.ArrowDtype(_ARROW[field.dtype]))


def _multi(geometry: Polygon | MultiPolygon) -> MultiPolygon:
    """One geometry type in all files: a layer of mixed types can't be opened by every client."""
    return geometry if isinstance(geometry, MultiPolygon) else MultiPolygon([geometry])


def _geojson(alerts: Sequence[Alert], at: datetime) -> bytes:
    return feature_collection(alerts)


def _geoparquet(alerts: Sequence[Alert], at: datetime) -> bytes:
    stream = io.BytesIO()
    alert_frame(alerts).to_parquet(stream, index=False, compression="zstd", write_covering_bbox=True)
    return stream.getvalue()


def _by_gdal(driver: str, **options: str) -> Callable[[Sequence[Alert], datetime], bytes]:
    def encode(alerts: Sequence[Alert], at: datetime) -> bytes:
        table = pa.table(alert_frame(alerts).to_arrow(index=False, geometry_encoding="WKB"))
        stream = io.BytesIO()
        try:
            with _stamped(at):
                pyogrio.write_arrow(table, stream, driver=driver, layer_options=options, **_WRITING)
        except (DataSourceError, DataLayerError, FeatureError, GeometryError) as error:
            raise PublishError(
                f"alerts can't be written as {driver} ({error})", "see the cause, then run again"
            ) from error
        return stream.getvalue()

    return encode


@contextmanager
def _stamped(at: datetime) -> Iterator[None]:
    """Let GDAL stamp `at`; it takes the time for a GeoPackage from a setting of the whole process."""
    with _STAMP:
        pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.000Z"})
        try:
            yield
        finally:
            pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": None})


_TABLE = (
    VectorFormat("geojson", "GeoJSON (RFC 7946)", ".geojson", "application/geo+json", _geojson),
    VectorFormat(
        "gpkg",
        "GeoPackage",
        ".gpkg",
        "application/geopackage+sqlite3",
        _by_gdal("GPKG", IDENTIFIER="Enggang alerts", DESCRIPTION="Forest alerts / Peringatan hutan"),
    ),
    VectorFormat("geoparquet", "GeoParquet", ".parquet", "application/vnd.apache.parquet", _geoparquet),
    VectorFormat(
        "flatgeobuf",
        "FlatGeobuf",
        ".fgb",
        "application/vnd.flatgeobuf",
        _by_gdal("FlatGeobuf", SPATIAL_INDEX="YES"),
    ),
)

#: name → format. A new format is one more entry in the table.
VECTOR_FORMATS: Mapping[str, VectorFormat] = MappingProxyType({entry.name: entry for entry in _TABLE})


def write_alerts(folder: Path, alerts: Sequence[Alert], at: datetime) -> dict[str, Path]:
    """Write `alerts.<suffix>` in every format below `folder`; the path of each format by its name.

    Equal alerts and `at` give equal bytes. Raises `DiskFull` or `PublishError`.
    """
    ordered = sorted(alerts, key=lambda alert: alert.id)
    return {
        entry.name: write_bytes(folder / f"alerts{entry.suffix}", entry.encode(ordered, at))
        for entry in VECTOR_FORMATS.values()
    }
