"""What happens to the forest: clearings of several kinds, each with the day on which every pixel falls.

A clearing is planned on free forest, well inside the ground and apart from every other, so that the truth can tell
one from the next. Areas shrink with the ground of a small archive.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, gaussian_filter1d

from enggang.simulate.landscape import CLEARING_SEED, Landscape
from enggang.simulate.noise import correlated_field
from enggang.simulate.signatures import ClearingKind
from enggang.simulate.spec import DemoSpec
from enggang.types import BoolArray, FloatArray

#: Pixels kept free around a clearing, and between a clearing and the edge of the ground.
APART, MARGIN = 5, 5
_TRIES = 600

Period = tuple[int, int]


@dataclass(frozen=True, slots=True, eq=False)
class Clearing:
    """One clearing: equally long columns sorted by (row, col), and how fast it turns green.

    rows, cols: int64 on the archive's grid. days: uint16 days since 2014-12-31, the first on which the pixel is
    bare. regrowth_days: e-folding time of the regrowth.
    """

    id: str
    kind: ClearingKind
    rows: NDArray[np.int64]
    cols: NDArray[np.int64]
    days: NDArray[np.uint16]
    regrowth_days: float


@dataclass(slots=True)
class Ground:
    """Forest on which a clearing may still be planned; `free` shrinks with each one."""

    spec: DemoSpec
    free: BoolArray
    rng: np.random.Generator

    def spot(self, height: int, width: int, share: float = 0.97) -> tuple[int, int] | None:
        """Upper left corner of a random window of which at least `share` is free; None where none was found."""
        size = self.spec.size
        if size - MARGIN - max(height, width) <= MARGIN:
            return None
        for _ in range(_TRIES):
            row = int(self.rng.integers(MARGIN, size - MARGIN - height))
            col = int(self.rng.integers(MARGIN, size - MARGIN - width))
            if self.free[row : row + height, col : col + width].mean() >= share:
                return row, col
        return None

    def claim(self, days: NDArray[np.int64]) -> NDArray[np.int64]:
        """Take the pixels of `days` ((y, x) int64, 0 = none) that are free, and their surroundings."""
        taken = np.where(self.free, days, 0)
        self.free &= ~binary_dilation(days > 0, iterations=APART)
        return taken


@dataclass(frozen=True, slots=True)
class Wish:
    """A clearing to be planned: kind, area in ha at full size, its period, and how it regrows."""

    kind: ClearingKind
    area_ha: float
    start: int
    duration: int
    regrowth_days: float


#: A planner draws one wish as (y, x) int64 days, 0 = none; None where it found no room.
Planner = Callable[[Ground, Wish], NDArray[np.int64] | None]


def plan_clearings(spec: DemoSpec, landscape: Landscape) -> tuple[Clearing, ...]:
    """All clearings of an archive, large ones first; ids count up from C001."""
    rng = spec.generator(CLEARING_SEED)
    ground = Ground(spec, landscape.forest.copy(), rng)
    planned: list[Clearing] = []
    for wish in _wishes(spec, rng):
        taken = _fulfil(ground, wish)
        rows, cols = np.nonzero(taken)
        if len(rows):
            name = f"C{len(planned) + 1:03d}"
            column = taken[rows, cols].astype(np.uint16)
            planned.append(Clearing(name, wish.kind, rows, cols, column, wish.regrowth_days))
    return tuple(planned)


def _fulfil(ground: Ground, wish: Wish) -> NDArray[np.int64]:
    """Plan one wish, smaller where there is no room: (y, x) int64 days, 0 = none, all 0 where even that fails."""
    for share in (1.0, 0.5, 0.25):
        days = PLANNERS[wish.kind](ground, replace(wish, area_ha=wish.area_ha * share))
        if days is not None:
            return ground.claim(days)
    return np.zeros(ground.free.shape, dtype=np.int64)


def _wishes(spec: DemoSpec, rng: np.random.Generator) -> Iterable[Wish]:
    """What is to be cleared, in order of size. Regrowth: about 2 years as a rule, 4 months for some plots."""
    full = spec.scale
    monitor, history = spec.monitor_days, spec.history_days
    large = (28.0, 12.0, 6.0) if full > 0.3 else (28.0,)
    for area in large:
        yield Wish(ClearingKind.PALM_BLOCK, max(area * full, 1.6), *_period(rng, monitor, 0.05, 0.35, 0.45), 500.0)
    yield Wish(ClearingKind.COAL_PIT, max(18 * full, 0.8), *_period(rng, monitor, 0.05, 0.2, 0.7), 1e5)
    yield Wish(ClearingKind.LOGGING_ROAD, 0.0, *_period(rng, monitor, 0.05, 0.3, 0.5), 1500.0)
    for area in (12.0, 3.0) if full > 0.3 else (12.0,):
        yield Wish(ClearingKind.BURN, max(area * full, 0.7), *_period(rng, monitor, 0.25, 0.7, 0.04), 240.0)
    if full > 0.3:
        yield Wish(ClearingKind.PALM_BLOCK, 14 * full, *_period(rng, history, 0.2, 0.6, 0.2), 700.0)
    yield from _plots(spec, rng, history, (0, 2, 3), 0.8)
    yield from _plots(spec, rng, monitor, (14, 22, 18), 0.85)


def _plots(
    spec: DemoSpec, rng: np.random.Generator, window: Period, counts: tuple[int, int, int], latest: float
) -> Iterable[Wish]:
    """Smallholder plots of 0.05–0.1, 0.1–0.5 and 0.5–2 ha, the largest first."""
    classes = ((0.05, 0.1), (0.1, 0.5), (0.5, 2.0))
    fewest = (1, 2, 1) if counts[0] else (0, 0, 1)
    for (low, high), count, least in reversed(list(zip(classes, counts, fewest, strict=True))):
        for _ in range(max(least, round(count * spec.scale))):
            area = float(np.exp(rng.uniform(np.log(low), np.log(min(high, max(1.2 * low, high * spec.scale**0.25))))))
            start, _ = _period(rng, window, 0.04, latest, 0.0)
            regrowth = 120.0 if rng.random() < 0.3 else 700.0
            yield Wish(ClearingKind.PLOT, area, start, int(4 + 10 * area), regrowth)


def _period(rng: np.random.Generator, window: Period, first: float, last: float, share: float) -> tuple[int, int]:
    """A start between the shares `first` and `last` of `window`, and a duration of `share` of it, at least 3 days."""
    length = window[1] - window[0]
    start = window[0] + int(length * rng.uniform(first, last))
    return start, min(max(3, int(length * share)), window[1] - start)


def _palm_block(ground: Ground, wish: Wish) -> NDArray[np.int64] | None:
    """A rectangle: a grid of roads first, then strip after strip from one side."""
    pixels = wish.area_ha * ground.spec.pixels_per_ha
    height = max(8, round(float(np.sqrt(pixels / 1.3))))
    width = max(10, round(pixels / height))
    corner = ground.spot(height, width)
    if corner is None:
        return None
    road_days = max(1, wish.duration // 6)
    strip = 4
    strips = -(-width // strip)
    row, col = np.mgrid[0:height, 0:width]
    order = (col // strip) / strips
    days = wish.start + road_days + np.floor(order * (wish.duration - road_days)).astype(np.int64)
    grid = (row % 17 == 0) | (col % 20 == 0)
    days[grid] = wish.start + (col[grid] * road_days) // width
    return _onto(ground.spec.size, corner, days)


def _coal_pit(ground: Ground, wish: Wish) -> NDArray[np.int64] | None:
    """An ellipse with a ragged rim that grows evenly in area from its centre."""
    half = float(np.sqrt(wish.area_ha * ground.spec.pixels_per_ha / np.pi / 0.7))
    edge = int(2 * half * 1.15) + 2
    corner = ground.spot(edge, edge, share=0.93)
    if corner is None:
        return None
    radius = _ragged_radius(ground.rng, edge, half, flattening=0.7, rim=0.08)
    days = wish.start + np.floor(np.square(radius) * wish.duration).astype(np.int64)
    return _onto(ground.spec.size, corner, np.where(radius <= 1, days, 0))


def _plot(ground: Ground, wish: Wish) -> NDArray[np.int64] | None:
    """The pixels nearest to a point in a warped metric: as many as the area asks for, cleared from one side."""
    count = max(3, round(wish.area_ha * ground.spec.pixels_per_ha))
    edge = int(np.sqrt(count) * 1.9) + 3
    corner = ground.spot(edge, edge)
    if corner is None:
        return None
    radius = _ragged_radius(ground.rng, edge, edge / 2, flattening=float(ground.rng.uniform(0.6, 1.0)), rim=0.12)
    inside = radius <= np.partition(radius, count - 1, axis=None)[count - 1]
    front = np.linspace(0, 1, edge)[None, :]
    days = wish.start + np.floor(front * wish.duration).astype(np.int64) * np.ones((edge, 1), dtype=np.int64)
    return _onto(ground.spec.size, corner, np.where(inside, days, 0))


def _burn(ground: Ground, wish: Wish) -> NDArray[np.int64] | None:
    """A fire scar: very ragged, with islands, burnt outward from one point within days."""
    half = float(np.sqrt(wish.area_ha * ground.spec.pixels_per_ha / np.pi))
    edge = int(2 * half * 1.5) + 2
    corner = ground.spot(edge, edge, share=0.9)
    if corner is None:
        return None
    radius = _ragged_radius(ground.rng, edge, half, flattening=0.85, rim=0.35)
    islands = correlated_field(ground.rng, (edge, edge), slope=1.5, longest=6.0) > 1.7
    days = wish.start + np.floor(np.clip(radius, 0, 1) * wish.duration).astype(np.int64)
    return _onto(ground.spec.size, corner, np.where((radius <= 1) & ~islands, days, 0))


def _logging_road(ground: Ground, wish: Wish) -> NDArray[np.int64] | None:
    """A winding line 2 to 3 pixels wide that advances, with a landing every 45 pixels; the longest of some walks."""
    walks = [_walk(ground) for _ in range(40)]
    path = max(walks, key=len)
    if len(path) < 20:
        return None
    size = ground.spec.size
    days = np.zeros((size, size), dtype=np.int64)
    # Backwards, so that where stamps overlap the earlier day stands.
    for step in range(len(path) - 1, -1, -1):
        row, col = int(path[step, 0]), int(path[step, 1])
        day = wish.start + int(step / len(path) * wish.duration)
        reach = 2 if step % 45 == 30 else 1
        days[row - reach : row + reach, col - reach : col + reach + (1 if reach == 2 else step % 2)] = day
    return days


def _walk(ground: Ground) -> NDArray[np.int64]:
    """A smooth random walk over free forest, (step, 2) rows and columns; it ends where free forest ends."""
    spec, rng = ground.spec, ground.rng
    length = int(spec.size * 0.45)
    bends = gaussian_filter1d(rng.standard_normal(length), 12, mode="reflect")
    heading = rng.uniform(0, 2 * np.pi) + np.cumsum(bends) * 0.18
    origin = rng.uniform(spec.size * 0.1, spec.size * 0.9, 2)
    steps = origin + np.cumsum(np.column_stack([np.sin(heading), np.cos(heading)]), axis=0)
    path = np.floor(steps).astype(np.int64)
    inside = np.all((path >= MARGIN) & (path < spec.size - MARGIN), axis=1)
    row, col = np.where(inside[:, None], path, 0).T
    good = inside & ground.free[row, col]
    reached: NDArray[np.int64] = path[: len(path) if good.all() else int(np.argmin(good))]
    return reached


def _ragged_radius(rng: np.random.Generator, edge: int, half: float, *, flattening: float, rim: float) -> FloatArray:
    """Distance from the centre of an edge × edge window, 1 on a ragged and turned ellipse of half axis `half`."""
    row, col = np.mgrid[0:edge, 0:edge] - (edge - 1) / 2
    angle = rng.uniform(0, np.pi)
    long, short = row * np.sin(angle) + col * np.cos(angle), row * np.cos(angle) - col * np.sin(angle)
    warp = correlated_field(rng, (edge, edge), slope=2.4, longest=max(4.0, edge / 3))
    radius = np.hypot(long / half, short / (half * flattening)) * np.exp(rim * warp)
    return np.asarray(radius, dtype=np.float32)


def _onto(size: int, corner: tuple[int, int], days: NDArray[np.int64]) -> NDArray[np.int64]:
    whole = np.zeros((size, size), dtype=np.int64)
    height, width = days.shape
    whole[corner[0] : corner[0] + height, corner[1] : corner[1] + width] = days
    return whole


PLANNERS: dict[ClearingKind, Planner] = {
    ClearingKind.PALM_BLOCK: _palm_block,
    ClearingKind.COAL_PIT: _coal_pit,
    ClearingKind.LOGGING_ROAD: _logging_road,
    ClearingKind.PLOT: _plot,
    ClearingKind.BURN: _burn,
}
