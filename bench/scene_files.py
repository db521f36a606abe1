"""A Sentinel-2 scene as files: forest, clearings, cloud and noise, so that it compresses as real ones do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType

import numpy as np
import rasterio
from affine import Affine
from odc.geo.geobox import GeoBox
from rasterio.windows import Window

from enggang.types import AnyArray, Asset, FloatArray, Scene

BLOCK = 1024
FIRST = datetime(2026, 1, 2, 2, 20, tzinfo=UTC)
#: Reflectance over forest, over a clearing, and the noise from pixel to pixel.
FOREST: Mapping[str, tuple[float, float, float]] = MappingProxyType(
    {
        "blue": (0.030, 0.060, 0.003),
        "green": (0.050, 0.080, 0.004),
        "red": (0.035, 0.110, 0.004),
        "nir": (0.300, 0.200, 0.020),
        "swir16": (0.150, 0.260, 0.010),
        "swir22": (0.060, 0.190, 0.005),
    }
)
BANDS = tuple(FOREST)
#: Bands that Sentinel-2 has at 20 m.
COARSE = ("swir16", "swir22", "scl")
#: How tiles are encoded, by name: GDAL's creation options.
ENCODINGS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "uncompressed": {"COMPRESS": "NONE"},
        "lzw": {"COMPRESS": "LZW", "PREDICTOR": "YES"},
        "zstd": {"COMPRESS": "ZSTD", "LEVEL": "1", "PREDICTOR": "YES"},
        "deflate": {"COMPRESS": "DEFLATE", "PREDICTOR": "YES"},
    }
)
#: Numbers in the files of processing baseline 04.00 and later: (reflectance + 0.1) × 10,000.
SCALE, OFFSET = 1e-4, -0.1
_CLOUD, _FOREST_CLASS, _CLOUD_CLASS = 0.45, 4, 9
#: Edge in pixels of stands, and of clouds; shares of stands cleared and of clouds.
_STAND, _CLEARED, _CLOUDY = 30, 0.002, 0.3


@dataclass(frozen=True, slots=True)
class SceneFiles:
    """Where the files of a scene lie. `grid`: that of the bands at 10 m."""

    folder: Path
    grid: GeoBox

    @property
    def pixels(self) -> int:
        """Pixels of the 10 m grid."""
        return int(self.grid.shape[0]) * int(self.grid.shape[1])

    def path(self, band: str, metres: int = 10) -> Path:
        """The file of a band at a resolution."""
        return self.folder / f"{band}_{metres}m.tif"

    def scene(self, coarse: Sequence[str] = (), nth: int = 0) -> Scene:
        """The scene with the bands in `coarse` at 20 m, acquired 5 · `nth` days after the first.

        Each scene has its own names of the same bytes, so that GDAL's cache of one decodes nothing for the next.
        """
        hrefs = {b: str(self._named(b, 20 if b in coarse else 10, nth)) for b in (*BANDS, "scl")}
        assets = {b: Asset(hrefs[b], b, SCALE, OFFSET, 0.0, "reflectance") for b in BANDS}
        assets["scl"] = Asset(hrefs["scl"], "scl", unit="class")
        when, name = FIRST + timedelta(days=5 * nth), f"scene-{nth:03d}"
        bounds = self.grid.geographic_extent.boundingbox.bbox
        return Scene(name, "bench", when, "optical", assets, bounds, name, self.grid)

    def _named(self, band: str, metres: int, nth: int) -> Path:
        original = self.path(band, metres)
        link = self.folder / f"{nth:03d}" / original.name
        if original.exists() and not link.exists():
            link.parent.mkdir(exist_ok=True)
            link.hardlink_to(original)
        return link


def make_scene(
    folder: Path, size: int, bands: Sequence[str] = (*BANDS, "scl"), encoding: str = "deflate", coarse: bool = True
) -> SceneFiles:
    """Write the bands as cloud-optimised GeoTIFFs, uint16 with tiles of 1024 pixels, `size` pixels a side at 10 m;
    with `coarse` also those of `COARSE` at 20 m."""
    files = SceneFiles(folder, tile_grid(size))
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(1)
    stands = _patches(rng, size, _STAND)
    cloud = _patches(rng, size, 12 * _STAND) > np.float32(_quantile(1 - _CLOUDY))
    for band in bands:
        values = _classes(cloud) if band == "scl" else _numbers(rng, band, stands, cloud)
        _write(files.path(band), values, files.grid, ENCODINGS[encoding])
        if coarse and band in COARSE:
            _write(files.path(band, 20), values[::2, ::2], files.grid.zoom_out(2), ENCODINGS[encoding])
    return files


def tile_grid(size: int) -> GeoBox:
    """A grid of `size` pixels of 10 m a side."""
    return GeoBox((size, size), Affine(10, 0, 500_000, 0, -10, 9_900_000), "EPSG:32750")


def windows(grid: GeoBox, edge: int = BLOCK) -> Iterator[Window]:
    """The tiles of a grid as windows, row by row."""
    height, width = (int(n) for n in grid.shape)
    for row in range(0, height, edge):
        for col in range(0, width, edge):
            yield Window(col, row, min(edge, width - col), min(edge, height - row))


def _patches(rng: np.random.Generator, size: int, edge: int) -> FloatArray:
    """Standard normal numbers, one for each square of `edge` pixels: (y, x) float32."""
    count = size // edge + 1
    coarse = rng.standard_normal((count, count), dtype=np.float32)
    return coarse.repeat(edge, 0)[:size].repeat(edge, 1)[:, :size]


def _quantile(share: float) -> float:
    return float(np.quantile(np.random.default_rng(0).standard_normal(100_000), share))


def _numbers(rng: np.random.Generator, band: str, stands: FloatArray, cloud: AnyArray) -> AnyArray:
    """A band as it is in the file, (y, x) uint16: row by row of tiles, so that little is in memory at once."""
    forest, cleared, noise = (np.float32(v) for v in FOREST[band])
    limit = np.float32(_quantile(1 - _CLEARED))
    out = np.empty(stands.shape, np.uint16)
    for top in range(0, len(out), BLOCK):
        part = slice(top, top + BLOCK)
        ground = np.where(stands[part] > limit, cleared, forest * (1 + np.float32(0.03) * stands[part]))
        ground[cloud[part]] = _CLOUD
        ground += noise * rng.standard_normal(ground.shape, dtype=np.float32)
        out[part] = ((ground - np.float32(OFFSET)) / np.float32(SCALE)).clip(1, 20_000)
    return out


def _classes(cloud: AnyArray) -> AnyArray:
    return np.where(cloud, np.uint8(_CLOUD_CLASS), np.uint8(_FOREST_CLASS))


def _write(path: Path, values: AnyArray, grid: GeoBox, options: Mapping[str, str]) -> None:
    with rasterio.open(
        path, "w", driver="COG", width=values.shape[1], height=values.shape[0], count=1, dtype=values.dtype,
        crs=str(grid.crs), transform=grid.transform, nodata=0, blocksize=BLOCK, overviews="NONE", num_threads="2",
        **options,
    ) as target:  # fmt: skip
        target.write(values, 1)
