"""What the picture of a night is drawn from."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

import numpy as np
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from enggang.alerts.records import Alert, AlertEvent
from enggang.aoi import Aoi
from enggang.errors import PublishError
from enggang.types import BoolArray


@dataclass(frozen=True, slots=True)
class Imagery:
    """One side of the picture.

    `pixels`: (y, x, 3) uint8 true colour, or (y, x) uint8 grey (SAR backscatter), on `geobox`; `acquired`: UTC time of
    the newest scene in it; `observed`: (y, x) bool, False is drawn hatched as not observed, None = all observed;
    `sensor` is named above it. Raises `PublishError` where the arrays don't fit the grid.
    """

    pixels: NDArray[np.uint8]
    geobox: GeoBox
    acquired: datetime
    sensor: str
    observed: BoolArray | None = None

    def __post_init__(self) -> None:
        shape = (int(self.geobox.shape[0]), int(self.geobox.shape[1]))
        fits = self.pixels.shape in (shape, (*shape, 3)) and self.pixels.dtype == np.uint8
        if not fits or (self.observed is not None and self.observed.shape != shape):
            raise PublishError(
                f"imagery of {self.acquired:%Y-%m-%d} is {self.pixels.dtype} {self.pixels.shape} on a grid of {shape}",
                "give uint8 (y, x) or (y, x, 3) on its own geobox",
            )


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
