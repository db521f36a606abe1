"""What every source of scenes is: one search, whose answer is scenes and the failures beside them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeVar

import tenacity

from enggang.errors import DuplicateScene, EnggangError, SourceError, is_retryable
from enggang.types import Failure, Scene

_T = TypeVar("_T")

#: (west, south, east, north) in degrees WGS84.
Bounds = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class SearchResult:
    """Scenes sorted by `Scene.sort_key`, and what was found but can't be used. Both may be empty: that is a result."""

    scenes: tuple[Scene, ...] = ()
    failures: tuple[Failure, ...] = ()


class Source(Protocol):
    """A place that scenes come from. A new one is one file and one entry in `registry.SOURCES`."""

    @property
    def name(self) -> str:
        """How people call it; used in messages and provenance."""
        ...

    def search(self, bounds: Bounds, start: datetime, end: datetime) -> SearchResult:
        """Scenes that meet `bounds` and were acquired in [start, end); both UTC-aware.

        One bad item becomes a `Failure` and never stops the rest. Raises `SourceUnavailable` where the service
        can't be reached now, `SourceError` where the catalogue itself is wrong.
        """
        ...


def failure_of(what: str, error: EnggangError) -> Failure:
    """The record of an error that left `what` out."""
    return Failure(what, type(error).__name__, error.what, error.remedy)


def settle(scenes: Iterable[Scene], failures: Iterable[Failure] = ()) -> SearchResult:
    """Sort scenes and apply the duplicate policy.

    Equal id and equal fingerprint are one scene. Equal id and different fingerprints are all refused, as one
    `Failure` of kind DuplicateScene: which of them is right can't be known here.
    """
    by_id: dict[str, dict[str, Scene]] = defaultdict(dict)
    for scene in scenes:
        by_id[scene.id].setdefault(scene.fingerprint, scene)
    kept = [next(iter(same.values())) for same in by_id.values() if len(same) == 1]
    refused = [_duplicate(same) for same in by_id.values() if len(same) > 1]
    everything = sorted((*failures, *refused), key=lambda f: (f.what, f.kind, f.reason))
    return SearchResult(tuple(sorted(kept, key=lambda s: s.sort_key)), tuple(everything))


def require_interval(start: datetime, end: datetime) -> None:
    """Raise `SourceError` for times without zone or an interval that runs backwards."""
    if start.tzinfo is None or end.tzinfo is None:
        raise SourceError(f"a search from {start} to {end} has no time zone", "pass UTC-aware datetimes")
    if start > end:
        raise SourceError(f"a search from {start} to {end} runs backwards", "swap start and end")


def meet(a: Bounds, b: Bounds) -> bool:
    """True where two boxes touch or overlap."""
    return a[0] <= b[2] and b[0] <= a[2] and a[1] <= b[3] and b[1] <= a[3]


def with_retries(call: Callable[[], _T], attempts: int = 4, first_wait: float = 0.5) -> _T:
    """Call again, with growing pauses, while the error's kind says that this can help (`errors.is_retryable`)."""
    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception(is_retryable),
        stop=tenacity.stop_after_attempt(attempts),
        wait=tenacity.wait_exponential(first_wait, max=16 * first_wait) + tenacity.wait_random(0, first_wait),
        reraise=True,
    )
    return retrying(call)


def _duplicate(same: dict[str, Scene]) -> Failure:
    scenes = sorted(same.values(), key=lambda s: (s.acquired, s.fingerprint))
    said = "; ".join(f"{s.collection} {s.acquired.isoformat()} {s.fingerprint[:12]}" for s in scenes)
    error = DuplicateScene(f"{len(scenes)} different scenes carry the id {scenes[0].id}: {said}", "keep one of them")
    return failure_of(scenes[0].id, error)
