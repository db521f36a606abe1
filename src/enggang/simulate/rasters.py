"""Single-band Cloud Optimized GeoTIFFs for the demo archive."""

from __future__ import annotations

from pathlib import Path

from odc.geo.geobox import GeoBox
from rasterio.io import MemoryFile

from enggang.files import write_atomic
from enggang.types import AnyArray

#: A raster no wider than this is read whole in a few requests and needs no overviews.
_OVERVIEWS_FROM = 512


def save_cog(path: Path, values: AnyArray, geobox: GeoBox, nodata: float | None = None) -> None:
    """Write `values` (y, x) to `path` as a COG that any GDAL ≥ 3.1 reads: Deflate with a predictor, 256 px tiles.

    GDAL encodes in memory and Python writes, so that a full disk raises an `OSError` that says so.
    """
    profile = {
        "driver": "COG",
        "count": 1,
        "height": geobox.shape[0],
        "width": geobox.shape[1],
        "dtype": values.dtype.name,
        "crs": str(geobox.crs),
        "transform": geobox.transform,
        "nodata": nodata,
        "compress": "DEFLATE",
        "level": 1,
        "predictor": "YES",
        "blocksize": 128 if max(geobox.shape) <= 128 else 256,
        "overviews": "NONE" if max(geobox.shape) <= _OVERVIEWS_FROM else "AUTO",
        "overview_resampling": "nearest",
    }
    with MemoryFile() as memory:
        with memory.open(**profile) as dataset:
            dataset.write(values, 1)
        path.write_bytes(memory.getbuffer())


def write_raster(path: Path, values: AnyArray, geobox: GeoBox, nodata: float | None = None) -> Path:
    """`save_cog`, atomically."""
    return write_atomic(path, lambda temporary: save_cog(temporary, values, geobox, nodata))
