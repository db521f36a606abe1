"""Alerts as vector files for GIS clients and tables, all derived from `enggang.alerts.fields.FIELDS`."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

import geopandas as gpd
import pandas as pd
import pyarrow as pa
import pyogrio
from shapely.geometry import MultiPolygon, Polygon

from enggang.alerts.fields import FIELDS, Field, FieldType
from enggang.alerts.geojson import write_geojson
from enggang.alerts.records import Alert
from enggang.files import write_atomic
from enggang.publish.gdal_faults import gdal_faults

_LAYER = "alerts"
_ARROW: Mapping[FieldType, pa.DataType] = MappingProxyType(
    {"string": pa.string(), "date": pa.date32(), "float64": pa.float64(), "int32": pa.int32()}
)
#: GDAL takes the time that it stamps into a GeoPackage from a setting of the whole process.
_STAMP = threading.Lock()


@dataclass(frozen=True, slots=True)
class VectorFormat:
    """One file format of alerts: `write(path, alerts, at)` writes `path` atomically; `at` is the night's nominal UTC
    time, the only time that may enter a file."""

    name: str
    title: str
    suffix: str
    media_type: str
    write: Callable[[Path, Sequence[Alert], datetime], Path]


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


def _write_geojson(path: Path, alerts: Sequence[Alert], at: datetime) -> Path:
    return write_geojson(path, alerts)


def _write_parquet(path: Path, alerts: Sequence[Alert], at: datetime) -> Path:
    def write(temporary: Path) -> None:
        alert_frame(alerts).to_parquet(temporary, index=False, compression="zstd", write_covering_bbox=True)

    return write_atomic(path, write)


def _gdal_writer(driver: str, **options: str) -> Callable[[Path, Sequence[Alert], datetime], Path]:
    def write_file(path: Path, alerts: Sequence[Alert], at: datetime) -> Path:
        def write(temporary: Path) -> None:
            table = pa.table(alert_frame(alerts).to_arrow(index=False, geometry_encoding="WKB"))
            pyogrio.write_arrow(
                table,
                temporary,
                layer=_LAYER,
                driver=driver,
                geometry_name="geometry",
                geometry_type="MultiPolygon",
                crs="EPSG:4326",
                layer_options=options,
            )

        with _STAMP, gdal_faults(path):
            pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": f"{at:%Y-%m-%dT%H:%M:%S}.000Z"})
            try:
                return write_atomic(path, write)
            finally:
                pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": None})

    return write_file


_TABLE = (
    VectorFormat("geojson", "GeoJSON (RFC 7946)", ".geojson", "application/geo+json", _write_geojson),
    VectorFormat(
        "gpkg",
        "GeoPackage",
        ".gpkg",
        "application/geopackage+sqlite3",
        _gdal_writer("GPKG", IDENTIFIER="Enggang alerts", DESCRIPTION="Forest alerts / Peringatan hutan"),
    ),
    VectorFormat("geoparquet", "GeoParquet", ".parquet", "application/vnd.apache.parquet", _write_parquet),
    VectorFormat(
        "flatgeobuf",
        "FlatGeobuf",
        ".fgb",
        "application/vnd.flatgeobuf",
        _gdal_writer("FlatGeobuf", SPATIAL_INDEX="YES"),
    ),
)

#: name → format. A new format is one more entry in the table.
VECTOR_FORMATS: Mapping[str, VectorFormat] = MappingProxyType({entry.name: entry for entry in _TABLE})


def write_alerts(folder: Path, alerts: Sequence[Alert], at: datetime) -> dict[str, Path]:
    """Write `alerts.<suffix>` in every format below `folder`; the path of each format by its name.

    Equal alerts and `at` give equal bytes. Raises `DiskFull` or `PublishError`.
    """
    ordered = sorted(alerts, key=lambda alert: alert.id)
    return {entry.name: entry.write(folder / f"alerts{entry.suffix}", ordered, at) for entry in VECTOR_FORMATS.values()}
