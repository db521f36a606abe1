"""Small pictures of layers in their own colours, for STAC browsers and for a quick look."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import rasterio
from PIL import Image
from rasterio.enums import Resampling

from enggang.files import write_atomic
from enggang.publish.colours import colourise
from enggang.publish.layers import Layer
from enggang.types import day_number

_EDGE = 512


def write_thumbnail(path: Path, cog: Path, layer: Layer, night: date) -> Path:
    """Write `cog` as a PNG of at most 512 pixels an edge; nodata is transparent."""
    with rasterio.open(cog) as source:
        factor = max(1.0, max(source.shape) / _EDGE)
        shape = (max(1, round(source.height / factor)), max(1, round(source.width / factor)))
        values = source.read(1, out_shape=shape, resampling=Resampling.nearest)
    picture = Image.fromarray(colourise(values, layer.colours, layer.nodata, day_number(night)))
    return write_atomic(path, lambda temporary: picture.save(temporary, format="PNG", optimize=True))
