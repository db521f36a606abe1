"""Records that cross package borders. They hold no behaviour beyond what their fields imply."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from enum import IntEnum
from types import MappingProxyType
from typing import Any, Literal
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

Sensor = Literal["sar", "optical"]
OrbitState = Literal["ascending", "descending"]

FloatArray = NDArray[np.float32]
BoolArray = NDArray[np.bool_]
AnyArray = NDArray[Any]

#: Day 0 of every packed date, as in the GFW integrated alerts: 2014-12-31.
EPOCH = date(2014, 12, 31)


def day_number(day: date) -> int:
    """Days since 2014-12-31, the unit of every uint16 date raster (0 = none)."""
    return (day - EPOCH).days


def day_of(number: int) -> date | None:
    """The date of a packed day number; None for 0 (none)."""
    return EPOCH + timedelta(days=int(number)) if number else None


def night_of(moment: datetime, timezone: str) -> date:
    """The night key of an acquisition: its calendar date in the AOI's local time.

    A pass at 17:30 UTC belongs to the next date in Asia/Makassar (UTC+8). `moment` must be UTC-aware.
    """
    if moment.tzinfo is None:
        raise ValueError(f"a datetime without zone: {moment!r}")
    return moment.astimezone(ZoneInfo(timezone)).date()


def utc(moment: datetime) -> str:
    """RFC 3339 text in UTC, with microseconds only where there are any."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


@dataclass(frozen=True, slots=True)
class Asset:
    """One band of a scene.

    Physical value = raw * scale + offset, in `unit` ("reflectance", "dB", "power", "1", "class").
    `nodata` is in raw numbers; None where the file alone says it. `index` is the band's place in the file, from 1.
    """

    href: str
    band: str
    scale: float = 1.0
    offset: float = 0.0
    nodata: float | None = None
    unit: str = "1"
    index: int = 1


@dataclass(frozen=True, slots=True)
class Scene:
    """One acquisition as a STAC item says it: everything raster that enters the system is one of these.

    `assets` is keyed by the band's common name (blue, green, red, nir, swir16, swir22, scl, vv, vh, ndvi …).
    `acquired` is UTC-aware. `fingerprint` is the SHA-256 of what makes the observation (id, time, assets), so a
    scene that was reprocessed under its old id can be told from the one applied.
    `bounds` is (west, south, east, north) in degrees WGS84.
    """

    id: str
    collection: str
    acquired: datetime
    sensor: Sensor
    assets: Mapping[str, Asset]
    bounds: tuple[float, float, float, float]
    fingerprint: str
    geobox: GeoBox | None = None
    orbit_state: OrbitState | None = None
    relative_orbit: int | None = None
    properties: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def sort_key(self) -> tuple[datetime, str]:
        """Scenes apply in order of acquisition; the id breaks ties."""
        return (self.acquired, self.id)


@dataclass(frozen=True, slots=True)
class Failure:
    """A scene, block or product that was left out, and why; listed in the run summary and tried again."""

    what: str
    kind: str
    reason: str
    remedy: str = ""


class PixelStatus(IntEnum):
    """What is believed of a pixel. UNKNOWN: never seen clearly, or too few observations for a baseline."""

    UNKNOWN = 0
    FOREST = 1
    FLAGGED = 2
    PROVISIONAL = 3
    CONFIRMED = 4
    NONFOREST = 5
    OUTSIDE = 255


#: Bits of the `sensors` raster: which kinds of sensor gave evidence since the first-disturbed date.
SENSOR_BIT: Mapping[Sensor, int] = MappingProxyType({"sar": 1, "optical": 2})


@dataclass(frozen=True, slots=True)
class MaskRule:
    """Which optical observations count as clear.

    `scl_valid`: classes of the Sentinel-2 scene classification that are kept; `dilate`: pixels by which everything
    else grows; `blue_max`: blue reflectance above which a pixel is missed cloud or haze; None = no such test.
    Where a scene has no `scl` or `blue` asset, that test is left out.
    """

    scl_valid: tuple[int, ...] = (4, 5, 6)
    dilate: int = 0
    blue_max: float | None = None


@dataclass(frozen=True, slots=True)
class ObservationSpec:
    """How one measure (vh, vv in dB; ndvi, nbr, ndmi unitless) is made from a scene.

    `mask` applies to optical measures; `speckle_window` is the edge in pixels of the box in which SAR power is
    averaged (1 = none).
    """

    measure: str
    mask: MaskRule | None = None
    speckle_window: int = 1


@dataclass(frozen=True, slots=True)
class PixelTable:
    """All pixels of one AOI whose status is FLAGGED or above, as equally long 1-D columns sorted by (row, col).

    row, col: int32 on the AOI's grid. status: uint8 (`PixelStatus`). probability: float32, 0–1.
    first_disturbed, flagged_on, confirmed_on: uint16 days since 2014-12-31, 0 = none.
    observations: uint8, valid observations since first_disturbed. sensors: uint8, bits of `SENSOR_BIT`.
    """

    row: NDArray[np.int32]
    col: NDArray[np.int32]
    status: NDArray[np.uint8]
    probability: FloatArray
    first_disturbed: NDArray[np.uint16]
    flagged_on: NDArray[np.uint16]
    confirmed_on: NDArray[np.uint16]
    observations: NDArray[np.uint8]
    sensors: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.row)
