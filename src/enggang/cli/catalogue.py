"""`enggang catalog`: the datasets that come in and go out."""

from __future__ import annotations

from typing import Annotated

import typer

from enggang.cli.console import next_step, say
from enggang.cli.options import examples
from enggang.cli.session import current

app = typer.Typer(help="Datasets, in and out.", no_args_is_help=True)


@app.command("list", epilog=examples("enggang catalog list", "enggang catalog list --role out"))
def list_datasets(
    role: Annotated[str, typer.Option("--role", metavar="in|out", help="Only what comes in, or goes out.")] = "",
) -> None:
    """List every dataset of the catalogue with its type and title."""
    from enggang.catalog import open_catalog

    settings = current().settings()
    catalog = open_catalog(settings.catalog, settings.home)
    if role not in ("", "in", "out"):
        raise typer.BadParameter(f"--role {role} is neither in nor out")
    for name, dataset in catalog.items():
        if role in ("", dataset.entry.role):
            say(f"{name:<24} {dataset.entry.role:<3} {dataset.type:<6} {dataset.entry.title_en}")
    next_step('in Python: enggang.catalog.open_catalog(path, home)["alerts"].load(aoi="demo")')
