"""Accuracy of a map of change against a reference, in the field's terms (Olofsson et al. 2014)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from enggang.errors import EvaluationError
from enggang.types import BoolArray


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Counts of pixels (or of alerts) and what follows from them; 0 where a ratio has no denominator.

    n: all that were scored. loss: those that the reference calls loss. found: those that the map does. hit: both.
    """

    n: int
    loss: int
    found: int
    hit: int

    @property
    def users(self) -> float:
        """User's accuracy: the share of what was found that is loss (1 − commission)."""
        return self.hit / self.found if self.found else 0.0

    @property
    def producers(self) -> float:
        """Producer's accuracy: the share of loss that was found (1 − omission)."""
        return self.hit / self.loss if self.loss else 0.0

    @property
    def f1(self) -> float:
        """Harmonic mean of both."""
        total = self.users + self.producers
        return 2 * self.users * self.producers / total if total else 0.0


def compare(found: BoolArray, loss: BoolArray, scored: BoolArray) -> Accuracy:
    """Compare two (y, x) bool maps where `scored` is True. Raises `EvaluationError` for unequal shapes."""
    if not found.shape == loss.shape == scored.shape:
        raise EvaluationError(
            f"maps of {found.shape}, {loss.shape} and {scored.shape} (y, x) can't be compared", "use one grid for all"
        )
    count = [int(np.count_nonzero(m & scored)) for m in (np.ones_like(scored), loss, found, found & loss)]
    return Accuracy(*count)
