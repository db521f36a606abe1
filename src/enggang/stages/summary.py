"""What a night's run did: one JSON a night, the same text for the same inputs."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any, Literal

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError

from enggang import __version__
from enggang.errors import LedgerError
from enggang.files import read_json, write_json
from enggang.stages.coverage import Coverage
from enggang.stages.job import Job
from enggang.stages.scenes import LOOKBACK
from enggang.types import Failure, Scene

Outcome = Literal["complete", "incomplete"]

#: Kinds of failures that no later night mends: they are told, but a night that has no others is complete.
LASTING = frozenset({"BaselineMissing"})


class NightSummary(BaseModel):
    """The summary of one AOI's night.

    `at`: nominal UTC time of the run. `inputs`: see `inputs_digest`; the same inputs need no second run. `applied`:
    scenes since the night before. `last_scene`: time of the newest scene by sensor.
    `coverage`: see `coverage.Coverage`. `outcome` is incomplete where a scene or a product failed; it is tried again
    next night.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    aoi: str
    monitor: str
    night: date
    at: datetime
    software: str
    inputs: str
    outcome: Outcome
    applied: tuple[str, ...]
    replayed: tuple[str, ...]
    failures: tuple[Failure, ...]
    alerts: Mapping[str, int]
    events: Mapping[str, int]
    last_scene: Mapping[str, datetime]
    coverage: Coverage
    published: bool
    layers: Mapping[str, str]
    files: Mapping[str, str]
    picture: str | None = None
    already_done: bool = False

    def serves(self, publish: bool) -> bool:
        """True where nothing is left to do for a run that is to `publish` or not."""
        return self.outcome == "complete" and (self.published or not publish)


def inputs_digest(job: Job, scenes: Iterable[Scene], night: date) -> str:
    """SHA-256 over monitor, software and the scenes that `LOOKBACK` lets a night see.

    The window hangs on the night alone: what a search returns beyond it depends on the state, and a second run of the
    same night would not know itself again.
    """
    oldest = job.closes(night) - LOOKBACK
    rows: list[Any] = [[s.id, s.fingerprint] for s in scenes if s.acquired >= oldest]
    document = [__version__, job.monitor.key, job.monitor.digest, rows]
    return hashlib.sha256(orjson.dumps(document)).hexdigest()


def read_summary(path: Path) -> NightSummary | None:
    """The summary at `path`, None where there is none. Raises `LedgerError` where it is damaged."""
    if not path.is_file():
        return None
    try:
        return NightSummary.model_validate(read_json(path))
    except (ValidationError, ValueError) as error:
        raise LedgerError(f"run summary {path} is damaged ({error})", "delete it and run the night again") from error


def write_summary(path: Path, summary: NightSummary) -> bool:
    """Write a summary unless the same one stands there; True if it was written."""
    document = summary.model_dump(mode="json", exclude={"already_done"})
    if path.is_file() and read_json(path) == document:
        return False
    write_json(path, document)
    return True
