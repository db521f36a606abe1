"""Real clearings: the Hansen loss years of the Bolivian stack, one night a year."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
import pytest
import rasterio
import shapely
from odc.geo.crs import CRS
from odc.geo.geobox import GeoBox
from rasterio.features import rasterize

from enggang.alerts.geojson import feature_collection
from enggang.alerts.records import EventKind, LedgerNight
from enggang.alerts.rules import AlertRules, TrackContext
from enggang.alerts.track import track
from enggang.types import PixelTable


def test_loss_years_become_alerts_that_cover_the_same_pixels(
    shared_data: Path, pixels_of: Callable[..., PixelTable], context_of: Callable[..., TrackContext]
) -> None:
    path = shared_data / "sar_optical_bayts" / "bolivia_reference" / "hansen_gfc_v17_lossyear_30m.tif"
    with rasterio.open(path) as source:
        loss, grid = source.read(1), GeoBox(source.shape, source.transform, str(source.crs))
    nights: list[LedgerNight] = []
    for year in range(1, 18):
        night = date(2020 + year, 12, 31)  # day numbers begin in 2015
        lost = np.where((loss > 0) & (loss <= year), 4, 1)
        context = context_of(night, geobox=grid, aoi="santa_cruz", rules=AlertRules(mmu_ha=0.5, finish_days=300))
        nights.append(track(nights[-1] if nights else None, pixels_of(lost, night), context))
    last = nights[-1]
    standing = [a for a in last.alerts if a.status.is_standing]
    assert len(standing) > 5
    assert sum(a.area_ha for a in standing) == pytest.approx(len(last.pixels.index) * 0.09, rel=3e-3)
    drawn = shapely.get_parts(shapely.from_geojson(feature_collection(standing)))
    burned = rasterize([_on_grid(shape, grid) for shape in drawn], out_shape=loss.shape, transform=grid.transform)
    held = np.zeros(loss.size, dtype=np.uint8)
    held[last.pixels.index] = 1
    assert np.array_equal(burned.ravel(), held)
    kinds = {e.kind for n in nights for e in n.events}
    assert {EventKind.CREATED, EventKind.GROWN, EventKind.MERGED, EventKind.FINISHED, EventKind.REOPENED} <= kinds
    assert EventKind.WITHDRAWN not in kinds


def _on_grid(shape: shapely.Geometry, grid: GeoBox) -> shapely.Geometry:
    to_grid = CRS("EPSG:4326").transformer_to_crs(grid.crs, always_xy=True)
    return shapely.transform(shape, lambda p: np.column_stack(to_grid(p[:, 0], p[:, 1])))
