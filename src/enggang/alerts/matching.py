"""Which of tonight's components is which of the known alerts: growth, merge and split as plain integers.

Every known alert that still holds a pixel has one main component, the one that keeps most of its pixels. Of all alerts
with the same main component the oldest goes on, and the others merge into it. A component that is nobody's main one
but holds pixels of a known alert is split off as a new alert where it reaches the MMU, and stays a part of the known
alert where it doesn't. So a small remnant never vanishes, and no ground belongs to two alerts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Matching:
    """`owner`: (components,) int64 position of the known alert that a component belongs to, -1 = none of them.
    `parent`: (components,) int64 position of the known alert from which a component without owner is split, -1 = none.
    `merged`: loser → survivor, both positions of known alerts."""

    owner: Integers
    parent: Integers
    merged: Mapping[int, int]


def match(labels: NDArray[np.int32], known: Integers, seniority: Integers, large: NDArray[np.bool_]) -> Matching:
    """Match components to known alerts by shared pixels.

    `labels`: (n,) component of each pixel. `known`: (n,) position of the alert that held the pixel before, -1 = none.
    `seniority`: (alerts,) rank of each known alert, 0 = oldest. `large`: (components,) True from the MMU upwards.
    """
    held = known >= 0
    pairs, shared = np.unique(known[held] * len(large) + labels[held], return_counts=True)
    alert, component = np.divmod(pairs, max(len(large), 1))
    size = np.bincount(labels, minlength=len(large))
    owner = np.full(len(large), -1, dtype=np.int64)
    merged: dict[int, int] = {}
    mains = _main_components(alert, component, shared, size)
    for position in sorted(mains, key=lambda p: int(seniority[p])):
        survivor = int(owner[mains[position]])
        if survivor < 0:
            owner[mains[position]] = position
        else:
            merged[position] = survivor
    parent = _parents(alert, component, shared, seniority, owner)
    small = ~large & (parent >= 0)
    owner[small] = [merged.get(int(p), int(p)) for p in parent[small]]
    parent[small] = -1
    return Matching(owner=owner, parent=parent, merged=merged)


def _main_components(alert: Integers, component: Integers, shared: Integers, size: Integers) -> dict[int, int]:
    """Alert → the component with most of its pixels; ties go to the larger, then to the first component."""
    order = np.lexsort((component, -size[component], -shared, alert))
    first = np.unique(alert[order], return_index=True)[1]
    return dict(zip(alert[order][first].tolist(), component[order][first].tolist(), strict=True))


def _parents(alert: Integers, component: Integers, shared: Integers, seniority: Integers, owner: Integers) -> Integers:
    """For components without owner: the alert that held most of their pixels; ties go to the oldest."""
    parent = np.full(len(owner), -1, dtype=np.int64)
    loose = owner[component] < 0
    alert, component, shared = alert[loose], component[loose], shared[loose]
    order = np.lexsort((seniority[alert], -shared, component))
    which, first = np.unique(component[order], return_index=True)
    parent[which] = alert[order][first]
    return parent
