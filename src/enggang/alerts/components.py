"""Connected components on a sparse table of pixels; no full raster is ever made."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from enggang.errors import LedgerError
from enggang.types import PixelTable

#: Half of the eight neighbours as (row, column) steps; the graph is undirected, so the other half follows.
_STEPS = ((0, 1), (1, -1), (1, 0), (1, 1))


def pixel_index(pixels: PixelTable, columns: int) -> NDArray[np.int64]:
    """(n,) int64: row · columns + col of each pixel, strictly ascending.

    Raises `LedgerError` where the table isn't sorted by (row, col), repeats a pixel or leaves a grid of `columns`.
    """
    index: NDArray[np.int64] = pixels.row.astype(np.int64) * columns + pixels.col
    outside = len(pixels) > 0 and (pixels.col.min() < 0 or pixels.col.max() >= columns or pixels.row.min() < 0)
    if outside or bool(np.any(np.diff(index) <= 0)):
        raise LedgerError(
            f"the pixel table isn't sorted by (row, col) without repeats on a grid of {columns} columns",
            "read the table with the geobox of the state it comes from",
        )
    return index


def label(pixels: PixelTable, columns: int) -> NDArray[np.int32]:
    """8-connected components: (n,) int32 labels 0, 1, 2 … in the order of each component's first (row, col).

    `columns` is the width of the grid; components don't wrap around its edges. Raises `LedgerError` as `pixel_index`.
    """
    index = pixel_index(pixels, columns)
    count = len(index)
    if count == 0:
        return np.zeros(0, dtype=np.int32)
    ends = [_edges(index, pixels.col, columns, step) for step in _STEPS]
    start = np.concatenate([a for a, _ in ends])
    stop = np.concatenate([b for _, b in ends])
    graph = coo_array((np.ones(len(start), dtype=np.int8), (start, stop)), shape=(count, count))
    _, raw = connected_components(graph, directed=False)
    _, first, inverse = np.unique(raw, return_index=True, return_inverse=True)
    order = np.empty(len(first), dtype=np.int32)
    order[np.argsort(first)] = np.arange(len(first), dtype=np.int32)
    labels: NDArray[np.int32] = order[inverse]
    return labels


def _edges(
    index: NDArray[np.int64], col: NDArray[np.int32], columns: int, step: tuple[int, int]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Positions of the pixels that have a neighbour one `step` away, and the positions of those neighbours."""
    down, right = step
    inside = (col + right >= 0) & (col + right < columns)
    source = np.flatnonzero(inside)
    wanted = index[source] + down * columns + right
    found = np.searchsorted(index, wanted)
    found[found == len(index)] = 0
    hit = index[found] == wanted
    return source[hit], found[hit]
