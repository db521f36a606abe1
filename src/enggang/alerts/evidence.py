"""What the pixels of each alert say together: counts, dates, probability and sensors, all groups at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from enggang.types import SENSOR_BIT, AnyArray, PixelStatus, PixelTable

#: Stands for "no date" in a minimum; no uint16 day number reaches it.
_NEVER = 1 << 16


@dataclass(frozen=True, slots=True)
class Evidence:
    """Per group, equally long 1-D arrays. `first`: position of the first pixel in the table. `size`, `provisional`
    (or better), `confirmed`: int64 counts of pixels. `first_disturbed`, `flagged_on`: int64 earliest day number, 0 =
    none; the former among provisional or better pixels, where there are any. `probability`: float64 mean.
    `observations`: int64 median, rounded down. `sensors`: uint8 union of the `SENSOR_BIT`s."""

    first: NDArray[np.int64]
    size: NDArray[np.int64]
    provisional: NDArray[np.int64]
    confirmed: NDArray[np.int64]
    first_disturbed: NDArray[np.int64]
    flagged_on: NDArray[np.int64]
    probability: NDArray[np.float64]
    observations: NDArray[np.int64]
    sensors: NDArray[np.uint8]


def gather(pixels: PixelTable, group: NDArray[np.int64], count: int) -> Evidence:
    """Evidence of `count` groups. `group`: (n,) int64 group of each pixel, -1 = none; every group has a pixel."""
    order = np.argsort(group, kind="stable")
    order = order[group[order] >= 0]
    which = group[order]
    starts = np.searchsorted(which, np.arange(count))
    status = pixels.status[order]
    firm = status >= PixelStatus.PROVISIONAL
    flagged_on, size = pixels.flagged_on[order], np.bincount(which, minlength=count)
    disturbed = pixels.first_disturbed[order]
    among_firm = _earliest(np.where(firm, disturbed, 0), starts)
    by_observations = np.lexsort((pixels.observations[order], which))
    middle = starts + (size - 1) // 2
    return Evidence(
        first=order[starts],
        size=size,
        provisional=np.bincount(which[firm], minlength=count),
        confirmed=np.bincount(which[status == PixelStatus.CONFIRMED], minlength=count),
        first_disturbed=np.where(among_firm > 0, among_firm, _earliest(disturbed, starts)),
        flagged_on=_earliest(flagged_on, starts),
        probability=np.bincount(which, pixels.probability[order].astype(np.float64), minlength=count) / size,
        observations=pixels.observations[order][by_observations][middle].astype(np.int64),
        sensors=_reduce(np.bitwise_or, pixels.sensors[order], starts),
    )


def confirmed_days(pixels: PixelTable, group: NDArray[np.int64], needed: NDArray[np.int64]) -> NDArray[np.int64]:
    """(groups,) int64: the day on which a group reached `needed` confirmed pixels, 0 where it has not.

    `group`: (n,) as in `gather`. A confirmed pixel without a date counts as confirmed from the start.
    """
    sure = np.flatnonzero((pixels.status == PixelStatus.CONFIRMED) & (group >= 0))
    order = sure[np.lexsort((pixels.confirmed_on[sure], group[sure]))]
    which = group[order]
    starts = np.searchsorted(which, np.arange(len(needed)))
    have = np.bincount(which, minlength=len(needed))
    days = np.zeros(len(needed), dtype=np.int64)
    reached = np.flatnonzero(have >= needed)
    days[reached] = pixels.confirmed_on[order[starts[reached] + needed[reached] - 1]]
    return days


def sensor_names(bits: int) -> tuple[str, ...]:
    """Names of the sensors in a union of bits, in the order of `SENSOR_BIT`."""
    return tuple(name for name, bit in SENSOR_BIT.items() if bits & bit)


def _earliest(days: AnyArray, starts: NDArray[np.intp]) -> NDArray[np.int64]:
    dated = np.where(days > 0, days.astype(np.int64), _NEVER)
    found = _reduce(np.minimum, dated, starts)
    return np.where(found < _NEVER, found, 0)


def _reduce(reduction: np.ufunc, values: AnyArray, starts: NDArray[np.intp]) -> AnyArray:
    reduced: AnyArray = reduction.reduceat(values, starts) if len(starts) else values[:0]
    return reduced
