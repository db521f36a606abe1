"""What a night could see, and what it couldn't: silence must not be read as safety."""

from __future__ import annotations

from datetime import date

import numpy as np
from pydantic import BaseModel, ConfigDict

from enggang.alerts.geometry import areas_ha
from enggang.monitors.reader import StateReader
from enggang.stages.job import Job
from enggang.stages.pool import Window, map_blocks, windows_of
from enggang.types import PixelStatus, day_number

#: A pixel not seen clearly for this long is counted as not seen.
STALE_DAYS = 30


class Coverage(BaseModel):
    """Shares (0–1) of the AOI's pixels. watched: believed forest or flagged; unknown: never seen clearly enough for a
    baseline; nonforest; stale: watched, but not seen clearly within `STALE_DAYS` of the night's end.
    `area_ha` is the AOI's area."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    area_ha: float
    watched: float
    unknown: float
    nonforest: float
    stale: float


def measure_coverage(job: Job, reader: StateReader, night: date) -> Coverage:
    """Count the pixels of the state by what is known of them."""
    counts: list[tuple[int, ...]] = []
    oldest = day_number(night) - STALE_DAYS

    def count(window: Window) -> tuple[int, ...]:
        status = reader.read("status", window)
        watched = (status >= PixelStatus.FOREST) & (status <= PixelStatus.CONFIRMED)
        stale = watched & (reader.read("last_valid", window) < oldest)
        kinds = (status != PixelStatus.OUTSIDE, watched, status == PixelStatus.UNKNOWN, status == PixelStatus.NONFOREST)
        return tuple(int(np.count_nonzero(kind)) for kind in (*kinds, stale))

    map_blocks(
        job, count, windows_of(job.identity.shape, job.settings.block), lambda _, c: counts.append(c), local=True
    )
    inside, *parts = (sum(column) for column in zip(*counts, strict=True))
    area = float(areas_ha(np.array([job.aoi.geometry], dtype=object))[0])
    shares = (round(part / max(inside, 1), 4) for part in parts)
    return Coverage(
        area_ha=round(area, 1), **dict(zip(("watched", "unknown", "nonforest", "stale"), shares, strict=True))
    )
