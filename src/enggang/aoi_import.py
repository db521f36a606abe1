"""Turn a boundary file that a person hands in into an area of interest, or into the districts that alerts name."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any

import geopandas as gpd
import orjson
import pyogrio
from pyproj import CRS
from pyproj.exceptions import CRSError
from shapely.geometry import MultiPolygon, Polygon, mapping
from shapely.geometry.base import BaseGeometry

from enggang.aoi import Aoi, aoi_bytes, parse_aoi
from enggang.boundary_file import EVERYTHING, BoundaryFile, Repair, Selection, area_ha, dissolve, nearest, read_boundary
from enggang.errors import AoiError
from enggang.files import write_atomic, write_bytes
from enggang.layout import Layout
from enggang.types import utc

MIN_AREA_HA = 1.0
MAX_AREA_HA = 500_000 * 100.0
DISTRICT_LAYER = "districts"
DISTRICT_COLUMN = "name"


@dataclass(frozen=True, slots=True)
class Origin:
    """What a person says of a boundary file: where it comes from, under which licence, and when it is imported
    (UTC-aware)."""

    imported_at: datetime
    source: str = ""
    licence: str = ""


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """How a boundary becomes an AOI. `crs` None = the UTM zone of the centroid; `properties` are further AOI
    properties (timezone, source, channels …) as aoi/README.md lists them; `replace` allows an id that exists."""

    id: str
    name_id: str
    name_en: str
    monitor_from: date
    origin: Origin
    monitors: tuple[str, ...] = ("kaltim",)
    resolution_m: float = 10.0
    crs: str | None = None
    selection: Selection = EVERYTHING
    properties: dict[str, Any] = field(default_factory=dict)
    replace: bool = False


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What was imported: `path` of the AOI file, `features` dissolved into it, its geodesic area, the repairs made,
    and whether the file was written (False: it was there already, equal but for the time of import)."""

    aoi: Aoi
    path: Path
    features: int
    area_ha: float
    repairs: tuple[Repair, ...]
    written: bool


@dataclass(frozen=True, slots=True)
class DistrictReport:
    """What was imported: `path` of the GeoPackage, the district names, their area together, the repairs made."""

    path: Path
    names: tuple[str, ...]
    area_ha: float
    repairs: tuple[Repair, ...]


def import_boundary(file: Path, folder: Path, options: ImportOptions) -> ImportReport:
    """Write `folder/<id>.geojson` from the polygons of `file`, atomically; equal inputs give equal bytes.

    Several features are dissolved into one outline. Raises `AoiError`, with the reason and a remedy, where the file,
    the outline or the options can't be used, and where the id exists and `options.replace` is not set.
    """
    _check_options(options)
    boundary = read_boundary(file, options.selection)
    outline = dissolve(boundary.outlines)
    area = _check_area(outline, file)
    aoi = _make_aoi(outline, boundary, options)
    path = folder / f"{aoi.id}.geojson"
    written = not _same_but_time(path, aoi)
    if written:
        if path.exists() and not options.replace:
            raise AoiError(f"the AOI {aoi.id} exists ({path})", "choose another --id, or give --replace")
        write_bytes(path, aoi_bytes(aoi))
    return ImportReport(aoi, path, len(boundary.outlines), area, boundary.repairs, written)


def import_districts(
    file: Path, name_column: str, layout: Layout, origin: Origin, selection: Selection = EVERYTHING
) -> DistrictReport:
    """Write `layout.boundaries()`: layer "districts", column "name", WGS84 multipolygons, provenance as metadata.

    A former file is replaced. Raises `AoiError` as `import_boundary` does, and for a name column that is unknown or
    has gaps.
    """
    _check_origin(origin)
    boundary = read_boundary(file, selection)
    if name_column not in boundary.attributes:
        raise AoiError(f"{file.name} has no column {name_column}", nearest(name_column, list(boundary.attributes)))
    names = tuple("" if v is None or v != v else str(v).strip() for v in boundary.attributes[name_column])
    if "" in names:
        raise AoiError(
            f"{names.count('')} of {len(names)} features of {file.name} have no {name_column}",
            "fill the gaps, or choose another column",
        )
    shapes = [MultiPolygon([o]) if isinstance(o, Polygon) else o for o in boundary.outlines]
    frame = gpd.GeoDataFrame({DISTRICT_COLUMN: list(names)}, geometry=shapes, crs="EPSG:4326")
    provenance = {"provenance": orjson.dumps(_provenance(boundary, selection, origin)).decode()}
    path = write_atomic(layout.boundaries(), lambda part: _write_districts(part, frame, provenance, origin))
    return DistrictReport(path, names, sum(area_ha(s) for s in shapes), boundary.repairs)


def utm_crs(outline: BaseGeometry) -> str:
    """The WGS84 UTM zone of the centroid of a WGS84 outline; at the equator itself the northern one.

    Raises `AoiError` beyond 84° N and 80° S, where UTM ends. The exceptions for Norway and Svalbard are not made.
    """
    lon, lat = float(outline.centroid.x), float(outline.centroid.y)
    if not -80 <= lat <= 84:
        raise AoiError(f"no UTM zone at latitude {lat:.2f}", "name a polar CRS by --crs EPSG:<code>")
    zone = min(int((lon + 180) // 6) + 1, 60)
    return f"EPSG:{32600 + zone if lat >= 0 else 32700 + zone}"


def _check_origin(origin: Origin) -> None:
    if origin.imported_at.tzinfo is None:
        raise AoiError(f"imported_at {origin.imported_at} has no time zone", "give a UTC-aware time")


def _check_options(options: ImportOptions) -> None:
    _check_origin(options.origin)
    own = {"id", "name_id", "name_en", "crs", "resolution_m", "monitors", "monitor_from", "provenance"}
    if twice := sorted(own & options.properties.keys()):
        raise AoiError(f"{', '.join(twice)} given twice", "leave it out of the further properties")
    if "grid" in options.properties:
        raise AoiError("an explicit grid and a boundary file contradict each other", "write the AOI file by hand")
    if options.crs is None:
        return
    try:
        CRS(options.crs)
    except CRSError as error:
        raise AoiError(f"--crs {options.crs} is no CRS", "write it as EPSG:<code>, or leave it out") from error


def _check_area(outline: BaseGeometry, file: Path) -> float:
    area = area_ha(outline)
    if area < MIN_AREA_HA:
        raise AoiError(
            f"the outline of {file.name} has {area:.4f} ha, less than {MIN_AREA_HA:g}",
            "check its CRS and units, or choose a larger area",
        )
    if area > MAX_AREA_HA:
        raise AoiError(
            f"the outline of {file.name} has {area / 100:,.0f} km², more than {MAX_AREA_HA / 100:,.0f}",
            "choose a part by --where; several areas can run side by side",
        )
    return area


def _make_aoi(outline: BaseGeometry, boundary: BoundaryFile, options: ImportOptions) -> Aoi:
    crs = options.crs or utm_crs(outline)
    _check_domain(outline, crs)
    properties = {
        "id": options.id,
        "name_id": options.name_id,
        "name_en": options.name_en,
        "crs": crs,
        "resolution_m": options.resolution_m,
        "monitors": options.monitors,
        "monitor_from": options.monitor_from,
        **options.properties,
        "provenance": _provenance(boundary, options.selection, options.origin),
    }
    return parse_aoi({"geometry": mapping(outline), "properties": properties}, f"AOI {options.id}")


def _check_domain(outline: BaseGeometry, crs: str) -> None:
    area = CRS(crs).area_of_use
    lon, lat = outline.centroid.x, outline.centroid.y
    # A zone's neighbour is fine (provinces are wider than zones); another continent is a slip.
    if area is not None and not (area.west - 6 <= lon <= area.east + 6):
        raise AoiError(
            f"{crs} is made for {area.west:g}°…{area.east:g}° E, and the outline lies at {lon:.2f}°, {lat:.2f}°",
            f"leave --crs out, or give {utm_crs(outline)}",
        )


def _provenance(boundary: BoundaryFile, selection: Selection, origin: Origin) -> dict[str, Any]:
    return {
        "files": boundary.sha256,
        "layer": boundary.layer,
        "where": selection.where,
        "original_crs": boundary.crs,
        "features": len(boundary.outlines),
        "repairs": [
            {"feature": r.feature, "fault": r.fault, "before_ha": r.before_ha, "after_ha": r.after_ha}
            for r in boundary.repairs
        ],
        "source": origin.source,
        "licence": origin.licence,
        "imported_at": utc(origin.imported_at),
    }


def _same_but_time(path: Path, aoi: Aoi) -> bool:
    """True where `path` holds this AOI already, imported at any time."""
    if not path.is_file():
        return False
    try:
        there, new = orjson.loads(path.read_bytes()), orjson.loads(aoi_bytes(aoi))
        for feature in (there, new):
            feature["properties"]["provenance"].pop("imported_at", None)
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
        return False
    return bool(there == new)


def _write_districts(path: Path, frame: gpd.GeoDataFrame, metadata: dict[str, str], origin: Origin) -> None:
    with _gdal_clock(origin.imported_at):
        pyogrio.write_dataframe(frame, path, layer=DISTRICT_LAYER, driver="GPKG", layer_metadata=metadata)
    # SQLite stamps the metadata table by its own clock, whatever GDAL is told.
    with closing(sqlite3.connect(path)) as database:
        database.execute("UPDATE gpkg_metadata_reference SET timestamp = ?", (utc(origin.imported_at),))
        database.commit()
        database.execute("VACUUM")


@contextmanager
def _gdal_clock(moment: datetime) -> Iterator[None]:
    """GDAL writes `moment`, and not the present, as the time of last change."""
    before = pyogrio.get_gdal_config_option("OGR_CURRENT_DATE")
    pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": utc(moment)})
    try:
        yield
    finally:
        pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": before})
