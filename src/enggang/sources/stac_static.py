"""Static STAC catalogues: JSON files that link to each other, in a folder or behind any web server."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

import httpx
import orjson
import pystac
from pystac.utils import make_absolute_href

from enggang.errors import EnggangError, SceneError, SourceError, SourceUnavailable
from enggang.sources.base import Bounds, SearchResult, failure_of, meet, require_interval, settle, with_retries
from enggang.sources.stac import StacOptions, scene_of
from enggang.types import Failure, Scene

_RETRYABLE_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})
_READERS = 8
_TIMEOUT = httpx.Timeout(30.0, connect=10.0)
_MALFORMED = (pystac.STACError, KeyError, TypeError, ValueError, AttributeError)


def fetch(href: str, client: httpx.Client) -> Any:
    """The JSON at a path, file: URL or http(s) URL.

    Raises `SourceUnavailable` where another try can help, `SourceError` where it can't.
    """
    scheme = urlsplit(href).scheme
    try:
        if scheme in ("http", "https"):
            return orjson.loads(_get(href, client))
        path = Path(url2pathname(urlsplit(href).path)) if scheme == "file" else Path(href)
        return orjson.loads(path.read_bytes())
    except orjson.JSONDecodeError as error:
        raise SourceError(f"{href} is not JSON ({error})", "restore the file") from error
    except OSError as error:
        raise SourceError(f"{href} can't be read ({error.strerror})", "check the path and its permissions") from error


def _get(href: str, client: httpx.Client) -> bytes:
    try:
        response = client.get(href)
    except httpx.TransportError as error:
        raise SourceUnavailable(f"{href} can't be reached ({type(error).__name__})", "try again later") from error
    if response.status_code in _RETRYABLE_STATUS:
        raise SourceUnavailable(f"{href} answered {response.status_code}", "try again later")
    if response.status_code != 200:
        raise SourceError(f"{href} answered {response.status_code}", "check the address")
    return response.content


def open_client() -> httpx.Client:
    """A client for catalogues: bounded waiting, redirects followed."""
    return httpx.Client(timeout=_TIMEOUT, follow_redirects=True)


def scene_from_dict(document: Mapping[str, Any], href: str | None, options: StacOptions) -> Scene:
    """The scene of an item's JSON. Raises `SceneError` where it isn't an item, or not one of a scene."""
    try:
        item = pystac.Item.from_dict(dict(document), href=href, preserve_dict=False, migrate=False)
        return scene_of(item, options)
    except _MALFORMED as error:
        name = document.get("id") or href
        raise SceneError(f"item {name} is malformed ({type(error).__name__}: {error})", "correct the item") from error


@dataclass(frozen=True, slots=True)
class StaticCatalogue:
    """A static catalogue by the path or URL of its root JSON. Links are followed with a few readers at once."""

    href: str
    options: StacOptions = field(default_factory=StacOptions)

    @property
    def name(self) -> str:
        """The address of its root."""
        return self.href

    def search(self, bounds: Bounds, start: datetime, end: datetime) -> SearchResult:
        """See `Source.search`. An item that can't be read is a failure; a root that can't be read raises."""
        require_interval(start, end)
        with open_client() as client, ThreadPoolExecutor(_READERS) as readers:
            walk = _Walk(lambda href: with_retries(lambda: fetch(href, client)), readers)
            items, failures = walk.items(self.href, self.options.collections)
        scenes = []
        for href, document in items:
            try:
                scene = scene_from_dict(document, href, self.options)
            except SceneError as error:
                failures.append(failure_of(str(document.get("id") or href), error))
                continue
            if start <= scene.acquired < end and meet(scene.bounds, bounds):
                scenes.append(scene)
        return settle(scenes, failures)


@dataclass(frozen=True, slots=True)
class _Walk:
    read: Callable[[str], Any]
    readers: ThreadPoolExecutor

    def items(
        self, root: str, collections: tuple[str, ...]
    ) -> tuple[list[tuple[str, Mapping[str, Any]]], list[Failure]]:
        """(href, JSON) of every item below `root`, level by level, in the order of the links."""
        found: list[tuple[str, Mapping[str, Any]]] = []
        failures: list[Failure] = []
        seen = {root}
        level: list[tuple[str, Any]] = [(root, self.read(root))]
        if not isinstance(level[0][1], dict):
            raise SourceError(f"{root} is not a STAC catalogue", "give the path or URL of its catalog.json")
        while level:
            links: list[str] = []
            for href, document in level:
                if document.get("type") == "Feature":
                    if not collections or document.get("collection") in collections:
                        found.append((href, document))
                elif document.get("type") != "Collection" or not collections or document.get("id") in collections:
                    links += [link for link in _links(href, document) if link not in seen]
                    seen.update(links)
            level = list(self._documents(dict.fromkeys(links), failures))
        return found, failures

    def _documents(self, hrefs: Iterable[str], failures: list[Failure]) -> Iterator[tuple[str, Any]]:
        for href, answer in self.readers.map(self._try, hrefs):
            if isinstance(answer, EnggangError):
                failures.append(failure_of(href, answer))
            else:
                yield href, answer

    def _try(self, href: str) -> tuple[str, Any]:
        try:
            document = self.read(href)
        except SourceError as error:
            return href, error
        if not isinstance(document, dict):
            return href, SourceError(f"{href} is not a STAC document", "restore the file")
        return href, document


def _links(href: str, document: Mapping[str, Any]) -> Iterator[str]:
    for link in document.get("links") or ():
        if isinstance(link, dict) and link.get("rel") in ("child", "item") and link.get("href"):
            yield make_absolute_href(str(link["href"]), href)
