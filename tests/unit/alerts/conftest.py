"""Nights drawn by hand: a grid near the equator, pixel tables from status rasters, and contexts of a night."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime

import numpy as np
import pytest
from affine import Affine
from odc.geo.geobox import GeoBox

from enggang.alerts.records import Versions
from enggang.alerts.rules import AlertRules, TrackContext
from enggang.types import AnyArray, PixelStatus, PixelTable, day_number

PixelsOf = Callable[..., PixelTable]
ContextOf = Callable[..., TrackContext]


@pytest.fixture(scope="session")
def grid() -> GeoBox:
    """60 × 60 pixels of 10 m in UTM zone 50 south, Kutai."""
    return GeoBox((60, 60), Affine(10, 0, 500_000, 0, -10, 9_900_000), "EPSG:32750")


@pytest.fixture(scope="session")
def pixels_of() -> PixelsOf:
    """(status raster, date of observation) → pixel table; other columns by keyword, as full arrays or one value."""

    def make(status: AnyArray, day: date, **columns: object) -> PixelTable:
        row, col = np.nonzero(status >= PixelStatus.FLAGGED)
        found = status[row, col].astype(np.uint8)
        number = day_number(day)
        defaults: dict[str, tuple[object, str]] = {
            "probability": (0.9, "f4"),
            "first_disturbed": (number - 6, "u2"),
            "flagged_on": (number, "u2"),
            "confirmed_on": (np.where(found == PixelStatus.CONFIRMED, number, 0), "u2"),
            "observations": (3, "u1"),
            "sensors": (1, "u1"),
        }
        filled = {
            name: np.broadcast_to(np.asarray(columns.get(name, value), dtype=dtype), row.shape)
            for name, (value, dtype) in defaults.items()
        }
        return PixelTable(row=row.astype(np.int32), col=col.astype(np.int32), status=found, **filled)

    return make


@pytest.fixture(scope="session")
def context_of(grid: GeoBox) -> ContextOf:
    """Night → context; rules and the rest by keyword."""

    def make(night: date, **changes: object) -> TrackContext:
        at = datetime(night.year, night.month, night.day, 22, tzinfo=UTC)
        versions = Versions("kaltim-1", f"state {night}", f"data {night}", "0.1.0")
        given = {"aoi": "demo", "geobox": grid, "rules": AlertRules(), "versions": versions, **changes}
        return TrackContext(night=night, at=at, **given)  # type: ignore[arg-type]

    return make
