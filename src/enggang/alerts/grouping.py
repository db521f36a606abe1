"""Tonight's pixels as groups: which pixel belongs to which known or new alert, and what came and went."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from enggang.alerts.components import label
from enggang.alerts.geometry import cell_areas_ha
from enggang.alerts.matching import Integers, match
from enggang.alerts.records import Alert, LedgerNight
from enggang.alerts.rules import TrackContext
from enggang.types import PixelTable


@dataclass(frozen=True, slots=True)
class Groups:
    """The standing alerts of tonight as groups of pixels; known alerts first, then new ones.

    `of_pixel`: (n,) group of each pixel, -1 = none. `known`: (k,) position in the previous night, -1 = new. `parent`:
    (k,) position from which a new alert is split, -1 = none. `merged`: loser → survivor, positions. `cells`: (k,) MMU
    in pixels. `added`, `lost`: (k,) pixels that came and went.
    """

    of_pixel: Integers
    known: Integers
    parent: Integers
    merged: dict[int, int]
    cells: Integers
    added: Integers
    lost: Integers


def group_pixels(previous: LedgerNight | None, pixels: PixelTable, index: Integers, context: TrackContext) -> Groups:
    """Tonight's components matched to the known alerts. `index`: (n,) int64, as `pixel_index` gives it."""
    before = previous.alerts if previous else ()
    labels = label(pixels, int(context.geobox.shape[1]))
    size = np.bincount(labels)
    first = np.unique(labels, return_index=True)[1]
    cells = _mmu_cells(pixels, first, context)
    known = _known_owner(previous, index)
    matching = match(labels, known, _seniority(before), size >= cells)
    survivors = np.unique(matching.owner[matching.owner >= 0])
    born = np.flatnonzero((matching.owner < 0) & (size >= cells))
    group_of_component = np.searchsorted(survivors, matching.owner)
    group_of_component[matching.owner < 0] = -1
    group_of_component[born] = len(survivors) + np.arange(len(born))
    of_pixel = group_of_component[labels].astype(np.int64)
    owner = np.concatenate([survivors, np.full(len(born), -1)])
    leader = np.unique(of_pixel[of_pixel >= 0], return_index=True)[1]
    held = np.flatnonzero(of_pixel >= 0)[leader]
    added, lost = _exchange(previous, known, of_pixel, owner)
    return Groups(
        of_pixel=of_pixel,
        known=owner,
        parent=np.concatenate([np.full(len(survivors), -1), matching.parent[born]]),
        merged=dict(matching.merged),
        cells=cells[labels[held]],
        added=added,
        lost=lost,
    )


def _mmu_cells(pixels: PixelTable, first: NDArray[np.intp], context: TrackContext) -> Integers:
    """The MMU in whole pixels at each component's first pixel."""
    rules = context.rules
    cell = cell_areas_ha(pixels.row[first], pixels.col[first], context.geobox)
    return np.ceil(rules.mmu_ha * (1 - rules.tolerance) / cell).astype(np.int64)


def _known_owner(previous: LedgerNight | None, index: Integers) -> Integers:
    """(n,) int64: position of the alert that held each pixel the night before, -1 = none."""
    owner = np.full(len(index), -1, dtype=np.int64)
    if previous is not None and len(previous.pixels.index):
        found = np.searchsorted(previous.pixels.index, index)
        found[found == len(previous.pixels.index)] = 0
        hit = previous.pixels.index[found] == index
        owner[hit] = previous.pixels.alert[found[hit]]
    return owner


def _seniority(alerts: Sequence[Alert]) -> Integers:
    """(alerts,) int64 rank, 0 = oldest: by first night, then the larger, then by id."""
    order = sorted(range(len(alerts)), key=lambda n: (alerts[n].first_seen, -alerts[n].area_ha, alerts[n].id))
    rank = np.empty(len(alerts), dtype=np.int64)
    rank[order] = np.arange(len(alerts))
    return rank


def _exchange(
    previous: LedgerNight | None, known: Integers, of_pixel: Integers, owner: Integers
) -> tuple[Integers, Integers]:
    """Pixels that each group gained and lost since the night before."""
    held = of_pixel >= 0
    size = np.bincount(of_pixel[held], minlength=len(owner))
    stays = held.copy()
    stays[held] = (known[held] >= 0) & (owner[of_pixel[held]] == known[held])
    kept = np.bincount(of_pixel[stays], minlength=len(owner))
    had = np.zeros(len(owner), dtype=np.int64)
    if previous is not None:
        counts = np.bincount(previous.pixels.alert, minlength=len(previous.alerts))
        had[owner >= 0] = counts[owner[owner >= 0]]
    return size - kept, had - kept


def group_ids(groups: Groups, before: Sequence[Alert], pixels: PixelTable, context: TrackContext) -> list[str]:
    """The id of every group: the known one, or one made from the night and the first pixel."""
    held = np.flatnonzero(groups.of_pixel >= 0)
    first = held[np.unique(groups.of_pixel[held], return_index=True)[1]]
    stem = f"{context.aoi}-{context.night:%Y%m%d}"
    return [
        before[known].id if known >= 0 else f"{stem}-r{pixels.row[pixel]}c{pixels.col[pixel]}"
        for known, pixel in zip(groups.known.tolist(), first.tolist(), strict=True)
    ]
