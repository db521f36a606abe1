"""The truth beside a demo archive: what was cleared, when, and by what. No catalogue points to it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import shapely
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from odc.geo.geom import Geometry
from rasterio.errors import RasterioIOError
from rasterio.features import shapes

from enggang.errors import SourceError
from enggang.files import write_json
from enggang.simulate.rasters import write_raster
from enggang.simulate.signatures import ClearingKind, TrapKind
from enggang.simulate.world import World
from enggang.types import AnyArray, BoolArray, day_of

FOLDER = "truth"


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """The truth of an archive; every array is (y, x) on `geobox`.

    clearing_day: uint16 days since 2014-12-31, the first day on which a pixel is bare, 0 = never; days before
    `monitor_from` belong to the history. kind: uint8 codes of `ClearingKind`, 0 = none. forest: bool, natural
    forest standing when `monitor_from` begins. trap: uint8 codes of `TrapKind`, changes that are no clearing.
    """

    geobox: GeoBox
    clearing_day: NDArray[np.uint16]
    kind: NDArray[np.uint8]
    forest: BoolArray
    trap: NDArray[np.uint8]
    monitor_from: date


def write_truth(archive: Path, world: World) -> None:
    """Write `<archive>/truth/`: four rasters, clearings.geojson, traps.geojson, and truth.json (the code tables)."""
    folder, spec = archive / FOLDER, world.spec
    first = spec.monitor_days[0]
    trap = np.zeros(world.kind.shape, dtype=np.uint8)
    for one in world.traps:
        trap[one.rows, one.cols] = one.kind
    forest = world.forest_on(first - 1).astype(np.uint8)
    write_raster(folder / "clearing_date.tif", world.clearing_day, spec.geobox)
    write_raster(folder / "kind.tif", world.kind, spec.geobox)
    write_raster(folder / "trap.tif", trap, spec.geobox)
    write_raster(folder / _forest_name(spec.monitor_from), forest, spec.geobox)
    write_json(
        folder / "clearings.geojson", _collection([_clearing_feature(world, n) for n in range(len(world.clearings))])
    )
    write_json(folder / "traps.geojson", _collection([_trap_feature(world, n) for n in range(len(world.traps))]))
    kinds = {str(int(k)): k.name.lower() for k in ClearingKind}
    traps = {str(int(k)): k.name.lower() for k in TrapKind}
    write_json(folder / "truth.json", {"kinds": kinds, "spec": spec.as_json(), "traps": traps})


def read_truth(folder: Path) -> Truth:
    """Read the truth of the archive in `folder`. Raises `SourceError` where there is none or it can't be read."""
    truth = folder / FOLDER
    found = sorted(truth.glob("forest_*.tif"))
    if len(found) != 1:
        raise SourceError(f"{folder} holds no truth", "make the demo archive again: enggang demo")
    try:
        day, geobox = _read(truth / "clearing_date.tif")
        kind, _ = _read(truth / "kind.tif")
        trap, _ = _read(truth / "trap.tif")
        forest, _ = _read(found[0])
    except RasterioIOError as error:
        raise SourceError(f"the truth in {truth} can't be read ({error})", "make the demo archive again") from error
    start = date.fromisoformat(found[0].stem.removeprefix("forest_"))
    return Truth(geobox, day, kind, forest.astype(bool), trap, start)


def _forest_name(start: date) -> str:
    return f"forest_{start.isoformat()}.tif"


def _read(path: Path) -> tuple[AnyArray, GeoBox]:
    with rasterio.open(path) as dataset:
        return dataset.read(1), GeoBox(dataset.shape, dataset.transform, str(dataset.crs))


def _clearing_feature(world: World, number: int) -> dict[str, Any]:
    one = world.clearings[number]
    start, end = int(one.days.min()), int(one.days.max())
    properties = {
        "id": one.id,
        "kind": one.kind.name.lower(),
        "start": str(day_of(start)),
        "end": str(day_of(end)),
        "area_ha": round(len(one.rows) / world.spec.pixels_per_ha, 3),
        "history": start < world.spec.monitor_days[0],
        "regrowth_days": one.regrowth_days,
    }
    return _feature(_outline(world, one.rows, one.cols), properties)


def _trap_feature(world: World, number: int) -> dict[str, Any]:
    one = world.traps[number]
    properties = {
        "id": one.id,
        "kind": one.kind.name.lower(),
        "start": str(day_of(one.start)),
        "end": str(day_of(one.end)),
        "area_ha": round(len(one.rows) / world.spec.pixels_per_ha, 3),
    }
    return _feature(_outline(world, one.rows, one.cols), properties)


def _outline(world: World, rows: NDArray[np.int64], cols: NDArray[np.int64]) -> dict[str, Any]:
    """The pixels' outline as GeoJSON in WGS84, 7 decimals, exterior rings counter-clockwise (RFC 7946)."""
    geobox = world.spec.geobox
    top, left = int(rows.min()), int(cols.min())
    mask = np.zeros((int(rows.max()) - top + 1, int(cols.max()) - left + 1), dtype=np.uint8)
    mask[rows - top, cols - left] = 1
    transform = geobox.translate_pix(left, top).transform
    parts = [shapely.geometry.shape(s) for s, _ in shapes(mask, mask.astype(bool), transform=transform)]
    outline = Geometry(shapely.unary_union(parts), geobox.crs).to_crs("EPSG:4326").geom
    turned = shapely.orient_polygons(outline, exterior_cw=False)
    rounded = shapely.transform(turned, lambda points: np.round(points, 7))
    return dict(shapely.geometry.mapping(rounded))


def _feature(geometry: dict[str, Any], properties: dict[str, Any]) -> dict[str, Any]:
    return {"geometry": geometry, "id": properties["id"], "properties": properties, "type": "Feature"}


def _collection(features: list[dict[str, Any]]) -> dict[str, Any]:
    return {"features": features, "type": "FeatureCollection"}
