"""Assets as open files: what is opened at all, kept open between blocks, and how GDAL's errors become ours."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

import numpy as np
import rasterio
from odc.geo.crs import CRS
from odc.geo.geobox import GeoBox
from rasterio._err import CPLE_BaseError
from rasterio.errors import RasterioError
from rasterio.io import DatasetReader

from enggang.cube.completeness import codestream_end, tiles_end
from enggang.cube.frames import Frame
from enggang.errors import CorruptAsset, GridMismatch, MissingBand, OversizedAsset, SourceUnavailable
from enggang.types import Asset, Scene

#: A real scene stays well below these; a header that claims more is refused before anything is read.
MAX_SIDE = 40_000
MAX_BYTES = 8 * 2**30
MAX_BLOCK_BYTES = 256 * 2**20
#: Formats that are opened at all. A VRT would let an item read any file or address.
DRIVERS = ["GTiff", "JP2OpenJPEG"]
_OPEN_FILES = 32
# Blocks are read by several threads already, and errors of GDAL's own decoding threads would pass unseen. Tiles are
# decoded once, or again at once beside the edge of a block: a larger cache, by default 5 % of memory, holds dead bytes.
_READING: dict[str, str | int] = {
    "GDAL_NUM_THREADS": "1",
    "GDAL_CACHEMAX": 128 << 20,
    "GDAL_HTTP_MAX_RETRY": "4",
    "GDAL_HTTP_RETRY_DELAY": "0.5",
    "GDAL_HTTP_CONNECTTIMEOUT": "10",
    "GDAL_HTTP_TIMEOUT": "60",
    "GDAL_HTTP_MERGE_CONSECUTIVE_RANGES": "YES",
}
# Sidecars (.aux.xml) are asked for by name beside local files, and not at all beside remote ones.
_OPENING_LOCAL = {"GDAL_DISABLE_READDIR_ON_OPEN": "TRUE"}
_OPENING_REMOTE = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "GDAL_INGESTED_BYTES_AT_OPEN": "32768",
    "VSI_CACHE": "TRUE",
}
_GDAL_ERRORS = (RasterioError, CPLE_BaseError)
_UNREACHABLE = ("could not resolve", "couldn't resolve", "timed out", "connection refused", "failed to connect",
                "response code: 429", "response code: 50", "response_code=0", "curl error")  # fmt: skip


@dataclass(slots=True)
class OpenAsset:
    """An open file of one thread, its grid, and the warped views made of it."""

    dataset: Any
    grid: GeoBox
    warped: dict[tuple[Any, ...], tuple[Frame, Any]] = field(default_factory=dict)

    def close(self) -> None:
        """Close the views, then the file."""
        for _, view in self.warped.values():
            view.close()
        self.dataset.close()


class _OpenFiles(threading.local):
    """The files that a thread has open, the least recently used first. GDAL datasets may not cross threads."""

    def __init__(self) -> None:
        self.entries: OrderedDict[tuple[Any, ...], OpenAsset] = OrderedDict()


_FILES = _OpenFiles()


def close_files() -> None:
    """Close the files that this thread keeps open between blocks."""
    while _FILES.entries:
        _FILES.entries.popitem()[1].close()


def asset_of(scene: Scene, band: str) -> Asset:
    """The asset of a band. Raises `MissingBand`, which lists the bands that are there."""
    asset = scene.assets.get(band)
    if asset is None:
        raise MissingBand(
            f"scene {scene.id} has no band {band}; it has {', '.join(sorted(scene.assets))}",
            "map its asset to this name by the option `bands` of the source",
        )
    return asset


def open_asset(scene: Scene, asset: Asset) -> OpenAsset:
    """Open an asset, or take it from this thread's open files.

    Raises `CorruptAsset`, `OversizedAsset`, `GridMismatch` (no CRS), `SourceUnavailable` (remote, can't be reached).
    """
    key = (asset.href, *_stamp(asset.href))
    entry = _FILES.entries.get(key)
    if entry is not None:
        _FILES.entries.move_to_end(key)
        return entry
    path = local_path(asset.href)
    opening = _OPENING_REMOTE if path is None else _OPENING_LOCAL
    with reading(scene, asset), rasterio.Env(**_READING, **opening):
        dataset = DatasetReader(asset.href if path is None else str(path), driver=DRIVERS)
    try:
        _require_real(scene, asset, dataset)
    except (OversizedAsset, GridMismatch, CorruptAsset):
        dataset.close()
        raise
    entry = OpenAsset(dataset, GeoBox(dataset.shape, dataset.transform, _plain_crs(dataset.crs)))
    _FILES.entries[key] = entry
    while len(_FILES.entries) > _OPEN_FILES:
        _FILES.entries.popitem(last=False)[1].close()
    return entry


def _stamp(href: str) -> tuple[int, ...]:
    """Size and time of a local file, so that one that was replaced is opened anew."""
    path = local_path(href)
    if path is None:
        return ()
    try:
        stat = path.stat()
    except OSError:
        return ()
    return (stat.st_size, stat.st_mtime_ns)


def local_path(href: str) -> Path | None:
    """The path behind an href, None for a remote one."""
    parts = urlsplit(href)
    if parts.scheme == "file":
        return Path(url2pathname(parts.path))
    return Path(href) if not parts.scheme or len(parts.scheme) == 1 else None


def _plain_crs(crs: Any) -> CRS:
    """By its EPSG code where it has one: two codes compare at once, two texts only after parsing."""
    parsed = CRS(crs)
    return CRS(f"EPSG:{parsed.epsg}") if parsed.epsg else parsed


def gdal_settings() -> Any:
    """GDAL's settings for reading, as a context. Making one costs as much as reading a small block: make few."""
    return rasterio.Env(**_READING)


@contextmanager
def reading(scene: Scene, asset: Asset) -> Iterator[None]:
    """GDAL's errors as ours, naming scene and asset."""
    if asset.href.startswith("/vsi"):
        raise CorruptAsset(f"scene {scene.id}: asset {asset.band} is {asset.href}", "give a path or URL")
    try:
        yield
    except _GDAL_ERRORS as error:
        said = f"scene {scene.id}: asset {asset.band} ({asset.href}) can't be read: {_cause(error)}"
        if local_path(asset.href) is None and any(sign in said.lower() for sign in _UNREACHABLE):
            raise SourceUnavailable(said, "try again later") from error
        raise CorruptAsset(said, "fetch the file again; the scene is tried again next night") from error


def _cause(error: BaseException) -> str:
    while error.__cause__ is not None:
        error = error.__cause__
    return str(error)


def _require_real(scene: Scene, asset: Asset, dataset: Any) -> None:
    height, width = dataset.shape
    itemsize = np.dtype(dataset.dtypes[0]).itemsize
    block = max(h * w for h, w in dataset.block_shapes) * itemsize
    size = height * width * dataset.count * itemsize
    name = f"scene {scene.id}: asset {asset.band} ({asset.href})"
    if max(height, width) > MAX_SIDE or size > MAX_BYTES or block > MAX_BLOCK_BYTES:
        raise OversizedAsset(
            f"{name} claims {width} × {height} pixels, {size / 2**30:.1f} GiB, blocks of {block / 2**20:.0f} MiB",
            f"a scene has at most {MAX_SIDE} pixels a side; check the file, or tile it",
        )
    _require_whole(scene, asset, dataset)
    if dataset.crs is None:
        raise GridMismatch(f"{name} has no coordinate reference system", "assign one, for example with gdal_edit")
    if asset.index > dataset.count:
        raise CorruptAsset(f"{name} has {dataset.count} band(s), the item says {asset.index}", "correct the item")


def _require_whole(scene: Scene, asset: Asset, dataset: Any) -> None:
    """What must be known before reading: a cut GeoTIFF fails on reading, if its CRS was not cut off; OpenJPEG decodes
    what is there of a cut file and leaves the rest zero."""
    path = local_path(asset.href)
    if path is None:
        return
    size = path.stat().st_size
    if dataset.driver == "JP2OpenJPEG":
        end = codestream_end(path, size)
    else:
        end = tiles_end(dataset, 1) if dataset.crs is None else 0
    if end > size:
        raise truncated(scene, asset, size)


def truncated(scene: Scene, asset: Asset, size: int) -> CorruptAsset:
    """The error for a file that ends before its data do."""
    return CorruptAsset(
        f"scene {scene.id}: asset {asset.band} ({asset.href}) is cut off at {size} bytes",
        "fetch the file again; the scene is tried again next night",
    )
