"""How long work tells of itself; the CLI draws bars, a flow writes lines, a test listens to nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol


class Progress(Protocol):
    """A listener."""

    @contextmanager
    def step(self, what: str, total: int) -> Iterator[Callable[[], None]]:
        """A step of `total` parts begins; call what it yields after each part, from any thread."""
        ...

    def say(self, line: str) -> None:
        """One line for people."""
        ...


class Silent:
    """Nobody listens."""

    @contextmanager
    def step(self, what: str, total: int) -> Iterator[Callable[[], None]]:
        """See `Progress.step`."""
        yield lambda: None

    def say(self, line: str) -> None:
        """See `Progress.say`."""
