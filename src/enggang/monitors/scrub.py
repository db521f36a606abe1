"""Finding bytes that changed on disk: every object of a state is read and compared with its checksum or seal."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import google_crc32c
import icechunk
from zarr.core.buffer import default_buffer_prototype
from zarr.core.sync import sync

from enggang.errors import CorruptState, StateError
from enggang.monitors.history import Commit
from enggang.monitors.repository import (
    Seal,
    StatePaths,
    file_digest,
    head_of,
    open_repository,
    read_chain,
    read_head,
    read_seal,
    store_errors,
)

Kind = Literal["chunk", "manifest", "snapshot", "transaction", "config", "ref", "seal", "head"]

_KIND_OF_FOLDER: dict[str, Kind] = {
    "chunks": "chunk",
    "manifests": "manifest",
    "snapshots": "snapshot",
    "transactions": "transaction",
    "config.yaml": "config",
}
_NO_CHUNK = b"no chunk"
#: What a killed writer leaves beside the object it was writing; no reader ever looks at it.
PARTIAL = re.compile(r"#\d+$")


@dataclass(frozen=True, slots=True)
class Damage:
    """One damaged or missing object. `path` is relative to the state's folder ("" where a chunk is missing and its
    name with it); `owner` says which array and block, or which commit, it belongs to."""

    kind: Kind
    path: str
    owner: str
    reason: str

    def __str__(self) -> str:
        return f"{self.kind} {self.path or '(name unknown)'} of {self.owner}: {self.reason}"


@dataclass(frozen=True, slots=True)
class ScrubReport:
    """What a scrub saw. `damages` is empty where all is well."""

    objects: int
    size: int
    damages: tuple[Damage, ...]


def scrub(folder: Path) -> ScrubReport:
    """Read every object of the state in `folder` and name all that are damaged. Changes nothing; takes no lease.

    Raises `StateError` where there is no state.
    """
    paths = StatePaths(folder)
    if not paths.repo.is_dir():
        raise StateError(f"there is no state at {folder}", "build the monitor's baseline first")
    seals, damages = read_seals(paths)
    damages += _check_pointers(paths)
    damages += _check_metadata(paths, seals)
    objects = [p for p in paths.repo.rglob("*") if p.is_file() and not PARTIAL.search(p.name)]
    damages += _name_chunks(paths, _damaged_chunks(objects), {d.path for d in damages})
    return ScrubReport(len(objects), sum(p.stat().st_size for p in objects), tuple(damages))


def chunk_is_whole(data: bytes) -> bool:
    """True where the last four bytes of a chunk are the CRC-32C of the others (the last codec of every array)."""
    return len(data) > 4 and int.from_bytes(data[-4:], "little") == google_crc32c.value(data[:-4])


def current_snapshot(paths: StatePaths) -> str:
    """The current snapshot, by the branch, else by the second record. Raises `CorruptState` where both are damaged."""
    with suppress(CorruptState):
        return head_of(paths)
    return read_head(paths)[0]


def read_seals(paths: StatePaths) -> tuple[list[Seal], list[Damage]]:
    """All seals that are whole, and the damage to the others."""
    seals, damages = [], []
    for path in sorted(paths.seals.glob("*.json")):
        if path == paths.head:
            continue
        try:
            seal = read_seal(paths, path.stem)
        except CorruptState as error:
            damages.append(Damage("seal", _relative(paths, path), f"commit {path.stem}", error.what))
            continue
        if seal.snapshot != path.stem:
            damages.append(Damage("seal", _relative(paths, path), f"commit {path.stem}", f"it is of {seal.snapshot}"))
        seals.append(seal)
    return seals, damages


def _check_pointers(paths: StatePaths) -> list[Damage]:
    """The branch must name what the second record names, or what came before where a commit was cut off in between."""
    damages = []
    head: tuple[str, str] | None = None
    try:
        head = read_head(paths)
    except CorruptState as error:
        damages.append(Damage("head", _relative(paths, paths.head), "the current commit", error.what))
    try:
        current = head_of(paths)
    except CorruptState as error:
        damages.append(Damage("ref", _relative(paths, paths.ref), "the current commit", error.what))
    else:
        if head and current not in head:
            reason = f"it names {current}, the head record {head[0]}"
            damages.append(Damage("ref", _relative(paths, paths.ref), "the current commit", reason))
    return damages


def _check_metadata(paths: StatePaths, seals: list[Seal]) -> list[Damage]:
    damages = []
    expected = {name: (digest, seal) for seal in reversed(seals) for name, digest in seal.objects.items() if digest}
    for name, (digest, seal) in sorted(expected.items()):
        path = paths.repo / name
        reason = "" if path.is_file() else "missing"
        if not reason and file_digest(path) != digest:
            reason = "its bytes differ from the seal"
        if reason:
            kind = _KIND_OF_FOLDER[name.partition("/")[0]]
            owner = f"commit {_commit_of(seal).message}"
            damages.append(Damage(kind, _relative(paths, path), owner, reason))
    return damages


def _damaged_chunks(objects: Iterable[Path]) -> dict[str, Path]:
    """Chunk files that fail their checksum, by the digest of what they hold now."""
    chunks = (p for p in objects if p.parent.name == "chunks")
    return {file_digest(p): p for p in chunks if not chunk_is_whole(p.read_bytes())}


def _name_chunks(paths: StatePaths, bad: dict[str, Path], damaged: set[str]) -> list[Damage]:
    """Match damaged chunk files to array and block, by reading each block that each commit of the history wrote."""
    damages, unnamed = [], dict(bad)
    for seal, name, block, data in _written_chunks(paths, damaged):
        owner = f"{name} block {block}, written by {_commit_of(seal).message}"
        if data is None:
            damages.append(Damage("chunk", "", owner, "missing or cut short"))
        elif data is not _NO_CHUNK and not chunk_is_whole(data):
            digest = hashlib.sha256(data).hexdigest()
            unnamed.pop(digest, None)
            path = bad.get(digest)
            where = _relative(paths, path) if path else ""
            damages.append(Damage("chunk", where, owner, "its checksum does not match"))
    owner = "a block named without a path here, or a commit that is no longer in the history"
    damages += [Damage("chunk", _relative(paths, p), owner, "its checksum does not match") for p in unnamed.values()]
    return damages


def _written_chunks(paths: StatePaths, damaged: set[str]) -> Iterator[tuple[Seal, str, tuple[int, ...], bytes | None]]:
    """(seal, array, block, stored bytes or None) for each chunk that each readable commit wrote.

    Commits whose metadata are damaged are left out: they are reported for themselves, and after repair a second
    scrub reads their chunks.
    """
    try:
        chain = read_chain(paths, current_snapshot(paths))
        repo = open_repository(paths.repo)
    except CorruptState:
        return
    for seal in chain:
        own = {_relative(paths, paths.repo / name) for name in seal.objects}
        parent = {f"repo/snapshots/{seal.parent}"}
        if not seal.objects or (own | parent) & damaged:
            continue
        with store_errors(paths.repo):
            whole = seal.parent not in {s.snapshot for s in chain if s.objects}
            session = repo.readonly_session(snapshot_id=seal.snapshot)
            for name, block in _all_chunks(session) if whole else _changed_chunks(repo, seal):
                yield seal, name.strip("/"), block, _stored(session, name.strip("/"), block)


def _changed_chunks(repo: icechunk.Repository, seal: Seal) -> list[tuple[str, tuple[int, ...]]]:
    diff = repo.diff(from_snapshot_id=seal.parent, to_snapshot_id=seal.snapshot)
    return [(name, tuple(block)) for name, blocks in sorted(diff.updated_chunks.items()) for block in blocks]


def _all_chunks(session: icechunk.Session) -> list[tuple[str, tuple[int, ...]]]:
    async def collect() -> list[tuple[str, tuple[int, ...]]]:
        keys = [key async for key in session.store.list_prefix("") if "/c/" in key]
        return [(name, tuple(map(int, block.split("/")))) for name, _, block in (k.rpartition("/c/") for k in keys)]

    return sync(collect())


def _stored(session: icechunk.Session, name: str, block: tuple[int, ...]) -> bytes | None:
    key = f"{name}/c/{'/'.join(map(str, block))}"
    try:
        buffer = sync(session.store.get(key, default_buffer_prototype()))
    except icechunk.IcechunkError:
        return None
    # A block that became all fill again has no chunk, and that is no damage.
    return _NO_CHUNK if buffer is None else buffer.to_bytes()


def _commit_of(seal: Seal) -> Commit:
    return Commit.from_metadata(seal.snapshot, seal.parent, seal.commit)


def _relative(paths: StatePaths, path: Path) -> str:
    return path.relative_to(paths.folder).as_posix()
