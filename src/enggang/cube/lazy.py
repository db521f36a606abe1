"""Scenes as one lazy data set."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC
from functools import partial
from typing import Any

import dask.array as dask_array
import numpy as np
import xarray as xr
from dask.delayed import delayed
from odc.geo.geobox import GeoBox
from odc.geo.xr import xr_coords

from enggang.cube.observe import observe_block
from enggang.types import ObservationSpec, Scene

#: Dask's array functions carry no types.
da: Any = dask_array


def open_cube(
    scenes: Sequence[Scene], geobox: GeoBox, specs: Sequence[ObservationSpec], block: int = 1024
) -> xr.Dataset:
    """Observations of many scenes: one variable for each measure, (time, y, x) float32, NaN = not valid, lazy.

    Sorted by `Scene.sort_key`. Coordinates: `time` (UTC, datetime64[ns], may repeat), `scene` (id), y, x,
    `spatial_ref`. One Dask chunk is one block of one scene; all measures of it come from one reading.
    Errors of `observe_block` are raised on computing.
    """
    ordered = sorted(scenes, key=lambda s: s.sort_key)
    layers = [_layers(scene, geobox, tuple(specs), block) for scene in ordered]
    empty = da.empty((0, *geobox.shape), dtype=np.float32, chunks=(1, block, block))
    data = {
        spec.measure: (("time", *geobox.dims), da.stack([layer[spec.measure] for layer in layers]) if layers else empty)
        for spec in specs
    }
    times = np.array([s.acquired.astimezone(UTC).replace(tzinfo=None) for s in ordered], dtype="datetime64[ns]")
    coords = {**xr_coords(geobox), "time": times, "scene": ("time", np.array([s.id for s in ordered], dtype=object))}
    return xr.Dataset(data, coords=coords)


def _layers(scene: Scene, geobox: GeoBox, specs: tuple[ObservationSpec, ...], block: int) -> dict[str, Any]:
    """measure → (y, x) Dask array of one scene."""
    height, width = (int(n) for n in geobox.shape)
    grid: list[list[dict[str, Any]]] = []
    for row in range(0, height, block):
        line = []
        for col in range(0, width, block):
            part = geobox[row : min(row + block, height), col : min(col + block, width)]
            # Bound beforehand: Dask would look for collections in every field of a scene given as an argument.
            read = delayed(partial(observe_block, scene, part, specs), pure=False)()
            line.append({s.measure: da.from_delayed(read[s.measure], tuple(part.shape), np.float32) for s in specs})
        grid.append(line)
    return {s.measure: da.block([[cell[s.measure] for cell in line] for line in grid]) for s in specs}
