"""How fresh everything is: the operator's first question."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

from enggang.errors import EnggangError
from enggang.layout import Layout
from enggang.publish.latest import read_latest
from enggang.stages.alerts import ledger_of
from enggang.stages.job import Job
from enggang.stages.summary import NightSummary, read_summary


@dataclass(frozen=True, slots=True)
class AoiStatus:
    """One AOI. `newest`: time of the newest scene in the state by sensor. `problem`: why nothing more can be said."""

    aoi: str
    monitor: str
    newest: dict[str, datetime]
    scenes: int
    ledger_night: date | None
    products_night: date | None
    summary: NightSummary | None
    problem: str | None = None


def status_of(job: Job) -> AoiStatus:
    """The status of one AOI; a damaged part is reported in `problem` and doesn't hide the rest."""
    newest: dict[str, datetime] = {}
    scenes, nights, problem = 0, [], None
    try:
        commits = job.store.log() if job.store.exists() else []
        applied = [c for c in commits if c.kind == "scene" and c.acquired is not None]
        newest = {str(c.extra["sensor"]): c.acquired for c in applied if c.acquired is not None}
        scenes, nights = len(applied), ledger_of(job).nights()
    except EnggangError as error:
        problem = str(error)
    latest = read_latest(job.layout).get(job.aoi.id)
    summary = last_summary(job.layout, job.aoi.id)
    published = latest.night if latest else None
    last = nights[-1] if nights else None
    return AoiStatus(job.aoi.id, job.monitor.key, newest, scenes, last, published, summary, problem)


def last_summary(layout: Layout, aoi: str) -> NightSummary | None:
    """The newest run summary of an AOI."""
    folder: Path = layout.run(aoi, date.min).parent
    files = sorted(folder.glob("????-??-??.json")) if folder.is_dir() else []
    return read_summary(files[-1]) if files else None
