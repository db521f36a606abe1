"""`enggang demo`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from enggang.cli.console import count, next_step, say
from enggang.cli.nights import show_night
from enggang.cli.options import examples
from enggang.cli.progress import shown_progress
from enggang.cli.session import current

HELP = examples("enggang demo", "enggang demo --home /tmp/demo --size tiny")
HOME = Path("var/demo")


class Size(StrEnum):
    """Which demo."""

    TINY = "tiny"
    FULL = "full"


def demo(
    size: Annotated[
        Size, typer.Option("--size", help="full: 512 px and half a year, some minutes; tiny: 96 px, some seconds.")
    ] = Size.FULL,
) -> None:
    """Run the whole job on simulated scenes with known truth, in --home (default var/demo).

    It writes an archive of Sentinel-1 and Sentinel-2 scenes, fits the baseline and runs every night of the monitoring
    period. Safe to repeat: what is done is left as it is.
    """
    from enggang.evaluate.demo import evaluate_demo
    from enggang.simulate import DemoSpec
    from enggang.stages.demo import run_demo

    session = current()
    settings = session.settings(default_home=HOME)
    spec = DemoSpec.tiny() if size is Size.TINY else DemoSpec()
    say(
        f"Demo: {spec.size} × {spec.size} px of simulated forest, {spec.monitor_from} to {spec.end}, in {settings.home}"
    )
    with shown_progress() as progress:
        run = run_demo(settings, spec, progress)
    done = f"{count(run.nights, 'night')} run, {count(run.scenes, 'scene')} applied" if run.nights else "already done"
    say(f"{done}; scenes and truth: {run.archive}")
    show_night(run.job, run.last, run.last.at)
    for line in evaluate_demo(run.job, run.archive).lines():
        say(line)
    next_step("look closer", f"status --aoi {run.job.aoi.id} --home {settings.home}")
