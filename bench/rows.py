"""One line of the bench: what was measured, beside what, and the bar it must clear."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any


@dataclass(frozen=True, slots=True)
class BenchRow:
    """`ours` and `peer` in `unit`, measured in one run; `ratio` is ours / peer; it passes at `bar` or above.

    Units are rates (more is better), so that every ratio reads the same way. `bar` None: a figure to know, not to
    pass. `note`: conditions, and what limits a row that is below.
    """

    name: str
    ours: float
    peer: float
    unit: str
    bar: float | None = None
    note: str = ""

    @property
    def ratio(self) -> float:
        """How many times the peer's rate."""
        return self.ours / self.peer

    @property
    def verdict(self) -> str:
        """`ok`, `BELOW`, or nothing where there is no bar."""
        if self.bar is None:
            return ""
        return "ok" if self.ratio >= self.bar else "BELOW"

    def to_document(self) -> dict[str, Any]:
        """As plain JSON."""
        return {**asdict(self), "ratio": self.ratio, "verdict": self.verdict}


def without_bar(row: BenchRow) -> BenchRow:
    """The same figures, not to be judged: a quick run on small data says nothing about the bar."""
    return replace(row, bar=None)


def table(rows: Iterable[BenchRow]) -> str:
    """Rows as text, one a line, notes below theirs."""
    lines = [f"{'':<62}{'ours':>10}{'peer':>10}  {'unit':<14}{'ratio':>7}{'bar':>7}"]
    for row in rows:
        bar = "" if row.bar is None else f"{row.bar:.2f}"
        figures = f"{_figure(row.ours):>10}{_figure(row.peer):>10}  {row.unit:<14}{row.ratio:>7.2f}{bar:>7}"
        lines.append(f"{row.name:<62}{figures}  {row.verdict}")
        lines += [f"    {row.note}"] if row.note else []
    return "\n".join(lines)


def _figure(value: float) -> str:
    return f"{value:.1f}" if value >= 1 else f"{value:.3f}"
