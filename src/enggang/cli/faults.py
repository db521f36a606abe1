"""What a failure looks like from outside: one line on standard error, and an exit code that scripts can tell apart."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from types import MappingProxyType, TracebackType
from typing import Any

import typer
from typer.core import TyperGroup

from enggang.cli.console import console
from enggang.cli.session import current
from enggang.errors import (
    AoiError,
    CatalogError,
    ConfigError,
    EnggangError,
    EvaluationError,
    SourceError,
    SourceUnavailable,
    StateLocked,
)

FAILED, BAD_INPUT, LOCKED = 1, 2, 3

#: Kind of error → exit code; the nearest class above an error decides.
EXIT_CODES: Mapping[type[BaseException], int] = MappingProxyType(
    {
        EnggangError: FAILED,
        ConfigError: BAD_INPUT,
        AoiError: BAD_INPUT,
        CatalogError: BAD_INPUT,
        EvaluationError: BAD_INPUT,
        SourceError: BAD_INPUT,
        SourceUnavailable: FAILED,
        StateLocked: LOCKED,
    }
)

#: Options of the whole program that may stand anywhere in the line; the value says whether something follows.
_ANYWHERE: Mapping[str, bool] = MappingProxyType({"--home": True, "--verbose": False})


def exit_code(error: BaseException) -> int:
    """The exit code for an error."""
    return next((EXIT_CODES[kind] for kind in type(error).__mro__ if kind in EXIT_CODES), FAILED)


def report(error: BaseException, verbose: bool, subject: str = "") -> None:
    """Print `error: what → remedy`, behind a traceback where `verbose`."""
    if verbose:
        traceback.print_exception(error)
    text = str(error) if isinstance(error, EnggangError) else f"{error} → check the path, its permissions and the disk"
    console(errors=True).print(f"error: {subject + ': ' if subject else ''}{text}", style="bold red")


def for_each(ids: Iterable[str], action: Callable[[str], None], verbose: bool) -> None:
    """Do `action` for every area; one that fails never stops the rest. Exits with 1 at the end where any failed, or
    with the error's own code where there was one area alone."""
    wanted, failed = list(ids), dict[str, EnggangError]()
    for aoi in wanted:
        try:
            action(aoi)
        except EnggangError as error:
            failed[aoi] = error
            report(error, verbose, aoi if len(wanted) > 1 else "")
    if not failed:
        return
    if len(wanted) > 1:
        line = f"{len(failed)} of {len(wanted)} areas failed: {', '.join(failed)}"
        console(errors=True).print(line, style="bold red")
        raise typer.Exit(FAILED)
    raise typer.Exit(exit_code(next(iter(failed.values()))))


class Program(TyperGroup):
    """The root command: global options anywhere in the line, errors as one line."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Move the global options to the front, where the parser wants them."""
        return super().parse_args(ctx, hoist(args))

    def invoke(self, ctx: Any) -> Any:
        """Run a command; an error on purpose becomes its line and its exit code."""
        try:
            return super().invoke(ctx)
        except (EnggangError, OSError) as error:
            report(error, current().verbose)
            raise typer.Exit(exit_code(error)) from None


def hoist(args: list[str]) -> list[str]:
    """The arguments with `--home DIR`, `--home=DIR` and `--verbose` first; what follows `--` stays as it is."""
    end = args.index("--") if "--" in args else len(args)
    front: list[str] = []
    rest: list[str] = []
    words = iter(args[:end])
    for word in words:
        name = word.partition("=")[0]
        if name not in _ANYWHERE:
            rest.append(word)
            continue
        front.append(word)
        if _ANYWHERE[name] and "=" not in word:
            front += [value for value in (next(words, None),) if value is not None]
    return [*front, *rest, *args[end:]]


def hide_tracebacks() -> None:
    """From now on an error that nobody foresaw is one line too."""
    sys.excepthook = partial(_terse, sys.__excepthook__)


def _terse(
    full: Callable[[type[BaseException], BaseException, TracebackType | None], Any],
    kind: type[BaseException],
    error: BaseException,
    trace: TracebackType | None,
) -> None:
    if issubclass(kind, KeyboardInterrupt):
        full(kind, error, trace)
        return
    line = f"error: {kind.__name__}: {error} → this is a fault of the program: run it with --verbose and report it"
    console(errors=True).print(line, style="bold red")
