"""How the program speaks: colour on a terminal, the same plain lines everywhere else."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from enggang.cli.session import current

if TYPE_CHECKING:
    from rich.console import Console


def console(errors: bool = False) -> Console:
    """Standard output, or standard error; lines are never wrapped, so that they can be searched and piped."""
    from rich.console import Console

    return Console(stderr=errors, soft_wrap=True, highlight=False, markup=False, emoji=False)


def say(line: str = "", style: str = "") -> None:
    """One line on standard output."""
    console().print(line, style=style or None)


def warn(line: str) -> None:
    """One line on standard error that is no failure."""
    console(errors=True).print(line, style="yellow")


def fields(pairs: Iterable[tuple[str, str]]) -> None:
    """Names and values, one a line, the values below each other; empty values are left out."""
    for name, value in pairs:
        if value:
            say(f"  {name:<9} {value}")


def next_step(line: str, command: str = "") -> None:
    """What the reader can do now; every command ends with one. `command` is shown as it can be pasted, with the --home
    of this call."""
    if command:
        home = current().home
        place = f" --home {home}" if home is not None and "--home" not in command else ""
        line = f"{line}: enggang {command}{place}"
    say(f"→ {line}", style="cyan")


def count(number: int, noun: str) -> str:
    """`1 scene`, `2 scenes`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
