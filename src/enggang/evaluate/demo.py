"""How accurate and how late the alerts of an archive with known truth were."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from enggang.errors import EvaluationError
from enggang.evaluate.scores import Accuracy, compare
from enggang.simulate import read_truth
from enggang.simulate.truth import Truth
from enggang.stages.alerts import ledger_of
from enggang.stages.job import Job
from enggang.types import AnyArray, BoolArray, PixelStatus, day_number

#: Clearings smaller than this are not asked for; younger ones than this had no fair chance of being seen.
LEAST_HA, LEAST_DAYS = 0.1, 30
#: A confirmed alert is true if this share of its pixels lies on or beside a clearing (a pixel of 10 m mixes both
#: sides of an edge); a clearing is found if this share of its pixels is confirmed.
TRUE_SHARE, FOUND_SHARE = 0.5, 0.5
_EIGHT = np.ones((3, 3), bool)


@dataclass(frozen=True, slots=True)
class DemoResult:
    """Accuracy by alert and by clearing, by area, and delays in days (medians; None where nothing was found).

    `alerts`: confirmed components, and how many of them are true. `clearings`: those of at least `LEAST_HA` that began
    `LEAST_DAYS` before the end, and how many were found. `area`: per pixel. Delays are per pixel, from the day it was
    cleared to the observation that flagged or confirmed it.
    """

    first: date
    last: date
    alerts: tuple[int, int]
    clearings: tuple[int, int]
    area: Accuracy
    days_to_flag: float | None
    days_to_confirm: float | None

    @property
    def users(self) -> float:
        """User's accuracy by alert."""
        return self.alerts[1] / self.alerts[0] if self.alerts[0] else 0.0

    @property
    def producers(self) -> float:
        """Producer's accuracy by clearing."""
        return self.clearings[1] / self.clearings[0] if self.clearings[0] else 0.0

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "first": self.first.isoformat(),
            "last": self.last.isoformat(),
            "confirmed_alerts": self.alerts[0],
            "true_alerts": self.alerts[1],
            "ua": round(self.users, 4),
            "clearings": self.clearings[0],
            "found_clearings": self.clearings[1],
            "pa": round(self.producers, 4),
            "area_ua": round(self.area.users, 4),
            "area_pa": round(self.area.producers, 4),
            "area_f1": round(self.area.f1, 4),
            "median_days_to_flag": self.days_to_flag,
            "median_days_to_confirm": self.days_to_confirm,
        }

    def lines(self) -> list[str]:
        """For people."""
        flag = "–" if self.days_to_flag is None else f"{self.days_to_flag:.0f}"
        confirm = "–" if self.days_to_confirm is None else f"{self.days_to_confirm:.0f}"
        return [
            f"Against the known truth, {self.first} to {self.last}:",
            f"  confirmed alerts {self.alerts[0]}, true {self.alerts[1]} → user's accuracy {self.users:.2f}",
            f"  clearings of ≥ {LEAST_HA} ha at least {LEAST_DAYS} days old {self.clearings[0]}, "
            f"found {self.clearings[1]} → producer's accuracy {self.producers:.2f}",
            f"  by area: user's accuracy {self.area.users:.2f}, producer's accuracy {self.area.producers:.2f}, "
            f"F1 {self.area.f1:.2f}",
            f"  median days from clearing to flag {flag}, to confirmed {confirm}",
        ]


def evaluate_demo(job: Job, archive: Path) -> DemoResult:
    """Score the state and the ledger's last night of `job` against the truth beside `archive`.

    Raises `EvaluationError` where nothing was run yet or the grids differ, `SourceError` where there is no truth.
    """
    nights = ledger_of(job).nights()
    if not nights:
        raise EvaluationError(f"{job.aoi.id} has no night yet", "run enggang demo, or a backfill")
    truth = read_truth(archive)
    if truth.geobox != job.aoi.geobox:
        raise EvaluationError(f"the truth in {archive} lies on another grid than {job.aoi.id}", "use the AOI of it")
    reader = job.store.reader()
    whole = (slice(0, job.identity.shape[0]), slice(0, job.identity.shape[1]))
    belief = {name: reader.read(name, whole) for name in ("status", "flagged_on", "confirmed_on")}
    return score(belief, truth, nights[-1])


def score(belief: dict[str, AnyArray], truth: Truth, last: date) -> DemoResult:
    """Score belief arrays (y, x) as packed in the state: `status`, `flagged_on`, `confirmed_on`."""
    begin, end = day_number(truth.monitor_from), day_number(last)
    loss = (truth.clearing_day >= begin) & (truth.clearing_day <= end)
    confirmed = belief["status"] == PixelStatus.CONFIRMED
    inside = belief["status"] != PixelStatus.OUTSIDE
    old = truth.clearing_day <= end - LEAST_DAYS
    hit = loss & confirmed
    delays = [_median_delay(belief[name], truth.clearing_day, hit) for name in ("flagged_on", "confirmed_on")]
    # Loss too young to be asked for is no omission, yet finding it is no commission.
    area = compare(confirmed, loss, inside & ~(loss & ~old & ~confirmed))
    cell_ha = abs(truth.geobox.transform.a * truth.geobox.transform.e) / 10_000
    least = LEAST_HA / cell_ha
    return DemoResult(
        truth.monitor_from,
        last,
        _alerts(confirmed, loss, least),
        _clearings(loss & old, confirmed, least),
        area,
        *delays,
    )


def _alerts(confirmed: BoolArray, loss: BoolArray, least: float) -> tuple[int, int]:
    labels, count = ndimage.label(confirmed, structure=_EIGHT)
    near = ndimage.binary_dilation(loss, structure=_EIGHT)
    size, good = (_per_label(values, labels, count) for values in (confirmed, near))
    asked = size >= least - 1e-6
    return int(asked.sum()), int((asked & (good >= TRUE_SHARE * size)).sum())


def _clearings(loss: BoolArray, confirmed: BoolArray, least: float) -> tuple[int, int]:
    labels, count = ndimage.label(loss, structure=_EIGHT)
    size, good = (_per_label(values, labels, count) for values in (loss, confirmed))
    asked = size >= least - 1e-6
    return int(asked.sum()), int((asked & (good >= FOUND_SHARE * size)).sum())


def _per_label(values: BoolArray, labels: NDArray[np.int32], count: int) -> NDArray[np.float64]:
    sums = np.bincount(labels.ravel(), weights=values.ravel(), minlength=count + 1)[1:].astype(np.float64)
    return sums


def _median_delay(days: AnyArray, cleared: NDArray[np.uint16], hit: BoolArray) -> float | None:
    if not hit.any():
        return None
    return float(np.median(days[hit].astype(int) - cleared[hit].astype(int)))
