"""Immutable product folders: complete before they are visible, never changed afterwards."""

from __future__ import annotations

import fcntl
import filecmp
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from enggang.files import disk_errors, remove_leftovers

_REVISION = re.compile(r"^\d{4}-\d{2}-\d{2}(?:-r(?P<number>[1-9]\d*))?$")


@dataclass(frozen=True, slots=True)
class Placed:
    """Where a product lies. `written` counts the files that this run added: 0 where equal ones were there."""

    folder: Path
    revision: int
    written: int


def revision_folder(folder: Path, revision: int) -> Path:
    """The folder of a revision: `<night>` for the first, `<night>-r2` and so on for those that correct it."""
    return folder if revision == 1 else folder.with_name(f"{folder.name}-r{revision}")


def revision_of(name: str) -> tuple[str, int] | None:
    """(night, revision) of a product folder's name; None for any other name."""
    match = _REVISION.match(name)
    return (name[:10], int(match["number"] or 1)) if match else None


def newest_revision(folder: Path) -> int:
    """The number of the newest revision of `folder`, 0 where there is none."""
    if not folder.parent.is_dir():
        return 0
    found = (revision_of(entry.name) for entry in folder.parent.iterdir())
    return max((number for night, number in filter(None, found) if night == folder.name), default=0)


def place(folder: Path, build: Callable[[Path], object], describe: Callable[[Path, int], object]) -> Placed:
    """Build a product beside `folder` and make it visible by one rename.

    `build(temporary)` writes the data, `describe(temporary, revision)` the metadata, which may name the revision.
    Equal to the newest revision: nothing changes. Different: a new revision, and the older ones stay. The caller
    holds the lock of the area, so leftovers of a killed run are nobody's and are removed.
    """
    with disk_errors(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(folder.parent)
        temporary = Path(tempfile.mkdtemp(prefix=".part-", dir=folder.parent))
        try:
            build(temporary)
            return _settle(temporary, folder, describe)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def _settle(temporary: Path, folder: Path, describe: Callable[[Path, int], object]) -> Placed:
    newest = newest_revision(folder)
    if newest:
        describe(temporary, newest)
        if _equal(temporary, revision_folder(folder, newest)):
            return Placed(revision_folder(folder, newest), newest, 0)
    describe(temporary, newest + 1)
    target = revision_folder(folder, newest + 1)
    written = sum(1 for _ in temporary.iterdir())
    temporary.chmod(0o755)
    temporary.rename(target)
    _fsync_folder(target.parent)
    return Placed(target, newest + 1, written)


def _equal(one: Path, other: Path) -> bool:
    names = sorted(p.name for p in one.iterdir())
    if names != sorted(p.name for p in other.iterdir()):
        return False
    return all(filecmp.cmp(one / name, other / name, shallow=False) for name in names)


def _fsync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on `path`, waiting for it; it falls with the process that holds it."""
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
