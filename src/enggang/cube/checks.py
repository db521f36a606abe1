"""Whether a scene can be used, from its headers alone: before a night's work starts on it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from odc.geo.geobox import GeoBox

from enggang.cube.assets import local_path, open_asset, truncated
from enggang.cube.completeness import tiles_end
from enggang.cube.observe import bands_of, mask_bands
from enggang.errors import GridMismatch
from enggang.types import Asset, ObservationSpec, Scene


def check_scene(scene: Scene, geobox: GeoBox, specs: Sequence[ObservationSpec]) -> None:
    """Open the headers of all files that `specs` need, and read no pixel.

    Raises `MissingBand`; `GridMismatch` where a file has no CRS or doesn't meet the AOI's grid; `OversizedAsset`;
    `CorruptAsset` where a file can't be opened or ends before its last tile; `SourceUnavailable` for a remote one.
    """
    for band in _needed(scene, specs):
        asset = scene.assets[band]
        entry = open_asset(scene, asset)
        _require_meeting(scene, asset, entry.grid, geobox)
        _require_tiles(scene, asset, entry.dataset)


def _needed(scene: Scene, specs: Iterable[ObservationSpec]) -> tuple[str, ...]:
    bands: dict[str, None] = {}
    for spec in specs:
        bands.update(dict.fromkeys((*bands_of(scene, spec), *mask_bands(scene, spec.mask))))
    return tuple(bands)


def _require_meeting(scene: Scene, asset: Asset, grid: GeoBox, geobox: GeoBox) -> None:
    try:
        meets = grid.footprint("EPSG:4326").intersects(geobox.footprint("EPSG:4326"))
    except ValueError as error:
        raise GridMismatch(f"scene {scene.id}: {asset.band} in {grid.crs}: {error}", "check its CRS") from error
    if not meets:
        raise GridMismatch(
            f"scene {scene.id}: asset {asset.band} ({grid.crs}, {_box(grid)}) doesn't meet the AOI's grid "
            f"({geobox.crs}, {_box(geobox)})",
            "search with the AOI's bounds, or correct the file's georeference",
        )


def _box(grid: GeoBox) -> str:
    box = grid.boundingbox
    return f"x {box.left:.6g}…{box.right:.6g}, y {box.bottom:.6g}…{box.top:.6g}"


def _require_tiles(scene: Scene, asset: Asset, dataset: Any) -> None:
    path = local_path(asset.href)
    if path is None or dataset.driver != "GTiff":
        return
    size, end = path.stat().st_size, tiles_end(dataset, asset.index)
    if end > size:
        raise truncated(scene, asset, size)
