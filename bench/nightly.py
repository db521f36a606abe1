"""A nightly update of a Sentinel-2 tile by the nightly job's own stage, beside reading its bands and nothing else.

The update reads the scene's files and the state, draws evidence, updates the belief, writes the state and commits. The
state's baseline is written by the bench, not fitted. Kernels are compiled by a scene that comes before; every scene has
files of its own, in a warm page cache. Each area is measured in a process of its own, whose memory is sampled.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import psutil

from bench.night_area import make_job, six_band_monitor
from bench.rows import BenchRow
from bench.scene_files import BANDS, COARSE, SceneFiles, make_scene, tile_grid
from bench.timing import Taken, medians, middle, taken
from bench.window_path import THREADS, PlainReader
from enggang.monitors.config import MonitorConfig, load_monitor
from enggang.stages.ingest import apply_scene

MONITORS: Mapping[str, Callable[[], MonitorConfig]] = MappingProxyType(
    {"kaltim": lambda: load_monitor("kaltim"), "six-bands": six_band_monitor}
)
TILE = 10_980
#: At most 2.5 times the time of reading, and 4 GB.
_BAR_TIME, _BAR_MEMORY_GB = 1 / 2.5, 4.0
#: Scenes timed of each area, after one that compiles.
_SCENES = 3
#: Time may differ by this share between scenes, or from that of a proportional growth.
_STEADY = 0.8


@dataclass(frozen=True, slots=True)
class Nights:
    """What each scene after the first took, and the most memory that the process and its children had."""

    scenes: tuple[Taken, ...]
    memory_gb: float

    def rate(self, files: SceneFiles) -> float:
        """Mpx/s by the clock, of the median scene."""
        return files.pixels / 1e6 / middle(self.scenes).wall


def run(quick: bool) -> list[BenchRow]:
    """A tile with each monitor, then how the time depends on the number of pixels and of scenes before."""
    tile, edges, scenes = (1_098, (512, 1_024), 11) if quick else (TILE, (1_024, 2_048, 4_096, 8_192), 31)
    with tempfile.TemporaryDirectory() as folder:
        files = make_scene(Path(folder), tile)
        cases = [("kaltim", ()), ("six-bands", ()), ("kaltim", COARSE)]
        rows = [row for monitor, coarse in cases for row in _tile(files, monitor, coarse)]
    return [*rows, *_growth(edges), _length(edges[1], scenes)]


def measure(
    files: SceneFiles, monitor: str, coarse: Sequence[str] = (), scenes: int = _SCENES, workers: int = THREADS
) -> Nights:
    """Run a first scene and `scenes` more in a process of its own."""
    case = {"folder": str(files.folder), "size": files.grid.shape[1], "monitor": monitor}
    case |= {"coarse": list(coarse), "scenes": scenes, "workers": workers}
    command = [sys.executable, "-m", "bench.nightly", json.dumps(case)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        watched, most = psutil.Process(child.pid), 0
        while child.poll() is None:
            most = max(most, _resident(watched))
            time.sleep(0.02)
        answer = child.stdout.read() if child.stdout else ""
    if child.returncode:
        raise RuntimeError(f"the measured process ended with {child.returncode}")
    return Nights(tuple(Taken(*pair) for pair in json.loads(answer)), most / 1e9)


def _resident(process: psutil.Process) -> int:
    """Bytes that a process and its children hold; what they share counts twice."""
    total = 0
    try:
        for one in (process, *process.children(recursive=True)):
            total += one.memory_info().rss
    except psutil.NoSuchProcess:
        return total
    return total


def _tile(files: SceneFiles, monitor: str, coarse: Sequence[str]) -> list[BenchRow]:
    found = measure(files, monitor, coarse)
    (plain,) = medians((PlainReader([files.path(b, 20 if b in coarse else 10) for b in BANDS], files.grid),), rounds=3)
    ours = middle(found.scenes)
    name = f"night of {files.grid.shape[1]}², {monitor}{', 20 m bands' if coarse else ''}"
    note = (
        f"{THREADS} threads; {ours.wall:.1f} s ({ours.cpu:.1f} CPU s), reading {plain.wall:.1f} s ({plain.cpu:.1f} "
        f"CPU s); kernels compiled before; baseline written, not fitted"
    )
    reading = BenchRow(
        f"{name}, beside reading 6 bands", found.rate(files), files.pixels / 1e6 / plain.wall, "Mpx/s", _BAR_TIME, note
    )
    memory = BenchRow(
        f"{name}: memory", 1 / found.memory_gb, 1 / _BAR_MEMORY_GB, "1/GB", 1.0,
        f"{found.memory_gb:.2f} GB at most, of {_BAR_MEMORY_GB:g}",
    )  # fmt: skip
    return [reading, memory]


def _growth(edges: Sequence[int]) -> list[BenchRow]:
    """Speed on growing areas beside that on the smallest: even speed is growth in proportion to the pixels."""
    rates = []
    for edge in edges:
        with tempfile.TemporaryDirectory() as folder:
            files = make_scene(Path(folder), edge, ("blue", "nir", "swir22", "scl"), coarse=False)
            rates.append(measure(files, "kaltim").rate(files))
    return [
        BenchRow(f"night of {edge}² beside one of {edges[0]}²", rate, rates[0], "Mpx/s", _STEADY)
        for edge, rate in zip(edges[1:], rates[1:], strict=True)
    ]


def _length(edge: int, scenes: int) -> BenchRow:
    """Speed at the end of many scenes beside that at their begin."""
    with tempfile.TemporaryDirectory() as folder:
        files = make_scene(Path(folder), edge, ("blue", "nir", "swir22", "scl"), coarse=False)
        found = measure(files, "kaltim", scenes=scenes - 1)
    megapixels = files.pixels / 1e6
    late, early = (megapixels / middle(found.scenes[part]).cpu for part in (slice(-5, None), slice(0, 5)))
    return BenchRow(f"night of {edge}² after {scenes - 5} scenes beside the first", late, early, "Mpx/cpu-s", _STEADY)


def _child(case: Mapping[str, Any]) -> list[tuple[float, float]]:
    files = SceneFiles(Path(case["folder"]), tile_grid(case["size"]))
    with tempfile.TemporaryDirectory() as home:
        job = make_job(Path(home), files, MONITORS[case["monitor"]](), case["workers"])
        with job.store.writer("bench", job.settings.lease_seconds) as writer:
            scenes = [files.scene(case["coarse"], nth) for nth in range(case["scenes"] + 1)]
            every = [taken(partial(apply_scene, job, writer, scene)) for scene in scenes]
    return [(t.wall, t.cpu) for t in every[1:]]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("case", type=json.loads)
    print(json.dumps(_child(parser.parse_args().case)))
