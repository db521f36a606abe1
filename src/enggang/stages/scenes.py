"""Find the scenes of an AOI."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from enggang.sources.base import SearchResult, with_retries
from enggang.stages.job import Job
from enggang.types import Failure, Scene, night_of

#: How far back, before the last scene applied, a night looks for scenes that came late.
LOOKBACK = timedelta(days=60)


@dataclass(frozen=True, slots=True)
class Found:
    """Scenes of the history (before `monitor_from`), those to monitor, and items that can't be used."""

    history: tuple[Scene, ...] = ()
    monitored: tuple[Scene, ...] = ()
    failures: tuple[Failure, ...] = ()

    def up_to(self, night: date, timezone: str) -> Found:
        """Without the scenes that belong to later nights."""
        kept = tuple(s for s in self.monitored if night_of(s.acquired, timezone) <= night)
        return Found(self.history, kept, self.failures)


def discover(job: Job, night: date, first: date | None = None) -> Found:
    """Search the source for what the nights from `first` (default: `night`) to `night` need.

    Without a state that is the whole history; with one, what came since and `LOOKBACK` before it.
    Raises `SourceError`.
    """
    begin = monitor_begin(job)
    log = job.store.log() if job.store.exists() else []
    if any(c.kind == "baseline" for c in log):
        newest = max((c.acquired for c in log if c.acquired), default=begin)
        start = max(begin, min(newest, job.closes(first or night)) - LOOKBACK)
    else:
        start = begin - timedelta(days=365.25 * job.monitor.baseline.years)
    found = search(job, start, job.closes(night))
    split = [s for s in found.scenes if s.acquired >= begin]
    return Found(tuple(s for s in found.scenes if s.acquired < begin), tuple(split), found.failures)


def monitor_begin(job: Job) -> datetime:
    """The first moment that is monitored: local midnight of `monitor_from`; what lies before is history."""
    return datetime.combine(job.aoi.properties.monitor_from, time(), ZoneInfo(job.aoi.properties.timezone))


def search(job: Job, start: datetime, end: datetime) -> SearchResult:
    """Scenes of the AOI acquired in [start, end), with retries by error type. Raises `SourceError`."""
    bounds = job.aoi.geometry.bounds
    return with_retries(lambda: job.source.search(bounds, start, end))


def newest_first(scenes: Iterable[Scene]) -> list[Scene]:
    """Scenes by descending time of acquisition."""
    return sorted(scenes, key=lambda s: s.sort_key, reverse=True)
