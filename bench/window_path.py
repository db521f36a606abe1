"""Reading scenes that lie on the grid: beside odc-stac, and beside plain rasterio windows with no maths at all.

Each side reads the same files from a warm page cache in blocks of 1024 pixels on two threads, in turn. Every read opens
its files anew, so that GDAL's cache of decoded tiles helps nobody.
"""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import odc.stac
import pystac
import rasterio
from odc.geo.geobox import GeoBox
from rasterio.windows import Window

from bench.rows import BenchRow
from bench.scene_files import (
    BANDS,
    COARSE,
    ENCODINGS,
    FIRST,
    OFFSET,
    SCALE,
    SceneFiles,
    make_scene,
    windows,
)
from bench.timing import medians
from enggang.cube import observe_block
from enggang.cube.assets import close_files
from enggang.monitors.device import keep_heap
from enggang.types import MaskRule, ObservationSpec, Scene

THREADS = 2
RULE = MaskRule(dilate=2, blue_max=0.12)
_ROUNDS = 5
_CHUNKS = {"x": 2_048, "y": 2_048}
_INFLATING = "decoding the tiles is most of the work and the same for all: bare windows are the ceiling"
_NOTES = {
    "uncompressed": "no decoding: the path alone",
    "lzw": _INFLATING,
    "zstd": _INFLATING,
    "deflate": f"as Earth Search delivers; {_INFLATING}",
}


def run(quick: bool) -> list[BenchRow]:
    """One band in each encoding beside odc-stac and bare windows, then a whole scene beside bare windows."""
    size = 2_048 if quick else 8_192
    keep_heap()  # as a nightly run does
    with tempfile.TemporaryDirectory() as folder:
        rows = [row for name in ENCODINGS for row in _one_band(Path(folder) / name, size, name)]
        files = make_scene(Path(folder) / "scene", size // 2)
        return [*rows, _coarse_band(files), *_observations(files)]


def _one_band(folder: Path, size: int, encoding: str) -> list[BenchRow]:
    """Reflectance of one band, float32 with NaN, on both sides; odc-stac in the fastest way that gives it."""
    files = make_scene(folder, size, ("nir",), encoding, coarse=False)
    load = _Loading(files, "nir", 10)
    ours = _observing(files.scene(), files.grid, [ObservationSpec("nir")])
    bare = PlainReader([files.path("nir")], files.grid)
    calls = (ours, load.reflectance, load.as_it_comes, bare)
    rates = [files.pixels / 1e6 / t.wall for t in medians(calls, _ROUNDS)]
    name, note = f"reflectance of a 10 m band, {encoding}, beside", _NOTES[encoding]
    standard = encoding == "deflate"
    rows = [
        BenchRow(f"{name} odc-stac", rates[0], rates[1], "Mpx/s", 3.0 if standard else None, note),
        BenchRow(f"{name} bare windows", rates[0], rates[3], "Mpx/s", None, "their raw numbers"),
    ]
    default = BenchRow(f"{name} odc-stac's default", rates[0], rates[2], "Mpx/s", None, "its raw numbers, 1 thread")
    return [*rows, default] if standard else rows


def _coarse_band(files: SceneFiles) -> BenchRow:
    ours = _observing(files.scene(("swir22",)), files.grid, [ObservationSpec("swir22")])
    rates = [files.pixels / 1e6 / t.wall for t in medians((ours, _Loading(files, "swir22", 20).bilinear), _ROUNDS)]
    note = "deflate; odc-stac's raw numbers"
    return BenchRow("a 20 m band on a 10 m grid, bilinear, beside odc-stac", *rates, "Mpx/s", 3.0, note)


def _observations(files: SceneFiles) -> Iterator[BenchRow]:
    six = ("nbr", "ndvi", "ndmi", "ndwi")
    cases: tuple[tuple[str, Sequence[str], Sequence[str], Sequence[str]], ...] = (
        ("NBR and mask, all at 10 m", ("nbr",), ("nir", "swir22", "blue", "scl"), ()),
        ("NBR and mask, SWIR and SCL at 20 m", ("nbr",), ("nir", "swir22", "blue", "scl"), COARSE),
        ("4 indices of 6 bands and mask, all at 10 m", six, (*BANDS, "scl"), ()),
    )
    for name, measures, bands, coarse in cases:
        scene = files.scene(coarse)
        bare = PlainReader([files.path(b, 20 if b in coarse else 10) for b in bands], files.grid)
        mine, plain = medians(
            (_observing(scene, files.grid, [ObservationSpec(m, RULE) for m in measures]), bare), _ROUNDS
        )
        rates = (files.pixels / 1e6 / mine.wall, files.pixels / 1e6 / plain.wall)
        yield BenchRow(f"{name}, beside bare windows", *rates, "Mpx/s", 1 / 1.4, "deflate; the whole observation")


def _observing(scene: Scene, grid: GeoBox, specs: Sequence[ObservationSpec]) -> Callable[[], None]:
    blocks = [grid[w.row_off : w.row_off + w.height, w.col_off : w.col_off + w.width] for w in windows(grid)]

    def once() -> None:
        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(lambda block: observe_block(scene, block, specs), blocks))
            list(pool.map(lambda _: close_files(), range(THREADS)))

    return once


class _Loading:
    """One band on the 10 m grid by `odc.stac.load`."""

    def __init__(self, files: SceneFiles, band: str, metres: int) -> None:
        grid = files.grid if metres == 10 else files.grid.zoom_out(2)
        box = grid.geographic_extent
        item = pystac.Item("bench", box.json, list(box.boundingbox.bbox), FIRST, {"proj:code": "EPSG:32750"})
        item.stac_extensions = ["https://stac-extensions.github.io/projection/v2.0.0/schema.json"]
        fields = {"proj:shape": list(grid.shape), "proj:transform": list(grid.transform)[:6]}
        media, href = pystac.MediaType.COG, str(files.path(band, metres))
        item.add_asset(band, pystac.Asset(href, media_type=media, extra_fields=fields))
        self.call = partial(odc.stac.load, [item], [band], geobox=files.grid)
        self.band = band

    def as_it_comes(self) -> object:
        """Its default: float32 numbers of the file, in this thread."""
        return self.call()

    def reflectance(self) -> object:
        """By Dask chunks, on as many threads as ours."""
        numbers = self.call(dtype="uint16", nodata=0, chunks=_CHUNKS)[self.band]
        values = numbers.where(numbers != 0) * np.float32(SCALE) + np.float32(OFFSET)
        return values.compute(scheduler="threads", num_workers=THREADS)

    def bilinear(self) -> object:
        """Resampled, on as many threads as ours."""
        return self.call(dtype="float32", nodata=0, resampling="bilinear", pool=THREADS)


class PlainReader:
    """Reads the windows of each file with rasterio and nothing else, on `THREADS` threads; 20 m files give a quarter
    of the pixels."""

    def __init__(self, paths: Sequence[Path], grid: GeoBox) -> None:
        self.paths, self.grid = paths, grid

    def __call__(self) -> None:
        """Open, read all, close."""
        here = threading.local()
        opened: list[Any] = []

        def one(window: Window) -> None:
            if not hasattr(here, "sources"):
                here.sources = [rasterio.open(p) for p in self.paths]
                opened.extend(here.sources)
            for source in here.sources:
                source.read(1, window=self._within(source, window))

        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(one, windows(self.grid)))
        for source in opened:
            source.close()

    def _within(self, source: Any, window: Window) -> Window:
        n = round(self.grid.shape[1] / source.width)
        return Window(window.col_off // n, window.row_off // n, -(-window.width // n), -(-window.height // n))
