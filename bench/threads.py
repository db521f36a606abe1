"""What a second Dask thread brings, for an update from files and for a fit in memory."""

from __future__ import annotations

import tempfile
from pathlib import Path

from bench.nightly import measure
from bench.rows import BenchRow
from bench.scene_files import make_scene

_BAR = 1.8


def run(quick: bool) -> list[BenchRow]:
    """The same nights with one worker and with two."""
    edge = 2_048 if quick else 4_096
    with tempfile.TemporaryDirectory() as folder:
        files = make_scene(Path(folder), edge, ("blue", "nir", "swir22", "scl"), coarse=False)
        one, two = (measure(files, "kaltim", scenes=5, workers=workers).rate(files) for workers in (1, 2))
    note = "the second worker needs a core that is free; reading and writing of the state has threads of its own"
    return [BenchRow(f"night of {edge}² by 2 Dask threads beside 1", two, one, "Mpx/s", _BAR, note)]
