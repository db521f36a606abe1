"""Outlines and areas of pixel groups: from the grid to WGS84.

An outline follows the pixel edges. A group at the antimeridian is drawn as it falls, not cut in two: no AOI lies there.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

import numpy as np
import rasterio
import shapely
from affine import Affine
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from pyproj import Geod
from rasterio.features import shapes
from shapely.geometry import MultiPolygon

from enggang.errors import LedgerError
from enggang.types import AnyArray

#: Decimal places of a coordinate in degrees, about 1 cm (RFC 7946, section 11.2).
DIGITS = 7
#: Pixels of one window in memory; a larger group is drawn in strips of whole rows, and dissolved.
WINDOW = 4_000_000

_GEOD = Geod(ellps="WGS84")
_RADIUS = float(_GEOD.a)
_ECCENTRICITY2 = float(_GEOD.es)

Geometries = NDArray[np.object_]
#: One polygon: its exterior ring, then its holes, as lists of (x, y).
Rings = list[list[tuple[float, float]]]


def outlines(row: AnyArray, col: AnyArray, group: AnyArray, geobox: GeoBox) -> Geometries:
    """One valid Polygon or MultiPolygon per group, in WGS84, with right-hand rings (RFC 7946) at `DIGITS` places.

    `row`, `col`: (n,) int on `geobox`; `group`: (n,) int 0 … k-1, every number in use. Returns (k,) geometries. Parts
    that touch only at a corner are parts of a MultiPolygon.
    """
    order = np.argsort(group, kind="stable")
    cuts = np.flatnonzero(np.diff(group[order])) + 1
    if not len(group):
        return np.empty(0, dtype=object)
    pieces = zip(np.split(row[order], cuts), np.split(col[order], cuts), strict=True)
    with rasterio.Env():  # one for all: each call would set up its own
        drawn = _multipolygons([list(_polygons(rows, cols)) for rows, cols in pieces])
    broken = np.flatnonzero(~shapely.is_valid(drawn))
    # Strips of one group share an edge, and a hole may touch itself at a corner: dissolving mends both.
    drawn[broken] = [_dissolved(g) for g in drawn[broken]]
    single = shapely.get_num_geometries(drawn) == 1
    drawn[single] = shapely.get_geometry(drawn[single], 0)
    return _oriented(_to_wgs84(drawn, geobox))


def areas_ha(geometries: Geometries) -> NDArray[np.float64]:
    """(k,) float64: geodesic areas on the WGS84 ellipsoid in hectares, holes left out. Karney 2013, by pyproj."""
    found = (abs(_GEOD.geometry_area_perimeter(g)[0]) / 1e4 for g in geometries)
    return np.fromiter(found, dtype=np.float64, count=len(geometries))


def anchors(geometries: Geometries) -> NDArray[np.float64]:
    """(k, 2) float64 longitude, latitude in degrees at `DIGITS` places: the centroid, or a point on the surface where
    the centroid lies outside the outline."""
    found: NDArray[np.float64] = np.round(shapely.get_coordinates(shapely.centroid(geometries)), DIGITS)
    outside = ~shapely.contains_properly(geometries, shapely.points(found))
    inner = shapely.get_coordinates(shapely.point_on_surface(geometries[outside]))
    found[outside] = np.round(inner, DIGITS)
    return found


def cell_areas_ha(row: AnyArray, col: AnyArray, geobox: GeoBox) -> NDArray[np.float64]:
    """(n,) float64: area on the WGS84 ellipsoid of single cells, in hectares.

    The shoelace formula on the four corners, scaled at the cell's latitude by the radii of curvature M and N
    (Snyder 1987, eq. 4-18, 4-20); exact to 1e-6 for cells up to 1 km.
    """
    corners = [(0, 0), (1, 0), (1, 1), (0, 1)]
    x = np.stack([col + dx for dx, _ in corners]).astype(np.float64)
    y = np.stack([row + dy for _, dy in corners]).astype(np.float64)
    lon, lat = _lonlat(x.ravel(), y.ravel(), geobox)
    lon, lat = np.radians(lon).reshape(x.shape), np.radians(lat).reshape(y.shape)
    middle = lat.mean(axis=0)
    curve = 1 - _ECCENTRICITY2 * np.sin(middle) ** 2
    east = (lon - lon.mean(axis=0)) * np.cos(middle) * _RADIUS / np.sqrt(curve)
    north = (lat - middle) * _RADIUS * (1 - _ECCENTRICITY2) / curve**1.5
    twice = (east * np.roll(north, -1, axis=0) - np.roll(east, -1, axis=0) * north).sum(axis=0)
    areas: NDArray[np.float64] = np.abs(twice) / 2e4
    return areas


def _polygons(row: AnyArray, col: AnyArray) -> Iterator[Rings]:
    """The polygons of one group (rows ascending) in pixel coordinates (x = column, y = row), exact integers."""
    width = int(col.max() - col.min()) + 1
    strip = (row - row[0]) // max(1, WINDOW // width)
    cuts = np.flatnonzero(np.diff(strip)) + 1
    for rows, cols in zip(np.split(row, cuts), np.split(col, cuts), strict=True):
        top, left = int(rows[0]), int(cols.min())
        window = np.zeros((int(rows[-1]) - top + 1, int(cols.max()) - left + 1), dtype=np.uint8)
        window[rows - top, cols - left] = 1
        transform = Affine.translation(left, top)
        for shape, _ in shapes(window, mask=window.view(bool), connectivity=4, transform=transform):
            yield shape["coordinates"]


def _multipolygons(groups: list[list[Rings]]) -> Geometries:
    """One MultiPolygon per group, all made at once."""
    polygons = list(chain.from_iterable(groups))
    rings = list(chain.from_iterable(polygons))
    points = np.array(list(chain.from_iterable(rings)), dtype=np.float64)
    offsets = tuple(np.cumsum([0, *map(len, level)]) for level in (rings, polygons, groups))
    made: Geometries = shapely.from_ragged_array(shapely.GeometryType.MULTIPOLYGON, points, offsets)
    return made


def _dissolved(shape: MultiPolygon) -> MultiPolygon:
    """The same ground without shared edges, self-touching rings or corners along a straight edge."""
    parts = shapely.make_valid(shapely.get_parts(shape))
    whole = shapely.simplify(shapely.union_all(parts), 0)
    return MultiPolygon(shapely.get_parts(whole).tolist())


def _lonlat(x: AnyArray, y: AnyArray, geobox: GeoBox) -> tuple[AnyArray, AnyArray]:
    """Pixel coordinates to longitude and latitude in degrees."""
    if geobox.crs is None:
        raise LedgerError("the grid of the alerts has no CRS", "give the AOI a CRS; see aoi/README.md")
    a, b, c, d, e, f = geobox.transform[:6]
    to_degrees = geobox.crs.transformer_to_crs("EPSG:4326", always_xy=True)
    lon, lat = to_degrees(a * x + b * y + c, d * x + e * y + f)
    return np.asarray(lon), np.asarray(lat)


def _to_wgs84(geometries: Geometries, geobox: GeoBox) -> Geometries:
    def project(points: AnyArray) -> AnyArray:
        return np.round(np.column_stack(_lonlat(points[:, 0], points[:, 1], geobox)), DIGITS)

    projected: Geometries = shapely.transform(geometries, project)
    return projected


def _oriented(geometries: Geometries) -> Geometries:
    """Exterior rings counter-clockwise, holes clockwise: the right-hand rule of RFC 7946, section 3.1.6."""
    oriented: Geometries = shapely.orient_polygons(geometries, exterior_cw=False)
    return oriented
