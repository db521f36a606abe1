"""Outlines on the ground: area, rings and place, on projected and geographic grids."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from affine import Affine
from odc.geo.crs import CRS
from odc.geo.geobox import GeoBox

from enggang.alerts import geometry
from enggang.alerts.geometry import anchors, areas_ha, cell_areas_ha, outlines
from enggang.errors import LedgerError
from enggang.types import AnyArray

GRIDS = {
    "utm 50 south": GeoBox((400, 400), Affine(10, 0, 500_000, 0, -10, 9_900_000), "EPSG:32750"),
    "over the equator, north zone": GeoBox((400, 400), Affine(10, 0, 300_000, 0, -10, 2_000), "EPSG:32650"),
    "at the zone's edge": GeoBox((400, 400), Affine(10, 0, 831_000, 0, -10, 1_000), "EPSG:32650"),
    "degrees": GeoBox((400, 400), Affine(0.00027, 0, 101.3, 0, -0.00027, 0.9), "EPSG:4326"),
    "degrees at 60 north": GeoBox((400, 400), Affine(0.0002, 0, 20.0, 0, -0.0001, 60.0), "EPSG:4326"),
}


def blob(seed: int, size: int = 40) -> tuple[AnyArray, AnyArray]:
    """Rows and columns of a ragged group with holes, corner contacts and islands."""
    raster = np.random.default_rng(seed).random((size, size)) < 0.6
    row, col = np.nonzero(raster)
    return row + 300, col + 350


def one(row: AnyArray, col: AnyArray, grid: GeoBox) -> shapely.Geometry:
    (shape,) = outlines(row, col, np.zeros(len(row), dtype=np.int64), grid)
    return shape


@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS.keys())
def test_area_is_that_of_the_pixels(grid: GeoBox) -> None:
    row, col = blob(1)
    shape = one(row, col, grid)
    cells = cell_areas_ha(row, col, grid)
    assert areas_ha(np.array([shape]))[0] == pytest.approx(cells.sum(), rel=1e-3)
    if grid.crs.projected:
        assert cells.sum() == pytest.approx(len(row) * 0.01, rel=3e-3)


@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS.keys())
def test_one_cell_agrees_with_the_geodesic_polygon(grid: GeoBox) -> None:
    """A block of 50 × 50 cells, where the rounding of coordinates is no matter."""
    row, col = (a.ravel() for a in np.mgrid[100:150, 200:250])
    exact = areas_ha(np.array([one(row, col, grid)]))[0]
    assert cell_areas_ha(row, col, grid).sum() == pytest.approx(exact, rel=1e-4)


@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS.keys())
def test_an_outline_follows_the_pixel_edges(grid: GeoBox) -> None:
    row, col = blob(2)
    to_grid = CRS("EPSG:4326").transformer_to_crs(grid.crs, always_xy=True)
    back = shapely.transform(one(row, col, grid), lambda p: np.column_stack(to_grid(p[:, 0], p[:, 1])))
    a, _, c, _, e, f = grid.transform[:6]
    pixel = shapely.transform(back, lambda p: (p - [c, f]) / [a, e])
    squares = shapely.union_all(shapely.box(col, row, col + 1, row + 1))
    assert shapely.area(shapely.symmetric_difference(pixel, squares)) < 0.01 * len(row)


def test_outlines_are_valid_right_handed_and_rounded() -> None:
    rows, cols = zip(*(blob(seed) for seed in range(6)), strict=True)
    group = np.repeat(np.arange(6), [len(r) for r in rows])
    shapes = outlines(np.concatenate(rows), np.concatenate(cols), group, GRIDS["utm 50 south"])
    assert shapely.is_valid(shapes).all()
    for polygon in shapely.get_parts(shapes):
        assert polygon.exterior.is_ccw
        assert not any(ring.is_ccw for ring in polygon.interiors)
    points = shapely.get_coordinates(shapes)
    assert np.array_equal(points, np.round(points, 7))
    for n in range(6):
        assert shapes[n].equals_exact(one(rows[n], cols[n], GRIDS["utm 50 south"]), 0)


def test_corner_contacts_make_parts_and_holes_stay() -> None:
    grid = GRIDS["utm 50 south"]
    corner = one(np.array([0, 1]), np.array([0, 1]), grid)
    assert (corner.geom_type, len(corner.geoms)) == ("MultiPolygon", 2)
    row, col = np.nonzero(np.pad(np.zeros((2, 2)), 1, constant_values=1))
    ring = one(row, col, grid)
    assert len(ring.interiors) == 1
    (anchor,) = anchors(np.array([ring]))
    assert shapely.contains_xy(ring, *anchor)
    two_holes = np.ones((4, 4))
    two_holes[1, 1] = two_holes[2, 2] = 0
    pierced = one(*np.nonzero(two_holes), grid)
    assert pierced.is_valid
    assert areas_ha(np.array([pierced]))[0] == pytest.approx(0.14, rel=3e-3)


def test_a_group_drawn_in_strips_is_the_same_outline(monkeypatch: pytest.MonkeyPatch) -> None:
    row, col = blob(3)
    whole = one(row, col, GRIDS["degrees"])
    monkeypatch.setattr(geometry, "WINDOW", 7 * 40)
    strips = one(row, col, GRIDS["degrees"])
    assert strips.is_valid
    assert strips.normalize().equals_exact(whole.normalize(), 0)


def test_a_group_as_wide_as_a_province_needs_little_memory() -> None:
    """A diagonal over 30,000 × 30,000 pixels: its bounding box would take 0.9 GB."""
    grid = GeoBox((30_000, 30_000), Affine(10, 0, 300_000, 0, -10, 200_000), "EPSG:32650")
    step = np.arange(30_000)
    shape = one(step, step, grid)
    assert len(shape.geoms) == 30_000


def test_the_antimeridian_does_not_crash() -> None:
    grid = GeoBox((10, 10), Affine(10, 0, 832_000, 0, -10, 9_800_000), "EPSG:32760")
    assert one(*np.nonzero(np.ones((10, 10))), grid).is_valid


def test_nothing_gives_nothing_and_a_grid_without_crs_is_refused() -> None:
    none = np.zeros(0, dtype=np.int64)
    assert len(outlines(none, none, none, GRIDS["degrees"])) == 0
    with pytest.raises(LedgerError, match="no CRS"):
        one(np.array([0]), np.array([0]), GeoBox((5, 5), Affine.identity(), None))
