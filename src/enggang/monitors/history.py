"""The history of a state: one commit per scene, in order of acquisition."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from types import MappingProxyType
from typing import Any, Literal, cast

import orjson

from enggang.errors import CorruptState, HistoryMissing, StateError
from enggang.types import utc

Kind = Literal["create", "baseline", "scene", "migration"]


@dataclass(frozen=True, slots=True)
class Change:
    """What a commit is about. A scene's commit names the scene, its time, fingerprint and night key."""

    kind: Kind
    scene_id: str = ""
    acquired: datetime | None = None
    fingerprint: str = ""
    night: date | None = None
    extra: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def message(self) -> str:
        """One line for people."""
        return " ".join(p for p in (self.kind, self.scene_id, utc(self.acquired) if self.acquired else "") if p)

    def to_metadata(self) -> dict[str, Any]:
        """As plain JSON, as it is kept with the commit."""
        return {
            "kind": self.kind,
            "scene_id": self.scene_id,
            "acquired": utc(self.acquired) if self.acquired else None,
            "fingerprint": self.fingerprint,
            "night": self.night.isoformat() if self.night else None,
            "extra": dict(self.extra),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit(Change):
    """A change that is in the state. `snapshot` is the store's (random) name of the state after it.

    `readable` is False where the pixels of that moment were given up to free space; the record itself stays.
    """

    snapshot: str
    parent: str = ""
    readable: bool = True

    @classmethod
    def from_metadata(cls, snapshot: str, parent: str, metadata: Mapping[str, Any], readable: bool = True) -> Commit:
        """Back from what is kept with the commit. Raises `CorruptState`."""
        try:
            acquired, night = metadata["acquired"], metadata["night"]
            return cls(
                snapshot=snapshot,
                parent=parent,
                readable=readable,
                kind=cast("Kind", metadata["kind"]),
                scene_id=metadata["scene_id"],
                acquired=datetime.fromisoformat(acquired) if acquired else None,
                fingerprint=metadata["fingerprint"],
                night=date.fromisoformat(night) if night else None,
                extra=MappingProxyType(dict(metadata["extra"])),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise CorruptState(f"the record of commit {snapshot} can't be read", "scrub and repair it") from error


def applied_scenes(commits: Sequence[Commit]) -> dict[str, Commit]:
    """The commits of scenes by scene id, in the order they were applied."""
    return {c.scene_id: c for c in commits if c.kind == "scene"}


def before_scene(commits: Sequence[Commit], acquired: datetime, scene_id: str) -> Commit:
    """The commit to reset to so that this scene comes next: the last one before any scene at or after it.

    Scenes are ordered by (acquired, id), as `Scene.sort_key`. Raises `HistoryMissing` where history is too short.
    """
    last: Commit | None = None
    for commit in commits:
        if commit.acquired is not None and (commit.acquired, commit.scene_id) >= (acquired, scene_id):
            break
        last = commit
    if last is None or not last.readable:
        raise HistoryMissing(
            f"the state can't go back to before {scene_id} ({utc(acquired)}): those pixels were given up",
            "build the monitor's state anew from its history",
        )
    return last


def as_of(commits: Sequence[Commit], night: date) -> Commit:
    """The state as it was after the given night: the last commit of scenes up to that night.

    Raises `StateError` where there is none that can be read.
    """
    last: Commit | None = None
    for commit in commits:
        if commit.night is not None and commit.night > night:
            break
        last = commit
    if last is None or not last.readable:
        raise StateError(f"the state of the night {night} can't be read", "choose a later night")
    return last


def require_next(commits: Sequence[Commit], change: Change) -> None:
    """Raise `StateError` unless `change` may follow: no scene twice, none before one that is applied already."""
    if change.kind != "scene":
        return
    if change.acquired is None or not change.scene_id:
        raise StateError("a scene's commit without id or time", "give both")
    scenes = applied_scenes(commits)
    if change.scene_id in scenes:
        raise StateError(f"scene {change.scene_id} is applied already", "skip it, or reset to the commit before it")
    last = next(reversed(scenes.values()), None)
    if last is None or last.acquired is None:
        return
    if (change.acquired, change.scene_id) < (last.acquired, last.scene_id):
        raise StateError(
            f"scene {change.scene_id} ({utc(change.acquired)}) is older than {last.scene_id}, the last one applied",
            "reset to the commit before it and replay",
        )


def state_version(commits: Sequence[Commit]) -> str:
    """SHA-256 that names the content of a state: its identity and the ordered changes with their fingerprints.

    Two states that went the same way have the same version, whatever snapshot ids the store drew for them.
    """
    rows = [[c.kind, c.scene_id, c.fingerprint, dict(c.extra) if c.kind == "create" else None] for c in commits]
    return hashlib.sha256(orjson.dumps(rows, option=orjson.OPT_SORT_KEYS)).hexdigest()
