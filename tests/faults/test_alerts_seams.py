"""No alert is doubled or moved where blocks, hemispheres or UTM zones meet."""

from __future__ import annotations

from datetime import UTC, date, datetime

import numpy as np
import pytest
import shapely
from affine import Affine
from odc.geo.geobox import GeoBox
from pyproj import Transformer

from enggang.alerts.records import LedgerNight, Versions
from enggang.alerts.track import AlertRules, TrackContext, track
from enggang.types import AnyArray, PixelTable

NIGHT = date(2026, 11, 24)
BLOCK = 1024


def tracked(row: AnyArray, col: AnyArray, grid: GeoBox) -> LedgerNight:
    order = np.lexsort((col, row))
    n = len(row)
    days, status = np.full(n, 4340, dtype=np.uint16), np.full(n, 4, dtype=np.uint8)
    belief = np.full(n, 0.99, dtype=np.float32)
    where = (row[order].astype(np.int32), col[order].astype(np.int32))
    pixels = PixelTable(*where, status, belief, days, days, days, status, status)
    at = datetime(2026, 11, 24, 22, tzinfo=UTC)
    return track(None, pixels, TrackContext("kaltim", grid, NIGHT, at, AlertRules(), Versions("m", "s", "d", "0")))


def by_block(row: AnyArray, col: AnyArray) -> tuple[AnyArray, AnyArray]:
    """The same pixels in the order in which blocks of the state give them."""
    order = np.lexsort((col, row, col // BLOCK, row // BLOCK))
    return row[order], col[order]


@pytest.mark.parametrize(("top", "left"), [(1014, 1014), (1014, 3), (3, 1014), (2038, 1014)])
def test_an_alert_over_a_block_seam_is_one_alert(top: int, left: int) -> None:
    grid = GeoBox((3000, 3000), Affine(10, 0, 500_000, 0, -10, 9_900_000), "EPSG:32750")
    row, col = (a.ravel() for a in np.mgrid[top : top + 20, left : left + 20])
    night = tracked(*by_block(row, col), grid)
    assert [a.id for a in night.alerts] == [f"kaltim-20261124-r{top}c{left}"]
    assert night.alerts[0].geometry.geom_type == "Polygon"
    assert night.alerts[0].area_ha == pytest.approx(4.0, rel=3e-3)


def test_two_alerts_that_touch_at_the_corner_of_four_blocks_are_one() -> None:
    grid = GeoBox((3000, 3000), Affine(10, 0, 500_000, 0, -10, 9_900_000), "EPSG:32750")
    upper = [a.ravel() for a in np.mgrid[1020:1024, 1020:1024]]
    lower = [a.ravel() for a in np.mgrid[1024:1028, 1024:1028]]
    night = tracked(*by_block(np.concatenate([upper[0], lower[0]]), np.concatenate([upper[1], lower[1]])), grid)
    assert len(night.alerts) == 1
    assert len(night.pixels.index) == 32


def test_the_ends_of_neighbouring_rows_do_not_touch() -> None:
    grid = GeoBox((100, 100), Affine(10, 0, 500_000, 0, -10, 9_900_000), "EPSG:32750")
    right = [a.ravel() for a in np.mgrid[10:14, 96:100]]
    left = [a.ravel() for a in np.mgrid[11:15, 0:4]]
    night = tracked(np.concatenate([right[0], left[0]]), np.concatenate([right[1], left[1]]), grid)
    assert [a.id for a in night.alerts] == ["kaltim-20261124-r10c96", "kaltim-20261124-r11c0"]


@pytest.mark.parametrize(
    ("west", "north"),
    [(500_000.0, 1_000.0), (833_000.0, 1_000.0), (834_500.0, -99_000.0)],
    ids=["equator", "120E", "zone 51"],
)
def test_an_alert_lies_where_its_pixels_lie(west: float, north: float) -> None:
    """East Kalimantan is one grid in zone 50 north; south of the equator its northings are negative."""
    grid = GeoBox((200, 200), Affine(10, 0, west, 0, -10, north), "EPSG:32650")
    row, col = (a.ravel() for a in np.mgrid[90:110, 90:110])
    night = tracked(row, col, grid)
    assert len(night.alerts) == 1
    to_degrees = Transformer.from_crs("EPSG:32650", "EPSG:4326", always_xy=True)
    corners = [(west + 10 * c, north - 10 * r) for c, r in [(90, 90), (110, 90), (110, 110), (90, 110)]]
    true = shapely.Polygon([to_degrees.transform(x, y) for x, y in corners])
    pixel = 10 / 111_320
    assert shapely.hausdorff_distance(true, night.alerts[0].geometry) < pixel / 100
    assert night.alerts[0].area_ha == pytest.approx(4.0, rel=3e-3)


@pytest.mark.parametrize("west", [300_000.0, 500_000.0, 834_500.0])
def test_the_mmu_is_the_same_count_of_pixels_all_over_a_zone(west: float) -> None:
    """A 10 m cell is 0.1 % larger than nominal at the zone's meridian and 0.3 % smaller at 120° E."""
    grid = GeoBox((200, 200), Affine(10, 0, west, 0, -10, 1_000), "EPSG:32650")
    col = np.arange(20, 30)
    assert len(tracked(np.full(10, 90), col, grid).alerts) == 1
    assert len(tracked(np.full(9, 90), col[:9], grid).alerts) == 0
