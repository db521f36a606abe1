"""What a run would do: the same search and the same comparison, without a lease and without a write."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from enggang.monitors.history import applied_scenes
from enggang.stages.ingest import unapplied, watched
from enggang.stages.job import Job
from enggang.stages.scenes import discover
from enggang.types import Failure, Scene


@dataclass(frozen=True, slots=True)
class RunPlan:
    """What the nights from `first` to `last` would do: fit a baseline on `history` scenes (0 where there is one), apply
    `scenes` in this order, replay for those in `late`, and leave `failures` out."""

    aoi: str
    first: date
    last: date
    history: int
    scenes: tuple[Scene, ...]
    late: tuple[str, ...]
    failures: tuple[Failure, ...]


def plan_run(job: Job, first: date, last: date) -> RunPlan:
    """Find the scenes that a run would apply. Raises `SourceError`."""
    found = discover(job, last, first)
    commits = job.store.log() if job.store.exists() else []
    known = applied_scenes(commits)
    fitted = any(commit.kind == "baseline" for commit in commits)
    pending = unapplied(watched(job, found.monitored), known)
    newest = max(((c.acquired, c.scene_id) for c in known.values() if c.acquired), default=None)
    late = tuple(s.id for s in pending if s.id in known or (newest is not None and s.sort_key <= newest))
    history = 0 if fitted else len(watched(job, found.history))
    return RunPlan(job.aoi.id, first, last, history, tuple(pending), late, found.failures)
