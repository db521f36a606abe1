"""From a name, path or URL to a source of scenes."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol
from urllib.parse import urlsplit

from enggang.errors import ConfigError, SourceError
from enggang.sources.base import Bounds, SearchResult, Source, with_retries
from enggang.sources.stac import parse_options
from enggang.sources.stac_api import StacApi
from enggang.sources.stac_static import StaticCatalogue, fetch, open_client


class SourceEntry(Protocol):
    """What a dataset catalogue's entry says of a source of scenes."""

    @property
    def type(self) -> str:
        """Which kind of source: a key of `SOURCES`."""
        ...

    @property
    def href(self) -> str:
        """Path or URL."""
        ...

    @property
    def options(self) -> Mapping[str, Any]:
        """Options of that kind of source."""
        ...


def open_stac(href: str, options: Mapping[str, Any] | None = None) -> Source:
    """A STAC source: path of a catalog.json or the folder that holds it, or URL of a static catalogue or an API.

    Raises `SourceError` where there is none, `SourceUnavailable` where a URL can't be reached now, `ConfigError`
    for bad options.
    """
    parsed = parse_options(options or {}, href)
    if urlsplit(href).scheme not in ("http", "https"):
        return StaticCatalogue(str(_catalogue_path(href)), parsed)
    with open_client() as client:
        root = with_retries(lambda: fetch(href, client))
    if not isinstance(root, dict):
        raise SourceError(f"{href} is not a STAC catalogue", "give the URL of its root")
    return StacApi(href, parsed) if _is_api(root) else StaticCatalogue(href, parsed)


#: Kinds of sources: the `type` of a catalogue entry → what opens it from (href, options).
SOURCES: Mapping[str, Callable[[str, Mapping[str, Any]], Source]] = MappingProxyType({"stac": open_stac})


def open_source(name_or_path: str, catalog: Mapping[str, SourceEntry] | None = None) -> Source:
    """Open an entry of `catalog` by name, or a STAC source by path or URL.

    Raises `ConfigError` for a name that is neither, with the nearest known one; see `open_stac` for the rest.
    """
    entries = {} if catalog is None else catalog
    if name_or_path in entries:
        entry = entries[name_or_path]
        opener = SOURCES.get(entry.type)
        if opener is None:
            known = ", ".join(sorted(SOURCES))
            raise ConfigError(f"{name_or_path} is of type {entry.type}, no source of scenes", f"types: {known}")
        return opener(entry.href, entry.options)
    if urlsplit(name_or_path).scheme or Path(name_or_path).exists():
        return open_stac(name_or_path)
    near = difflib.get_close_matches(name_or_path, list(entries), n=1)
    known = ", ".join(sorted(entries)) or "none"
    hint = f"did you mean {near[0]}?" if near else f"give a path, a URL or a name in the catalogue; known: {known}"
    raise ConfigError(f"no source {name_or_path}", hint)


@dataclass(frozen=True)
class DeferredSource:
    """A source that is opened by its first search: what reads no scenes needs no network, and no archive yet."""

    name: str
    catalog: Mapping[str, SourceEntry] = field(default_factory=lambda: MappingProxyType({}))

    @cached_property
    def _opened(self) -> Source:
        return open_source(self.name, self.catalog)

    def search(self, bounds: Bounds, start: datetime, end: datetime) -> SearchResult:
        """See `Source.search`; raises what `open_source` does as well."""
        return self._opened.search(bounds, start, end)


def _catalogue_path(href: str) -> Path:
    path = Path(href.removeprefix("file://"))
    path = path / "catalog.json" if path.is_dir() else path
    if not path.is_file():
        raise SourceError(f"no catalogue at {path}", "make one with `enggang scenes build`, or correct the path")
    return path.resolve()


def _is_api(root: Mapping[str, Any]) -> bool:
    links = [link for link in root.get("links") or () if isinstance(link, dict)]
    conforms = root.get("conformsTo") or ()
    return any(link.get("rel") == "search" for link in links) or any("item-search" in str(c) for c in conforms)
