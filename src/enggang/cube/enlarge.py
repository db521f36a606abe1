"""Coarse pixels on a grid that divides each of them into factor × factor pixels. Arrays in, arrays out."""

from __future__ import annotations

import numpy as np

from enggang.types import AnyArray, FloatArray


def enlarge_classes(classes: AnyArray, factor: int) -> AnyArray:
    """Each pixel repeated: (y, x) → (y · factor, x · factor), same dtype."""
    return np.repeat(np.repeat(classes, factor, axis=1), factor, axis=0)


def enlarge(values: FloatArray, factor: int) -> FloatArray:
    """Bilinear: (y, x) float32 → ((y − 2) · factor, (x − 2) · factor) float32; the outer pixels are neighbours only.

    NaN neither spreads nor shrinks: a pixel is NaN where the coarse pixel it lies in is, and a neighbour that is NaN
    (nodata, or beyond the file's edge) counts as equal to the centre.
    """
    wide = _along(values, factor, axis=1)
    return _along(wide, factor, axis=0)


def _along(values: FloatArray, factor: int, axis: int) -> FloatArray:
    lines = values if axis == 0 else values.T
    before, centre, after = lines[:-2], lines[1:-1], lines[2:]
    out = np.empty((centre.shape[0] * factor, centre.shape[1]), np.float32) if axis == 0 else None
    target = np.empty((centre.shape[1], centre.shape[0] * factor), np.float32).T if out is None else out
    steps = {-1: _step(before, centre), 1: _step(after, centre)}
    for place in range(factor):
        shift = (place + 0.5) / factor - 0.5
        np.multiply(steps[1 if shift > 0 else -1], np.float32(abs(shift)), out=target[place::factor])
        target[place::factor] += centre
    return target if axis == 0 else target.T


def _step(neighbour: FloatArray, centre: FloatArray) -> FloatArray:
    """From the centre to a neighbour; 0 where the neighbour isn't valid."""
    step = neighbour - centre
    np.copyto(step, 0, where=np.isnan(neighbour))
    return step
