"""The static STAC 1.1 catalogue over all products: any web server or bucket can serve it, hrefs are relative.

`products/catalog.json` → `products/<collection>/collection.json` → `…/<aoi>/<night>/item.json`. An item is part of its
immutable product folder; collections and the catalogue are made anew from the folders that are there, so an
interrupted run is completed by the next.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pystac
import shapely
from odc.geo.geobox import GeoBox
from shapely.geometry import mapping
from shapely.geometry.polygon import orient

from enggang.alerts.records import Versions
from enggang.errors import PublishError
from enggang.files import read_json, remove_leftovers, write_json
from enggang.layout import Layout
from enggang.publish.colours import ClassColour, Classes
from enggang.publish.folders import locked, revision_folder, revision_of
from enggang.publish.layers import LAYERS, Layer

ALERTS = "alerts"
ITEM = "item.json"
_LICENCE = "CC-BY-4.0"
#: Footprints keep a metre, which is finer than any pixel; coordinates as in RFC 7946.
_TOLERANCE_DEG = 1e-5
_DECIMALS = 7
_EXTENSIONS = (
    "https://stac-extensions.github.io/projection/v2.0.0/schema.json",
    "https://stac-extensions.github.io/file/v2.1.0/schema.json",
    "https://stac-extensions.github.io/version/v1.2.0/schema.json",
)
_RASTER_EXTENSIONS = (
    "https://stac-extensions.github.io/raster/v2.0.0/schema.json",
    "https://stac-extensions.github.io/classification/v2.0.0/schema.json",
)
_PROVIDER = pystac.Provider("Enggang", roles=[pystac.ProviderRole.PRODUCER, pystac.ProviderRole.PROCESSOR])
_TITLES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        ALERTS: (
            "Forest alerts / Peringatan hutan",
            "Clearings found by the monitor, with status, dates, probability and area.\n\n"
            "Pembukaan hutan yang ditemukan pemantau, dengan status, tanggal, peluang, dan luas.",
        ),
        **{
            name: (f"{entry.title_en} / {entry.title_id}", f"{entry.description_en}\n\n{entry.description_id}")
            for name, entry in LAYERS.items()
        },
    }
)


@dataclass(frozen=True, slots=True)
class ProductFile:
    """One file of a product folder, as a STAC asset; `fields` are further asset fields such as bands."""

    key: str
    name: str
    title: str
    media_type: str
    roles: tuple[str, ...]
    fields: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class Product:
    """What an item says of a product folder. `derived_from`: paths of other items below the products folder."""

    collection: str
    aoi: str
    night: date
    at: datetime
    geobox: GeoBox
    versions: Versions
    sources: tuple[str, ...]
    files: tuple[ProductFile, ...]
    derived_from: tuple[str, ...] = ()


def raster_fields(layer: Layer) -> dict[str, Any]:
    """The asset fields of a layer's COG: STAC 1.1 bands with the raster and classification extensions."""
    band: dict[str, Any] = {
        "name": layer.name,
        "description": f"{layer.title_en} / {layer.title_id}",
        "data_type": layer.dtype,
        "nodata": layer.nodata,
        "unit": layer.unit,
        "raster:scale": layer.scale,
        "raster:offset": layer.offset,
    }
    if isinstance(layer.colours, Classes):
        band["classification:classes"] = [_class(entry) for entry in layer.colours.entries]
    return {"bands": [band]}


def write_item(folder: Path, product: Product, revision: int) -> Path:
    """Write `item.json` into a product folder whose files are complete."""
    item = pystac.Item(
        id="-".join((product.collection, product.aoi, revision_folder(Path(product.night.isoformat()), revision).name)),
        geometry=_geometry(product.geobox),
        bbox=list(_bounds(product.geobox)),
        datetime=product.at,
        properties=_properties(product, revision),
        stac_extensions=[*_EXTENSIONS, *(_RASTER_EXTENSIONS if product.collection in LAYERS else ())],
        collection=product.collection,
    )
    for file in product.files:
        item.add_asset(file.key, _asset(folder / file.name, file))
    item.add_links(_item_links(product, revision))
    return write_json(folder / ITEM, item.to_dict(include_self_link=False, transform_hrefs=False))


def update_catalogue(layout: Layout) -> int:
    """Make collections and catalogue agree with the product folders; the number of files written."""
    with locked(layout.lock("products")):
        remove_leftovers(layout.products)
        written = 0
        present = []
        for name in _TITLES:
            items = _current_items(layout.products / name)
            remove_leftovers(layout.products / name)
            if items:
                present.append(name)
                written += _write_changed(layout.products / name / "collection.json", _collection(name, items))
        return written + _write_changed(layout.products / "catalog.json", _catalogue(present))


def _properties(product: Product, revision: int) -> dict[str, Any]:
    grid, epsg = product.geobox, product.geobox.crs.epsg if product.geobox.crs else None
    # GDAL's STACIT driver still looks for proj:epsg, which version 2 of the extension replaced by proj:code.
    code = {"proj:code": f"EPSG:{epsg}", "proj:epsg": epsg} if epsg else {"proj:wkt2": str(grid.crs)}
    return {
        **code,
        "proj:shape": [int(n) for n in grid.shape],
        "proj:transform": list(grid.transform)[:6],
        "title": f"{_TITLES[product.collection][0]}, {product.aoi}, {product.night.isoformat()}",
        "license": _LICENCE,
        "version": str(revision),
        "enggang:aoi": product.aoi,
        "enggang:night": product.night.isoformat(),
        "enggang:model": product.versions.model,
        "enggang:state": product.versions.state,
        "enggang:data": product.versions.data,
        "enggang:software": product.versions.software,
        "enggang:sources": list(product.sources),
    }


def _item_links(product: Product, revision: int) -> list[pystac.Link]:
    json = pystac.MediaType.JSON
    links = [
        pystac.Link("root", "../../../catalog.json", json),
        pystac.Link("parent", "../../collection.json", json),
        pystac.Link("collection", "../../collection.json", json),
        *(pystac.Link("derived_from", f"../../../{path}", pystac.MediaType.GEOJSON) for path in product.derived_from),
    ]
    if revision > 1:
        older = revision_folder(Path(product.night.isoformat()), revision - 1).name
        links.append(pystac.Link("predecessor-version", f"../{older}/{ITEM}", pystac.MediaType.GEOJSON))
    return links


def _asset(path: Path, file: ProductFile) -> pystac.Asset:
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    # A multihash: 0x12 = SHA-256, 0x20 = its length in bytes.
    facts = {"file:checksum": f"1220{digest}", "file:size": path.stat().st_size, **file.fields}
    return pystac.Asset(f"./{file.name}", file.title, None, file.media_type, list(file.roles), facts)


def _class(entry: ClassColour) -> dict[str, Any]:
    return {
        "value": int(entry.value),
        "name": entry.label_en.replace(" ", "-"),
        "description": f"{entry.label_en} / {entry.label_id}",
        "color_hint": entry.colour.lstrip("#").upper(),
    }


def _geometry(geobox: GeoBox) -> dict[str, Any]:
    outline = orient(geobox.geographic_extent.geom.simplify(_TOLERANCE_DEG))
    return dict(mapping(shapely.transform(outline, lambda points: points.round(_DECIMALS))))


def _bounds(geobox: GeoBox) -> tuple[float, float, float, float]:
    box = geobox.geographic_extent.boundingbox
    west, south, east, north = (round(edge, _DECIMALS) for edge in (box.left, box.bottom, box.right, box.top))
    return west, south, east, north


def _current_items(collection: Path) -> list[Path]:
    """The newest revision of every night of every area, sorted; older revisions are linked from newer ones."""
    newest: dict[tuple[str, str], int] = {}
    for item in collection.glob(f"*/*/{ITEM}"):
        named = revision_of(item.parent.name)
        if named is not None:
            key = (item.parent.parent.name, named[0])
            newest[key] = max(newest.get(key, 0), named[1])
    return [revision_folder(collection / aoi / night, number) / ITEM for (aoi, night), number in sorted(newest.items())]


def _collection(name: str, items: list[Path]) -> dict[str, Any]:
    title, description = _TITLES[name]
    collection = pystac.Collection(
        name, description, _extent(items), title=title, license=_LICENCE, providers=[_PROVIDER]
    )
    collection.add_links(
        [
            pystac.Link("root", "../catalog.json", pystac.MediaType.JSON),
            pystac.Link("parent", "../catalog.json", pystac.MediaType.JSON),
            *(_item_link(path) for path in items),
        ]
    )
    return collection.to_dict(include_self_link=False, transform_hrefs=False)


def _item_link(path: Path) -> pystac.Link:
    aoi, night = path.parent.parent.name, path.parent.name
    return pystac.Link("item", f"./{aoi}/{night}/{ITEM}", pystac.MediaType.GEOJSON, f"{aoi}, {night}")


def _extent(items: list[Path]) -> pystac.Extent:
    """Extent of a collection: an area's grid never changes, so its first and last item are enough to know."""
    by_aoi: dict[str, list[Path]] = {}
    for path in items:
        by_aoi.setdefault(path.parent.parent.name, []).append(path)
    ends = [_read_item(path) for paths in by_aoi.values() for path in (paths[0], paths[-1])]
    boxes = [item["bbox"] for item in ends]
    whole = [min(b[0] for b in boxes), min(b[1] for b in boxes), max(b[2] for b in boxes), max(b[3] for b in boxes)]
    single = [boxes[i] for i in range(0, len(boxes), 2)]
    times = sorted(datetime.fromisoformat(item["properties"]["datetime"]) for item in ends)
    spatial = pystac.SpatialExtent([whole, *single] if len(single) > 1 else single)
    return pystac.Extent(spatial, pystac.TemporalExtent([[times[0], times[-1]]]))


def _read_item(path: Path) -> dict[str, Any]:
    try:
        return dict(read_json(path))
    except ValueError as error:
        raise PublishError(f"{path} is damaged ({error})", "restore it from a backup") from error


def _catalogue(collections: list[str]) -> dict[str, Any]:
    catalogue = pystac.Catalog(
        "enggang", "Forest alerts and layers, night by night. Peringatan hutan dan lapisan peta, malam demi malam."
    )
    catalogue.add_link(pystac.Link("root", "./catalog.json", pystac.MediaType.JSON))
    catalogue.add_links(
        [
            pystac.Link("child", f"./{name}/collection.json", pystac.MediaType.JSON, _TITLES[name][0])
            for name in collections
        ]
    )
    return catalogue.to_dict(include_self_link=False, transform_hrefs=False)


def _write_changed(path: Path, value: dict[str, Any]) -> int:
    if path.is_file() and read_json(path) == value:
        return 0
    write_json(path, value)
    return 1
