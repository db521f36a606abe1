"""The ground before anything happens: land cover and what varies from pixel to pixel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from enggang.simulate.noise import correlated_field
from enggang.simulate.signatures import FOREST_COVERS, Cover
from enggang.simulate.spec import FULL_SIZE, DemoSpec
from enggang.types import BoolArray, FloatArray

#: First number of every seed key: the parts of a demo never share random numbers.
LANDSCAPE_SEED, CLEARING_SEED, TRAP_SEED, OPTICAL_SEED, SAR_SEED = range(5)


@dataclass(frozen=True, slots=True)
class Landscape:
    """The demo's ground; every array is (y, x).

    cover: uint8 codes of `Cover` at the start of the history. river_distance: float32, pixels to the nearest river
    pixel. crown, rough: float32 Gaussian fields, mean 0 and sd 1, fixed in time, for reflectance and backscatter.
    """

    cover: NDArray[np.uint8]
    river_distance: FloatArray
    crown: FloatArray
    rough: FloatArray

    @property
    def forest(self) -> BoolArray:
        """Natural forest at the start of the history, (y, x) bool; oil palm is none."""
        return np.isin(self.cover, FOREST_COVERS)


def make_landscape(spec: DemoSpec) -> Landscape:
    """Draw the ground of `spec`: a river with peat forest, an estate, a village and its grassland amid forest."""
    rng = spec.generator(LANDSCAPE_SEED)
    shape = (spec.size, spec.size)
    centre = _river_course(spec.size, rng)
    river = _channel(spec.size, centre)
    distance = distance_transform_edt(~river).astype(np.float32)
    ragged = correlated_field(rng, shape, slope=2.6, longest=spec.size / 6)
    rows, cols = np.mgrid[0 : spec.size, 0 : spec.size].astype(np.float32) / spec.size

    cover = np.full(shape, Cover.FOREST, dtype=np.uint8)
    peat_width = spec.size * 0.13 * (1 + 0.3 * ragged)
    cover[(distance < peat_width) & (cols + 0.06 * ragged < 0.60)] = Cover.PEAT_FOREST
    village = (min(0.90, float(centre[int(0.72 * spec.size)]) + 0.12), 0.72)
    cover[_grassland(rows, cols, ragged, village)] = Cover.GRASS
    _place_estate(cover, rows, cols)
    _place_village(cover, rng, village)
    cover[river] = Cover.WATER
    return Landscape(cover, distance, _mottled(rng, shape, 0.7), _mottled(rng, shape, 0.5))


def _river_course(size: int, rng: np.random.Generator) -> FloatArray:
    """The row of the river's centre line in each column, as a share of the edge: (x,) float32."""
    along = np.linspace(0.0, 1.0, size)
    phase = rng.uniform(0, 2 * np.pi, 2)
    wide, tight = (np.sin(2 * np.pi * turns * along + p) for turns, p in zip((1.1, 3.3), phase, strict=True))
    return np.asarray(0.70 + 0.07 * wide + 0.03 * tight, dtype=np.float32)


def _channel(size: int, centre: FloatArray) -> BoolArray:
    """Pixels of the river, (y, x) bool."""
    # A meander is oblique to the columns: widen by the slope so that the channel keeps its width.
    slope = np.hypot(1.0, np.gradient(centre * size))
    half_width = max(1.5, 5.0 * size / FULL_SIZE) * slope
    return np.asarray(np.abs(np.arange(size)[:, None] - (centre * size)[None, :]) < half_width[None, :], dtype=bool)


def _grassland(rows: FloatArray, cols: FloatArray, ragged: FloatArray, village: tuple[float, float]) -> BoolArray:
    """Grass around the village and in a glade far from it."""
    around = np.hypot((rows - village[0]) * 1.5, cols - village[1]) < 0.19 * (1 + 0.25 * ragged)
    glade = np.hypot(rows - 0.12, cols - 0.10) < 0.07 * (1 + 0.4 * ragged)
    return np.asarray(around | glade, dtype=bool)


def _place_estate(cover: NDArray[np.uint8], rows: FloatArray, cols: FloatArray) -> None:
    """Mature oil palm with its grid of harvest roads, in the north-east."""
    palm = (rows < 0.34) & (cols > 0.64) & (rows + 0.5 * (1 - cols) > 0.05)
    size = cover.shape[0]
    row, col = np.ogrid[0:size, 0:size]
    road = palm & ((row % 34 == 0) | (col % 40 == 0)) if size >= 256 else np.zeros_like(palm)
    cover[palm] = Cover.PALM
    cover[road] = Cover.LATERITE


def _place_village(cover: NDArray[np.uint8], rng: np.random.Generator, village: tuple[float, float]) -> None:
    """Houses thinning out from the middle of the village."""
    size = cover.shape[0]
    spread = size * 0.035
    count = max(12, int(260 * (size / FULL_SIZE) ** 2))
    centres = np.rint(rng.normal((size * village[0], size * village[1]), spread, (count, 2))).astype(int)
    for row, col in np.clip(centres, 0, size - 2):
        cover[row : row + 2, col : col + 2] = Cover.SETTLEMENT


def _mottled(rng: np.random.Generator, shape: tuple[int, int], share: float) -> FloatArray:
    """Crown-sized texture and broad patches, together of sd 1; `share` is the variance of the fine part."""
    fine = correlated_field(rng, shape, slope=1.0, longest=4.0)
    broad = correlated_field(rng, shape, slope=2.2, longest=shape[0] / 8)
    return (np.float32(np.sqrt(share)) * fine + np.float32(np.sqrt(1 - share)) * broad).astype(np.float32)
