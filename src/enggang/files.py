"""Atomic, repeatable writes: a reader sees the old file or the new one, never half of one."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson

from enggang.errors import DiskFull

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn "no space left" from any writer below into `DiskFull`, which names the place and the remedy."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise DiskFull(
                f"no space left while writing {path}", "free space and run the same command again"
            ) from error
        raise


def write_atomic(path: Path, write: Callable[[Path], object]) -> Path:
    """Call `write(temporary)` beside `path`, flush to disk, then rename over `path`.

    The temporary file keeps the suffix of `path`, since GDAL drivers look at it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with disk_errors(path):
        folder = Path(tempfile.mkdtemp(prefix=".part-", dir=path.parent))
        try:
            temporary = folder / path.name
            write(temporary)
            _fsync(temporary)
            temporary.replace(path)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    return path


def write_bytes(path: Path, data: bytes) -> Path:
    """Write `data` to `path` atomically."""
    return write_atomic(path, lambda temporary: temporary.write_bytes(data))


def write_json(path: Path, value: Any) -> Path:
    """Write `value` as indented JSON with sorted keys: equal values give equal bytes."""
    options = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE
    return write_bytes(path, orjson.dumps(value, option=options))


def read_json(path: Path) -> Any:
    """The parsed content of a JSON file."""
    return orjson.loads(path.read_bytes())


def require_free_space(folder: Path, share: float) -> None:
    """Raise `DiskFull` where less than `share` (0–1) of the disk that holds `folder` is free."""
    existing = next(p for p in (folder, *folder.resolve().parents) if p.exists())
    usage = shutil.disk_usage(existing)
    if usage.free < share * usage.total:
        raise DiskFull(
            f"{usage.free / usage.total:.0%} of the disk of {folder} is free; {share:.0%} must stay free",
            "free space, or lower ENGGANG_MIN_FREE_SHARE",
        )


def remove_leftovers(folder: Path) -> None:
    """Delete the temporary folders that a killed writer left in `folder`, one level deep."""
    for leftover in folder.glob(".part-*"):
        shutil.rmtree(leftover, ignore_errors=True)


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
