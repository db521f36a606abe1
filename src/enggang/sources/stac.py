"""A STAC item → a `Scene`. Catalogue layout and transport are the business of `stac_static` and `stac_api`.

Quirks of the providers, all treated here:
- Earth Search v1 names assets by common name, and its Sentinel-2 items from before Collection 1 state
  `offset: -0.1` although `earthsearch:boa_offset_applied` says that the pixels already carry it (earth-search#66);
  beside each COG stands its JPEG2000 source, keyed `<band>-jp2`, which is left out.
- Planetary Computer names assets B04 … SCL, gives several of them the common name `rededge`, and states no scale.
- CDSE has one asset for each band and resolution: B04_10m, B04_20m …
"""

from __future__ import annotations

import hashlib
import posixpath
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, cast
from urllib.parse import urlsplit

import orjson
import pystac
from affine import Affine
from odc.geo.geobox import GeoBox
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pyproj.exceptions import CRSError

from enggang.errors import ConfigError, SceneError
from enggang.sources.base import Bounds
from enggang.types import Asset, OrbitState, Scene, Sensor, utc

#: Asset keys that providers use → common names. CDSE appends the resolution in which the band was measured.
_SENTINEL2 = {
    "B01": ("coastal", 60), "B02": ("blue", 10), "B03": ("green", 10), "B04": ("red", 10), "B05": ("rededge1", 20),
    "B06": ("rededge2", 20), "B07": ("rededge3", 20), "B08": ("nir", 10), "B8A": ("nir08", 20), "B09": ("nir09", 60),
    "B11": ("swir16", 20), "B12": ("swir22", 20), "SCL": ("scl", 20),
}  # fmt: skip
ALIASES: Mapping[str, str] = MappingProxyType(
    {key: name for key, (name, _) in _SENTINEL2.items()}
    | {f"{key}_{metres}m": name for key, (name, metres) in _SENTINEL2.items()}
    | {"VV": "vv", "VH": "vh", "HH": "hh", "HV": "hv"}
)
#: States the sensor of items that come from no satellite's own catalogue.
SENSOR_PROPERTY = "enggang:sensor"
POLARISATIONS = frozenset({"vv", "vh", "hh", "hv"})
_REFLECTANCE = frozenset(name for name, _ in _SENTINEL2.values()) - {"scl"}
_NO_DATA = frozenset({"thumbnail", "overview", "metadata", "visual", "preview"})
_OFFSET_APPLIED = ("earthsearch:boa_offset_applied", "sentinel:boa_offset_applied")
_RASTER_SUFFIXES = (".tif", ".tiff", ".jp2")
_SAR_SIGNS = ("sentinel-1", "c-sar", "sar", "alos", "nisar", "l-sar", "radarsat")
_OPTICAL_SIGNS = ("sentinel-2", "msi", "landsat", "oli", "etm+", "tm", "modis", "viirs", "planetscope")
_SAR_UNIT_BY_PRODUCT = MappingProxyType({"RTC": "power", "NRB": "power", "GRD": "amplitude"})
_UNITS = MappingProxyType({"db": "dB", "decibel": "dB", "linear": "power", "dn": "amplitude", "m2/m2": "power"})


class StacOptions(BaseModel):
    """What a catalogue entry may state about a STAC source where its items don't.

    `bands` maps asset keys to common names and goes before everything else. `scale`, `offset`, `nodata` and `unit`
    replace what the items say, for all bands but `scl`. Unknown keys are refused.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    collections: tuple[str, ...] = ()
    bands: Mapping[str, str] = Field(default_factory=dict)
    sensor: Sensor | None = None
    scale: float | None = None
    offset: float | None = None
    nodata: float | None = None
    unit: str | None = None


def parse_options(options: Mapping[str, Any], where: str) -> StacOptions:
    """Validate the options of one source. Raises `ConfigError`, which names `where` and the key."""
    try:
        return StacOptions.model_validate(dict(options))
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(p) for p in first["loc"])
        known = ", ".join(StacOptions.model_fields)
        raise ConfigError(f"source {where}: option {key}: {first['msg']}", f"known options: {known}") from error


def scene_of(item: pystac.Item, options: StacOptions) -> Scene:
    """The scene that an item describes. Asset hrefs become absolute by the item's own location.

    Raises `SceneError` where the item has no usable time, place, raster asset or sensor.
    """
    acquired = _acquired(item)
    bands = dict(_bands(item, options))
    if not bands:
        raise SceneError(f"item {item.id} has no raster asset", "correct the item's assets, their type and roles")
    sensor = options.sensor or _sensor(item, bands)
    assets = {name: _asset(item, found, name, sensor, options) for name, found in sorted(bands.items())}
    properties = item.properties
    return Scene(
        id=item.id,
        collection=item.collection_id or "",
        acquired=acquired,
        sensor=sensor,
        assets=MappingProxyType(assets),
        bounds=_bounds(item),
        fingerprint=_fingerprint(item, acquired, assets, bands),
        geobox=_geobox(item, bands),
        orbit_state=_orbit_state(properties),
        relative_orbit=_integer(properties.get("sat:relative_orbit")),
        properties=MappingProxyType(properties),
    )


@dataclass(frozen=True, slots=True)
class _Found:
    """A band of an asset: its record in `bands`/`eo:bands` merged with `raster:bands`, and its place in the file."""

    key: str
    asset: pystac.Asset
    record: Mapping[str, Any]
    index: int
    count: int


def _acquired(item: pystac.Item) -> datetime:
    moment = item.datetime or item.common_metadata.start_datetime
    if moment is None:
        raise SceneError(f"item {item.id} has no datetime", "state `datetime` or `start_datetime`")
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _bounds(item: pystac.Item) -> Bounds:
    box = item.bbox
    if box is None or len(box) not in (4, 6):
        raise SceneError(f"item {item.id} has no bbox", "state `bbox` and `geometry`")
    half = len(box) // 2
    return (float(box[0]), float(box[1]), float(box[half]), float(box[half + 1]))


def _found(item: pystac.Item) -> Iterator[_Found]:
    for key, asset in item.assets.items():
        path = urlsplit(asset.href).path.lower()
        media = (asset.media_type or "").lower()
        raster = path.endswith(_RASTER_SUFFIXES) or media.startswith(("image/tiff", "image/jp2"))
        if not raster or key.endswith("-jp2") or _NO_DATA & {key, *(asset.roles or ())}:
            continue
        extra = asset.extra_fields
        names = extra.get("bands") or extra.get("eo:bands") or [{}]
        rasters = extra.get("raster:bands") or []
        count = max(len(names), len(rasters))
        for n in range(count):
            name = names[n] if n < len(names) else {}
            yield _Found(key, asset, {**name, **(rasters[n] if n < len(rasters) else {})}, n + 1, count)


def _bands(item: pystac.Item, options: StacOptions) -> Iterator[tuple[str, _Found]]:
    """(common name, band): by the option, the common name if one asset alone or best claims it, the key, an alias."""
    found = sorted(_found(item), key=lambda f: f.count > 1)
    claims = Counter(_common_name(f) for f in found)
    owners = {_by_key(f, options) for f in found if f.count == 1}
    taken: set[str] = set()
    for band in found:
        common, by_key = _common_name(band), _by_key(band, options)
        unique = common is not None and (claims[common] == 1 or common == by_key) and band.key not in options.bands
        contested = common in owners and common != by_key
        name = common if unique and not contested and common else by_key
        if name not in taken:
            taken.add(name)
            yield name, band


def _common_name(band: _Found) -> str | None:
    name = band.record.get("common_name") or band.record.get("eo:common_name")
    return str(name) if name else None


def _by_key(band: _Found, options: StacOptions) -> str:
    if band.count > 1:
        name = str(band.record.get("name") or f"{band.key}_{band.index}")
        return options.bands.get(name, ALIASES.get(name, name))
    return options.bands.get(band.key, ALIASES.get(band.key, band.key))


def _asset(item: pystac.Item, found: _Found, name: str, sensor: Sensor, options: StacOptions) -> Asset:
    href = found.asset.get_absolute_href()
    if href is None:
        raise SceneError(
            f"item {item.id}: asset {found.key} has a relative href and the item no location", "set `self`"
        )
    if name == "scl":
        return Asset(href, name, nodata=_number(found.record.get("nodata")), unit="class", index=found.index)
    scale, offset = _scaling(item, found.record, name)
    nodata = _number(found.record.get("nodata", found.asset.extra_fields.get("nodata")))
    return Asset(
        href=href,
        band=name,
        scale=scale if options.scale is None else options.scale,
        offset=offset if options.offset is None else options.offset,
        nodata=nodata if options.nodata is None else options.nodata,
        unit=options.unit or _unit(item, found, name, sensor),
        index=found.index,
    )


def _scaling(item: pystac.Item, record: Mapping[str, Any], name: str) -> tuple[float, float]:
    properties = item.properties
    stated = (record.get("scale", record.get("raster:scale")), record.get("offset", record.get("raster:offset")))
    is_sentinel2 = name in _REFLECTANCE and str(properties.get("platform", "")).lower().startswith("sentinel-2")
    if is_sentinel2 and any(properties.get(key) is True for key in _OFFSET_APPLIED):
        return float(stated[0] or 1e-4), 0.0
    if is_sentinel2 and stated == (None, None):
        # ESA adds 1000 to the numbers from processing baseline 04.00 on.
        return 1e-4, -0.1 if str(properties.get("s2:processing_baseline", "")) >= "04.00" else 0.0
    return float(1.0 if stated[0] is None else stated[0]), float(stated[1] or 0.0)


def _unit(item: pystac.Item, found: _Found, name: str, sensor: Sensor) -> str:
    stated = found.record.get("unit") or found.asset.extra_fields.get("unit")
    if stated:
        return _UNITS.get(str(stated).lower(), str(stated))
    if sensor == "sar" and name in POLARISATIONS:
        product = str(item.properties.get("sar:product_type", ""))
        unit = _SAR_UNIT_BY_PRODUCT.get(product.upper())
        if unit is None:
            raise SceneError(
                f"item {item.id}: asset {found.key} doesn't say whether it is dB or power",
                "state `unit` in the item's bands, or as an option of the source",
            )
        return unit
    return "reflectance" if name in _REFLECTANCE else "1"


def _sensor(item: pystac.Item, bands: Mapping[str, _Found]) -> Sensor:
    properties = item.properties
    stated = properties.get(SENSOR_PROPERTY)
    if stated in ("sar", "optical"):
        return cast(Sensor, stated)
    said = [*(properties.get("instruments") or ()), properties.get("platform"), properties.get("constellation")]
    words = [str(word).lower().replace(" ", "-").replace("_", "-") for word in said if word]
    if any(key.startswith("sar:") for key in properties) or any(w.startswith(_SAR_SIGNS) for w in words):
        return "sar"
    if any(w.startswith(_OPTICAL_SIGNS) for w in words) or "eo:cloud_cover" in properties:
        return "optical"
    if bands.keys() <= POLARISATIONS:
        return "sar"
    if bands.keys() & _REFLECTANCE:
        return "optical"
    raise SceneError(
        f"item {item.id} doesn't say its sensor (platform {properties.get('platform')}, bands {', '.join(bands)})",
        "state `instruments`, `platform` or sar: fields, or `sensor` as an option of the source",
    )


def _geobox(item: pystac.Item, bands: Mapping[str, _Found]) -> GeoBox | None:
    """The finest grid that the item states, or None. A statement only: the reader trusts the file."""
    grids = (_grid({**item.properties, **found.asset.extra_fields}) for found in bands.values())
    stated = [grid for grid in grids if grid is not None]
    return min(stated, key=lambda g: abs(g.resolution.x), default=None)


def _grid(fields: Mapping[str, Any]) -> GeoBox | None:
    code = fields.get("proj:code") or fields.get("proj:epsg")
    shape, transform = fields.get("proj:shape"), fields.get("proj:transform")
    if not code or not shape or not transform or len(shape) != 2 or len(transform) not in (6, 9):
        return None
    try:
        crs = code if isinstance(code, str) else f"EPSG:{int(code)}"
        return GeoBox((int(shape[0]), int(shape[1])), Affine(*(float(v) for v in transform[:6])), crs)
    except (CRSError, ValueError, TypeError):
        return None


def _orbit_state(properties: Mapping[str, Any]) -> OrbitState | None:
    state = str(properties.get("sat:orbit_state", "")).lower()
    return cast(OrbitState, state) if state in ("ascending", "descending") else None


def _number(value: Any) -> float | None:
    """A STAC number; `nodata` may also be one of the words nan, inf, -inf."""
    return None if value is None else float(value)


def _integer(value: Any) -> int | None:
    return None if value is None else int(value)


def _fingerprint(
    item: pystac.Item, acquired: datetime, assets: Mapping[str, Asset], bands: Mapping[str, _Found]
) -> str:
    """SHA-256 over id, time and assets. Hrefs count as written in the item, so a moved archive keeps its
    fingerprints, and without their query, since signed URLs differ at each request."""
    generated = [item.properties.get(key) for key in ("s2:generation_time", "s2:processing_baseline")]
    rows = []
    for name, asset in sorted(assets.items()):
        extra = bands[name].asset.extra_fields
        written = bands[name].asset.href.partition("?")[0]
        href = written if "://" in written else posixpath.normpath(written)
        numbers = [asset.scale, asset.offset, asset.nodata, asset.unit, asset.index]
        rows.append([name, href, *numbers, extra.get("file:size"), extra.get("file:checksum")])
    return hashlib.sha256(orjson.dumps([item.id, utc(acquired), generated, rows])).hexdigest()
