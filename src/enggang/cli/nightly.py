"""`enggang nightly`."""

from __future__ import annotations

from typing import Annotated

import typer

from enggang.cli.console import next_step
from enggang.cli.faults import for_each
from enggang.cli.nights import default_night, show_night, show_plan
from enggang.cli.options import Areas, DryRun, Night, SourceName, examples
from enggang.cli.progress import shown_progress
from enggang.cli.session import aoi_ids, current, job_of, now

HELP = examples(
    "enggang nightly --aoi ikn",
    "enggang nightly --aoi all --date 2026-11-23",
    "enggang nightly --aoi ikn,demo --dry-run",
)


def nightly(
    aoi: Areas,
    date: Night = None,
    source: SourceName = None,
    no_publish: Annotated[bool, typer.Option("--no-publish", help="Write state and ledger, no products.")] = False,
    dry_run: DryRun = False,
) -> None:
    """Run one night: new scenes in, belief updated, alerts tracked, layers published.

    A night that was done with the same scenes is left as it is. One area that fails never stops the others.
    """
    session, at = current(), now()
    settings = session.settings()
    areas = aoi_ids(aoi, settings)

    def run(one: str) -> None:
        from enggang.stages.night import NightOptions, run_night
        from enggang.stages.plan import plan_run

        job = job_of(one, settings, source)
        night = date or default_night(job, at)
        if dry_run:
            show_plan(plan_run(job, night, night), f"nightly --aoi {one} --date {night}")
            return
        with shown_progress() as progress:
            summary = run_night(job, night, NightOptions(publish=not no_publish), progress)
        show_night(job, summary, at)

    for_each(areas, run, session.verbose)
    if not dry_run:
        next_step("how fresh everything is", f"status --aoi {','.join(areas)}")
