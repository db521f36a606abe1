"""Every error that Enggang raises on purpose: one root, one-line kinds.

An error says what is wrong and what to do next. Whether trying again can help is a property of the kind, so
retry policy is written once (`is_retryable`) and not at each call.
"""

from __future__ import annotations

from typing import ClassVar


class EnggangError(Exception):
    """Root of all. `what` names the thing that is wrong, `remedy` the next step for a person."""

    retryable: ClassVar[bool] = False

    def __init__(self, what: str, remedy: str = "") -> None:
        super().__init__(what, remedy)
        self.what = what
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.what} → {self.remedy}" if self.remedy else self.what


class ConfigError(EnggangError):
    """A setting, config file or catalogue entry is wrong."""


class AoiError(EnggangError):
    """An area of interest can't be used."""


class CatalogError(EnggangError):
    """A dataset of the catalogue can't be opened."""


class UnknownDataset(CatalogError, KeyError):
    """The catalogue has no dataset of that name."""


class SceneError(EnggangError):
    """A scene can't be used; it is recorded, and the rest goes on."""


class MissingBand(SceneError):
    """The scene has no asset for a band that a measure needs."""


class CorruptAsset(SceneError):
    """An asset is truncated, damaged or not what its item says."""


class OversizedAsset(SceneError):
    """An asset claims more pixels than any real scene has."""


class WorkerLost(SceneError):
    """Reading a scene killed the workers of a cluster again and again."""


class GridMismatch(SceneError):
    """A scene has no CRS, or doesn't meet the AOI."""


class DuplicateScene(SceneError):
    """Two different scenes carry one id."""


class SourceError(EnggangError):
    """A catalogue or service can't be read."""


class SourceUnavailable(SourceError):
    """The service can't be reached now."""

    retryable = True


class StateError(EnggangError):
    """The monitor's state can't be used."""


class NewerSchema(StateError):
    """The state was written by a newer release."""


class CorruptState(StateError):
    """Bytes of the state changed on disk."""


class StateLocked(StateError):
    """Another writer holds the lease."""

    retryable = True


class FencedOut(StateError):
    """This writer lost its lease to a newer one; its commit is refused."""


class HistoryMissing(StateError):
    """What a replay needs is gone: scenes from the source, or the pixels of earlier commits."""


class BaselineMissing(StateError):
    """There is not enough history to fit a baseline."""


class LedgerError(EnggangError):
    """The alert ledger, or what it is given, can't be used."""


class DiskFull(EnggangError):
    """No space is left, or less than the share that must stay free."""


class PublishError(EnggangError):
    """A product can't be published."""


class EvaluationError(EnggangError):
    """Inputs of an evaluation don't fit together."""


def is_retryable(error: BaseException) -> bool:
    """True where trying the same call again can help."""
    return isinstance(error, EnggangError) and error.retryable
