"""What the picture of a night is drawn from."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from enggang.alerts.records import Alert, AlertEvent
from enggang.aoi import Aoi
from enggang.types import BoolArray


@dataclass(frozen=True, slots=True)
class Imagery:
    """One side of the picture.

    `pixels`: (y, x, 3) uint8 true colour, or (y, x) uint8 grey (SAR backscatter), on `geobox`; `acquired`: UTC time of
    the newest scene in it; `observed`: (y, x) bool, False is drawn hatched as not observed, None = all observed;
    `sensor` is named below the picture.
    """

    pixels: NDArray[np.uint8]
    geobox: GeoBox
    acquired: datetime
    sensor: str
    observed: BoolArray | None = None


@dataclass(frozen=True, slots=True)
class NightPicture:
    """All that a picture shows: alerts with an event CREATED tonight are the new ones."""

    aoi: Aoi
    night: date
    at: datetime
    alerts: tuple[Alert, ...]
    events: tuple[AlertEvent, ...]
    before: Imagery
    after: Imagery
