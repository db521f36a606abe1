"""How the icechunk repository of a state is opened, sealed and made durable.

icechunk compresses its metadata without a checksum, so each snapshot gets a seal: a file with the SHA-256 of every
metadata object that the snapshot consists of. Chunks carry their own checksum (the last codec, CRC-32C).
"""

from __future__ import annotations

import ctypes
import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import icechunk
import orjson

from enggang.errors import CorruptState, DiskFull, StateError
from enggang.files import disk_errors, read_json, write_json

BRANCH = "main"
#: What to do about any damage.
MENDING = "run `enggang state scrub`, then repair from the backup"
_FULL = ("No space left on device", "Disk quota exceeded", "os error 28", "os error 122")

# icechunk warns that a local disk is not safe for two committers; the lease sees to it that there is one.
icechunk.set_logs_filter("error")


@dataclass(frozen=True, slots=True)
class StatePaths:
    """What lies in the folder of a state."""

    folder: Path

    @property
    def repo(self) -> Path:
        """The icechunk repository."""
        return self.folder / "repo"

    @property
    def ref(self) -> Path:
        """The one mutable file of the repository: which snapshot is current."""
        return self.repo / "refs" / f"branch.{BRANCH}" / "ref.json"

    @property
    def seals(self) -> Path:
        """A file per snapshot, and `head.json`."""
        return self.folder / "seals"

    @property
    def head(self) -> Path:
        """Second record of which snapshot is current, from which a damaged `ref` is mended."""
        return self.seals / "head.json"

    def seal(self, snapshot: str) -> Path:
        """The seal of one snapshot."""
        return self.seals / f"{snapshot}.json"


@dataclass(frozen=True, slots=True)
class Seal:
    """Digests of all metadata objects of one snapshot, by path in the repository, and the record of its commit.

    An empty digest: the object may not be compared now. No objects: the snapshot's pixels were given up, its record
    in the history stays.
    """

    snapshot: str
    parent: str
    commit: Mapping[str, Any]
    objects: Mapping[str, str]

    def to_document(self) -> dict[str, Any]:
        """As plain JSON with a digest of its own."""
        body = {
            "snapshot": self.snapshot,
            "parent": self.parent,
            "commit": dict(self.commit),
            "objects": dict(self.objects),
        }
        return {**body, "sha256": _digest_of(body)}


def create_repository(repo: Path) -> icechunk.Repository:
    """A new, empty repository. No chunk is stored inside a manifest: each is an object that can be checked alone."""
    config = icechunk.RepositoryConfig.default()
    config.inline_chunk_threshold_bytes = 0
    repo.mkdir(parents=True)
    with store_errors(repo):
        return icechunk.Repository.create(icechunk.local_filesystem_storage(str(repo)), config=config)


def open_repository(repo: Path) -> icechunk.Repository:
    """Open a repository. Raises `StateError` where there is none, `CorruptState` where it can't be read."""
    if not repo.is_dir():
        raise StateError(f"there is no state at {repo.parent}", "build the monitor's baseline first")
    with store_errors(repo):
        return icechunk.Repository.open(icechunk.local_filesystem_storage(str(repo)))


def seal_snapshot(paths: StatePaths, repo: icechunk.Repository, snapshot: str) -> Seal:
    """Make and write the seal of a new snapshot; its parent's seal knows the objects that both have."""
    with store_errors(paths.repo):
        info = repo.lookup_snapshot(snapshot)
    parent = info.parent_id or ""
    known = read_seal(paths, parent).objects if paths.seal(parent).exists() else {f"snapshots/{parent}": ""}
    names = [f"snapshots/{snapshot}", f"transactions/{snapshot}", "config.yaml"]
    names += [f"manifests/{manifest.id}" for manifest in info.manifests]
    if not any(known.values()):
        names += known
    objects = {name: known.get(name) or file_digest(paths.repo / name) for name in sorted(names)}
    return write_seal(paths, Seal(snapshot, parent, info.metadata, objects))


def write_seal(paths: StatePaths, seal: Seal) -> Seal:
    """Write a seal atomically."""
    write_json(paths.seal(seal.snapshot), seal.to_document())
    return seal


def read_seal(paths: StatePaths, snapshot: str) -> Seal:
    """Read a seal. Raises `CorruptState` where it is missing or was altered."""
    path = paths.seal(snapshot)
    try:
        document = read_json(path)
        digest = document.pop("sha256")
        seal = Seal(**document)
    except (FileNotFoundError, orjson.JSONDecodeError, KeyError, TypeError, AttributeError, UnicodeError) as error:
        raise CorruptState(f"the seal {path} is missing or can't be read", MENDING) from error
    if digest != _digest_of(document):
        raise CorruptState(f"the seal {path} was altered", MENDING)
    return seal


def verify_seal(paths: StatePaths, snapshot: str) -> Seal:
    """Compare all metadata of a snapshot with its seal.

    Raises `CorruptState` naming the first damaged object, `StateError` where the snapshot was given up.
    """
    seal = read_seal(paths, snapshot)
    if not seal.objects:
        raise StateError(f"the pixels of commit {snapshot} were given up to free space", "choose a later commit")
    for name, digest in seal.objects.items():
        path = paths.repo / name
        if not path.exists() or (digest and file_digest(path) != digest):
            raise CorruptState(f"{path} is missing or was altered", MENDING)
    return seal


def write_head(paths: StatePaths, snapshot: str, previous: str) -> None:
    """Write the second record of which snapshot is current, and which was before it."""
    body = {"snapshot": snapshot, "previous": previous}
    write_json(paths.head, {**body, "sha256": _digest_of(body)})


def read_head(paths: StatePaths) -> tuple[str, str]:
    """(snapshot, previous) of the second record. Raises `CorruptState` where it is missing or was altered."""
    try:
        document = read_json(paths.head)
        digest = document.pop("sha256")
        pair = (str(document["snapshot"]), str(document["previous"]))
    except (FileNotFoundError, orjson.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
        raise CorruptState(f"{paths.head} is missing or can't be read", MENDING) from error
    if digest != _digest_of(document):
        raise CorruptState(f"{paths.head} was altered", MENDING)
    return pair


def head_of(paths: StatePaths) -> str:
    """The current snapshot, as the branch says. Raises `CorruptState` where the ref was altered."""
    try:
        snapshot = read_json(paths.ref)["snapshot"]
    except (FileNotFoundError, orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise CorruptState(f"{paths.ref} is missing or can't be read", MENDING) from error
    if not isinstance(snapshot, str) or not paths.seal(snapshot).exists():
        raise CorruptState(f"{paths.ref} names a snapshot that was never sealed: {snapshot}", MENDING)
    return snapshot


def read_chain(paths: StatePaths, snapshot: str) -> list[Seal]:
    """The seals from the first commit to `snapshot`, oldest first."""
    chain = [read_seal(paths, snapshot)]
    while paths.seal(chain[-1].parent).exists():
        chain.append(read_seal(paths, chain[-1].parent))
    if chain[-1].commit.get("kind") != "create":
        raise CorruptState(f"the seal {paths.seal(chain[-1].parent)} is missing", MENDING)
    return chain[::-1]


def file_digest(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def make_durable(folder: Path) -> None:
    """Have the file system that holds `folder` write out what it still holds in memory (Linux `syncfs`).

    icechunk renames its objects into place but never flushes them: without this, a power cut after a commit could
    leave it with empty objects.
    """
    with disk_errors(folder):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            if _LIBC.syncfs(descriptor) != 0:
                code = ctypes.get_errno()
                raise OSError(code, os.strerror(code), str(folder))
        finally:
            os.close(descriptor)


@contextmanager
def store_errors(place: Path | str) -> Iterator[None]:
    """Turn what icechunk and zarr raise on damaged or missing objects, or a full disk, into the project's errors.

    `place` names what was being read or written.
    """
    try:
        with disk_errors(Path(place)):
            yield
    except icechunk.IcechunkError as error:
        raise _translated(place, str(error)) from error
    except (ValueError, RuntimeError, FileNotFoundError) as error:
        raise CorruptState(f"{place} can't be decoded: {error}", MENDING) from error


def _translated(place: Path | str, text: str) -> StateError | DiskFull:
    if any(mark in text for mark in _FULL):
        return DiskFull(f"no space left while writing {place}", "free space and run the same command again")
    first = next((line.strip(" x|") for line in text.splitlines() if line.strip(" x|")), "unknown")
    return CorruptState(f"{place} can't be read: {first}", MENDING)


def _digest_of(body: Mapping[str, Any]) -> str:
    return hashlib.sha256(orjson.dumps(body, option=orjson.OPT_SORT_KEYS)).hexdigest()


_LIBC = ctypes.CDLL(None, use_errno=True)
