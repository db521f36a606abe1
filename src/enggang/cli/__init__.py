"""The command line: thin commands over the stages. `COMMANDS` and `GROUPS` are all there is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from enggang import __version__
from enggang.cli import aoi, backfill, catalogue, demo, evaluate, nightly, rollback, scenes, state, status
from enggang.cli.faults import Program, hide_tracebacks
from enggang.cli.session import Session, begin

#: Name, function and the end of the help of each command, in the order of the help.
COMMANDS: tuple[tuple[str, Callable[..., Any], str], ...] = (
    ("nightly", nightly.nightly, nightly.HELP),
    ("backfill", backfill.backfill, backfill.HELP),
    ("status", status.status, status.HELP),
    ("rollback", rollback.rollback, rollback.HELP),
    ("demo", demo.demo, demo.HELP),
)
#: Name and commands of each group.
GROUPS: tuple[tuple[str, typer.Typer], ...] = (
    ("aoi", aoi.app),
    ("scenes", scenes.app),
    ("state", state.app),
    ("catalog", catalogue.app),
    ("evaluate", evaluate.app),
)


def program(
    context: typer.Context,
    home: Annotated[
        Path | None, typer.Option("--home", help="Folder of state, ledger and products, instead of ENGGANG_HOME.")
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", help="Show what happens, and tracebacks.")] = False,
    version: Annotated[bool, typer.Option("--version", help="Show the version.")] = False,
) -> None:
    """Forest alerts: satellite scenes in, belief per pixel, alerts and map layers out.

    --home and --verbose may stand anywhere in the line. Exit codes: 0 done, 1 failed, 2 bad input, 3 locked by
    another run. Settings are environment variables ENGGANG_…; see the README.
    """
    begin(Session(home, verbose))
    if home is not None:  # commands that have a --home of their own get it as well
        context.default_map = {"evaluate": {"demo": {"home": str(home)}}}
    if verbose:
        import logging

        logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s")
    else:
        hide_tracebacks()
    if version:
        typer.echo(f"enggang {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit


def assemble() -> typer.Typer:
    """The program from its tables."""
    built = typer.Typer(cls=Program, pretty_exceptions_enable=False, add_completion=False)
    built.callback(invoke_without_command=True)(program)
    for name, function, epilog in COMMANDS:
        built.command(name, epilog=epilog)(function)
    for name, group in GROUPS:
        built.add_typer(group, name=name)
    return built


app = assemble()
