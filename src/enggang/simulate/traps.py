"""What looks like clearing and is none: floods, pruned palms, dry grass, a storm-torn canopy that regrows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from enggang.simulate.landscape import TRAP_SEED, Landscape
from enggang.simulate.signatures import Cover, TrapKind
from enggang.simulate.spec import DemoSpec
from enggang.types import BoolArray


@dataclass(frozen=True, slots=True, eq=False)
class Trap:
    """One passing change: pixels (rows, cols: int64) and its course in time.

    It rises within `rise` days from `start` (days since 2014-12-31), holds for `hold` days and then fades with an
    e-folding time of `fade` days.
    """

    id: str
    kind: TrapKind
    rows: NDArray[np.int64]
    cols: NDArray[np.int64]
    start: int
    rise: int
    hold: int
    fade: float

    @property
    def end(self) -> int:
        """The day on which a twentieth of the effect is left."""
        return self.start + self.rise + self.hold + round(3 * self.fade)

    def strength(self, day: int) -> float:
        """Share of the full effect on `day`, 0–1."""
        age = day - self.start
        if age < 0:
            return 0.0
        if age < self.rise:
            return (age + 1) / (self.rise + 1)
        return float(np.exp(-max(0, age - self.rise - self.hold) / self.fade))


@dataclass(frozen=True, slots=True)
class Course:
    """When a trap begins, as a share of the monitoring window, and how it goes on, in days."""

    begins: float
    rise: int
    hold: int
    fade: float


COURSES: dict[TrapKind, Course] = {
    TrapKind.FLOODED_FOREST: Course(0.12, 2, 18, 5.0),
    TrapKind.FLOODED_OPEN: Course(0.12, 2, 18, 4.0),
    TrapKind.PRUNING: Course(0.30, 1, 15, 25.0),
    TrapKind.DRYING: Course(0.28, 20, 15, 12.0),
    TrapKind.STORM: Course(0.35, 0, 10, 30.0),
}


def plan_traps(spec: DemoSpec, landscape: Landscape, cleared: BoolArray) -> tuple[Trap, ...]:
    """All traps of an archive, on pixels that are never cleared (`cleared`: (y, x) bool); ids count up from T001."""
    rng = spec.generator(TRAP_SEED)
    first, last = spec.monitor_days
    planned: list[Trap] = []
    for kind, where in _places(spec, landscape, rng):
        rows, cols = np.nonzero(where & ~cleared)
        if len(rows) == 0:
            continue
        course = COURSES[kind]
        begins = course.begins + rng.uniform(-0.04, 0.08)
        start = first + int((last - first) * begins)
        name = f"T{len(planned) + 1:03d}"
        planned.append(Trap(name, kind, rows, cols, start, course.rise, course.hold, course.fade))
    return tuple(planned)


def _places(spec: DemoSpec, landscape: Landscape, rng: np.random.Generator) -> Iterable[tuple[TrapKind, BoolArray]]:
    size, cover = spec.size, landscape.cover
    # Widest halfway along a stretch of the river, and nothing at its two ends.
    along = np.clip((np.arange(size)[None, :] / size - 0.15) / 0.7, 0, 1)
    flood = landscape.river_distance < max(4.0, size * 0.05) * np.sqrt(np.sin(np.pi * along))
    yield TrapKind.FLOODED_FOREST, flood & landscape.forest
    yield TrapKind.DRYING, cover == Cover.GRASS
    yield TrapKind.FLOODED_OPEN, flood & (cover == Cover.GRASS)
    for _ in range(3 if spec.scale > 0.3 else 1):
        yield TrapKind.PRUNING, _disc(rng, cover == Cover.PALM, max(4.0, size * 0.025))
    for _ in range(2 if spec.scale > 0.3 else 1):
        yield TrapKind.STORM, _disc(rng, landscape.forest, max(3.5, size * 0.014))


def _disc(rng: np.random.Generator, where: BoolArray, radius: float) -> BoolArray:
    """A ragged disc around a random pixel of `where`, cut to it."""
    rows, cols = np.nonzero(where)
    if len(rows) == 0:
        return where
    pick = int(rng.integers(len(rows)))
    row, col = np.ogrid[0 : where.shape[0], 0 : where.shape[1]]
    distance = np.hypot(row - rows[pick], col - cols[pick])
    return np.asarray(where & (distance < radius * (1 + 0.15 * rng.standard_normal(where.shape))), dtype=bool)
