"""Go back to an earlier night: the state is reset, later nights of the ledger are set aside, nothing is deleted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from enggang.errors import StateError
from enggang.monitors.history import Commit, as_of
from enggang.stages.alerts import ledger_of
from enggang.stages.job import Job

OWNER = "rollback"


@dataclass(frozen=True, slots=True)
class RolledBack:
    """What a rollback to a night undid: scenes leave the state, nights move to the ledger's `superseded/`."""

    to: date
    scenes: tuple[str, ...]
    nights: tuple[date, ...]


def roll_back(job: Job, to: date, dry_run: bool = False) -> RolledBack:
    """Set state and ledger to what they were after the night `to`; products stay, they are immutable. A dry run takes
    no lease and writes nothing.

    Safe to repeat. Raises `StateError` where there is no state or none of that night can be read, `StateLocked`.
    """
    if not job.store.exists():
        raise StateError(f"{job.aoi.id} has no state to roll back", "run a night first")
    if dry_run:
        return _plan(job, job.store.log(), to)[0]
    with job.store.writer(OWNER, job.settings.lease_seconds) as writer:
        undone, target = _plan(job, writer.log(), to)
        # The ledger first: a kill in between leaves a state ahead of its ledger, which the same call mends.
        ledger_of(job).supersede_after(to)
        for night in undone.nights:
            job.layout.run(job.aoi.id, night).unlink(missing_ok=True)
        writer.reset_to(target.snapshot)
    return undone


def _plan(job: Job, log: Sequence[Commit], to: date) -> tuple[RolledBack, Commit]:
    target = as_of(log, to)
    position = [commit.snapshot for commit in log].index(target.snapshot)
    scenes = tuple(commit.scene_id for commit in log[position + 1 :])
    nights = tuple(night for night in ledger_of(job).nights() if night > to)
    return RolledBack(to, scenes, nights), target
