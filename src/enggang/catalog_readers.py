"""How each kind of dataset is opened, by its type in the catalogue."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, Protocol

import dask.array as da
import geopandas as gpd
import icechunk
import numpy as np
import orjson
import pandas as pd
import pyogrio
import rasterio
import xarray as xr
from affine import Affine
from odc.geo.geobox import GeoBox
from odc.geo.xr import xr_coords
from pyogrio.errors import DataLayerError, DataSourceError
from rasterio.errors import RasterioError
from rasterio.windows import Window

from enggang.errors import CatalogError
from enggang.types import AnyArray

DatasetType = Literal["vector", "raster", "zarr", "stac", "table", "feed"]
_CHUNK = 1024


class _Described(Protocol):
    """What the catalogue's entry gives a reader."""

    @property
    def layer(self) -> str | None: ...
    @property
    def grid(self) -> str | None: ...
    @property
    def title_en(self) -> str: ...


class Opened(Protocol):
    """A dataset that is being read: its name for messages, and its entry."""

    @property
    def name(self) -> str:
        """Name in the catalogue."""
        ...

    @property
    def entry(self) -> _Described:
        """What the catalogue says of it."""
        ...

    @property
    def options(self) -> Mapping[str, Any]:
        """Options of a source of scenes."""
        ...


@dataclass(frozen=True, slots=True)
class SourceRecord:
    """Where scenes or a feed come from. Opening it is the business of `enggang.sources`."""

    name: str
    href: str
    options: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class Reader:
    """One kind of dataset: `read(dataset, href, options)`, and which options `load` takes for it."""

    read: Callable[[Opened, str, Mapping[str, Any]], Any]
    options: frozenset[str] = frozenset()
    is_source: bool = False


def read_vector(dataset: Opened, href: str, options: Mapping[str, Any]) -> gpd.GeoDataFrame:
    """A GeoDataFrame from GeoParquet, or from anything that GDAL reads; coordinates in the file's own CRS (alerts:
    WGS84 degrees). Raises `CatalogError`."""
    _require_file(dataset, href)
    try:
        if href.endswith(".parquet"):
            return gpd.read_parquet(href)
        return pyogrio.read_dataframe(href, layer=dataset.entry.layer)
    except (DataSourceError, DataLayerError, OSError, ValueError) as error:
        raise _damaged(dataset, href, error) from error


def read_raster(dataset: Opened, href: str, options: Mapping[str, Any]) -> xr.DataArray:
    """A lazy Dask array (y, x), or (band, y, x) for several bands, with coordinates and CRS as odc-geo sets them: on a
    geographic CRS the dimensions are called latitude and longitude.

    Unless `masked` is False: float32 in the physical unit (scale and offset applied), NaN for nodata. A raster
    without nodata, scale and offset keeps its dtype.
    """
    _require_file(dataset, href)
    try:
        with rasterio.open(href) as source:
            geobox = GeoBox(source.shape, source.transform, source.crs)
            stored = _Stored(href, source.nodata, source.scales[0], source.offsets[0], source.count, source.dtypes[0])
            unit = source.units[0]
    except RasterioError as error:
        raise _damaged(dataset, href, error) from error
    values = _lazy(stored, geobox, masked=bool(options.get("masked", True)))
    dims = geobox.dimensions if stored.bands == 1 else ("band", *geobox.dimensions)
    attributes: dict[str, Any] = {"long_name": dataset.entry.title_en, "nodata": stored.nodata}
    if unit:
        attributes["units"] = unit
    data = values[0] if stored.bands == 1 else values
    return xr.DataArray(data, coords=xr_coords(geobox), dims=dims, name=dataset.name, attrs=attributes)


def read_zarr(dataset: Opened, href: str, options: Mapping[str, Any]) -> xr.Dataset:
    """A lazy Dataset from one snapshot of an icechunk repository: (y, x), or (k, y, x), on the entry's grid. Packed
    arrays come as floats in their unit with NaN for the fill, others in their dtype.

    `group` names a group below the root, `snapshot` a commit other than the newest one.
    """
    if not Path(href).is_dir():
        raise _missing(dataset, href)
    try:
        repository = icechunk.Repository.open(icechunk.local_filesystem_storage(href))
        snapshot = options.get("snapshot") or repository.lookup_branch("main")
        store = repository.readonly_session(snapshot_id=snapshot).store
        root = xr.open_zarr(store, consolidated=False)
        group = options.get("group")
        data: xr.Dataset = root if group is None else xr.open_zarr(store, group=group, consolidated=False)
    except (icechunk.IcechunkError, OSError, KeyError, ValueError) as error:
        raise _damaged(dataset, href, error) from error
    grid = root.attrs.get(dataset.entry.grid) if dataset.entry.grid else None
    if grid is not None:
        geobox = GeoBox(tuple(grid["shape"]), Affine(*grid["transform"]), grid["crs"])
        data = data.rename(dict(zip(("y", "x"), geobox.dimensions, strict=True))).assign_coords(xr_coords(geobox))
    data.attrs["snapshot"] = str(snapshot)
    return data


def read_table(dataset: Opened, href: str, options: Mapping[str, Any]) -> pd.DataFrame:
    """A DataFrame from Parquet, CSV, JSON or JSON lines; the files of a `*` follow each other in order of name."""
    path = Path(href)
    files = sorted(_glob(path)) if "*" in href else [path]
    if not files or not files[0].is_file():
        raise _missing(dataset, href)
    frames = []
    for file in files:
        if file.suffix not in TABLES:
            raise CatalogError(f"dataset {dataset.name}: no table in {file.suffix}", f"known: {', '.join(TABLES)}")
        try:
            frames.append(TABLES[file.suffix](file))
        except (ValueError, OSError) as error:
            raise _damaged(dataset, str(file), error) from error
    filled = [frame for frame in frames if not frame.empty] or frames[:1]
    return pd.concat(filled, ignore_index=True)


def read_record(dataset: Opened, href: str, options: Mapping[str, Any]) -> SourceRecord:
    """The record alone."""
    return SourceRecord(dataset.name, href, dataset.options)


READERS: Mapping[str, Reader] = MappingProxyType(
    {
        "vector": Reader(read_vector),
        "raster": Reader(read_raster, frozenset({"masked"})),
        "zarr": Reader(read_zarr, frozenset({"group", "snapshot"})),
        "stac": Reader(read_record, is_source=True),
        "table": Reader(read_table),
        "feed": Reader(read_record, is_source=True),
    }
)


def _read_json(path: Path) -> pd.DataFrame:
    document = orjson.loads(path.read_bytes())
    return pd.json_normalize(document, max_level=1)


def _read_json_lines(path: Path) -> pd.DataFrame:
    return pd.DataFrame([orjson.loads(line) for line in path.read_bytes().splitlines()])


#: Suffix → how a table is read from it.
TABLES: Mapping[str, Callable[[Path], pd.DataFrame]] = MappingProxyType(
    {
        ".parquet": pd.read_parquet,
        ".csv": pd.read_csv,
        ".json": _read_json,
        ".jsonl": _read_json_lines,
    }
)


@dataclass(frozen=True, slots=True)
class _Stored:
    """How a raster lies on disk."""

    href: str
    nodata: float | None
    scale: float
    offset: float
    bands: int
    dtype: str

    @property
    def plain(self) -> bool:
        """True where stored numbers are physical values and all are valid."""
        return self.nodata is None and self.scale == 1.0 and self.offset == 0.0


def _lazy(stored: _Stored, geobox: GeoBox, masked: bool) -> Any:
    unpacked = masked and not stored.plain
    chunks = ((stored.bands,), *(_edges(int(size)) for size in geobox.shape))
    dtype = np.dtype(np.float32) if unpacked else np.dtype(stored.dtype)
    block = partial(_block, stored, unpacked)
    return da.map_blocks(block, chunks=chunks, dtype=dtype, meta=np.empty((0, 0, 0), dtype))  # type: ignore[no-untyped-call]


def _edges(size: int) -> tuple[int, ...]:
    return tuple(min(_CHUNK, size - start) for start in range(0, size, _CHUNK))


def _block(stored: _Stored, unpacked: bool, block_info: Any = None) -> AnyArray:
    (_, (top, bottom), (left, right)) = block_info[None]["array-location"]
    with rasterio.open(stored.href) as source:
        raw: AnyArray = source.read(window=Window(left, top, right - left, bottom - top))
    if not unpacked:
        return raw
    values = raw.astype(np.float32) * np.float32(stored.scale) + np.float32(stored.offset)
    if stored.nodata is not None:
        values[raw == stored.nodata] = np.nan
    return values


def _glob(path: Path) -> list[Path]:
    """Files that match a path with `*` in it."""
    fixed = next(parent for parent in path.parents if "*" not in str(parent))
    return list(fixed.glob(str(path.relative_to(fixed))))


def _require_file(dataset: Opened, href: str) -> None:
    if "://" not in href and not href.startswith("/vsi") and not Path(href).exists():
        raise _missing(dataset, href)


def _missing(dataset: Opened, href: str) -> CatalogError:
    return CatalogError(f"dataset {dataset.name}: there is nothing at {href}", "run the step that makes it first")


def _damaged(dataset: Opened, href: str, error: Exception) -> CatalogError:
    return CatalogError(f"dataset {dataset.name}: {href} can't be read ({error})", "make or fetch it again")
