"""STAC APIs (Earth Search, Planetary Computer, CDSE …) through pystac-client."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pystac_client
import requests
from pystac_client.exceptions import APIError
from pystac_client.stac_api_io import StacApiIO

from enggang.errors import SceneError, SourceError, SourceUnavailable
from enggang.sources.base import Bounds, SearchResult, failure_of, meet, require_interval, settle, with_retries
from enggang.sources.stac import StacOptions
from enggang.sources.stac_static import scene_from_dict
from enggang.types import Failure, Scene

_PAGE = 100
_TIMEOUT_SECONDS = 60
_RETRYABLE_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class StacApi:
    """A STAC API by the URL of its landing page. A whole search is tried again, so a page is never lost."""

    href: str
    options: StacOptions = field(default_factory=StacOptions)
    attempts: int = 4
    first_wait: float = 0.5

    @property
    def name(self) -> str:
        """The address of its landing page."""
        return self.href

    def search(self, bounds: Bounds, start: datetime, end: datetime) -> SearchResult:
        """See `Source.search`."""
        require_interval(start, end)
        found = with_retries(lambda: self._features(bounds, start, end), self.attempts, self.first_wait)
        scenes: list[Scene] = []
        failures: list[Failure] = []
        for feature in found:
            try:
                scene = scene_from_dict(feature, _self_href(feature), self.options)
            except SceneError as error:
                failures.append(failure_of(str(feature.get("id")), error))
                continue
            if start <= scene.acquired < end and meet(scene.bounds, bounds):
                scenes.append(scene)
        return settle(scenes, failures)

    def _features(self, bounds: Bounds, start: datetime, end: datetime) -> list[dict[str, Any]]:
        with _service_errors(self.href):
            transport = StacApiIO(timeout=_TIMEOUT_SECONDS, max_retries=None)
            client = pystac_client.Client.open(self.href, stac_io=transport)
            search = client.search(
                collections=list(self.options.collections) or None,
                bbox=list(bounds),
                datetime=[start.astimezone(UTC), end.astimezone(UTC)],
                limit=_PAGE,
            )
            return list(search.items_as_dicts())


@contextmanager
def _service_errors(href: str) -> Iterator[None]:
    try:
        yield
    except APIError as error:
        status = getattr(error, "status_code", None)
        if status is None:
            raise SourceUnavailable(f"{href} can't be reached ({error})", "try again later") from error
        if status in _RETRYABLE_STATUS:
            raise SourceUnavailable(f"{href} answered {status} ({error})", "try again later") from error
        raise SourceError(f"{href} answered {status} ({error})", "check the address and the collections") from error
    except requests.JSONDecodeError as error:
        raise SourceError(f"{href} answered something else than JSON", "check the address") from error
    except (requests.ConnectionError, requests.Timeout) as error:
        raise SourceUnavailable(f"{href} can't be reached ({type(error).__name__})", "try again later") from error
    except (requests.RequestException, KeyError, TypeError, ValueError) as error:
        raise SourceError(f"{href} is not a STAC API ({error})", "give the URL of its landing page") from error


def _self_href(feature: dict[str, Any]) -> str | None:
    links = feature.get("links")
    hrefs = [link.get("href") for link in links or () if isinstance(link, dict) and link.get("rel") == "self"]
    return str(hrefs[0]) if hrefs and hrefs[0] else None
