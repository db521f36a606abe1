"""Sentinel-1 gamma nought as it would see the demo's world: VV and VH in dB, with speckle and rain."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from enggang.simulate.landscape import SAR_SEED
from enggang.simulate.noise import correlated_field, speckle
from enggang.simulate.passes import Overpass
from enggang.simulate.signatures import POLARISATIONS
from enggang.simulate.world import World
from enggang.types import FloatArray

NODATA = -9999.0

#: Equivalent number of looks of an IW GRD product (Sentinel-1 product specification: 4.4).
LOOKS = 4.4

#: Bits of the mantissa kept: steps of 0.004 dB at −13 dB, far below the speckle, and half the bytes on disk.
_MANTISSA_BITS = 11


@dataclass(frozen=True, slots=True)
class SarImage:
    """One scene: `bands` by polarisation, (y, x) float32 dB, −9999 = nodata."""

    bands: Mapping[str, FloatArray]


def render_sar(world: World, overpass: Overpass) -> SarImage:
    """Make the Sentinel-1 scene of `overpass`; the same overpass always gives the same scene."""
    track, size = overpass.track, world.spec.size
    rng = world.spec.generator(SAR_SEED, overpass.day, track.relative_orbit)
    clean = world.backscatter_on(overpass.day)
    wet = world.wetness_on(overpass.day) * _rain(rng, size)
    shift = rng.normal(0.0, 0.15)
    offsets = {"vh": track.vh_offset, "vv": track.vv_offset}
    bands: dict[str, FloatArray] = {}
    for number, name in enumerate(POLARISATIONS):
        level = clean[number] + wet + np.float32(offsets[name] + shift)
        looks = np.maximum(speckle(rng, (size, size), LOOKS), np.float32(1e-3))
        bands[name] = _rounded(level + np.float32(10) * np.log10(looks))
    return SarImage(bands)


def _rain(rng: np.random.Generator, size: int) -> FloatArray:
    """How soaked each pixel is, (y, x) float32, 0 dry to about 1.5: in two scenes of five rain fell before, half the
    time all over, else in cells of some hundred metres to a kilometre."""
    soaked, amount, local = rng.random() < 0.4, rng.uniform(0.3, 1.3), rng.random() < 0.5
    if not soaked:
        return np.zeros((size, size), dtype=np.float32)
    cells = correlated_field(rng, (size, size), slope=3.0, longest=50.0)
    depth = cells - np.float32(0.6) if local else np.float32(amount) + np.float32(0.15) * cells
    return np.asarray(np.clip(depth, 0, 1.5), dtype=np.float32)


def _rounded(values: FloatArray) -> FloatArray:
    """`values` with the mantissa rounded to `_MANTISSA_BITS`."""
    dropped = 23 - _MANTISSA_BITS
    bits: NDArray[np.uint32] = np.ascontiguousarray(values, dtype=np.float32).view(np.uint32)
    kept = (bits + np.uint32(1 << (dropped - 1))) & ~np.uint32((1 << dropped) - 1)
    return kept.view(np.float32)
