"""Whether a scene can be used, from its headers alone: before a night's work starts on it."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from odc.geo.geobox import GeoBox
from rasterio.errors import RasterioError

from enggang.cube.observe import bands_of, mask_bands
from enggang.cube.reader import local_path, open_asset
from enggang.errors import CorruptAsset, GridMismatch
from enggang.types import Asset, ObservationSpec, Scene

_CODESTREAM = b"jp2c"
_START, _END = b"\xff\x4f", b"\xff\xd9"


def check_scene(scene: Scene, geobox: GeoBox, specs: Sequence[ObservationSpec]) -> None:
    """Open the headers of all files that `specs` need, and read no pixel.

    Raises `MissingBand`; `GridMismatch` where a file has no CRS or doesn't meet the AOI's grid; `OversizedAsset`;
    `CorruptAsset` where a file can't be opened or ends before its last tile; `SourceUnavailable` for a remote one.
    """
    for band in _needed(scene, specs):
        asset = scene.assets[band]
        entry = open_asset(scene, asset)
        _require_meeting(scene, asset, entry.grid, geobox)
        path = local_path(asset.href)
        if path is not None:
            _require_complete(scene, asset, entry.dataset, path)


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


def _require_complete(scene: Scene, asset: Asset, dataset: Any, path: Path) -> None:
    size = path.stat().st_size
    ends = jp2_end(path, size) if dataset.driver == "JP2OpenJPEG" else _last_tile_end(dataset, asset.index)
    if ends > size:
        raise CorruptAsset(
            f"scene {scene.id}: asset {asset.band} ({asset.href}) has {size} bytes and its tiles reach to {ends}",
            "fetch the file again",
        )


def _last_tile_end(dataset: Any, index: int) -> int:
    """Where the last byte of the band's tiles should be, by the file's tile index; sparse tiles have none."""
    height, width = dataset.block_shapes[index - 1]
    rows, cols = -(-dataset.height // height), -(-dataset.width // width)
    ends = [0]
    try:
        for row in range(rows):
            for col in range(cols):
                offset = dataset.get_tag_item(f"BLOCK_OFFSET_{col}_{row}", "TIFF", bidx=index)
                length = dataset.get_tag_item(f"BLOCK_SIZE_{col}_{row}", "TIFF", bidx=index)
                ends.append(int(offset) + int(length) if offset and length else 0)
    except RasterioError:
        return 2**63
    return max(ends)


def jp2_end(path: Path, size: int) -> int:
    """Where the JPEG2000 codestream of a file should end; beyond `size` where its end marker is missing.

    OpenJPEG decodes what is there of a cut file and leaves the rest zero, hence this test. A file is a row of boxes,
    or the bare codestream. Source: ISO/IEC 15444-1, annexes A (SOC FF 4F, EOC FF D9) and I (boxes).
    """
    with path.open("rb") as file:
        bare = file.read(2) == _START
        for kind, start, end in [(_CODESTREAM, 0, size)] if bare else _boxes(file, size):
            if kind == _CODESTREAM:
                file.seek(max(start, min(end, size) - 2))
                return end if file.read(2) == _END else max(end, size + 1)
    return size + 1


def _boxes(file: BinaryIO, size: int) -> Iterator[tuple[bytes, int, int]]:
    """(type, start, end) of the boxes at the top level; a box of length 0 reaches to the end of the file."""
    start = 0
    while start + 8 <= size:
        file.seek(start)
        head = file.read(16)
        length, kind = struct.unpack(">I4s", head[:8])
        if length == 1 and len(head) == 16:
            length = struct.unpack(">Q", head[8:])[0]
        end = size if length == 0 else start + length
        yield kind, start, end
        start = max(end, start + 8)
