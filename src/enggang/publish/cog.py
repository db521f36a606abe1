"""Cloud-optimised GeoTIFFs, block by block: memory stays bounded however large the area is."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import product
from pathlib import Path
from typing import Any
from zlib import crc32

import rasterio
import rasterio.shutil
from odc.geo.geobox import GeoBox
from rasterio.crs import CRS
from rasterio.windows import Window
from rio_cogeo.cogeo import cog_validate

from enggang.errors import PublishError
from enggang.files import write_atomic
from enggang.publish.colours import Classes, palette
from enggang.publish.gdal_faults import gdal_faults, write_fault
from enggang.publish.layers import Layer
from enggang.types import AnyArray

Block = tuple[slice, slice]

_TILE = 512
_CACHE_BYTES = 256 << 20


def write_cog(
    path: Path,
    layer: Layer,
    geobox: GeoBox,
    read: Callable[[Block], AnyArray],
    tags: Mapping[str, str],
    block: int = 1024,
) -> Path:
    """Write one layer as a COG with overviews, nodata, unit, scale, offset, colours and `tags`, atomically.

    `read(window)` gives the layer's stored values of a window, (y, x) in `layer.dtype`; it is called from several
    threads. Equal values and tags give equal bytes. Peak memory is a few blocks and 256 MiB of GDAL cache.
    Raises `PublishError` where a block doesn't fit the layer or the file doesn't validate, `DiskFull` without space.
    """

    def write(temporary: Path) -> None:
        strips = temporary.with_name(f"blocks-{temporary.name}")
        with rasterio.Env(GDAL_CACHEMAX=_CACHE_BYTES, GDAL_PAM_ENABLED="NO"), gdal_faults(path):
            sums = _write_blocks(strips, layer, geobox, _ahead(windows(geobox, block), read), tags)
            rasterio.shutil.copy(strips, temporary, driver="COG", **_cog_options(layer))
            strips.unlink()
            _verify(temporary, sums)

    return write_atomic(path, write)


def windows(geobox: GeoBox, block: int) -> list[Block]:
    """The windows that tile a grid, row by row; those at the far edges are smaller."""
    rows, columns = int(geobox.shape[0]), int(geobox.shape[1])
    starts = product(range(0, rows, block), range(0, columns, block))
    return [(slice(r, min(r + block, rows)), slice(c, min(c + block, columns))) for r, c in starts]


def _ahead(
    blocks: list[Block], read: Callable[[Block], AnyArray], threads: int | None = None
) -> Iterator[tuple[Block, AnyArray]]:
    """Read blocks in order, a few ahead of the writer, so that neither waits for the other."""
    threads = threads or min(8, os.cpu_count() or 1)
    pending: deque[tuple[Block, Future[AnyArray]]] = deque()
    with ThreadPoolExecutor(threads, thread_name_prefix="publish-read") as pool:
        for window in blocks:
            pending.append((window, pool.submit(read, window)))
            if len(pending) > threads:
                first, values = pending.popleft()
                yield first, values.result()
        for first, values in pending:
            yield first, values.result()


def _write_blocks(
    path: Path, layer: Layer, geobox: GeoBox, blocks: Iterator[tuple[Block, AnyArray]], tags: Mapping[str, str]
) -> dict[Window, int]:
    """Write the blocks to a plain GeoTIFF; the CRC-32 of each."""
    sums: dict[Window, int] = {}
    with rasterio.open(path, "w", **_profile(layer, geobox)) as target:
        _describe(target, layer, tags)
        for (rows, columns), values in blocks:
            expected = (rows.stop - rows.start, columns.stop - columns.start)
            if values.shape != expected or values.dtype != layer.dtype:
                raise PublishError(
                    f"layer {layer.name}: a block is {values.dtype} {values.shape}, not {layer.dtype} {expected}",
                    "correct the layer's derive function",
                )
            window = Window.from_slices(rows, columns)
            sums[window] = crc32(values.tobytes())
            target.write(values, 1, window=window)
    return sums


def _profile(layer: Layer, geobox: GeoBox) -> dict[str, Any]:
    return {
        "driver": "GTiff",
        "height": int(geobox.shape[0]),
        "width": int(geobox.shape[1]),
        "count": 1,
        "dtype": layer.dtype,
        "nodata": layer.nodata,
        "crs": CRS.from_user_input(str(geobox.crs)),
        "transform": geobox.transform,
        "tiled": True,
        "blockxsize": _TILE,
        "blockysize": _TILE,
        "compress": "zstd",
        "zstd_level": 1,
        "bigtiff": "if_safer",
        "num_threads": "all_cpus",
        **({"photometric": "palette"} if isinstance(layer.colours, Classes) else {}),
    }


def _describe(target: Any, layer: Layer, tags: Mapping[str, str]) -> None:
    target.update_tags(**dict(sorted(tags.items())))
    target.set_band_description(1, f"{layer.title_en} / {layer.title_id}")
    target.units, target.scales, target.offsets = (layer.unit,), (layer.scale,), (layer.offset,)
    if isinstance(layer.colours, Classes):
        target.write_colormap(1, palette(layer.colours))
        labels = {f"CLASS_{c.value}": f"{c.label_en} / {c.label_id}" for c in layer.colours.entries}
        target.update_tags(1, **labels)


def _cog_options(layer: Layer) -> dict[str, str]:
    """DEFLATE, since every client reads it; differences between neighbours compress dates but not classes."""
    return {
        "BLOCKSIZE": str(_TILE),
        "COMPRESS": "DEFLATE",
        "LEVEL": "6",
        "PREDICTOR": "NO" if isinstance(layer.colours, Classes) else "STANDARD",
        "OVERVIEW_RESAMPLING": layer.overviews.upper(),
        "BIGTIFF": "IF_SAFER",
        "NUM_THREADS": "ALL_CPUS",
    }


def _verify(path: Path, sums: Mapping[Window, int]) -> None:
    """Every block must read back as it was given: GDAL may lose a failed write and leave a sparse tile instead."""
    valid, errors, warnings = cog_validate(path, strict=True, quiet=True)
    if not valid:
        raise write_fault(path, "; ".join((*errors, *warnings)))
    with rasterio.open(path) as source:
        for window, expected in sums.items():
            if crc32(source.read(1, window=window).tobytes()) != expected:
                raise write_fault(path, f"the block at row {window.row_off}, column {window.col_off} was lost")
