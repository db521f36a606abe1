"""Read polygons from a vector file that a person hands in, and make them sound: checked, repaired, WGS84."""

from __future__ import annotations

import difflib
import hashlib
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import geopandas as gpd
import numpy as np
import pyogrio
import shapely
from pyogrio.errors import DataLayerError, DataSourceError
from pyproj import CRS, Geod
from pyproj.exceptions import CRSError
from shapely.geometry import MultiPolygon, Polygon
from shapely.geometry.base import BaseGeometry
from shapely.geometry.polygon import orient

from enggang.errors import AoiError

#: Suffixes that are read, and what they are.
FORMATS = {
    ".gpkg": "GeoPackage",
    ".shp": "Shapefile",
    ".zip": "zipped Shapefile",
    ".geojson": "GeoJSON",
    ".json": "GeoJSON",
    ".fgb": "FlatGeobuf",
}
#: Coordinates are kept to 1e-7 degrees (one centimetre), as RFC 7946 advises.
PRECISION = 1e-7
_WGS84 = "EPSG:4326"
_GEOD = Geod(ellps="WGS84")
_SHAPEFILE_PARTS = (".shp", ".shx", ".dbf", ".prj", ".cpg")


@dataclass(frozen=True, slots=True)
class Selection:
    """Which features of a file: its layer (needed where there are several), and `where` as COLUMN=VALUE (all features
    where None). `assume_crs` is the CRS of a file that names none."""

    layer: str | None = None
    where: str | None = None
    assume_crs: str | None = None


#: All features of the only layer.
EVERYTHING = Selection()


@dataclass(frozen=True, slots=True)
class Repair:
    """One thing that was put right, with the geodesic area in hectares before (as drawn, signed rings added up) and
    after."""

    feature: int
    fault: str
    before_ha: float
    after_ha: float


@dataclass(frozen=True, slots=True)
class BoundaryFile:
    """The chosen features: valid areal outlines in WGS84, with their attributes in the same order, and what was done
    to them. `sha256` is keyed by file name (a Shapefile has several)."""

    outlines: tuple[Polygon | MultiPolygon, ...]
    attributes: dict[str, tuple[Any, ...]]
    layer: str
    crs: str
    sha256: dict[str, str]
    repairs: tuple[Repair, ...]


def read_boundary(file: Path, selection: Selection) -> BoundaryFile:
    """Read, select, repair and reproject the polygons of `file`.

    Raises `AoiError`, with the reason and a remedy, for an unreadable file, an unknown layer or column, no CRS, no
    feature, lines or points, and coordinates outside of longitude ±180 and latitude ±90.
    """
    source = _source(file)
    layer = _layer(file, source, selection.layer)
    frame, closed = _read(file, source, layer)
    crs = _crs(file, frame.crs, selection.assume_crs)
    frame = frame.set_crs(crs, allow_override=True)
    if frame.empty:
        raise AoiError(f"layer {layer} of {file.name} has no features", "export it again, or choose a layer that has")
    frame = _select(frame, selection.where, file)
    frame, repairs = _only_areas(frame, file)
    _check_degrees(frame, file)
    outlines, mended = _repair(frame, closed)
    columns = [c for c in frame.columns if c != frame.geometry.name]
    attributes = {str(c): tuple(frame[c].tolist()) for c in columns}
    return BoundaryFile(outlines, attributes, layer, _crs_name(crs), _digests(file), (*repairs, *mended))


def area_ha(geometry: BaseGeometry) -> float:
    """Geodesic area on WGS84 in hectares, of a geometry in degrees."""
    return abs(float(_GEOD.geometry_area_perimeter(geometry)[0])) / 1e4


def dissolve(outlines: Sequence[Polygon | MultiPolygon]) -> Polygon | MultiPolygon:
    """The union of WGS84 outlines: every vertex kept, on the 1e-7° lattice, rings right-handed (RFC 7946)."""
    return _tidy(shapely.union_all(list(outlines)))


def nearest(wanted: str, known: Sequence[str]) -> str:
    """The remedy for an unknown name: the nearest known one, else the first dozen."""
    near = difflib.get_close_matches(wanted.casefold(), [k.casefold() for k in known], n=1)
    if near:
        return f"did you mean {next(k for k in known if k.casefold() == near[0])}?"
    more = f" and {len(known) - 12} more" if len(known) > 12 else ""
    return f"known: {', '.join(known[:12])}{more}" if known else "there is none"


def _source(file: Path) -> str:
    if not file.is_file():
        raise AoiError(f"no file {file}", "check the path")
    if file.suffix.lower() not in FORMATS:
        kinds = ", ".join(f"{name} ({suffix})" for suffix, name in FORMATS.items())
        raise AoiError(f"{file.name}: files of kind {file.suffix or '(no suffix)'} are not read", f"convert to {kinds}")
    if file.suffix.lower() != ".zip":
        return str(file)
    try:
        with zipfile.ZipFile(file) as archive:
            members = [n for n in archive.namelist() if n.lower().endswith(".shp") and not n.startswith("__MACOSX")]
    except (zipfile.BadZipFile, OSError) as error:
        raise AoiError(f"{file.name} is not a readable zip file ({error})", "fetch or export it again") from error
    if len(members) != 1:
        names = ", ".join(PurePosixPath(n).name for n in members) or "none"
        raise AoiError(f"{file.name} holds {len(members)} Shapefiles ({names}), not one", "zip one Shapefile alone")
    return f"/vsizip/{{{file.resolve()}}}/{members[0]}"


def _layer(file: Path, source: str, wanted: str | None) -> str:
    try:
        layers = [(str(name), kind) for name, kind in pyogrio.list_layers(source)]
    except DataSourceError as error:
        raise AoiError(
            f"{file.name} can't be read as {FORMATS[file.suffix.lower()]} ({error})", "export it again"
        ) from error
    names = [name for name, _ in layers]
    if wanted is not None:
        if wanted not in names:
            raise AoiError(f"{file.name} has no layer {wanted}", nearest(wanted, names))
        return wanted
    spatial = [name for name, kind in layers if kind is not None]
    if not spatial:
        raise AoiError(f"{file.name} has no layer with geometry", "export the polygons themselves")
    if len(spatial) > 1:
        raise AoiError(f"{file.name} has {len(spatial)} layers", f"choose one by --layer: {', '.join(spatial)}")
    return spatial[0]


def _read(file: Path, source: str, layer: str) -> tuple[gpd.GeoDataFrame, bool]:
    """The layer in two dimensions, and whether open rings had to be closed to read it."""
    try:
        try:
            frame, closed = pyogrio.read_dataframe(source, layer=layer, force_2d=True), False
        except shapely.errors.GEOSException:
            frame, closed = pyogrio.read_dataframe(source, layer=layer, force_2d=True, on_invalid="fix"), True
    except (DataSourceError, DataLayerError, UnicodeDecodeError, shapely.errors.ShapelyError) as error:
        raise AoiError(
            f"layer {layer} of {file.name} can't be read ({error})", "the file is damaged: export it again"
        ) from error
    if not isinstance(frame, gpd.GeoDataFrame):
        raise AoiError(f"layer {layer} of {file.name} has no geometry", "choose a layer of polygons by --layer")
    return frame, closed


def _crs(file: Path, own: Any, assumed: str | None) -> CRS:
    if own is None and assumed is None:
        raise AoiError(
            f"{file.name} names no CRS", "export it with its CRS (.prj), or name it by --assume-crs EPSG:<code>"
        )
    if assumed is None:
        return CRS(own)
    try:
        given = CRS(assumed)
    except CRSError as error:
        raise AoiError(f"--assume-crs {assumed} is no CRS", "write it as EPSG:<code>") from error
    if own is not None and not CRS(own).equals(given, ignore_axis_order=True):
        raise AoiError(f"{file.name} says {_crs_name(CRS(own))}, --assume-crs says {assumed}", "leave --assume-crs out")
    return given


def _crs_name(crs: CRS) -> str:
    authority = crs.to_authority(min_confidence=70)
    return ":".join(authority) if authority else str(crs.name)


def _select(frame: gpd.GeoDataFrame, where: str | None, file: Path) -> gpd.GeoDataFrame:
    if where is None:
        return frame
    column, equals, value = (part.strip() for part in where.partition("="))
    if not (column and equals and value):
        raise AoiError(f"--where {where} is not COLUMN=VALUE", 'for example --where NAME="Kutai Timur"')
    known = [str(c) for c in frame.columns if c != frame.geometry.name]
    if column not in known:
        raise AoiError(f"{file.name} has no column {column}", nearest(column, known))
    texts = frame[column].map(_text)
    chosen = frame[texts == value]
    if chosen.empty:
        values = sorted(set(texts) - {""})
        raise AoiError(f"no feature of {file.name} has {column} = {value}", nearest(value, values))
    return chosen


def _text(value: Any) -> str:
    """A cell as a person writes it: 64.0 is 64, and nothing is the empty text."""
    if value is None or value != value:
        return ""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value).strip()


def _only_areas(frame: gpd.GeoDataFrame, file: Path) -> tuple[gpd.GeoDataFrame, list[Repair]]:
    """Drop features without geometry (they are reported); refuse lines and points."""
    empty = frame.geometry.isna() | frame.geometry.is_empty
    repairs = [Repair(int(i), "no geometry: left out", 0.0, 0.0) for i in frame.index[empty]]
    frame = frame[~empty]
    if frame.empty:
        raise AoiError(f"the chosen features of {file.name} have no geometry", "export the polygons themselves")
    areal = frame.geometry.map(lambda geometry: bool(_areas(geometry)))
    if not areal.all():
        kinds = sorted(set(frame.geometry[~areal].geom_type))
        raise AoiError(
            f"{int((~areal).sum())} of {len(frame)} chosen features of {file.name} are no areas ({', '.join(kinds)})",
            "choose polygons by --layer or --where, or turn the lines into polygons in a GIS",
        )
    return frame, repairs


def _flat(geometry: BaseGeometry) -> list[BaseGeometry]:
    if geometry.geom_type != "GeometryCollection":
        return [geometry]
    return [flat for part in geometry.geoms for flat in _flat(part)]


def _check_degrees(frame: gpd.GeoDataFrame, file: Path) -> None:
    if frame.crs.is_geographic:
        west, south, east, north = frame.total_bounds
        if min(west, -east) < -180 or min(south, -north) < -90:
            raise AoiError(
                f"{file.name} reaches {tuple(np.round(frame.total_bounds, 4).tolist())}, outside of longitude ±180 and "
                "latitude ±90",
                "latitude and longitude seem swapped: export it with longitude first"
                if min(south, -north) >= -180 and min(west, -east) >= -90
                else "the coordinates seem projected: export it with its true CRS",
            )
    west, south, east, north = degrees = frame.to_crs(_WGS84).total_bounds
    if not np.isfinite(degrees).all():
        raise AoiError(f"{file.name} lies outside of where {_crs_name(frame.crs)} is valid", "correct the file's CRS")
    if east - west > 180:
        raise AoiError(
            f"{file.name} spans {east - west:.0f}° of longitude", "an outline may not cross the 180th meridian"
        )


def _repair(frame: gpd.GeoDataFrame, closed: bool) -> tuple[tuple[Polygon | MultiPolygon, ...], list[Repair]]:
    """Valid areal outlines in WGS84. The "structure" method unites overlapping parts and keeps both lobes of a ring
    that crosses itself, where "linework" would cut the overlap out of the area."""
    repairs = [Repair(-1, "open rings: closed", 0.0, 0.0)] if closed else []
    degrees = frame.to_crs(_WGS84).geometry
    outlines = []
    for index, drawn, projected in zip(frame.index, frame.geometry, degrees, strict=True):
        valid = [shapely.make_valid(p, method="structure", keep_collapsed=False) for p in _areas(projected)]
        outline = _tidy(shapely.union_all(valid))
        mixed = drawn.geom_type == "GeometryCollection"
        if mixed or not drawn.is_valid:
            fault = "lines or points beside the area: left out" if mixed else str(shapely.is_valid_reason(drawn))
            before = sum(area_ha(part) for part in _areas(projected))
            repairs.append(Repair(int(index), fault, round(before, 4), round(area_ha(outline), 4)))
        outlines.append(outline)
    return tuple(outlines), repairs


def _tidy(geometry: BaseGeometry) -> Polygon | MultiPolygon:
    """Areal parts alone, on the lattice, valid, rings right-handed."""
    snapped = shapely.set_precision(_areal(geometry), PRECISION)
    rounded = shapely.transform(_areal(snapped), lambda xy: np.round(xy, 7))
    parts = [orient(part) for part in shapely.get_parts(rounded)]
    return parts[0] if len(parts) == 1 else MultiPolygon(parts)


def _areas(geometry: BaseGeometry) -> list[BaseGeometry]:
    """The areal parts, by kind and not by size: a ring that crosses itself may measure nothing."""
    return [part for part in _flat(geometry) if part.geom_type in ("Polygon", "MultiPolygon")]


def _areal(geometry: BaseGeometry) -> MultiPolygon:
    return MultiPolygon([p for part in _areas(geometry) for p in shapely.get_parts(part) if not p.is_empty])


def _digests(file: Path) -> dict[str, str]:
    files = [file]
    if file.suffix.lower() == ".shp":
        files = sorted(p for p in file.parent.iterdir() if p.stem == file.stem and p.suffix.lower() in _SHAPEFILE_PARTS)
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in files}
