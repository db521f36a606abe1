"""`latest.json`: what is current in each area. It moves last, in one rename, and never to an older night."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime

from pydantic import BaseModel, ConfigDict, ValidationError

from enggang.errors import PublishError
from enggang.files import read_json, write_json
from enggang.layout import Layout
from enggang.publish.folders import locked


class LatestNight(BaseModel):
    """The current products of one area; hrefs are relative to the products folder.

    `published_for`: nominal UTC time of the run. `layers`: layer → COG. `alerts`: format → file. `items`: collection →
    STAC item. `picture`, `picture_small`: before and after, None where there was no imagery. Keys that a newer
    release adds are ignored.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    night: date
    published_for: datetime
    layers: Mapping[str, str]
    alerts: Mapping[str, str]
    events: str
    items: Mapping[str, str]
    versions: Mapping[str, str]
    picture: str | None = None
    picture_small: str | None = None


def read_latest(layout: Layout) -> dict[str, LatestNight]:
    """Area → its current products, from one read of `latest.json`; empty before the first publication.

    Raises `PublishError` where the file is damaged.
    """
    try:
        document = read_json(layout.latest)
        return {aoi: LatestNight.model_validate(entry) for aoi, entry in document.items()}
    except FileNotFoundError:
        return {}
    except (ValidationError, ValueError, AttributeError) as error:
        raise PublishError(f"{layout.latest} is damaged ({error})", "publish the last night again") from error


def move_latest(layout: Layout, aoi: str, entry: LatestNight) -> int:
    """Point `aoi` to `entry`, leaving other areas as they are; the number of files written (0 or 1).

    A night older than the current one changes nothing: a re-run of the past doesn't take the present away.
    """
    with locked(layout.lock("products")):
        current = read_latest(layout)
        standing = current.get(aoi)
        if standing is not None and (standing.night > entry.night or standing == entry):
            return 0
        current[aoi] = entry
        write_json(layout.latest, {name: value.model_dump(mode="json") for name, value in current.items()})
        return 1
