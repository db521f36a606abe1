"""Reading scenes that lie on the grid: beside odc-stac, and beside plain rasterio windows with no maths at all.

    python -m bench.window_path --size 10980

Makes tiled, deflated files of one Sentinel-2 scene in a temporary folder, reads them from a warm page cache in blocks
of 1024 pixels on two threads, each side in turn, and takes the best of each side's rounds. Rates are per CPU second of
all threads together, which other work on the machine disturbs less than the clock.

Inflating the tiles is most of the work, and the same for all: bare rasterio windows are the ceiling of a band that lies
on the grid. What differs is what each side does besides: the 20 m bands that a 10 m grid needs, and the observation.
"""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import odc.stac
import pystac
import rasterio
from affine import Affine
from odc.geo.geobox import GeoBox
from rasterio.windows import Window

from bench.rows import BenchRow, rate_row, table
from enggang.cube import observe_block
from enggang.types import AnyArray, Asset, MaskRule, ObservationSpec, Scene

THREADS = 2
BLOCK = 1024
ROUNDS = 5
WHEN = datetime(2026, 1, 2, 2, 20, tzinfo=UTC)
BANDS = ("blue", "green", "red", "nir", "swir16", "swir22")
COARSE = ("swir16", "swir22", "scl")
RULE = MaskRule(dilate=2, blue_max=0.12)


@dataclass(frozen=True, slots=True)
class Archive:
    """A scene as files: all bands on the 10 m grid, and the 20 m ones of a real Sentinel-2 scene beside."""

    folder: Path
    grid: GeoBox

    def path(self, band: str, metres: int) -> Path:
        """The file of a band at a resolution."""
        return self.folder / f"{band}_{metres}m.tif"

    def scene(self, coarse: Sequence[str] = ()) -> Scene:
        """The scene with the bands in `coarse` at 20 m."""
        hrefs = {b: str(self.path(b, 20 if b in coarse else 10)) for b in (*BANDS, "scl")}
        assets = {b: Asset(hrefs[b], b, 1e-4, -0.1, 0.0, "reflectance") for b in BANDS}
        assets["scl"] = Asset(hrefs["scl"], "scl", unit="class")
        return Scene("bench", "bench", WHEN, "optical", assets, (110, -5, 120, 5), "bench")


def make_archive(folder: Path, size: int) -> Archive:
    """Write the files: a patchwork with noise, so that they compress as real reflectances do."""
    archive = Archive(folder, GeoBox((size, size), Affine(10, 0, 500_000, 0, -10, 9_900_000), "EPSG:32750"))
    rng = np.random.default_rng(1)
    patches = rng.standard_normal((size // 30 + 1, size // 30 + 1), dtype=np.float32)
    relief = patches.repeat(30, 0).repeat(30, 1)[:size, :size]
    for band in BANDS:
        noise = rng.standard_normal((size, size), dtype=np.float32)
        values = (2500 + 400 * relief + 120 * noise).clip(1, 9000).astype(np.uint16)
        _write(archive.path(band, 10), values, archive.grid)
        if band in COARSE:
            _write(archive.path(band, 20), values[::2, ::2], _half(archive.grid))
    classes = np.where(relief > 1.5, 8, 4).astype(np.uint8)
    _write(archive.path("scl", 10), classes, archive.grid)
    _write(archive.path("scl", 20), classes[::2, ::2], _half(archive.grid))
    return archive


def against_odc_stac(archive: Archive, band: str, metres: int, name: str, bar: float) -> BenchRow:
    """One band on the 10 m grid: observations beside `odc.stac.load` of raw numbers, in two threads on each side."""
    scene = archive.scene((band,) if metres == 20 else ())
    item, specs = _item(archive, band, metres), [ObservationSpec(band)]

    def ours() -> None:
        _in_threads(lambda block: observe_block(scene, block, specs), list(_blocks(archive.grid)))

    def peer() -> None:
        dtype, method = ("uint16", "nearest") if metres == 10 else ("float32", "bilinear")
        odc.stac.load([item], [band], geobox=archive.grid, dtype=dtype, nodata=0, resampling=method, pool=THREADS)

    mine, theirs = _best(ours, peer)
    pixels = archive.grid.shape[0] * archive.grid.shape[1] / 1e6
    return rate_row(name, pixels / mine, pixels / theirs, "Mpx/cpu-s", bar)


def against_plain_windows(archive: Archive, coarse: Sequence[str], measures: Sequence[str], name: str) -> BenchRow:
    """Reading, indices and mask of a scene, beside reading the same files' windows with rasterio and nothing else."""
    scene = archive.scene(coarse)
    specs = [ObservationSpec(m, RULE) for m in measures]
    needed = {"nbr": ("nir", "swir22"), "ndvi": ("nir", "red"), "ndmi": ("nir", "swir16"), "ndwi": ("green", "nir")}
    bands = sorted({b for m in measures for b in needed[m]} | {"blue", "scl"})

    def ours() -> None:
        def one(block: GeoBox) -> None:
            observe_block(scene, block, specs)

        _in_threads(one, list(_blocks(archive.grid)))

    def peer() -> None:
        paths = [Path(scene.assets[band].href) for band in bands]
        _in_threads(_PlainReader(paths, archive.grid), list(_windows(archive.grid)))

    mine, theirs = _best(ours, peer)
    pixels = len(bands) * archive.grid.shape[0] * archive.grid.shape[1] / 1e6
    return rate_row(name, pixels / mine, pixels / theirs, "Mpx/cpu-s", bar=1 / 1.4)


def run(size: int = 4096) -> list[BenchRow]:
    """Measure all; `size` is the scene's edge in pixels (a real one has 10980)."""
    six = ("nbr", "ndvi", "ndmi", "ndwi")
    with tempfile.TemporaryDirectory() as folder:
        archive = make_archive(Path(folder), size)
        return [
            against_odc_stac(archive, "nir", 10, "one 10 m band beside odc-stac", bar=0.8),
            against_odc_stac(archive, "swir22", 20, "one 20 m band, bilinear, beside odc-stac", bar=3.0),
            against_plain_windows(archive, (), ("nbr",), "NBR and mask, all at 10 m, beside bare windows"),
            against_plain_windows(archive, COARSE, ("nbr",), "NBR and mask, SWIR and SCL at 20 m, beside bare windows"),
            against_plain_windows(archive, (), six, "4 indices of 6 bands and mask, beside bare windows"),
        ]


class _PlainReader:
    """Reads the window of each file, in a thread's own datasets. Coarse files give a quarter of the pixels."""

    def __init__(self, paths: Sequence[Path], grid: GeoBox) -> None:
        self.paths, self.grid = paths, grid
        self.open: dict[int, list[Any]] = {}

    def __call__(self, window: Window) -> None:
        sources = self.open.setdefault(threading.get_ident(), [])
        sources += [rasterio.open(p) for p in self.paths] if not sources else []
        for source in sources:
            n = round(self.grid.shape[1] / source.width)
            edges = (window.col_off // n, window.row_off // n, -(-window.width // n), -(-window.height // n))
            source.read(1, window=Window(*edges))


def _write(path: Path, values: AnyArray, grid: GeoBox) -> None:
    with rasterio.open(
        path, "w", driver="GTiff", width=values.shape[1], height=values.shape[0], count=1, dtype=values.dtype,
        crs=str(grid.crs), transform=grid.transform, nodata=0, tiled=True, blockxsize=BLOCK, blockysize=BLOCK,
        compress="deflate", predictor=2, num_threads=THREADS,
    ) as target:  # fmt: skip
        target.write(values, 1)


def _half(grid: GeoBox) -> GeoBox:
    return grid.zoom_out(2)


def _item(archive: Archive, band: str, metres: int) -> pystac.Item:
    grid = archive.grid if metres == 10 else _half(archive.grid)
    box = grid.geographic_extent
    item = pystac.Item("bench", box.json, list(box.boundingbox.bbox), WHEN, {"proj:code": "EPSG:32750"})
    item.stac_extensions = ["https://stac-extensions.github.io/projection/v2.0.0/schema.json"]
    fields = {"proj:shape": list(grid.shape), "proj:transform": list(grid.transform)[:6]}
    href, media = str(archive.path(band, metres)), pystac.MediaType.COG
    item.add_asset(band, pystac.Asset(href, media_type=media, extra_fields=fields))
    return item


def _windows(grid: GeoBox) -> Iterator[Window]:
    height, width = (int(n) for n in grid.shape)
    for row in range(0, height, BLOCK):
        for col in range(0, width, BLOCK):
            yield Window(col, row, min(BLOCK, width - col), min(BLOCK, height - row))


def _blocks(grid: GeoBox) -> Iterator[GeoBox]:
    for w in _windows(grid):
        yield grid[w.row_off : w.row_off + w.height, w.col_off : w.col_off + w.width]


def _in_threads(call: Callable[[Any], None], parts: Sequence[Any]) -> None:
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(call, parts))


def _best(ours: Callable[[], None], peer: Callable[[], None]) -> tuple[float, float]:
    """CPU seconds of the best round of each, the two in turn so that other work on the machine meets both."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(ROUNDS):
        for call, taken in zip((ours, peer), times, strict=True):
            began = time.process_time()
            call()
            taken.append(time.process_time() - began)
    return min(times[0]), min(times[1])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=4096, help="edge of the scene in pixels")
    print(table(run(parser.parse_args().size)))
