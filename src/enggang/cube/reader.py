"""Bands of scenes on the AOI's grid: open files, place them, read blocks. All raster reading goes through here.

A block's values never depend on how the grid is cut: a file that lies on the grid is read through windows; any other
is warped in a frame that is anchored to the grid, and read there in fixed pieces.
"""

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
from odc.geo.geobox import GeoBox
from rasterio._err import CPLE_BaseError
from rasterio.enums import MaskFlags, Resampling
from rasterio.errors import RasterioError
from rasterio.io import DatasetReader
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

from enggang.cube.frames import Frame, frame_of, offset_on
from enggang.cube.masks import OUTSIDE
from enggang.errors import CorruptAsset, GridMismatch, MissingBand, OversizedAsset, SourceUnavailable
from enggang.types import AnyArray, Asset, FloatArray, Scene

#: A real scene stays well below these; a header that claims more is refused before anything is read.
MAX_SIDE = 40_000
MAX_BYTES = 8 * 2**30
MAX_BLOCK_BYTES = 256 * 2**20
#: Formats that are opened at all. A VRT would let an item read any file or address.
DRIVERS = ["GTiff", "JP2OpenJPEG"]
_OPEN_FILES = 32
_LOCAL = {"GDAL_DISABLE_READDIR_ON_OPEN": "TRUE"}
_REMOTE = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "GDAL_HTTP_MAX_RETRY": "4",
    "GDAL_HTTP_RETRY_DELAY": "0.5",
    "GDAL_HTTP_CONNECTTIMEOUT": "10",
    "GDAL_HTTP_TIMEOUT": "60",
    "GDAL_HTTP_MERGE_CONSECUTIVE_RANGES": "YES",
    "GDAL_INGESTED_BYTES_AT_OPEN": "32768",
    "CPL_VSIL_CURL_ALLOWED_EXTENSIONS": ".tif,.tiff,.jp2",
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

    def __del__(self) -> None:
        for entry in self.entries.values():
            entry.close()


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
    with _reading(scene, asset):
        dataset = DatasetReader(_openable(asset.href), driver=DRIVERS)
    try:
        _require_real(scene, asset, dataset)
    except (OversizedAsset, GridMismatch, CorruptAsset):
        dataset.close()
        raise
    entry = OpenAsset(dataset, GeoBox(dataset.shape, dataset.transform, dataset.crs))
    _FILES.entries[key] = entry
    while len(_FILES.entries) > _OPEN_FILES:
        _FILES.entries.popitem(last=False)[1].close()
    return entry


def read_values(scene: Scene, band: str, geobox: GeoBox) -> FloatArray:
    """A continuous band on `geobox`: (y, x) float32 in the asset's unit; NaN = nodata or outside the scene.

    Bilinear where it must be resampled, average where the file is finer than the grid by half or more.
    Raises what `asset_of` and `open_asset` raise, and `CorruptAsset` where pixels can't be read.
    """
    asset = asset_of(scene, band)
    entry = open_asset(scene, asset)
    with _reading(scene, asset):
        nodata = _nodata(asset, entry.dataset)
        offset = offset_on(entry.grid, geobox)
        if offset is not None:
            return _direct(entry, asset, offset, geobox.shape, nodata)
        frame, view = _view(entry, geobox, asset.index, nodata)
        raw = np.full(geobox.shape, np.nan, dtype=np.float32)
        _read_frame(frame, view, geobox, asset.index, raw)
    return _scaled(raw, asset, None, raw)


def read_classes(scene: Scene, band: str, geobox: GeoBox) -> AnyArray:
    """A class band on `geobox`: (y, x) uint8, nearest neighbour; `OUTSIDE` where the file doesn't reach.

    Raises as `read_values`.
    """
    asset = asset_of(scene, band)
    entry = open_asset(scene, asset)
    out = np.full(geobox.shape, OUTSIDE, dtype=np.uint8)
    with _reading(scene, asset):
        offset = offset_on(entry.grid, geobox)
        if offset is not None:
            window, place = _overlap(entry.grid.shape, offset, geobox.shape)
            if window is not None:
                out[place] = entry.dataset.read(asset.index, window=window)
            return out
        frame, view = _view(entry, geobox, asset.index, OUTSIDE, classes=True)
        _read_frame(frame, view, geobox, asset.index, out)
    return out


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


def _openable(href: str) -> str:
    path = local_path(href)
    return href if path is None else str(path)


@contextmanager
def _reading(scene: Scene, asset: Asset) -> Iterator[None]:
    """GDAL's settings for this asset, and its errors as ours, naming scene and asset."""
    local = local_path(asset.href) is not None
    if asset.href.startswith("/vsi"):
        raise CorruptAsset(f"scene {scene.id}: asset {asset.band} is {asset.href}", "give a path or URL")
    try:
        with rasterio.Env(**(_LOCAL if local else _REMOTE)):
            yield
    except _GDAL_ERRORS as error:
        said = f"scene {scene.id}: asset {asset.band} ({asset.href}) can't be read: {_cause(error)}"
        if not local and any(sign in said.lower() for sign in _UNREACHABLE):
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
    if dataset.crs is None:
        raise GridMismatch(f"{name} has no coordinate reference system", "assign one, for example with gdal_edit")
    if asset.index > dataset.count:
        raise CorruptAsset(f"{name} has {dataset.count} band(s), the item says {asset.index}", "correct the item")


def _nodata(asset: Asset, dataset: Any) -> float | None:
    """The nodata number in the file's own type; None where there is none or the type can't hold it."""
    value = dataset.nodatavals[asset.index - 1] if asset.nodata is None else asset.nodata
    if value is None:
        return None
    dtype = np.dtype(dataset.dtypes[asset.index - 1])
    if dtype.kind == "f":
        return float(dtype.type(value))
    limits = np.iinfo(dtype)
    return float(value) if float(value).is_integer() and limits.min <= value <= limits.max else None


def _direct(entry: OpenAsset, asset: Asset, offset: tuple[int, int], shape: Any, nodata: float | None) -> FloatArray:
    window, place = _overlap(entry.grid.shape, offset, shape)
    if window is None:
        return np.full(shape, np.nan, dtype=np.float32)
    raw = entry.dataset.read(asset.index, window=window)
    whole = raw.shape == tuple(shape)
    out = np.empty(shape, np.float32) if whole else np.full(shape, np.nan, np.float32)
    _scaled(raw, asset, nodata, out[place])
    if MaskFlags.per_dataset in entry.dataset.mask_flag_enums[asset.index - 1]:
        out[place][entry.dataset.read_masks(asset.index, window=window) == 0] = np.nan
    return out


def _scaled(raw: AnyArray, asset: Asset, nodata: float | None, out: FloatArray) -> FloatArray:
    """raw · scale + offset into `out`, in float32; nodata and what isn't finite become NaN."""
    gaps = None if nodata is None or np.isnan(nodata) else raw == raw.dtype.type(nodata)
    np.multiply(raw, np.float32(asset.scale), out=out, casting="same_kind")
    if asset.offset:
        out += np.float32(asset.offset)
    if raw.dtype.kind == "f":
        np.copyto(out, np.nan, where=~np.isfinite(out))
    if gaps is not None:
        np.copyto(out, np.nan, where=gaps)
    return out


def _overlap(source: Any, offset: tuple[int, int], shape: Any) -> tuple[Window | None, tuple[slice, slice]]:
    """The window of the file that a block covers, and where its pixels lie in the block."""
    (row, col), (height, width) = offset, shape
    top, left = max(row, 0), max(col, 0)
    bottom, right = min(row + source[0], height), min(col + source[1], width)
    place = (slice(top, max(bottom, top)), slice(left, max(right, left)))
    if bottom <= top or right <= left:
        return None, place
    return Window(left - col, top - row, right - left, bottom - top), place


def _view(
    entry: OpenAsset, geobox: GeoBox, index: int, nodata: float | None, classes: bool = False
) -> tuple[Frame, Any]:
    frame = frame_of(entry.grid, geobox)
    key = (frame.transform, frame.crs, index, nodata, classes)
    if key not in entry.warped:
        smooth = Resampling.average if frame.shrinks else Resampling.bilinear
        floats = {"dtype": "float32", "nodata": np.nan, "src_nodata": np.nan if nodata is None else nodata}
        entry.warped[key] = (
            frame,
            WarpedVRT(
                entry.dataset,
                crs=frame.crs,
                transform=frame.transform,
                width=frame.width,
                height=frame.height,
                resampling=Resampling.nearest if classes else smooth,
                **({"nodata": OUTSIDE, "src_nodata": OUTSIDE} if classes else floats),
            ),
        )
    return entry.warped[key]


def _read_frame(frame: Frame, view: Any, geobox: GeoBox, index: int, out: AnyArray) -> None:
    """Fill `out` from a warped view, where the frame reaches."""
    window, place = _overlap((frame.height, frame.width), frame.offset(geobox), out.shape)
    if window is None:
        return
    target = out[place]
    if frame.linear:
        target[:] = view.read(index, window=window)
        return
    for piece, inner, cut in frame.pieces(window):
        target[cut] = view.read(index, window=piece)[inner]
