"""`enggang rollback`."""

from __future__ import annotations

from datetime import date
from typing import Annotated

import typer

from enggang.cli.console import count, next_step, say
from enggang.cli.options import Area, DryRun, examples, parse_day
from enggang.cli.session import current, job_of

HELP = examples(
    "enggang rollback --aoi ikn --to 2026-11-20 --dry-run", "enggang rollback --aoi ikn --to 2026-11-20 --yes"
)


def rollback(
    aoi: Area,
    to: Annotated[
        date, typer.Option("--to", parser=parse_day, metavar="YYYY-MM-DD", help="Night to go back to; it stays.")
    ],
    dry_run: DryRun = False,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,
) -> None:
    """Go back to an earlier night: state reset, later nights of the ledger set aside, nothing deleted."""
    from enggang.stages.rollback import roll_back

    job = job_of(aoi, current().settings())
    plan = roll_back(job, to, dry_run=True)
    verb = "would be" if dry_run else "will be"
    nights, scenes = count(len(plan.nights), "night"), count(len(plan.scenes), "scene")
    say(f"{aoi} · back to {to}: {nights} and {scenes} {verb} undone", style="bold")
    for scene in plan.scenes:
        say(f"  {scene}")
    if dry_run:
        next_step("nothing was written; to do it", f"rollback --aoi {aoi} --to {to}")
        return
    if not plan.nights and not plan.scenes:
        next_step("there is nothing to undo")
        return
    if not yes:
        typer.confirm("Undo them?", abort=True)
    done = roll_back(job, to)
    say(f"  undone: {count(len(done.nights), 'night')}, {count(len(done.scenes), 'scene')}")
    next_step("products already published stay; go on with", f"nightly --aoi {aoi}")
