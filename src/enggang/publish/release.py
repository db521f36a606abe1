"""What one night gives to be published, and what became of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime

from enggang.alerts.records import Alert, AlertEvent, Versions
from enggang.aoi import Aoi
from enggang.publish.imagery import Imagery
from enggang.types import AnyArray, Failure

Block = tuple[slice, slice]


@dataclass(frozen=True, slots=True)
class NightRelease:
    """All that the products of one area and night are made from.

    `at`: nominal UTC time of the run, the only time that enters a product. `read(name, window)` gives a state array
    as packed on disk, (y, x), of one consistent snapshot; it is called from several threads. `before` and `after`:
    imagery for the picture, both or none. `sources`: ids of the scenes applied this night.
    """

    aoi: Aoi
    night: date
    at: datetime
    versions: Versions
    alerts: tuple[Alert, ...]
    events: tuple[AlertEvent, ...]
    read: Callable[[str, Block], AnyArray]
    before: Imagery | None = None
    after: Imagery | None = None
    sources: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PublishedNight:
    """Where the products of a night lie: hrefs relative to the products folder, as in `latest.LatestNight`.

    `written` counts the files this run added or moved: 0 where all was there. `failures` names the products that
    could not be made; where there are any, `latest.json` stays at the last complete night and `complete` is False.
    """

    aoi: str
    night: date
    layers: Mapping[str, str]
    alerts: Mapping[str, str]
    events: str | None
    picture: str | None
    picture_small: str | None
    written: int
    failures: tuple[Failure, ...] = ()

    @property
    def complete(self) -> bool:
        """True where every product of the night was made."""
        return not self.failures
