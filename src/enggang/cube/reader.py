"""Bands of scenes on blocks of the AOI's grid. All pixels are read here.

A block's values never depend on how the grid is cut. A file that lies on the grid is read through windows. One whose
pixels are each a whole number of the grid's (the 20 m bands of Sentinel-2 on 10 m) is read the same way and enlarged.
Any other is warped by GDAL in a frame that is anchored to the grid, and read there in fixed pieces.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from odc.geo.geobox import GeoBox
from rasterio.enums import MaskFlags, Resampling
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

from enggang.cube.assets import OpenAsset, asset_of, open_asset, reading
from enggang.cube.enlarge import enlarge, enlarge_classes
from enggang.cube.frames import Frame, frame_of, offset_on, zoom_on
from enggang.cube.masks import OUTSIDE
from enggang.types import AnyArray, Asset, FloatArray, Scene


@dataclass(frozen=True, slots=True)
class Band:
    """A continuous band on a block, (y, x), kept in the numbers it was read in until a part of it is wanted.

    `raw` is in the file's dtype and numbers; `nodata` one of them. `is_physical`: `raw` is float32 in the asset's
    unit already, NaN = not valid.
    """

    raw: AnyArray
    asset: Asset
    nodata: float | None = None
    is_physical: bool = False

    def rows(self, part: slice, out: FloatArray | None = None) -> FloatArray:
        """Some rows, into `out` or a new array: (y, x) float32 in the asset's unit, NaN = not valid."""
        raw = self.raw[part]
        out = np.empty(raw.shape, np.float32) if out is None else out
        if self.is_physical:
            np.copyto(out, raw)
            return out
        return _scale(raw, self.asset, self.nodata, out)

    def values(self) -> FloatArray:
        """All rows; see `rows`."""
        return self.rows(slice(None))


def read_values(scene: Scene, band: str, geobox: GeoBox) -> FloatArray:
    """A continuous band on `geobox`: (y, x) float32 in the asset's unit; see `read_band`."""
    return read_band(scene, band, geobox).values()


def read_band(scene: Scene, band: str, geobox: GeoBox) -> Band:
    """A continuous band on `geobox`; not valid where the file has nodata or doesn't reach.

    Bilinear where it must be resampled, average where the file is finer than the grid by half or more.
    Raises what `asset_of` and `open_asset` raise, and `CorruptAsset` where pixels can't be read.
    """
    asset = asset_of(scene, band)
    entry = open_asset(scene, asset)
    with reading(scene, asset):
        nodata = _nodata(asset, entry.dataset)
        offset = offset_on(entry.grid, geobox)
        if offset is not None:
            return _direct(entry, asset, nodata, offset, _shape(geobox))
        zoom = zoom_on(entry.grid, geobox)
        if zoom is not None:
            coarse = _direct(entry, asset, nodata, zoom.offset, zoom.shape).values()
            return Band(enlarge(coarse, zoom.factor)[zoom.cut], asset, is_physical=True)
        return _warped(entry, asset, nodata, geobox)


def read_classes(scene: Scene, band: str, geobox: GeoBox) -> AnyArray:
    """A class band on `geobox`: (y, x) uint8, nearest neighbour; `OUTSIDE` where the file doesn't reach.

    Raises as `read_band`.
    """
    asset = asset_of(scene, band)
    entry = open_asset(scene, asset)
    with reading(scene, asset):
        offset = offset_on(entry.grid, geobox)
        if offset is not None:
            return _direct_classes(entry, asset.index, offset, _shape(geobox))
        zoom = zoom_on(entry.grid, geobox)
        if zoom is not None:
            coarse = _direct_classes(entry, asset.index, zoom.offset, zoom.shape)
            return enlarge_classes(coarse[1:-1, 1:-1], zoom.factor)[zoom.cut]
        out = np.full(_shape(geobox), OUTSIDE, dtype=np.uint8)
        frame, view = _view(entry, geobox, asset.index, OUTSIDE, classes=True)
        _read_frame(frame, view, geobox, asset.index, out)
        return out


def _shape(geobox: GeoBox) -> tuple[int, int]:
    return int(geobox.shape[0]), int(geobox.shape[1])


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


def _direct(
    entry: OpenAsset, asset: Asset, nodata: float | None, offset: tuple[int, int], shape: tuple[int, int]
) -> Band:
    window, place = _overlap(_shape(entry.grid), offset, shape)
    if window is None:
        return Band(np.full(shape, np.nan, np.float32), asset, is_physical=True)
    raw = entry.dataset.read(asset.index, window=window)
    masked = MaskFlags.per_dataset in entry.dataset.mask_flag_enums[asset.index - 1]
    if raw.shape == shape and not masked:
        return Band(raw, asset, nodata)
    out = np.full(shape, np.nan, np.float32)
    _scale(raw, asset, nodata, out[place])
    if masked:
        out[place][entry.dataset.read_masks(asset.index, window=window) == 0] = np.nan
    return Band(out, asset, is_physical=True)


def _direct_classes(entry: OpenAsset, index: int, offset: tuple[int, int], shape: tuple[int, int]) -> AnyArray:
    out = np.full(shape, OUTSIDE, dtype=np.uint8)
    window, place = _overlap(_shape(entry.grid), offset, shape)
    if window is not None:
        out[place] = entry.dataset.read(index, window=window)
    return out


def _scale(raw: AnyArray, asset: Asset, nodata: float | None, out: FloatArray) -> FloatArray:
    """raw · scale + offset into `out`, in float32; nodata and what isn't finite become NaN."""
    np.multiply(raw, np.float32(asset.scale), out=out, casting="same_kind")
    if asset.offset:
        out += np.float32(asset.offset)
    if raw.dtype.kind == "f":
        np.copyto(out, np.nan, where=~np.isfinite(out))
    if nodata is not None and not np.isnan(nodata):
        np.copyto(out, np.nan, where=raw == raw.dtype.type(nodata))
    return out


def _overlap(
    source: tuple[int, int], offset: tuple[int, int], shape: tuple[int, int]
) -> tuple[Window | None, tuple[slice, slice]]:
    """The window of the file that a block covers, and where its pixels lie in the block."""
    (row, col), (height, width) = offset, shape
    top, left = max(row, 0), max(col, 0)
    bottom, right = min(row + source[0], height), min(col + source[1], width)
    place = (slice(top, max(bottom, top)), slice(left, max(right, left)))
    if bottom <= top or right <= left:
        return None, place
    return Window(left - col, top - row, right - left, bottom - top), place


def _warped(entry: OpenAsset, asset: Asset, nodata: float | None, geobox: GeoBox) -> Band:
    frame, view = _view(entry, geobox, asset.index, nodata)
    out = np.full(_shape(geobox), np.nan, dtype=np.float32)
    _read_frame(frame, view, geobox, asset.index, out)
    return Band(_scale(out, asset, None, out), asset, is_physical=True)


def _view(
    entry: OpenAsset, geobox: GeoBox, index: int, nodata: float | None, classes: bool = False
) -> tuple[Frame, Any]:
    frame = frame_of(entry.grid, geobox)
    key = (frame.transform, frame.crs, index, nodata, classes)
    if key not in entry.warped:
        smooth = Resampling.average if frame.shrinks else Resampling.bilinear
        floats = {"dtype": "float32", "nodata": np.nan, "src_nodata": np.nan if nodata is None else nodata}
        view = WarpedVRT(
            entry.dataset,
            crs=frame.crs,
            transform=frame.transform,
            width=frame.width,
            height=frame.height,
            resampling=Resampling.nearest if classes else smooth,
            **({"nodata": OUTSIDE, "src_nodata": OUTSIDE} if classes else floats),
        )
        entry.warped[key] = (frame, view)
    return entry.warped[key]


def _read_frame(frame: Frame, view: Any, geobox: GeoBox, index: int, out: AnyArray) -> None:
    """Fill `out` from a warped view, where the frame reaches."""
    window, place = _overlap((frame.height, frame.width), frame.offset(geobox), (out.shape[0], out.shape[1]))
    if window is None:
        return
    target = out[place]
    if frame.linear:
        target[:] = view.read(index, window=window)
        return
    for piece, inner, cut in frame.pieces(window):
        target[cut] = view.read(index, window=piece)[inner]
