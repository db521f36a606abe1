"""Progress: bars on a terminal, a few plain lines everywhere else."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from enggang.cli.console import console, say

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress

    from enggang.stages.progress import Progress

#: A step of fewer parts is over too soon to be told in lines; others are told at each of these shares.
_LEAST, _TIMES = 10, 5


@contextmanager
def shown_progress() -> Iterator[Progress]:
    """What suits standard output."""
    if not console().is_terminal:
        yield Lines()
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description:<9}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console()) as bars:
        yield Bars(bars)


class Bars:
    """Bars that vanish when their step is over, but for the outermost."""

    def __init__(self, bars: RichProgress) -> None:
        self._bars = bars
        self._depth = 0

    @contextmanager
    def step(self, what: str, total: int) -> Iterator[Callable[[], None]]:
        """See `enggang.stages.progress.Progress.step`."""
        if not total:
            yield lambda: None
            return
        task = self._bars.add_task(what, total=total)
        self._depth += 1
        try:
            yield lambda: self._bars.advance(task)
        finally:
            self._depth -= 1
            if self._depth:
                self._bars.remove_task(task)

    def say(self, line: str) -> None:
        """See `enggang.stages.progress.Progress.say`."""
        self._bars.console.print(line)


class Lines:
    """A line at each fifth of a long step."""

    @contextmanager
    def step(self, what: str, total: int) -> Iterator[Callable[[], None]]:
        """See `enggang.stages.progress.Progress.step`."""
        lock, done = threading.Lock(), 0

        def tick() -> None:
            nonlocal done
            with lock:
                done += 1
                if total >= _LEAST and done * _TIMES // total > (done - 1) * _TIMES // total:
                    say(f"{what}: {done} of {total}")

        yield tick

    def say(self, line: str) -> None:
        """See `enggang.stages.progress.Progress.say`."""
        say(line)
