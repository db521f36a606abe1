"""Where a file lies on a grid: whole-pixel offsets, and frames in which a file is warped.

A frame covers a file's footprint on the AOI's lattice of pixels. It depends on the file and the lattice alone, not on
the block asked for, so that every block reads the same warped image.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from affine import Affine
from odc.geo.geobox import GeoBox
from pyproj.exceptions import ProjError
from rasterio.windows import Window

from enggang.errors import GridMismatch

#: Share of a pixel by which a file may miss the grid and still count as lying on it.
TOLERANCE = 1e-3
#: Edge of the pieces in which a warped file is read. GDAL bends each row of a request by a piecewise linear
#: approximation that depends on where the row starts and ends, hence fixed pieces (as wide as GDAL's own blocks).
PIECE = 512
#: A file finer than the grid by this factor is averaged.
_SHRINK = 1.5
_MAX_ZOOM = 64


def offset_on(source: GeoBox, geobox: GeoBox) -> tuple[int, int] | None:
    """(row, column) of the file's first pixel in the block; None where the file is not on the block's lattice."""
    if source.crs != geobox.crs:
        return None
    relative = ~geobox.transform * source.transform
    reach = max(source.shape)
    if max(abs(relative.a - 1), abs(relative.e - 1), abs(relative.b), abs(relative.d)) * reach > TOLERANCE:
        return None
    row, col = round(relative.f), round(relative.c)
    if max(abs(relative.f - row), abs(relative.c - col)) > TOLERANCE:
        return None
    return row, col


@dataclass(frozen=True, slots=True)
class Zoom:
    """A block in whole pixels of a file that is `factor` times coarser, with one pixel around for interpolation.

    `offset` and `shape` place the file in that coarse block as `offset_on` does; `cut` is the wanted part of it once
    it is enlarged, without the pixels around.
    """

    factor: int
    offset: tuple[int, int]
    shape: tuple[int, int]
    cut: tuple[slice, slice]


def zoom_on(source: GeoBox, geobox: GeoBox) -> Zoom | None:
    """How a block lies on a coarser file whose pixels are each n × n pixels of the lattice; None where they aren't."""
    if source.crs != geobox.crs:
        return None
    relative = ~geobox.transform * source.transform
    factor = round(relative.a)
    reach = max(source.shape)
    skew = max(abs(relative.a - factor), abs(relative.e - factor), abs(relative.b), abs(relative.d))
    if not 2 <= factor <= _MAX_ZOOM or skew * reach > TOLERANCE:
        return None
    row, col = round(relative.f), round(relative.c)
    if max(abs(relative.f - row), abs(relative.c - col)) > TOLERANCE:
        return None
    (top, height, rows), (left, width, cols) = (
        _span(start, int(size), factor) for start, size in ((row, geobox.shape[0]), (col, geobox.shape[1]))
    )
    return Zoom(factor, (top, left), (height, width), (rows, cols))


def _span(start: int, size: int, factor: int) -> tuple[int, int, slice]:
    """One axis of a zoom: (file's first pixel in the coarse block, pixels of the coarse block, part wanted)."""
    first = -start // factor
    last = -(-(size - start) // factor)
    skipped = -start - first * factor
    return 1 - first, last - first + 2, slice(skipped, skipped + size)


@dataclass(frozen=True, slots=True)
class Frame:
    """A file's footprint on a lattice.

    `linear`: file and lattice share the CRS, so GDAL's result doesn't depend on the window. `shrinks`: the file is
    finer than the lattice and is averaged.
    """

    transform: Affine
    crs: Any
    height: int
    width: int
    linear: bool
    shrinks: bool

    def offset(self, geobox: GeoBox) -> tuple[int, int]:
        """(row, column) of the frame's first pixel in the block."""
        relative = ~geobox.transform * self.transform
        return round(relative.f), round(relative.c)

    def pieces(self, window: Window) -> Iterator[tuple[Window, tuple[slice, slice], tuple[slice, slice]]]:
        """Fixed pieces that cover `window`: (piece to read, part of it wanted, where that lies in the window)."""
        top, left = window.row_off, window.col_off
        bottom, right = top + window.height, left + window.width
        for row in range(top // PIECE * PIECE, bottom, PIECE):
            for col in range(left // PIECE * PIECE, right, PIECE):
                height, width = min(PIECE, self.height - row), min(PIECE, self.width - col)
                rows = slice(max(top, row), min(bottom, row + height))
                cols = slice(max(left, col), min(right, col + width))
                inner = (slice(rows.start - row, rows.stop - row), slice(cols.start - col, cols.stop - col))
                cut = (slice(rows.start - top, rows.stop - top), slice(cols.start - left, cols.stop - left))
                yield Window(col, row, width, height), inner, cut


def frame_of(source: GeoBox, geobox: GeoBox) -> Frame:
    """The frame of a file on the lattice of `geobox`. Raises `GridMismatch` where the file can't be put there."""
    a, b, c, d, e, f = geobox.transform[:6]
    if b or d:
        raise GridMismatch(f"a grid in {geobox.crs} is rotated", "give a grid whose rows run east to west")
    crs = geobox.crs
    if crs is None or source.crs is None:
        raise GridMismatch("a grid has no CRS", "give the AOI's grid and the file one")
    try:
        box = source.footprint(crs).boundingbox
    except (ProjError, ValueError) as error:
        raise GridMismatch(f"a file in {source.crs} has no place in {geobox.crs} ({error})", "check its CRS") from error
    if not all(math.isfinite(v) for v in box.bbox):
        raise GridMismatch(f"a file in {source.crs} has no place in {geobox.crs}", "check its CRS and its transform")
    x, y = _fraction(c / a), _fraction(f / e)
    columns = sorted((box.left / a - x, box.right / a - x))
    rows = sorted((box.bottom / e - y, box.top / e - y))
    col, row = math.floor(columns[0]) - 1, math.floor(rows[0]) - 1
    width, height = math.ceil(columns[1]) + 1 - col, math.ceil(rows[1]) + 1 - row
    pixels = (columns[1] - columns[0]) * (rows[1] - rows[0])
    return Frame(
        transform=Affine(a, 0, (col + x) * a, 0, e, (row + y) * e),
        crs=crs.to_wkt(),
        height=height,
        width=width,
        linear=source.crs == crs,
        shrinks=source.shape[0] * source.shape[1] >= _SHRINK**2 * pixels,
    )


def _fraction(position: float) -> float:
    """Where in a pixel the lattice starts, rounded so that every block of a grid gives the same number."""
    return round(position - math.floor(position), 6) % 1.0
