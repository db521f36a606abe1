"""A static STAC catalogue from a folder of dated GeoTIFFs, so that they enter as any other scene does."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pystac
import rasterio
from odc.geo.geobox import GeoBox
from odc.geo.geom import BoundingBox
from rasterio.errors import RasterioError

from enggang.errors import DuplicateScene, SceneError, SourceError
from enggang.files import read_json, write_json
from enggang.sources.stac import ALIASES, POLARISATIONS, SENSOR_PROPERTY
from enggang.types import Failure, Sensor, utc

_DAY = r"(?P<year>(?:19|20)\d\d)(?P<s>[-_.]?)(?P<month>0[1-9]|1[0-2])(?P=s)(?P<day>0[1-9]|[12]\d|3[01])"
_TIME = r"(?P<hour>[01]\d|2[0-3])[-_:]?(?P<minute>[0-5]\d)[-_:]?(?P<second>[0-5]\d)"
#: Tried in this order: YYYYMMDDThhmmss, YYYY-MM-DD · YYYY_MM_DD · YYYYMMDD, YYYYDDD.
DATE_PATTERNS: tuple[str, ...] = (
    rf"(?<!\d){_DAY}[T_]{_TIME}(?!\d)",
    rf"(?<!\d){_DAY}(?!\d)",
    r"(?<!\d)(?P<year>(?:19|20)\d\d)(?P<doy>[0-3]\d\d)(?!\d)",
)
#: A date without time of day stands for noon UTC: its local date is then the same from UTC−12 to UTC+11.
_NOON = 12
_BAND_WORDS = frozenset(ALIASES.values()) | POLARISATIONS | {"ndvi", "nbr", "ndmi", "evi"}
_SUFFIXES = (".tif", ".tiff")
TIME_KNOWN = "enggang:time_known"
ORBIT_DERIVED = "enggang:orbit_state_derived"


@dataclass(frozen=True, slots=True)
class BuildSpec:
    """What the files don't say themselves.

    `bands` names the file's bands in order; empty = from the file name or the band descriptions. `date_pattern` is a
    regular expression with the groups year, month, day or doy, and as needed hour, minute, second, band.
    `unit` is "dB", "power", "amplitude", "reflectance" or "1". `scale`, `offset`, `nodata` None = as the file says.
    """

    collection: str
    sensor: Sensor
    bands: tuple[str, ...] = ()
    unit: str = "1"
    date_pattern: str | None = None
    nodata: float | None = None
    scale: float | None = None
    offset: float | None = None
    platform: str | None = None
    orbit_state: str | None = None
    title: str = ""


@dataclass(frozen=True, slots=True)
class BuildReport:
    """What was made: the catalogue's path, the ids of its scenes in order, and the files left out, with reasons."""

    catalogue: Path
    scenes: tuple[str, ...]
    skipped: tuple[Failure, ...]


@dataclass(frozen=True, slots=True)
class _File:
    path: Path
    acquired: datetime
    time_known: bool
    bands: tuple[str, ...]
    geobox: GeoBox
    nodata: float | None
    scales: tuple[float, ...]
    offsets: tuple[float, ...]
    dtype: str


def build_catalog(folder: Path, out: Path, spec: BuildSpec) -> BuildReport:
    """Write `out/catalog.json` and one collection of items for the dated GeoTIFFs below `folder`.

    Items link to the files where they lie. Other collections that `out` holds are kept. Equal inputs give equal bytes.
    Raises `SourceError` where the folder has no dated GeoTIFF, `DuplicateScene` where two files give the same band at
    the same time.
    """
    if not folder.is_dir():
        raise SourceError(f"no folder {folder}", "give the folder that holds the GeoTIFFs")
    pattern = [re.compile(p) for p in ((spec.date_pattern,) if spec.date_pattern else DATE_PATTERNS)]
    files, skipped = _scan(folder, pattern, spec)
    if not files:
        reasons = "; ".join(f"{f.what}: {f.reason}" for f in skipped[:3]) or "it holds no .tif file"
        raise SourceError(
            f"no dated GeoTIFF in {folder} ({reasons})", "put a date such as 2025-08-17 in the file names"
        )
    root = out.resolve() / spec.collection
    items = [_item(group, root, spec) for group in _groups(files)]
    _write(out.resolve(), root, items, spec)
    return BuildReport(out.resolve() / "catalog.json", tuple(item.id for item in items), tuple(skipped))


def parse_time(stem: str, patterns: Iterable[re.Pattern[str]]) -> tuple[datetime, bool, str | None] | None:
    """(time in UTC, whether the time of day is known, band) by the first pattern that fits a file's stem; else None."""
    for pattern in patterns:
        match = pattern.search(stem)
        if match is None:
            continue
        parts = {k: v for k, v in match.groupdict().items() if v is not None}
        clock = {k: int(parts[k]) for k in ("hour", "minute", "second") if k in parts}
        try:
            if "doy" in parts:
                day = datetime(int(parts["year"]), 1, 1, tzinfo=UTC) + timedelta(days=int(parts["doy"]) - 1)
            else:
                day = datetime(int(parts["year"]), int(parts["month"]), int(parts["day"]), tzinfo=UTC)
        except (ValueError, KeyError):
            continue
        if day.year != int(parts["year"]):
            continue
        time_of_day = timedelta(**{f"{k}s": v for k, v in (clock or {"hour": _NOON}).items()})
        return day + time_of_day, bool(clock), parts.get("band")
    return None


def orbit_state_of(acquired: datetime, longitude: float) -> str | None:
    """Sentinel-1's direction from the local mean solar time of a pass: descending near 06:00, ascending near 18:00.

    None where the time is more than two and a half hours from both. Source: ESA, Sentinel-1 mission (dawn–dusk orbit,
    local time of the ascending node 18:00).
    """
    hours = (acquired.hour + acquired.minute / 60 + longitude / 15) % 24
    for state, nominal in (("descending", 6.0), ("ascending", 18.0)):
        if abs(hours - nominal) <= 2.5:
            return state
    return None


def _scan(folder: Path, patterns: Sequence[re.Pattern[str]], spec: BuildSpec) -> tuple[list[_File], list[Failure]]:
    files, skipped = [], []
    for path in sorted(p for p in folder.rglob("*") if p.suffix.lower() in _SUFFIXES):
        name = path.relative_to(folder).as_posix()
        found = parse_time(path.stem, patterns)
        if found is None:
            skipped.append(Failure(name, "SceneError", "no date in its name", "rename it, or give a date pattern"))
            continue
        try:
            files.append(_inspect(path, found, spec))
        except SceneError as error:
            skipped.append(Failure(name, type(error).__name__, error.what, error.remedy))
    return files, skipped


def _inspect(path: Path, found: tuple[datetime, bool, str | None], spec: BuildSpec) -> _File:
    acquired, time_known, band = found
    try:
        with rasterio.open(path, driver="GTiff") as dataset:
            if dataset.crs is None:
                raise SceneError("it has no coordinate reference system", "assign one with gdal_edit -a_srs")
            names = _band_names(path.stem, band, dataset.count, dataset.descriptions, spec)
            return _File(
                path=path.resolve(),
                acquired=acquired,
                time_known=time_known,
                bands=names,
                geobox=GeoBox(dataset.shape, dataset.transform, dataset.crs),
                nodata=dataset.nodata if spec.nodata is None else spec.nodata,
                scales=tuple(dataset.scales if spec.scale is None else (spec.scale,) * dataset.count),
                offsets=tuple(dataset.offsets if spec.offset is None else (spec.offset,) * dataset.count),
                dtype=str(dataset.dtypes[0]),
            )
    except RasterioError as error:
        raise SceneError(f"it can't be opened ({error})", "restore the file") from error


def _band_names(
    stem: str, band: str | None, count: int, descriptions: Sequence[str | None], spec: BuildSpec
) -> tuple[str, ...]:
    if spec.bands and len(spec.bands) == count:
        return spec.bands
    if count == 1:
        words = [band] if band else re.split(r"[^0-9A-Za-z]+", stem)
        names = [ALIASES.get(word, word.lower()) for word in words]
        known = [n for n in names if n in (spec.bands or _BAND_WORDS)] or ([names[0]] if band else [])
        if known:
            return (known[-1],)
    if not spec.bands and all(descriptions):
        return tuple(ALIASES.get(str(d), str(d).lower()) for d in descriptions)
    given = f"{len(spec.bands)} band names were given" if spec.bands else "neither its name nor its bands say which"
    raise SceneError(f"it has {count} band(s) and {given}", "give one band name for each band of the file")


def _groups(files: Iterable[_File]) -> list[list[_File]]:
    """Files of one time form one item. Raises `DuplicateScene`."""
    by_time: dict[datetime, list[_File]] = {}
    owners: dict[tuple[datetime, str], Path] = {}
    for file in files:
        for band in file.bands:
            other = owners.setdefault((file.acquired, band), file.path)
            if other != file.path:
                raise DuplicateScene(
                    f"{other.name} and {file.path.name} both give {band} of {utc(file.acquired)}",
                    "remove one, or put the time of day in both names",
                )
        by_time.setdefault(file.acquired, []).append(file)
    return [by_time[moment] for moment in sorted(by_time)]


def _item(group: Sequence[_File], root: Path, spec: BuildSpec) -> pystac.Item:
    first = group[0]
    stamp = first.acquired.strftime("%Y%m%dT%H%M%S" if first.time_known else "%Y%m%d")
    name = f"{spec.collection}_{stamp}"
    box = _wgs84_box(group)
    item = pystac.Item(
        id=name,
        geometry=box.polygon.json,
        bbox=[round(v, 9) for v in box.bbox],
        datetime=first.acquired,
        properties=_properties(first, box, spec),
        stac_extensions=list(_EXTENSIONS[spec.sensor]),
        collection=spec.collection,
    )
    item.set_self_href(str(root / name / f"{name}.json"))
    for file in group:
        for key, asset in _assets(file, root / name, spec):
            item.add_asset(key, asset)
    return item


_PROJECTION = "https://stac-extensions.github.io/projection/v2.0.0/schema.json"
_RASTER = "https://stac-extensions.github.io/raster/v2.0.0/schema.json"
_EXTENSIONS: Mapping[Sensor, tuple[str, ...]] = {
    "sar": (_PROJECTION, _RASTER, "https://stac-extensions.github.io/sat/v1.1.0/schema.json"),
    "optical": (_PROJECTION, _RASTER),
}


def _properties(first: _File, box: BoundingBox, spec: BuildSpec) -> dict[str, Any]:
    properties: dict[str, Any] = {SENSOR_PROPERTY: spec.sensor, TIME_KNOWN: first.time_known}
    if spec.platform:
        properties["platform"] = spec.platform
    if spec.sensor == "sar":
        derived = orbit_state_of(first.acquired, (box.left + box.right) / 2) if first.time_known else None
        state = spec.orbit_state or derived
        if state:
            properties |= {"sat:orbit_state": state, ORBIT_DERIVED: spec.orbit_state is None}
    return properties


def _assets(file: _File, folder: Path, spec: BuildSpec) -> Iterable[tuple[str, pystac.Asset]]:
    """One asset a file; a file of several bands is one asset too, whose `bands` say what is where."""
    href = _href(file.path, folder)
    bands = []
    for name, scale, offset in zip(file.bands, file.scales, file.offsets, strict=True):
        unit = "class" if name == "scl" else spec.unit
        band: dict[str, Any] = {"name": name, "data_type": file.dtype, "unit": unit}
        band |= {"raster:scale": scale, "raster:offset": offset} if (scale, offset) != (1.0, 0.0) else {}
        band |= {} if file.nodata is None else {"nodata": _json_number(file.nodata)}
        bands.append(band)
    fields = {
        "bands": bands,
        "proj:code": _code(file.geobox),
        "proj:shape": [int(n) for n in file.geobox.shape],
        "proj:transform": list(file.geobox.transform)[:6],
        "file:size": file.path.stat().st_size,
    }
    key = file.bands[0] if len(file.bands) == 1 else file.path.stem
    media = pystac.MediaType.GEOTIFF
    yield key, pystac.Asset(href, media_type=media, roles=["data"], extra_fields=fields)


def _code(geobox: GeoBox) -> str | None:
    crs = geobox.crs
    return None if crs is None or crs.epsg is None else f"EPSG:{crs.epsg}"


def _json_number(value: float) -> float | str:
    return value if value - value == 0 else str(value)


def _href(path: Path, folder: Path) -> str:
    """Relative where both lie below one folder other than the root or its first level; else absolute."""
    shared = Path(os.path.commonpath([path, folder]))
    return Path(os.path.relpath(path, folder)).as_posix() if len(shared.parts) > 2 else path.as_posix()


def _wgs84_box(group: Sequence[_File]) -> BoundingBox:
    boxes = [file.geobox.geographic_extent.boundingbox for file in group]
    return BoundingBox(
        min(b.left for b in boxes), min(b.bottom for b in boxes),
        max(b.right for b in boxes), max(b.top for b in boxes), "EPSG:4326",
    )  # fmt: skip


def _write(out: Path, root: Path, items: Sequence[pystac.Item], spec: BuildSpec) -> None:
    """Items, then the collection, then the catalogue: a reader never follows a link to nothing."""
    boxes = [item.bbox for item in items if item.bbox]
    union = [min(b[0] for b in boxes), min(b[1] for b in boxes), max(b[2] for b in boxes), max(b[3] for b in boxes)]
    extent = pystac.Extent(
        pystac.SpatialExtent([union]), pystac.TemporalExtent([[items[0].datetime, items[-1].datetime]])
    )
    description = spec.title or f"Scenes of {spec.collection}"
    collection = pystac.Collection(spec.collection, description, extent, title=spec.title or None, license="other")
    collection.set_self_href(str(root / "collection.json"))
    for item in items:
        document = item.to_dict(include_self_link=False, transform_hrefs=False)
        document["links"] = [_link("root", "../../catalog.json"), _link("parent", "../collection.json"),
                             _link("collection", "../collection.json")]  # fmt: skip
        write_json(Path(str(item.self_href)), document)
    document = collection.to_dict(include_self_link=False, transform_hrefs=False)
    document["links"] = [_link("root", "../catalog.json"), _link("parent", "../catalog.json")]
    document["links"] += [_link("item", f"./{item.id}/{item.id}.json", "application/geo+json") for item in items]
    write_json(root / "collection.json", document)
    _write_root(out, spec.collection)


def _write_root(out: Path, collection: str) -> None:
    path = out / "catalog.json"
    known = {collection}
    if path.is_file():
        hrefs = [link["href"] for link in read_json(path)["links"] if link["rel"] == "child"]
        known |= {h.split("/")[1] for h in hrefs if (out / h).is_file()}
    catalogue = pystac.Catalog(out.name, "Scenes from folders of dated GeoTIFFs").to_dict(include_self_link=False)
    children = [_link("child", f"./{name}/collection.json") for name in sorted(known)]
    catalogue["links"] = [_link("root", "./catalog.json"), *children]
    write_json(path, catalogue)


def _link(rel: str, href: str, media: str = "application/json") -> dict[str, str]:
    return {"rel": rel, "href": href, "type": media}
