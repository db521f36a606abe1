"""From the state to the night's alerts in the ledger."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import date
from typing import Any

import numpy as np

from enggang import __version__
from enggang.alerts.context import load_districts
from enggang.alerts.ledger import Ledger
from enggang.alerts.records import LedgerNight, Versions
from enggang.alerts.rules import AlertRules, TrackContext
from enggang.alerts.track import track
from enggang.monitors.history import Commit, applied_scenes, state_version
from enggang.monitors.reader import StateReader
from enggang.stages.job import Job
from enggang.stages.pool import Window, map_blocks, windows_of
from enggang.types import AnyArray, PixelStatus, PixelTable

_COLUMNS = ("status", "log_odds", "first_disturbed", "flagged_on", "confirmed_on", "observations", "sensors")


def ledger_of(job: Job) -> Ledger:
    """The alert ledger of the job's monitor."""
    return Ledger(job.layout.ledger(job.aoi.id, job.monitor.key))


def track_night(job: Job, reader: StateReader, commits: Sequence[Commit], night: date) -> LedgerNight:
    """Compare the flagged pixels with the alerts of the night before and write the ledger's night.

    Safe to repeat: an equal night is not written again. Raises `LedgerError`, `DiskFull`.
    """
    ledger = ledger_of(job)
    districts = load_districts(job.layout.boundaries())
    rules = job.monitor.alerts
    context = TrackContext(
        aoi=job.aoi.id,
        geobox=job.aoi.geobox,
        night=night,
        at=job.run_time(night),
        rules=AlertRules(rules.mmu_ha, rules.finish_days),
        versions=versions_of(job, commits),
        districts=districts.name_at if districts is not None else None,
    )
    tracked = track(ledger.last_before(night), flagged_pixels(job, reader), context)
    ledger.write(tracked)
    return tracked


def flagged_pixels(job: Job, reader: StateReader) -> PixelTable:
    """All pixels with a flag, read block by block."""
    parts: list[dict[str, AnyArray]] = []

    def gather(window: Window) -> dict[str, AnyArray]:
        status = reader.read("status", window)
        rows, columns = np.nonzero((status >= PixelStatus.FLAGGED) & (status <= PixelStatus.CONFIRMED))
        found: dict[str, AnyArray] = {
            "row": (rows + window[0].start).astype(np.int32),
            "col": (columns + window[1].start).astype(np.int32),
        }
        if rows.size:
            found |= {name: reader.read(name, window)[rows, columns] for name in _COLUMNS}
        return found

    windows = windows_of(job.identity.shape, job.settings.block)
    map_blocks(job, gather, windows, lambda _window, part: parts.append(part), local=True)
    full = [part for part in parts if part["row"].size]
    merged = {n: np.concatenate([p[n] for p in full]) if full else _empty(n) for n in ("row", "col", *_COLUMNS)}
    order = np.lexsort((merged["col"], merged["row"]))
    columns = {name: values[order] for name, values in merged.items()}
    odds = columns.pop("log_odds").astype(np.float32) * np.float32(reader.spec("log_odds").scale)
    return PixelTable(probability=1.0 / (1.0 + np.exp(-odds)), **columns)


def versions_of(job: Job, commits: Sequence[Commit]) -> Versions:
    """What made the alerts of this state."""
    data = hashlib.sha256("".join(c.fingerprint for c in applied_scenes(commits).values()).encode()).hexdigest()
    return Versions(f"{job.monitor.key}+{job.monitor.digest[:12]}", state_version(commits), data, __version__)


def _empty(name: str) -> AnyArray:
    kinds: dict[str, Any] = {"row": np.int32, "col": np.int32, "log_odds": np.int16}
    days = ("first_disturbed", "flagged_on", "confirmed_on")
    return np.empty(0, kinds.get(name, np.uint16 if name in days else np.uint8))
