"""The files of one ledger night as bytes: equal nights give equal bytes, and what is read is checked first.

`alerts.parquet` (GeoParquet 1.1, WKB), `pixels.parquet`, `events.jsonl` (one event a line) and `night.json`, which
names the schema version and the SHA-256 of the others.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import shapely

from enggang.alerts.records import (
    Alert,
    AlertEvent,
    AlertPixels,
    AlertStatus,
    EventKind,
    LedgerNight,
    Versions,
)
from enggang.errors import LedgerError
from enggang.types import utc

#: Version of the files below. A reader refuses a later one.
SCHEMA_VERSION = 1

_RESTORE = "restore it from a backup, or run that night again"

ALERTS, PIXELS, EVENTS, MANIFEST = "alerts.parquet", "pixels.parquet", "events.jsonl", "night.json"

_VERSIONS = pa.struct([(name, pa.string()) for name in ("model", "state", "data", "software")])
_GEO = {
    "version": "1.1.0",
    "primary_column": "geometry",
    "columns": {"geometry": {"encoding": "WKB", "geometry_types": ["Polygon", "MultiPolygon"]}},
}
_ALERT_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("aoi", pa.string(), nullable=False),
        pa.field("status", pa.string(), nullable=False),
        pa.field("first_seen", pa.date32(), nullable=False),
        pa.field("first_disturbed", pa.date32(), nullable=False),
        pa.field("flagged_on", pa.date32(), nullable=False),
        pa.field("confirmed_on", pa.date32()),
        pa.field("last_changed", pa.date32(), nullable=False),
        pa.field("probability", pa.float64(), nullable=False),
        pa.field("sensors", pa.list_(pa.string()), nullable=False),
        pa.field("observations", pa.int32(), nullable=False),
        pa.field("area_ha", pa.float64(), nullable=False),
        pa.field("centroid", pa.list_(pa.float64(), 2), nullable=False),
        pa.field("geometry", pa.binary(), nullable=False),
        pa.field("district", pa.string()),
        pa.field("versions", _VERSIONS, nullable=False),
        pa.field("reason", pa.string()),
        pa.field("merged_into", pa.string()),
        pa.field("split_from", pa.string()),
    ],
    metadata={"geo": orjson.dumps(_GEO)},
)
_PIXEL_SCHEMA = pa.schema(
    [pa.field("index", pa.int64(), nullable=False), pa.field("alert", pa.int32(), nullable=False)]
)


def encode(night: LedgerNight) -> dict[str, bytes]:
    """The files of a night by name."""
    pixels = pa.table({"index": night.pixels.index, "alert": night.pixels.alert}, schema=_PIXEL_SCHEMA)
    contents = {ALERTS: _parquet(_alert_table(night.alerts)), PIXELS: _parquet(pixels)}
    contents[EVENTS] = b"".join(orjson.dumps(_event_row(e), option=orjson.OPT_APPEND_NEWLINE) for e in night.events)
    return {
        **contents,
        MANIFEST: _manifest(night, {n: hashlib.sha256(data).hexdigest() for n, data in contents.items()}),
    }


def decode(contents: Mapping[str, bytes], where: str) -> LedgerNight:
    """The night of these files. Raises `LedgerError`, which names `where`, as `check` does."""
    manifest = check(contents, where)
    pixels = pq.read_table(pa.BufferReader(contents[PIXELS]))
    night = LedgerNight(
        night=date.fromisoformat(manifest["night"]),
        alerts=_alerts(pq.read_table(pa.BufferReader(contents[ALERTS]))),
        pixels=AlertPixels(_column(pixels, "index", np.int64), _column(pixels, "alert", np.int32)),
        events=decode_events(contents[EVENTS]),
    )
    if _manifest(night, manifest["sha256"]) != contents[MANIFEST]:
        raise LedgerError(f"{where}/{MANIFEST} doesn't describe its night", _RESTORE)
    return night


def decode_events(lines: bytes) -> tuple[AlertEvent, ...]:
    """The events of an `events.jsonl`, in order."""
    return tuple(_event(orjson.loads(line)) for line in lines.splitlines())


def check(contents: Mapping[str, bytes], where: str) -> dict[str, Any]:
    """The manifest, once its hashes agree with the other files given.

    Raises `LedgerError` where a byte changed, the manifest can't be read, or a later release wrote the night.
    """
    try:
        manifest: dict[str, Any] = orjson.loads(contents[MANIFEST])
        version, hashes = int(manifest["schema"]), dict(manifest["sha256"])
        date.fromisoformat(manifest["night"])
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise LedgerError(f"{where}/{MANIFEST} is damaged ({error})", _RESTORE) from error
    if version > SCHEMA_VERSION:
        raise LedgerError(f"{where} has schema {version}, this release reads up to {SCHEMA_VERSION}", "update Enggang")
    for name, data in contents.items():
        if name != MANIFEST and hashlib.sha256(data).hexdigest() != hashes.get(name):
            raise LedgerError(f"{where}/{name} isn't what was written", _RESTORE)
    return manifest


def _manifest(night: LedgerNight, sha256: Mapping[str, str]) -> bytes:
    content = {
        "schema": SCHEMA_VERSION,
        "night": night.night,
        "alerts": len(night.alerts),
        "pixels": len(night.pixels.index),
        "events": len(night.events),
        "sha256": sha256,
    }
    return orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE)


def _parquet(table: Any) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd", version="2.6", use_dictionary=False)
    data: bytes = sink.getvalue().to_pybytes()
    return data


def _alert_table(alerts: tuple[Alert, ...]) -> Any:
    plain = [n for n in _ALERT_SCHEMA.names if n not in ("status", "sensors", "centroid", "geometry", "versions")]
    columns: dict[str, Any] = {name: [getattr(a, name) for a in alerts] for name in plain}
    columns["status"] = [a.status.value for a in alerts]
    columns["sensors"] = [list(a.sensors) for a in alerts]
    columns["centroid"] = [list(a.centroid) for a in alerts]
    columns["geometry"] = [shapely.to_wkb(a.geometry, byte_order=1) for a in alerts]
    columns["versions"] = [{name: getattr(a.versions, name) for name in _VERSIONS.names} for a in alerts]
    return pa.table(columns, schema=_ALERT_SCHEMA)


def _alerts(table: Any) -> tuple[Alert, ...]:
    geometry = shapely.from_wkb(table["geometry"].to_numpy(zero_copy_only=False))
    rows = table.drop_columns(["geometry"]).to_pylist()
    return tuple(_alert(row, shape) for row, shape in zip(rows, geometry, strict=True))


def _alert(row: dict[str, Any], geometry: Any) -> Alert:
    lon, lat = row["centroid"]
    row |= {
        "status": AlertStatus(row["status"]),
        "sensors": tuple(row["sensors"]),
        "centroid": (lon, lat),
        "versions": Versions(**row["versions"]),
    }
    return Alert(geometry=geometry, **row)


def _event_row(event: AlertEvent) -> dict[str, Any]:
    return {
        "id": event.id,
        "alert_id": event.alert_id,
        "kind": event.kind.value,
        "night": event.night,
        "at": utc(event.at),
        "status": event.status.value,
        "area_ha": event.area_ha,
        "probability": event.probability,
        "detail": event.detail,
    }


def _event(row: dict[str, Any]) -> AlertEvent:
    row |= {
        "kind": EventKind(row["kind"]),
        "night": date.fromisoformat(row["night"]),
        "at": datetime.fromisoformat(row["at"]),
        "status": AlertStatus(row["status"]),
    }
    return AlertEvent(**row)


def _column(table: Any, name: str, dtype: type[np.integer[Any]]) -> Any:
    return table[name].to_numpy().astype(dtype, copy=False)
