"""What GDAL says when the write of a raster fails, told in the project's errors."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# rasterio.shutil.copy lets GDAL's own errors through, which have no public name.
from rasterio._err import CPLE_BaseError
from rasterio.errors import RasterioError

from enggang.errors import DiskFull, EnggangError, PublishError

_FAULTS = (RasterioError, CPLE_BaseError)
_FULL_TEXTS = ("No space left", "File too large", "Disk quota")
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_PROBE_BYTES = 16 << 20


@contextmanager
def gdal_faults(path: Path) -> Iterator[None]:
    """Turn errors of rasterio below into `DiskFull` or `PublishError` that name `path`."""
    try:
        yield
    except _FAULTS as error:
        raise write_fault(path, str(error)) from error


def write_fault(path: Path, reason: str) -> EnggangError:
    """The error for a write that GDAL failed: it seldom passes on errno, so the disk itself is asked."""
    if any(text in reason for text in _FULL_TEXTS) or _is_full(path.parent):
        return DiskFull(f"no space left while writing {path}", "free space and run the same command again")
    return PublishError(f"{path.name} can't be written ({reason})", "see the cause, then run the night again")


def _is_full(folder: Path) -> bool:
    """True where a file of 16 MiB finds no room, be it for the disk, a quota or a limit of the process."""
    with tempfile.TemporaryFile(dir=folder) as probe:
        try:
            os.posix_fallocate(probe.fileno(), 0, _PROBE_BYTES)
        except OSError as error:
            return error.errno in _FULL
    return False
