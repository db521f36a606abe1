"""What the commands that run nights print."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING

from enggang.cli.console import count, next_step, say, warn

if TYPE_CHECKING:
    from enggang.stages.job import Job
    from enggang.stages.plan import RunPlan
    from enggang.stages.summary import NightSummary
    from enggang.types import Failure


def show_plan(plan: RunPlan, rerun: str) -> None:
    """The scenes that a run would apply; `rerun` is the command that does."""
    days = plan.last.isoformat() if plan.first == plan.last else f"{plan.first} to {plan.last}"
    say(f"{plan.aoi} · {days}: {count(len(plan.scenes), 'scene')} would be applied", style="bold")
    if plan.history:
        say(f"  first a baseline from {count(plan.history, 'scene')} of the history")
    for scene in plan.scenes:
        note = "  late: what came after it is replayed" if scene.id in plan.late else ""
        say(f"  {scene.acquired:%Y-%m-%d %H:%M}Z  {scene.sensor:<7}  {scene.id}{note}")
    show_failures(plan.failures)
    next_step("nothing was written; to do it", rerun)


def show_night(job: Job, summary: NightSummary, at: datetime) -> None:
    """A night in both languages, and where its products lie."""
    from enggang.stages.job import next_update
    from enggang.stages.report import report_night

    report = report_night(job.aoi, summary, next_update(at, job.aoi.properties.timezone))
    say(report.title, style="bold")
    say(f"  id  {report.text('id')}")
    say(f"  en  {report.text('en')}")
    if summary.already_done:
        say("  already done: nothing was written")
    else:
        replayed = f", {len(summary.replayed)} replayed for a late one" if summary.replayed else ""
        say(f"  {count(len(summary.applied), 'scene')} applied{replayed}")
    show_failures(summary.failures)
    show_products(job, summary)


def show_failures(failures: tuple[Failure, ...]) -> None:
    """What was left out, and why."""
    for failure in failures:
        remedy = f" → {failure.remedy}" if failure.remedy else ""
        warn(f"  left out: {failure.what} ({failure.kind}): {failure.reason}{remedy}")


def show_products(job: Job, summary: NightSummary) -> None:
    """Where alerts, layers and picture of a night lie."""
    products = job.layout.products
    if summary.files:
        kinds = ", ".join(sorted(summary.files))
        say(f"  alerts    {products / summary.files.get('geojson', min(summary.files.values()))} ({kinds})")
    if summary.layers:
        say(f"  layers    {', '.join(sorted(summary.layers))}: {products}/<layer>/{job.aoi.id}/{summary.night}/")
    if summary.picture:
        say(f"  picture   {products / summary.picture}")


def default_night(job: Job, at: datetime) -> date:
    """The last night that is over where the area lies."""
    from enggang.stages.job import last_closed_night

    return last_closed_night(at, job.aoi.properties.timezone)
