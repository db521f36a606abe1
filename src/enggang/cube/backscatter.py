"""SAR backscatter: units and speckle. Arrays in, arrays out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from enggang.errors import SceneError
from enggang.types import FloatArray


def _db_to_power(values: FloatArray) -> FloatArray:
    values *= np.float32(np.log(10) / 10)
    return np.exp(values, out=values)


def _amplitude_to_power(values: FloatArray) -> FloatArray:
    return np.multiply(values, values, out=values)


def _identity(values: FloatArray) -> FloatArray:
    return values


#: Unit → what makes power of it, in place.
_TO_POWER: Mapping[str, Callable[[FloatArray], FloatArray]] = MappingProxyType(
    {"dB": _db_to_power, "power": _identity, "amplitude": _amplitude_to_power}
)


def to_decibel(values: FloatArray, unit: str, window: int) -> FloatArray:
    """Backscatter in dB: (y, x) float32, NaN = not valid, smaller than `values` by `window // 2` each side.

    `values`: (y, x) float32 in `unit` (dB, power or amplitude); overwritten. `window`: odd edge in pixels of the box
    in which power is averaged over the valid pixels (1 = none); a pixel that isn't valid itself stays so. Averaging
    is done in power since speckle is multiplicative (Lee and Pottier 2009, Polarimetric Radar Imaging, ch. 5).
    Raises `SceneError` for another unit.
    """
    if unit not in _TO_POWER:
        raise SceneError(f"backscatter in unit {unit!r}", f"state one of {', '.join(_TO_POWER)}")
    if unit == "dB" and window == 1:
        return values
    power = box_mean(_TO_POWER[unit](values), window)
    with np.errstate(divide="ignore", invalid="ignore"):
        np.log10(power, out=power)
    power *= np.float32(10)
    np.copyto(power, np.nan, where=~np.isfinite(power))
    return power


def box_mean(values: FloatArray, window: int) -> FloatArray:
    """Mean over the valid pixels of a box: (y, x) float32, smaller by `window // 2` each side; NaN stays NaN.

    Sums run in a fixed order for each pixel, so a value doesn't depend on where the array was cut.
    """
    if window == 1:
        return values
    edge = window // 2
    valid = ~np.isnan(values)
    total = _box_sum(np.where(valid, values, np.float32(0)), window)
    count = _box_sum(valid.astype(np.float32), window)
    height, width = values.shape
    centre = valid[edge : height - edge, edge : width - edge]
    return np.divide(total, count, out=np.full_like(total, np.nan), where=centre)


def _box_sum(values: FloatArray, window: int) -> FloatArray:
    height, width = values.shape[0] - window + 1, values.shape[1] - window + 1
    rows = values[:height].copy()
    for k in range(1, window):
        rows += values[k : k + height]
    total = rows[:, :width].copy()
    for k in range(1, window):
        total += rows[:, k : k + width]
    return total
