"""The records of the alert ledger: frozen, and complete enough to rebuild every product of a night."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from shapely.geometry import MultiPolygon, Polygon


class AlertStatus(StrEnum):
    """Life cycle: flagged → provisional → confirmed, then withdrawn (with a reason) or finished.

    MERGED closes an alert whose pixels went over to an older one (`Alert.merged_into`): it was no false alarm, so it is
    not withdrawn, and its area now counts with the survivor, so it is not finished either.
    """

    FLAGGED = "flagged"
    PROVISIONAL = "provisional"
    CONFIRMED = "confirmed"
    WITHDRAWN = "withdrawn"
    FINISHED = "finished"
    MERGED = "merged"

    @property
    def is_open(self) -> bool:
        """True while the alert is watched: flagged, provisional or confirmed."""
        return self not in (AlertStatus.WITHDRAWN, AlertStatus.FINISHED, AlertStatus.MERGED)

    @property
    def is_standing(self) -> bool:
        """True while the clearing is believed and holds pixels: open or finished. Only the areas of standing alerts may
        be summed; no ground counts twice among them."""
        return self not in (AlertStatus.WITHDRAWN, AlertStatus.MERGED)


class EventKind(StrEnum):
    """What can happen to an alert. One night may bring several to one alert, in this order."""

    CREATED = "created"
    SPLIT = "split"
    MERGED = "merged"
    GROWN = "grown"
    SHRUNK = "shrunk"
    PROVISIONAL = "provisional"
    CONFIRMED = "confirmed"
    DEMOTED = "demoted"
    WITHDRAWN = "withdrawn"
    FINISHED = "finished"
    REOPENED = "reopened"


@dataclass(frozen=True, slots=True)
class Versions:
    """What made an alert. `model`: monitor key and config digest; `state`: SHA-256 over config and applied scenes;
    `data`: SHA-256 over the fingerprints of the scenes applied; `software`: Enggang's version."""

    model: str
    state: str
    data: str
    software: str


@dataclass(frozen=True, slots=True)
class Alert:
    """One clearing, as believed at the end of a night.

    `id` never changes through growth, merge and split. `first_seen` is the night of its first flag,
    `first_disturbed` the date of the earliest observation that shows the change, `confirmed_on` the date of the
    observation that confirmed it. `probability` is the mean over its pixels (0–1), `observations` the median count of
    valid observations since the change, `area_ha` geodesic on WGS84, `geometry` in WGS84 with right-hand rings,
    `centroid` a (longitude, latitude) inside the outline. `merged_into` and `split_from` name other alerts.
    `last_changed` is the last night on which its pixels or status changed (finishing is the lack of change and doesn't
    count). `versions` are those of the last night that gave it an event. A withdrawn or merged alert keeps its last
    outline and area.
    """

    id: str
    aoi: str
    status: AlertStatus
    first_seen: date
    first_disturbed: date
    flagged_on: date
    confirmed_on: date | None
    last_changed: date
    probability: float
    sensors: tuple[str, ...]
    observations: int
    area_ha: float
    centroid: tuple[float, float]
    geometry: Polygon | MultiPolygon
    district: str | None
    versions: Versions
    reason: str | None = None
    merged_into: str | None = None
    split_from: str | None = None


@dataclass(frozen=True, slots=True)
class AlertEvent:
    """One change of one alert, never edited afterwards. `at` is the nominal UTC time of the night's run."""

    id: str
    alert_id: str
    kind: EventKind
    night: date
    at: datetime
    status: AlertStatus
    area_ha: float
    probability: float
    detail: str = ""


@dataclass(frozen=True, slots=True)
class AlertPixels:
    """Which pixel belongs to which alert: `index` int64 = row * columns + col, ascending; `alert` int32 = position in
    the night's tuple of alerts."""

    index: NDArray[np.int64]
    alert: NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class LedgerNight:
    """The ledger at the end of one night: all alerts ever, sorted by id, the pixels of the open and finished ones, and
    that night's events in order."""

    night: date
    alerts: tuple[Alert, ...]
    pixels: AlertPixels
    events: tuple[AlertEvent, ...]

    @classmethod
    def empty(cls, night: date) -> LedgerNight:
        """A night on which nothing is known."""
        pixels = AlertPixels(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int32))
        return cls(night, (), pixels, ())
