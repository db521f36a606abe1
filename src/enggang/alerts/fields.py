"""The one table of alert properties: GeoJSON, GeoPackage, FlatGeobuf, GeoParquet and docs derive from it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Literal

from enggang.alerts.records import Alert
from enggang.alerts.words import STATUS_WORDS

FieldType = Literal["string", "date", "float64", "int32"]
FieldValue = str | date | float | int | None


@dataclass(frozen=True, slots=True)
class Field:
    """One property of an alert in every vector format.

    `dtype` is the column's type; `nullable` says whether None may occur; `unit` is empty where there is none.
    `get` takes the value from the record.
    """

    name: str
    dtype: FieldType
    title_en: str
    title_id: str
    get: Callable[[Alert], FieldValue]
    unit: str = ""
    nullable: bool = False


#: Columns in order. A new property is one entry here.
FIELDS: tuple[Field, ...] = (
    Field("id", "string", "Alert", "Peringatan", lambda a: a.id),
    Field("aoi", "string", "Area of interest", "Wilayah pantauan", lambda a: a.aoi),
    Field("status", "string", "Status", "Status (Inggris)", lambda a: a.status.value),
    Field("status_id", "string", "Status in Indonesian", "Status", lambda a: STATUS_WORDS[a.status].id),
    Field("first_seen", "date", "First seen", "Pertama terpantau", lambda a: a.first_seen),
    Field("first_disturbed", "date", "First disturbed", "Awal gangguan", lambda a: a.first_disturbed),
    Field("flagged_on", "date", "Flagged on", "Tanggal indikasi", lambda a: a.flagged_on),
    Field("confirmed_on", "date", "Confirmed on", "Tanggal konfirmasi", lambda a: a.confirmed_on, nullable=True),
    Field("last_changed", "date", "Last changed", "Terakhir berubah", lambda a: a.last_changed),
    Field("probability", "float64", "Mean probability", "Peluang rata-rata", lambda a: a.probability, unit="1"),
    Field("sensors", "string", "Sensors that saw it", "Sensor yang melihat", lambda a: ",".join(a.sensors)),
    Field("observations", "int32", "Observations since", "Pengamatan sejak gangguan", lambda a: a.observations),
    Field("area_ha", "float64", "Area", "Luas", lambda a: a.area_ha, unit="ha"),
    Field("lon", "float64", "Longitude", "Bujur", lambda a: a.centroid[0], unit="deg"),
    Field("lat", "float64", "Latitude", "Lintang", lambda a: a.centroid[1], unit="deg"),
    Field("district", "string", "District", "Kabupaten/kota", lambda a: a.district, nullable=True),
    Field("reason", "string", "Reason of closing", "Alasan penutupan", lambda a: a.reason, nullable=True),
    Field("merged_into", "string", "Merged into", "Digabung ke", lambda a: a.merged_into, nullable=True),
    Field("split_from", "string", "Split from", "Pecahan dari", lambda a: a.split_from, nullable=True),
    Field("model", "string", "Model version", "Versi model", lambda a: a.versions.model),
    Field("state", "string", "State version", "Versi keadaan", lambda a: a.versions.state),
    Field("data", "string", "Data version", "Versi data", lambda a: a.versions.data),
    Field("software", "string", "Software version", "Versi perangkat lunak", lambda a: a.versions.software),
)


def alert_properties(alert: Alert) -> dict[str, FieldValue]:
    """The properties of one alert by name, in the order of `FIELDS`, with native dates."""
    return {field.name: field.get(alert) for field in FIELDS}
