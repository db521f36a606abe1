"""Backup, repair and restore. Objects of a state are written once and never changed: a backup copies only new ones."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from enggang.errors import CorruptState, StateError
from enggang.files import disk_errors, write_bytes
from enggang.monitors.lease import locked
from enggang.monitors.repository import (
    MENDING,
    StatePaths,
    file_digest,
    head_of,
    make_durable,
    read_chain,
    read_seal,
    write_head,
    write_seal,
)
from enggang.monitors.scrub import PARTIAL, Damage, Kind, chunk_is_whole, current_snapshot, read_seals, scrub
from enggang.monitors.writer import Writer

#: Held shared while a backup copies, alone while garbage is deleted.
GARBAGE_LOCK = "garbage.lock"


@dataclass(frozen=True, slots=True)
class Copied:
    """What a backup copied: objects and bytes that the target did not have, and the snapshot it now ends with."""

    objects: int
    size: int
    snapshot: str


def backup(folder: Path, target: Path, patience: float = 60.0) -> Copied:
    """Bring `target` up to the current commit of the state in `folder`, while its writer goes on.

    Every object is checked before it is copied; the target's branch moves last, so that a backup that was cut off or
    met damage leaves the target as good as it was. The target is a state itself and can be read in place.
    Raises `CorruptState` naming a damaged object, `DiskFull`, `StateLocked` where garbage is being deleted.
    """
    source, copy = StatePaths(folder), StatePaths(target)
    with locked(folder / GARBAGE_LOCK, patience, shared=True), disk_errors(target):
        head = head_of(source)
        chain = read_chain(source, head)
        digests = {name: digest for seal in chain for name, digest in seal.objects.items()}
        count, size = _copy_chunks(source.repo / "chunks", copy.repo / "chunks")
        for name, digest in digests.items():
            size += _copy_checked(source.repo / name, copy.repo / name, digest)
        for seal in chain:
            size += _copy_checked(source.seal(seal.snapshot), copy.seal(seal.snapshot), "")
        make_durable(target)
        write_head(copy, head, chain[-1].parent)
        write_bytes(copy.ref, _ref(head))
        make_durable(target)
    return Copied(count + len(digests), size, head)


def restore(source: Path, writer: Writer) -> str:
    """Make the state of `writer`'s empty folder from a backup; returns the snapshot it ends with.

    Raises `StateError` where there is a state already, `CorruptState` where the backup is damaged.
    """
    paths = writer.paths
    if paths.repo.exists():
        raise StateError(f"there is a state at {paths.folder} already", "repair it, or move it away first")
    temporary = StatePaths(Path(tempfile.mkdtemp(prefix=".part-", dir=paths.folder)))
    try:
        snapshot = backup(source, temporary.folder).snapshot
        _require_whole(temporary.folder)
        writer.adopt(temporary)
    finally:
        shutil.rmtree(temporary.folder, ignore_errors=True)
    return snapshot


def repair(writer: Writer, source: Path, damages: Iterable[Damage]) -> tuple[Damage, ...]:
    """Put damaged objects back from the backup at `source`; returns what is still damaged after a second scrub.

    The branch and its second record are mended from each other, never from the backup: that may be older, and
    nothing committed is lost. Raises `FencedOut`, `DiskFull`.
    """
    paths, kept = writer.paths, StatePaths(source)
    # Seals and pointers first: the digests of the other objects are in the seals.
    ordered = sorted(damages, key=lambda d: d.kind not in ("seal", "ref", "head"))
    with writer.lease.critical():
        for damage in ordered:
            _MEND[damage.kind](paths, kept, damage)
        make_durable(paths.folder)
    writer.forget_log()
    return scrub(paths.folder).damages


def _mend_chunk(paths: StatePaths, kept: StatePaths, damage: Damage) -> None:
    for name in [damage.path] if damage.path else _missing_chunks(paths, kept):
        good = kept.folder / name
        if good.is_file() and chunk_is_whole(good.read_bytes()):
            write_bytes(paths.folder / name, good.read_bytes())


def _mend_metadata(paths: StatePaths, kept: StatePaths, damage: Damage) -> None:
    good, name = kept.folder / damage.path, damage.path.removeprefix("repo/")
    digests = {s.objects[name] for s in (*read_seals(paths)[0], *read_seals(kept)[0]) if s.objects.get(name)}
    if good.is_file() and file_digest(good) in digests:
        write_bytes(paths.folder / damage.path, good.read_bytes())


def _mend_seal(paths: StatePaths, kept: StatePaths, damage: Damage) -> None:
    with suppress(CorruptState):
        write_seal(paths, read_seal(kept, Path(damage.path).stem))


def _mend_ref(paths: StatePaths, kept: StatePaths, damage: Damage) -> None:
    del kept, damage
    write_bytes(paths.ref, _ref(current_snapshot(paths)))


def _mend_head(paths: StatePaths, kept: StatePaths, damage: Damage) -> None:
    del kept, damage
    head = head_of(paths)
    write_head(paths, head, read_seal(paths, head).parent)


_MEND: dict[Kind, Callable[[StatePaths, StatePaths, Damage], None]] = {
    "chunk": _mend_chunk,
    "manifest": _mend_metadata,
    "snapshot": _mend_metadata,
    "transaction": _mend_metadata,
    "config": _mend_metadata,
    "seal": _mend_seal,
    "ref": _mend_ref,
    "head": _mend_head,
}


def _missing_chunks(paths: StatePaths, kept: StatePaths) -> list[str]:
    here = {p.name for p in (paths.repo / "chunks").glob("*")}
    return [f"repo/chunks/{p.name}" for p in (kept.repo / "chunks").glob("*") if p.name not in here]


def _copy_chunks(source: Path, target: Path) -> tuple[int, int]:
    target.mkdir(parents=True, exist_ok=True)
    have = {p.name: p.stat().st_size for p in target.iterdir()}
    count = size = 0
    for path in sorted(source.glob("*")):
        if PARTIAL.search(path.name) or have.get(path.name) == path.stat().st_size:
            continue
        data = path.read_bytes()
        if not chunk_is_whole(data):
            raise CorruptState(f"{path} was altered", MENDING)
        _place(target / path.name, data)
        count, size = count + 1, size + len(data)
    return count, size


def _copy_checked(source: Path, target: Path, digest: str) -> int:
    """Copy one small object unless the target has the same bytes; returns how many bytes were copied."""
    if digest and target.is_file() and file_digest(target) == digest:
        return 0
    if digest and file_digest(source) != digest:
        raise CorruptState(f"{source} was altered", MENDING)
    data = source.read_bytes()
    if target.is_file() and target.read_bytes() == data:
        return 0
    _place(target, data)
    return len(data)


def _place(path: Path, data: bytes) -> None:
    """Write beside, then rename. Not flushed one by one: the caller flushes once before the branch moves."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}#0")
    temporary.write_bytes(data)
    temporary.replace(path)


def _ref(snapshot: str) -> bytes:
    return f'{{"snapshot":"{snapshot}"}}'.encode()


def _require_whole(folder: Path) -> None:
    damages = scrub(folder).damages
    if damages:
        raise CorruptState(f"the backup is damaged: {damages[0]}", "restore from another backup")
