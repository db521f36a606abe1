"""Options that several commands share."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated

import typer


def parse_day(text: str) -> date:
    """A date given on the command line."""
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is no date; write it as 2026-11-24") from error


def parse_pair(text: str) -> tuple[str, str]:
    """KEY=VALUE."""
    key, found, value = text.partition("=")
    if not found or not key:
        raise typer.BadParameter(f"{text!r} is not KEY=VALUE")
    return key, value


def examples(*lines: str) -> str:
    """The end of a command's help."""
    told = "Global options --home DIR and --verbose may stand anywhere."
    return "\n\n".join(["Examples:", *(f"  {line}" for line in lines), told])


_DAY = "YYYY-MM-DD"

Areas = Annotated[str, typer.Option("--aoi", metavar="ID[,ID…]|all", help="Areas of interest, by id.")]
Area = Annotated[str, typer.Option("--aoi", metavar="ID", help="Area of interest, by id.")]
Night = Annotated[
    date | None,
    typer.Option(
        "--date", parser=parse_day, metavar=_DAY, help="Night, a local date. Default: the last night that is over."
    ),
]
FirstNight = Annotated[date, typer.Option("--from", parser=parse_day, metavar=_DAY, help="First night.")]
LastNight = Annotated[date, typer.Option("--to", parser=parse_day, metavar=_DAY, help="Last night, included.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and write nothing.")]
SourceName = Annotated[
    str | None,
    typer.Option("--source", metavar="NAME", help="Where scenes come from, instead of the area's own source: a name "
                 "in data_catalog.yaml, a catalogue's path, or a URL."),
]  # fmt: skip
ExistingFile = Annotated[Path, typer.Argument(exists=True, dir_okay=False, metavar="FILE", show_default=False)]
