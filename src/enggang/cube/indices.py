"""Measures made from bands: one table. A measure that is itself a band (vh, vv, or an ndvi file) needs no entry."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from enggang.types import FloatArray


@dataclass(frozen=True, slots=True)
class Index:
    """A measure: its bands by common name, the function of their reflectances, and its source.

    `function` takes (y, x) float32 reflectances in the order of `bands`, NaN = not valid, may overwrite them, and
    returns (y, x) float32, unitless, NaN = not valid.
    """

    name: str
    bands: tuple[str, ...]
    function: Callable[..., FloatArray]
    source: str


def normalised_difference(first: FloatArray, second: FloatArray) -> FloatArray:
    """(a − b) / (a + b): (y, x) float32, unitless, −1 to 1; NaN where a value is below 0 or both are 0.

    Reflectances below 0 (dark pixels after atmospheric correction) would give differences beyond ±1. Overwrites both.
    """
    below = np.minimum(first, second) < 0
    total = first + second
    np.subtract(first, second, out=second)
    with np.errstate(divide="ignore", invalid="ignore"):
        np.divide(second, total, out=first)
    np.copyto(first, np.nan, where=below)
    return first


def enhanced_vegetation(nir: FloatArray, red: FloatArray, blue: FloatArray) -> FloatArray:
    """2.5 (nir − red) / (nir + 6 red − 7.5 blue + 1): (y, x) float32, unitless; NaN beyond ±2. Overwrites all."""
    total = nir + np.float32(6) * red - np.float32(7.5) * blue + np.float32(1)
    np.subtract(nir, red, out=nir)
    nir *= np.float32(2.5)
    with np.errstate(divide="ignore", invalid="ignore"):
        np.divide(nir, total, out=nir)
    np.copyto(nir, np.nan, where=~((total > 0) & (np.abs(nir) <= 2)))
    return nir


_TABLE = (
    Index("ndvi", ("nir", "red"), normalised_difference, "Tucker 1979, Remote Sensing of Environment 8:127–150"),
    Index("nbr", ("nir", "swir22"), normalised_difference, "Key and Benson 2006, USDA RMRS-GTR-164-CD"),
    Index("ndmi", ("nir", "swir16"), normalised_difference, "Gao 1996, Remote Sensing of Environment 58:257–266"),
    Index("ndwi", ("green", "nir"), normalised_difference, "McFeeters 1996, Int. J. Remote Sensing 17:1425–1432"),
    Index("nbr2", ("swir16", "swir22"), normalised_difference, "USGS Landsat Surface Reflectance-Derived Indices"),
    Index("evi", ("nir", "red", "blue"), enhanced_vegetation, "Huete et al. 2002, Rem. Sens. Environ. 83:195–213"),
)
#: Name → index.
INDICES: Mapping[str, Index] = MappingProxyType({index.name: index for index in _TABLE})
