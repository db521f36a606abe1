"""One line of the bench: what was measured, beside what, and the bar it must clear."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BenchRow:
    """`ours` and `peer` in `unit`, measured in one run; `ratio` is ours / peer; it passes at `bar` or above.

    Units are rates (more is better), so that every ratio reads the same way.
    """

    name: str
    ours: float
    peer: float
    unit: str
    ratio: float
    bar: float
    passed: bool


def rate_row(name: str, ours: float, peer: float, unit: str, bar: float) -> BenchRow:
    """The row of two rates."""
    ratio = ours / peer
    return BenchRow(name, ours, peer, unit, ratio, bar, ratio >= bar)


def table(rows: Iterable[BenchRow]) -> str:
    """Rows as text, one a line."""
    head = f"{'':<58}{'ours':>10}{'peer':>10}  {'unit':<10}{'ratio':>7}{'bar':>7}"
    body = (
        f"{row.name:<58}{row.ours:>10.1f}{row.peer:>10.1f}  {row.unit:<10}{row.ratio:>7.2f}{row.bar:>7.2f}"
        f"  {'ok' if row.passed else 'BELOW'}"
        for row in rows
    )
    return "\n".join((head, *body))
