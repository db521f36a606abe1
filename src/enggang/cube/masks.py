"""Which optical observations don't count as clear. Arrays in, arrays out."""

from __future__ import annotations

import numpy as np

from enggang.types import AnyArray, BoolArray, FloatArray, MaskRule

#: Value of class bands outside the file.
OUTSIDE = 255


def unclear_classes(classes: AnyArray, rule: MaskRule) -> BoolArray:
    """Pixels of a scene classification that aren't clear: (y, x) bool, `rule.dilate` smaller on each side.

    `classes`: (y, x) uint8. Every class that isn't in `rule.scl_valid` grows by `rule.dilate` pixels (a square);
    what lies outside the file is not clear, but doesn't grow: nothing is known of it.
    """
    bad = np.ones(classes.shape, dtype=bool)
    for valid in rule.scl_valid:
        bad &= classes != valid
    if rule.dilate == 0:
        return bad
    edge = rule.dilate
    known_bad = bad & (classes != OUTSIDE)
    grown = _grow(_grow(known_bad, edge, 0), edge, 1)
    height, width = classes.shape
    centre: BoolArray = bad[edge : height - edge, edge : width - edge]
    return grown | centre


def bright_blue(blue: FloatArray, limit: float) -> BoolArray:
    """Pixels brighter than `limit` in blue: (y, x) bool. NaN is not bright: the other tests decide there.

    Cloud that a classification misses is bright in blue over forest, where reflectance stays below 0.05
    (Zhu and Woodcock 2014, Remote Sensing of Environment 152:217–234).
    """
    return blue > np.float32(limit)


def _grow(bad: BoolArray, edge: int, axis: int) -> BoolArray:
    """OR over a window of 2·edge + 1 along an axis; the result is shorter by 2·edge."""
    length = bad.shape[axis] - 2 * edge
    views = [bad[k : k + length] if axis == 0 else bad[:, k : k + length] for k in range(2 * edge + 1)]
    out: BoolArray = views[0] | views[1]
    for view in views[2:]:
        out |= view
    return out
