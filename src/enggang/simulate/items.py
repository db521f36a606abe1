"""STAC of the demo archive: one item for each scene, two collections, a static self-contained catalogue."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import pystac
import shapely
from odc.geo.geobox import GeoBox
from pystac import Link

from enggang.simulate.optical import COARSE_BANDS, NODATA, OFFSET, SCALE
from enggang.simulate.passes import OPTICAL_COLLECTION, SAR_COLLECTION, Overpass, overpasses
from enggang.simulate.radar import NODATA as SAR_NODATA
from enggang.simulate.signatures import BANDS, POLARISATIONS
from enggang.simulate.spec import DemoSpec

EXTENSIONS = {
    "file": "https://stac-extensions.github.io/file/v2.1.0/schema.json",
    "eo": "https://stac-extensions.github.io/eo/v2.0.0/schema.json",
    "raster": "https://stac-extensions.github.io/raster/v2.0.0/schema.json",
    "projection": "https://stac-extensions.github.io/projection/v2.0.0/schema.json",
    "sat": "https://stac-extensions.github.io/sat/v1.1.0/schema.json",
    "sar": "https://stac-extensions.github.io/sar/v1.2.0/schema.json",
}


class InstrumentBand(NamedTuple):
    """A band as the instrument names it, and its centre wavelength in µm."""

    name: str
    wavelength: float


#: The instrument's band for each common name (Sentinel-2 user handbook).
SENTINEL2 = {
    "blue": InstrumentBand("B02", 0.490),
    "green": InstrumentBand("B03", 0.560),
    "red": InstrumentBand("B04", 0.665),
    "nir": InstrumentBand("B08", 0.842),
    "swir16": InstrumentBand("B11", 1.610),
    "swir22": InstrumentBand("B12", 2.190),
}
_TITLES = {OPTICAL_COLLECTION: "Sentinel-2 level 2A, simulated", SAR_COLLECTION: "Sentinel-1 gamma nought, simulated"}
_NOTE = "Simulated by Enggang with known truth; not a Copernicus product."


def item_dict(spec: DemoSpec, overpass: Overpass, cloud_cover: float | None) -> dict[str, Any]:
    """The STAC 1.1 item of one scene; assets lie beside it, links are relative."""
    geobox, track = spec.geobox, overpass.track
    west, south, east, north = bounds_wgs84(geobox)
    properties: dict[str, Any] = {
        "constellation": overpass.platform.rstrip("abc"),
        "platform": overpass.platform,
        "proj:code": str(geobox.crs),
        "proj:epsg": geobox.crs.epsg if geobox.crs else None,
        "proj:shape": list(geobox.shape),
        "proj:transform": list(geobox.transform)[:6],
        "sat:orbit_state": track.orbit_state,
        "sat:relative_orbit": track.relative_orbit,
    }
    properties |= _sar_properties() if track.sensor == "sar" else _optical_properties(cloud_cover)
    item = pystac.Item(
        id=overpass.id,
        geometry=shapely.geometry.mapping(shapely.box(west, south, east, north)),
        bbox=[west, south, east, north],
        datetime=overpass.acquired,
        properties=properties,
        collection=track.collection,
        stac_extensions=[
            EXTENSIONS[n] for n in ("file", "projection", "raster", "sat", "sar" if track.sensor == "sar" else "eo")
        ],
    )
    assets = _sar_assets() if track.sensor == "sar" else _optical_assets()
    for key, asset in assets.items():
        item.add_asset(key, asset)
    item.links = [
        _link("root", "../../catalog.json"),
        _link("parent", "../collection.json"),
        _link("collection", "../collection.json"),
    ]
    return item.to_dict(include_self_link=False, transform_hrefs=False)


def collection_dict(spec: DemoSpec, collection: str, members: Sequence[Overpass]) -> dict[str, Any]:
    """The STAC collection that lists `members`."""
    west, south, east, north = bounds_wgs84(spec.geobox)
    moments = [one.acquired for one in members]
    extent = pystac.Extent(
        pystac.SpatialExtent([[west, south, east, north]]),
        pystac.TemporalExtent([[min(moments), max(moments)]]),
    )
    made = pystac.Collection(collection, _NOTE, extent, title=_TITLES[collection], license="Apache-2.0")
    made.links = [_link("root", "../catalog.json"), _link("parent", "../catalog.json")]
    made.links += [_link("item", f"./{one.id}/{one.id}.json", "application/geo+json") for one in members]
    return made.to_dict(include_self_link=False, transform_hrefs=False)


def catalog_dict() -> dict[str, Any]:
    """The root of the catalogue."""
    root = pystac.Catalog("demo", _NOTE, title="Enggang demo archive", catalog_type=pystac.CatalogType.SELF_CONTAINED)
    root.links = [_link("root", "./catalog.json")]
    root.links += [_link("child", f"./{name}/collection.json") for name in (SAR_COLLECTION, OPTICAL_COLLECTION)]
    return root.to_dict(include_self_link=False, transform_hrefs=False)


def members(spec: DemoSpec, collection: str) -> tuple[Overpass, ...]:
    """The acquisitions of one collection in order of time."""
    return tuple(one for one in overpasses(spec) if one.track.collection == collection)


def bounds_wgs84(geobox: GeoBox) -> tuple[float, float, float, float]:
    """West, south, east, north in degrees, 7 decimals."""
    box = geobox.extent.to_crs("EPSG:4326").boundingbox
    return (round(box.left, 7), round(box.bottom, 7), round(box.right, 7), round(box.top, 7))


def _optical_properties(cloud_cover: float | None) -> dict[str, Any]:
    return {"eo:cloud_cover": cloud_cover, "gsd": 10, "instruments": ["msi"], "s2:processing_baseline": "05.11"}


def _sar_properties() -> dict[str, Any]:
    return {
        "gsd": 10,
        "instruments": ["c-sar"],
        "sar:frequency_band": "C",
        "sar:instrument_mode": "IW",
        "sar:polarizations": ["VV", "VH"],
    }


def _optical_assets() -> dict[str, pystac.Asset]:
    assets: dict[str, pystac.Asset] = {}
    for key in BANDS:
        name, wavelength = SENTINEL2[key]
        band = {
            "name": name,
            "eo:common_name": key,
            "eo:center_wavelength": wavelength,
            "data_type": "uint16",
            "nodata": NODATA,
            "unit": "1",
            "raster:scale": SCALE,
            "raster:offset": OFFSET,
            "raster:spatial_resolution": 20 if key in COARSE_BANDS else 10,
        }
        assets[key] = _asset(f"./{name}.tif", "reflectance", band)
    scl = {"name": "SCL", "data_type": "uint8", "nodata": 0, "raster:spatial_resolution": 20}
    assets["scl"] = _asset("./SCL.tif", "data-mask", scl)
    return assets


def _sar_assets() -> dict[str, pystac.Asset]:
    return {
        key: _asset(
            f"./{key.upper()}.tif",
            "data",
            {"name": key.upper(), "data_type": "float32", "nodata": SAR_NODATA, "unit": "dB"},
        )
        for key in POLARISATIONS
    }


def _asset(href: str, role: str, band: dict[str, Any]) -> pystac.Asset:
    return pystac.Asset(href, media_type=pystac.MediaType.COG, roles=[role], extra_fields={"bands": [band]})


def _link(rel: str, href: str, media_type: str = "application/json") -> Link:
    return Link(rel, href, media_type)
