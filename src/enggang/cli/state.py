"""`enggang state`: keeping a monitor's state sound, safe and small."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from enggang.cli.console import count, next_step, say
from enggang.cli.faults import FAILED, for_each
from enggang.cli.options import Area, Areas, examples
from enggang.cli.session import aoi_ids, current, job_of, now

if TYPE_CHECKING:
    from enggang.monitors.scrub import Damage

app = typer.Typer(help="A monitor's state: check, back up, mend, free space.", no_args_is_help=True)

OWNER = "operator"


@app.command("scrub", epilog=examples("enggang state scrub --aoi ikn"))
def scrub(aoi: Areas) -> None:
    """Read every byte of the state and name what changed on disk. Changes nothing; a night may run meanwhile."""
    from enggang.errors import CorruptState
    from enggang.monitors.scrub import scrub as read_all

    session = current()
    settings = session.settings()

    def check(one: str) -> None:
        report = read_all(job_of(one, settings).store.folder)
        say(f"{one}: {count(report.objects, 'object')}, {report.size / 1e6:,.1f} MB read", style="bold")
        for damage in report.damages:
            say(f"  {damage}", style="bold red")
        if report.damages:
            remedy = f"enggang state repair --aoi {one} --from BACKUP"
            raise CorruptState(f"{count(len(report.damages), 'object')} damaged", remedy)

    for_each(aoi_ids(aoi, settings), check, session.verbose)
    next_step("the state is whole; keep a copy", "state backup --aoi ID --to DIR")


@app.command("backup", epilog=examples("enggang state backup --aoi all --to /media/backup"))
def backup(
    aoi: Areas, to: Annotated[Path, typer.Option("--to", metavar="DIR", help="Folder of backups, arranged as a home.")]
) -> None:
    """Bring a backup of the state up to date. Only new objects are copied; a night may run meanwhile."""
    from enggang.layout import Layout
    from enggang.monitors.backup import backup as copy_state

    session = current()
    settings = session.settings()

    def copy(one: str) -> None:
        job = job_of(one, settings)
        target = Layout(to).state(one, job.monitor.key)
        copied = copy_state(job.store.folder, target)
        say(f"{one}: {copied.size / 1e6:,.1f} MB copied to {target}", style="bold")

    for_each(aoi_ids(aoi, settings), copy, session.verbose)
    next_step("make sure that it can be read", f"state scrub --aoi {aoi} --home {to}")


@app.command("repair", epilog=examples("enggang state repair --aoi ikn --from /media/backup"))
def repair(
    aoi: Area, source: Annotated[Path, typer.Option("--from", metavar="DIR", help="Folder of backups.")]
) -> None:
    """Put damaged objects back from a backup, or the whole state where it is gone."""
    from enggang.layout import Layout
    from enggang.monitors.backup import repair as mend
    from enggang.monitors.backup import restore
    from enggang.monitors.scrub import scrub as read_all

    settings = current().settings()
    job = job_of(aoi, settings)
    kept = Layout(source).state(aoi, job.monitor.key)
    with job.store.writer(OWNER, settings.lease_seconds) as writer:
        if not job.store.exists():
            restore(kept, writer)
            say(f"{aoi}: restored from {kept}", style="bold")
            left: tuple[Damage, ...] = ()
        else:
            damages = read_all(job.store.folder).damages
            left = mend(writer, kept, damages)
            say(f"{aoi}: {len(damages) - len(left)} of {count(len(damages), 'damaged object')} mended", style="bold")
    for damage in left:
        say(f"  {damage}", style="bold red")
    if left:
        next_step("go back to before the damage", f"rollback --aoi {aoi} --to DATE")
        raise typer.Exit(FAILED)
    next_step("go on with", f"nightly --aoi {aoi}")


@app.command("gc", epilog=examples("enggang state gc --aoi ikn", "enggang state gc --aoi ikn --keep-days 400"))
def gc(
    aoi: Areas,
    older_than_days: Annotated[
        int, typer.Option("--older-than-days", min=1, help="Unneeded objects younger than this stay.")
    ] = 7,
    keep_days: Annotated[
        int | None,
        typer.Option("--keep-days", min=1, help="Give up the pixels of commits made before; their records stay."),
    ] = None,
) -> None:
    """Free space: delete objects that no commit needs and, if asked, the pixels of old commits."""
    from enggang.monitors.garbage import collect_garbage

    session, at = current(), now()
    settings = session.settings()
    older_than = at - timedelta(days=older_than_days)
    before = at - timedelta(days=keep_days) if keep_days else None

    def collect(one: str) -> None:
        job = job_of(one, settings)
        with job.store.writer(OWNER, settings.lease_seconds) as writer:
            freed = collect_garbage(writer, older_than, at, before)
        say(f"{one}: {count(freed.objects, 'object')}, {freed.size / 1e6:,.1f} MB freed", style="bold")
        if freed.given_up:
            say(f"  {count(freed.given_up, 'commit')} can no longer be gone back to")

    for_each(aoi_ids(aoi, settings), collect, session.verbose)
    next_step("make sure that all is whole", f"state scrub --aoi {aoi}")
