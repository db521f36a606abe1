"""What each surface looks like to Sentinel-2 and Sentinel-1.

The values are typical of humid tropical lowland, rounded, and not fitted to any one scene. Reflectance: the shapes
of vegetation and soil as in Jensen (2007), char as in Key and Benson (2006). Backscatter, gamma nought at about 39°:
dense forest near −13 dB VH and −7 dB VV and a drop of 3 to 6 dB VH after clearing (Reiche et al. 2018, 2021), open
water below −20 dB, flooded canopy brighter in VV by the double bounce (Hess et al. 1995).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType

import numpy as np

from enggang.types import FloatArray

#: Sentinel-2 bands in the order of every reflectance vector here.
BANDS = ("blue", "green", "red", "nir", "swir16", "swir22")
POLARISATIONS = ("vh", "vv")


class Cover(IntEnum):
    """Surfaces; the first six cover the ground at the start of the history, the others come later."""

    FOREST = 1
    PEAT_FOREST = 2
    PALM = 3
    WATER = 4
    SETTLEMENT = 5
    GRASS = 6
    BARE_SOIL = 7
    SLASH = 8
    PIT = 9
    CHAR = 10
    LATERITE = 11
    REGROWTH = 12
    DRY_GRASS = 13


@dataclass(frozen=True, slots=True)
class Signature:
    """One surface: surface reflectance per band of `BANDS` (unitless), gamma nought VH and VV in dB.

    crown: relative sd of reflectance between pixels; rough: sd of backscatter between pixels in dB; wet: dB that
    soaking rain adds; season: relative amplitude of the yearly course of near infrared.
    """

    reflectance: tuple[float, float, float, float, float, float]
    vh: float
    vv: float
    crown: float
    rough: float
    wet: float
    season: float = 0.0


SIGNATURES: Mapping[Cover, Signature] = MappingProxyType(
    {
        Cover.FOREST: Signature((0.024, 0.045, 0.024, 0.305, 0.140, 0.060), -13.2, -7.2, 0.09, 0.5, 0.5, 0.03),
        Cover.PEAT_FOREST: Signature((0.023, 0.042, 0.025, 0.275, 0.118, 0.052), -12.8, -6.8, 0.07, 0.4, 0.7, 0.02),
        Cover.PALM: Signature((0.027, 0.055, 0.030, 0.340, 0.160, 0.072), -14.4, -8.8, 0.05, 0.4, 0.6, 0.03),
        Cover.WATER: Signature((0.060, 0.078, 0.066, 0.032, 0.014, 0.010), -26.0, -20.0, 0.03, 0.6, 0.0),
        Cover.SETTLEMENT: Signature((0.095, 0.115, 0.130, 0.210, 0.235, 0.200), -12.0, -4.5, 0.25, 2.2, 0.4),
        Cover.GRASS: Signature((0.040, 0.072, 0.058, 0.270, 0.210, 0.118), -17.8, -11.2, 0.08, 0.7, 1.4, 0.05),
        Cover.BARE_SOIL: Signature((0.062, 0.092, 0.125, 0.205, 0.285, 0.225), -18.6, -11.0, 0.12, 0.9, 2.0),
        Cover.SLASH: Signature((0.050, 0.070, 0.090, 0.185, 0.210, 0.150), -15.8, -9.0, 0.14, 0.9, 1.2),
        Cover.PIT: Signature((0.052, 0.060, 0.070, 0.092, 0.110, 0.098), -19.5, -11.8, 0.18, 1.3, 1.5),
        Cover.CHAR: Signature((0.034, 0.042, 0.050, 0.098, 0.170, 0.148), -15.2, -8.8, 0.16, 0.8, 1.2),
        Cover.LATERITE: Signature((0.070, 0.105, 0.165, 0.250, 0.310, 0.255), -19.0, -12.0, 0.10, 1.0, 1.6),
        Cover.REGROWTH: Signature((0.030, 0.062, 0.038, 0.310, 0.185, 0.090), -15.2, -9.2, 0.08, 0.6, 0.9, 0.03),
        Cover.DRY_GRASS: Signature((0.062, 0.088, 0.105, 0.225, 0.275, 0.190), -19.4, -12.6, 0.08, 0.7, 1.6),
    }
)

FOREST_COVERS = (Cover.FOREST, Cover.PEAT_FOREST)


class ClearingKind(IntEnum):
    """Codes of `kind.tif`; 0 is none."""

    PALM_BLOCK = 1
    COAL_PIT = 2
    LOGGING_ROAD = 3
    PLOT = 4
    BURN = 5


class TrapKind(IntEnum):
    """Codes of `trap.tif`: changes that are no clearing. 0 is none."""

    FLOODED_FOREST = 1
    FLOODED_OPEN = 2
    PRUNING = 3
    DRYING = 4
    STORM = 5


@dataclass(frozen=True, slots=True)
class KindSurface:
    """What a clearing leaves: `surface` after a first stage `fresh` that fades with `fresh_days` (e-folding)."""

    fresh: Cover
    surface: Cover
    fresh_days: float


KIND_SURFACES: Mapping[ClearingKind, KindSurface] = MappingProxyType(
    {
        ClearingKind.PALM_BLOCK: KindSurface(Cover.SLASH, Cover.BARE_SOIL, 15.0),
        ClearingKind.COAL_PIT: KindSurface(Cover.BARE_SOIL, Cover.PIT, 20.0),
        ClearingKind.LOGGING_ROAD: KindSurface(Cover.LATERITE, Cover.LATERITE, 1.0),
        ClearingKind.PLOT: KindSurface(Cover.SLASH, Cover.BARE_SOIL, 20.0),
        ClearingKind.BURN: KindSurface(Cover.CHAR, Cover.SLASH, 90.0),
    }
)


@dataclass(frozen=True, slots=True)
class TrapEffect:
    """At its height a trap mixes `weight` of the surface `towards` into the reflectance and adds `vh`, `vv` dB."""

    towards: Cover
    weight: float
    vh: float
    vv: float


TRAP_EFFECTS: Mapping[TrapKind, TrapEffect] = MappingProxyType(
    {
        TrapKind.FLOODED_FOREST: TrapEffect(Cover.WATER, 0.10, 0.4, 1.6),
        TrapKind.FLOODED_OPEN: TrapEffect(Cover.WATER, 0.85, -5.0, -6.0),
        TrapKind.PRUNING: TrapEffect(Cover.SLASH, 0.16, -1.0, -0.5),
        TrapKind.DRYING: TrapEffect(Cover.DRY_GRASS, 0.60, -0.8, -0.8),
        TrapKind.STORM: TrapEffect(Cover.SLASH, 0.30, -1.0, -0.6),
    }
)


def reflectance_table() -> FloatArray:
    """Reflectance of every surface: (band, code) float32, unitless; code 0 is NaN."""
    table = np.full((len(BANDS), max(Cover) + 1), np.nan, dtype=np.float32)
    for cover, signature in SIGNATURES.items():
        table[:, cover] = signature.reflectance
    return table


def backscatter_table() -> FloatArray:
    """Backscatter of every surface: (polarisation, code) float32, dB; code 0 is NaN."""
    table = np.full((len(POLARISATIONS), max(Cover) + 1), np.nan, dtype=np.float32)
    for cover, signature in SIGNATURES.items():
        table[:, cover] = (signature.vh, signature.vv)
    return table


def property_table(name: str) -> FloatArray:
    """One of crown, rough, wet, season for every surface: (code,) float32; code 0 is 0."""
    table = np.zeros(max(Cover) + 1, dtype=np.float32)
    for cover, signature in SIGNATURES.items():
        table[cover] = getattr(signature, name)
    return table
