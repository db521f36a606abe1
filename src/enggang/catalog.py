"""The dataset catalogue: `catalog["alerts"].load(aoi="demo")` opens anything that comes in or goes out.

`data_catalog.yaml` has one entry for each dataset. An href may hold the placeholders {home}, {aoi}, {monitor} and
{night}, a `*` where many files make one table, and a JSON pointer behind `#` where a file names the current one:
`{home}/products/latest.json#/{aoi}/alerts/geoparquet`.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, Self
from urllib.parse import urlsplit

import orjson
import pandas as pd
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from enggang.catalog_readers import READERS, DatasetType
from enggang.errors import CatalogError, ConfigError, UnknownDataset

PLACEHOLDERS = ("home", "aoi", "monitor", "night")
_PLACEHOLDER = re.compile(r"\{(\w*)\}")
_VALUE = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]*$")


class Entry(BaseModel):
    """What the catalogue says of one dataset; unknown keys are refused.

    `night_href` is where a past night lies. `options` are for sources of scenes alone (see `enggang.sources.stac`),
    `layer` for vector files with several, `grid` for Zarr stores: the root attribute that holds crs, transform and
    shape. `max_age_hours` is the age beyond which the dataset is stale.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: DatasetType
    role: Literal["in", "out"]
    href: str = Field(min_length=1)
    night_href: str | None = None
    title_en: str = Field(min_length=1)
    title_id: str = Field(min_length=1)
    description: str = Field(min_length=1)
    licence: str = Field(min_length=1)
    provider: str = Field(min_length=1)
    schedule: str = Field(min_length=1)
    max_age_hours: float | None = Field(default=None, gt=0)
    crs: str | None = None
    bands: tuple[str, ...] = ()
    layer: str | None = None
    grid: str | None = None
    options: Mapping[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for href in filter(None, (self.href, self.night_href)):
            if unknown := [name for name in _PLACEHOLDER.findall(href) if name not in PLACEHOLDERS]:
                known = ", ".join(f"{{{name}}}" for name in PLACEHOLDERS)
                raise ValueError(f"unknown placeholder {{{unknown[0]}}}; known: {known}")
        if self.night_href is not None and "{night}" not in self.night_href:
            raise ValueError("night_href has no {night}")
        if self.options and not READERS[self.type].is_source:
            raise ValueError(f"options are for sources of scenes, not for type {self.type}")
        return self


@dataclass(frozen=True, slots=True)
class Dataset:
    """One entry of an open catalogue."""

    name: str
    entry: Entry
    home: Path

    @property
    def type(self) -> str:
        """Its kind: vector, raster, zarr, stac, table or feed."""
        return self.entry.type

    @property
    def href(self) -> str:
        """Path or URL with {home} filled in; other placeholders stay until `load`."""
        return self.entry.href.replace("{home}", str(self.home))

    @property
    def options(self) -> Mapping[str, Any]:
        """Options of a source of scenes: collections, band names, scaling."""
        return MappingProxyType(dict(self.entry.options))

    def locate(self, **values: str) -> str:
        """The path or URL after placeholders and pointer; a `*` stays. `values` are aoi, monitor and night.

        A value that isn't given is taken from the disk where there is only one. Raises `CatalogError`, with what
        there is to choose from, otherwise, and where the file that the pointer reads is missing.
        """
        href = self._template(values)
        for name in _PLACEHOLDER.findall(href):
            value = values.get(name) or self._only_choice(href, name)
            if not _VALUE.match(value):
                raise CatalogError(
                    f"dataset {self.name}: {name} = {value!r} is not a name", "use letters, digits, - _ ."
                )
            href = href.replace(f"{{{name}}}", value, 1)
        if "night" in values:
            href = _newest_revision(href, values["night"])
        return self._follow(href) if "#" in href else href

    def load(self, **values: Any) -> Any:
        """Open it: vector → GeoDataFrame, raster → lazy DataArray, zarr → lazy Dataset, table → DataFrame, stac and
        feed → `SourceRecord` (`enggang.sources` opens it).

        `values` are aoi, monitor and night as in `locate`, and options of the kind: `masked` of rasters; `group` and
        `snapshot` of Zarr. Raises `CatalogError`.
        """
        reader = READERS[self.entry.type]
        names = set(_PLACEHOLDER.findall(self.entry.href + (self.entry.night_href or ""))) - {"home"}
        for name in values:
            if name not in names | reader.options:
                known = ", ".join(sorted(names | reader.options)) or "none"
                raise CatalogError(
                    f"dataset {self.name} takes no {name}", _nearest(name, names | reader.options, known)
                )
        options = {k: v for k, v in values.items() if k in reader.options}
        href = self.locate(**{k: str(v) for k, v in values.items() if k in names})
        loaded = reader.read(self, href, options)
        if hasattr(loaded, "attrs"):
            loaded.attrs |= {"dataset": self.name, "href": href, "licence": self.entry.licence}
        return loaded

    def _template(self, values: Mapping[str, str]) -> str:
        if "night" not in values or "{night}" in self.entry.href:
            return self.href
        if self.entry.night_href is None:
            raise CatalogError(f"dataset {self.name} keeps no past nights", "leave night out")
        return self.entry.night_href.replace("{home}", str(self.home))

    def _only_choice(self, href: str, name: str) -> str:
        before, _, behind = href.partition(f"{{{name}}}")
        path, pointer, _ = before.partition("#")
        choices = list(self._document(Path(path))) if pointer else _folders(before, behind)
        if len(choices) == 1:
            return choices[0]
        there = ", ".join(sorted(choices)) or "none yet"
        raise CatalogError(f"dataset {self.name} needs {name}", f"give {name}=…; there is: {there}")

    def _follow(self, href: str) -> str:
        path, _, pointer = href.partition("#")
        node: Any = self._document(Path(path))
        for step in pointer.strip("/").split("/"):
            if not isinstance(node, dict) or step not in node:
                choices = list(node) if isinstance(node, dict) else []
                raise CatalogError(
                    f"dataset {self.name}: {path} has no {step}", _nearest(step, choices, ", ".join(choices) or "none")
                )
            node = node[step]
        if not isinstance(node, str):
            raise CatalogError(f"dataset {self.name}: {pointer} in {path} names no file", "correct the href")
        return str(Path(path).parent / node)

    def _document(self, path: Path) -> dict[str, Any]:
        try:
            document = orjson.loads(path.read_bytes())
        except FileNotFoundError as error:
            raise CatalogError(f"dataset {self.name}: there is no {path}", "run a night first (`make demo`)") from error
        except orjson.JSONDecodeError as error:
            raise CatalogError(
                f"dataset {self.name}: {path} is damaged ({error})", "publish the night again"
            ) from error
        return document if isinstance(document, dict) else {}


class Catalog(Mapping[str, Dataset]):
    """All datasets by name. An unknown name raises `UnknownDataset` with the nearest known one."""

    def __init__(self, entries: Mapping[str, Entry], home: Path) -> None:
        self._datasets = {name: Dataset(name, entry, home) for name, entry in entries.items()}

    def __getitem__(self, name: str) -> Dataset:
        try:
            return self._datasets[name]
        except KeyError:
            remedy = _nearest(name, self._datasets, ", ".join(self._datasets))
            raise UnknownDataset(f"no dataset {name}", remedy) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._datasets)

    def __len__(self) -> int:
        return len(self._datasets)

    def describe(self) -> pd.DataFrame:
        """One row a dataset: name, role, type, both titles, schedule, licence, href."""
        columns = ("role", "type", "title_en", "title_id", "schedule", "licence", "href")
        rows = [{"name": d.name} | {c: getattr(d.entry, c) for c in columns} for d in self.values()]
        return pd.DataFrame(rows, columns=["name", *columns]).set_index("name")


def open_catalog(path: Path, home: Path) -> Catalog:
    """Read and validate `data_catalog.yaml`; {home} in hrefs stands for `home`. Nothing else is opened.

    Raises `ConfigError` that names file, entry and key, with the nearest known key.
    """
    try:
        document = yaml.load(path.read_text(encoding="utf-8"), Loader=_UniqueKeys)
    except FileNotFoundError as error:
        raise ConfigError(f"no catalogue at {path}", "set ENGGANG_CATALOG to data_catalog.yaml") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not sound YAML: {' '.join(str(error).split())}", "correct that line") from error
    entries = document.get("datasets") if isinstance(document, dict) else None
    if not isinstance(entries, dict) or set(document) != {"datasets"}:
        raise ConfigError(f"{path} must hold one mapping called datasets", "see data_catalog.yaml of the repository")
    return Catalog({str(name): _entry(path, str(name), value) for name, value in entries.items()}, home)


def _entry(path: Path, name: str, value: Any) -> Entry:
    if not _VALUE.match(name):
        raise ConfigError(f"{path}: {name!r} is no name of a dataset", "use letters, digits, - _ .")
    try:
        return Entry.model_validate(value)
    except ValidationError as error:
        # A misspelt key is also a missing one; the spelling is the cause.
        first = min(error.errors(), key=lambda one: one["type"] != "extra_forbidden")
        key = ".".join(str(p) for p in first["loc"]) or "entry"
        remedy = "correct the value"
        if first["type"] == "extra_forbidden":
            remedy = _nearest(key, Entry.model_fields, ", ".join(Entry.model_fields))
        elif first["type"] == "missing":
            remedy = f"add {key}"
        raise ConfigError(f"{path}: {name}: {key}: {first['msg']}", remedy) from error


class _UniqueKeys(yaml.SafeLoader):
    """YAML that refuses a key given twice, where PyYAML would quietly take the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(None, None, f"the key {key} is given twice", node.start_mark)
        return super().construct_mapping(node, deep)


def _folders(before: str, behind: str) -> list[str]:
    """Names that can stand in a path between `before` and `behind`, where they are a whole path segment."""
    if urlsplit(before).scheme or not before.endswith("/") or (behind and not behind.startswith("/")):
        return []
    root = Path(before)
    return [p.name for p in root.iterdir() if p.is_dir() and _VALUE.match(p.name)] if root.is_dir() else []


def _newest_revision(href: str, night: str) -> str:
    """Products are never changed: a correction of a night lies in `<night>-r2`, `-r3` and so on."""
    before, found, behind = href.partition(f"/{night}/")
    if not found or urlsplit(href).scheme:
        return href
    numbers = [m[1] for p in Path(before).glob(f"{night}-r*") if (m := re.fullmatch(r".*-r([1-9]\d*)", p.name))]
    return f"{before}/{night}-r{max(map(int, numbers))}/{behind}" if numbers else href


def _nearest(wanted: str, known: Any, otherwise: str) -> str:
    near = difflib.get_close_matches(wanted, list(known), n=1)
    return f"did you mean {near[0]}?" if near else f"known: {otherwise}"
