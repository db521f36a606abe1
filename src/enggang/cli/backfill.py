"""`enggang backfill`."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from enggang.cli.console import count, next_step, say
from enggang.cli.faults import for_each
from enggang.cli.nights import show_failures, show_plan, show_products
from enggang.cli.options import Areas, DryRun, FirstNight, LastNight, examples
from enggang.cli.progress import shown_progress
from enggang.cli.session import aoi_ids, current, job_of

if TYPE_CHECKING:
    from enggang.stages.job import Job
    from enggang.stages.summary import NightSummary

HELP = examples(
    "enggang backfill --aoi ikn --from 2026-01-01 --to 2026-06-30",
    "enggang backfill --aoi ikn --from 2026-06-01 --to 2026-06-30 --products every",
)


class Products(StrEnum):
    """Which nights of a range get products."""

    LAST = "last"
    EVERY = "every"


def backfill(
    aoi: Areas,
    first: FirstNight,
    last: LastNight,
    products: Annotated[
        Products, typer.Option("--products", help="Nights that get products. The ledger has them all.")
    ] = Products.LAST,
    dry_run: DryRun = False,
) -> None:
    """Run a range of past nights in order. Cut off anywhere, the same command goes on from there."""
    session = current()
    settings = session.settings()
    areas = aoi_ids(aoi, settings)
    if last < first:
        raise typer.BadParameter(f"--to {last} lies before --from {first}")

    def run(one: str) -> None:
        from enggang.stages.night import backfill as run_backfill
        from enggang.stages.plan import plan_run

        job = job_of(one, settings)
        if dry_run:
            show_plan(plan_run(job, first, last), f"backfill --aoi {one} --from {first} --to {last}")
            return
        with shown_progress() as progress:
            every = products is Products.EVERY
            summaries = list(run_backfill(job, first, last, every_product=every, progress=progress))
        show_range(job, summaries)

    for_each(areas, run, session.verbose)
    if not dry_run:
        next_step("how fresh everything is", f"status --aoi {','.join(areas)}")


def show_range(job: Job, summaries: list[NightSummary]) -> None:
    """What a range of nights came to."""
    from enggang.stages.report import open_alerts

    fresh = [summary for summary in summaries if not summary.already_done]
    first, last = summaries[0], summaries[-1]
    scenes = sum(len(summary.applied) for summary in fresh)
    created = sum(summary.events.get("created", 0) for summary in summaries)
    say(f"{job.aoi.id} · {first.night} to {last.night}", style="bold")
    done = f", {len(summaries) - len(fresh)} were done already" if len(fresh) < len(summaries) else ""
    say(f"  {count(len(fresh), 'night')} run, {count(scenes, 'scene')} applied{done}")
    say(f"  {count(created, 'alert')} found over the range, {open_alerts(last)} open at its end")
    show_failures(tuple(dict.fromkeys(failure for summary in summaries for failure in summary.failures)))
    show_products(job, last)
