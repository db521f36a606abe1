"""Timing two sides in turn, so that other work on the machine meets both."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Taken:
    """Seconds by the clock, and CPU seconds of all threads of this process."""

    wall: float
    cpu: float


def taken(call: Callable[[], object]) -> Taken:
    """What one call takes."""
    wall, cpu = time.perf_counter(), time.process_time()
    call()
    return Taken(time.perf_counter() - wall, time.process_time() - cpu)


def medians(calls: Sequence[Callable[[], object]], rounds: int, warm: int = 1) -> list[Taken]:
    """Medians of each call over `rounds` rounds, in each of which every call runs once; `warm` rounds come before."""
    for _ in range(warm):
        for call in calls:
            call()
    times: list[list[Taken]] = [[] for _ in calls]
    for _ in range(rounds):
        for call, kept in zip(calls, times, strict=True):
            kept.append(taken(call))
    return [middle(kept) for kept in times]


def middle(times: Sequence[Taken]) -> Taken:
    """The median of each clock."""
    return Taken(statistics.median(t.wall for t in times), statistics.median(t.cpu for t in times))
