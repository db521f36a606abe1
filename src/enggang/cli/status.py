"""`enggang status`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from enggang.cli.console import count, fields, next_step, say
from enggang.cli.faults import FAILED, for_each
from enggang.cli.options import Areas, examples
from enggang.cli.session import ALL, aoi_ids, current, job_of, now

if TYPE_CHECKING:
    from datetime import date, datetime

    from enggang.stages.job import Job
    from enggang.stages.status import AoiStatus

HELP = examples("enggang status", "enggang status --aoi ikn", "enggang status --json")

#: The schedule, in data_catalog.yaml, of a source that gets no new scenes.
ONCE = "once"


def status(
    aoi: Areas = ALL,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document, for programs.")] = False,
) -> None:
    """How fresh everything is: the operator's first question. Needs no network."""
    session, at = current(), now()
    settings = session.settings()
    found: list[AoiStatus] = []

    def look(one: str) -> None:
        from enggang.stages.status import status_of

        job = job_of(one, settings)
        found.append(status_of(job))
        if not as_json:
            show_status(job, found[-1], at)

    try:
        for_each(aoi_ids(aoi, settings), look, session.verbose)
    finally:
        if as_json:
            say(as_text([asdict(one) for one in found]))
    if any(one.problem for one in found):
        raise typer.Exit(FAILED)


def show_status(job: Job, found: AoiStatus, at: datetime) -> None:
    """One area in a few lines, and what to do."""
    say(f"{found.aoi} · {job.aoi.properties.name_en} · monitor {found.monitor}", style="bold")
    summary = found.summary
    newest = ", ".join(f"{sensor} {moment:%Y-%m-%d %H:%M}Z" for sensor, moment in found.newest.items())
    alerts = ", ".join(f"{number} {kind}" for kind, number in summary.alerts.items()) if summary else ""
    pairs = (
        ("night", f"{found.ledger_night}, {summary.outcome}" if found.ledger_night and summary else ""),
        ("products", str(found.products_night or "")),
        ("scenes", f"{found.scenes} applied; newest: {newest}" if found.scenes else ""),
        ("alerts", alerts),
        ("left out", "; ".join(f.what for f in summary.failures) if summary else ""),
        ("problem", found.problem or ""),
    )
    fields(pairs)
    next_step(*advice(found, due_night(job, at)))


def advice(found: AoiStatus, due: date | None) -> tuple[str, str]:
    """What an operator does next, and the command for it; `due` is the last night that is over, None where no more
    scenes come."""
    run = f"nightly --aoi {found.aoi}"
    if found.problem:
        return "look for damage", f"state scrub --aoi {found.aoi}"
    if found.ledger_night is None:
        return "no night has been run", run
    if found.summary is not None and found.summary.outcome == "incomplete":
        return "something was left out and is tried again", run
    if due is None:
        return "all is well; its archive is complete, no more scenes come", ""
    if found.ledger_night < due:
        return f"{count((due - found.ledger_night).days, 'night')} behind", run
    return "all is well", ""


def due_night(job: Job, at: datetime) -> date | None:
    """The last night that is over, None for an area whose archive was made once and gets no new scenes."""
    from enggang.catalog import open_catalog
    from enggang.stages.job import last_closed_night

    catalog, source = open_catalog(job.settings.catalog, job.settings.home), job.aoi.properties.source
    if source in catalog and catalog[source].entry.schedule == ONCE:
        return None
    return last_closed_night(at, job.aoi.properties.timezone)


def as_text(documents: list[dict[str, Any]]) -> str:
    """Records as indented JSON."""
    import orjson

    return orjson.dumps(documents, default=_plain, option=orjson.OPT_INDENT_2).decode()


def _plain(value: Any) -> Any:
    from pydantic import BaseModel

    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    raise TypeError(f"{type(value).__name__} is no JSON")
