"""What GDAL's drivers say when a write fails, told in the project's errors."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pyogrio.errors import DataLayerError, DataSourceError, FeatureError, GeometryError
from rasterio.errors import RasterioError

from enggang.errors import DiskFull, PublishError

_FAULTS = (RasterioError, DataSourceError, DataLayerError, FeatureError, GeometryError, sqlite3.Error)
_FULL_TEXTS = ("No space left", "disk is full", "File too large", "Disk quota", "disk I/O error")
_NEARLY_NOTHING = 1 << 20


@contextmanager
def gdal_faults(path: Path) -> Iterator[None]:
    """Turn errors of rasterio, pyogrio and SQLite below into `DiskFull` or `PublishError` that name `path`.

    GDAL seldom passes on errno: where its text doesn't say it, a disk with less than 1 MiB free counts as full.
    """
    try:
        yield
    except _FAULTS as error:
        if any(text in str(error) for text in _FULL_TEXTS) or _free(path) < _NEARLY_NOTHING:
            raise DiskFull(
                f"no space left while writing {path}", "free space and run the same command again"
            ) from error
        raise PublishError(
            f"{path.name} can't be written ({error})", "see the cause, then run the night again"
        ) from error


def _free(path: Path) -> int:
    return shutil.disk_usage(next(p for p in path.resolve().parents if p.exists())).free
