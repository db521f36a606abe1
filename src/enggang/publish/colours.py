"""How a layer is coloured: classes or a ramp, chosen so that no meaning rests on red against green alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from enggang.types import AnyArray

#: Hatching stands for "not observed": diagonal stripes this many pixels apart.
_HATCH_PERIOD = 6
_HATCH_INK = (90, 90, 90)

#: cividis (Nuñez, Anderton, Renslow 2018), which reads the same with and without colour blindness.
CIVIDIS = ("#00224e", "#434e6c", "#7d7c78", "#bcaf6f", "#fee838")

Rgb = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class ClassColour:
    """One value of a layer with a meaning of its own. `hatched` marks what was not observed."""

    value: int
    colour: str
    label_en: str
    label_id: str
    hatched: bool = False


@dataclass(frozen=True, slots=True)
class Classes:
    """Colours of a layer whose every value is a class."""

    entries: tuple[ClassColour, ...]


def _unchanged(values: AnyArray) -> AnyArray:
    return values


@dataclass(frozen=True, slots=True)
class Ramp:
    """Colours between `stops` of (position, colour), ascending.

    The position of a pixel is `key(value)` where `of` is "value", and its age in days, night − key(value), where
    `of` is "age". `special` values stand outside of the ramp.
    """

    stops: tuple[tuple[float, str], ...]
    of: Literal["value", "age"]
    label_en: str
    label_id: str
    special: tuple[ClassColour, ...] = ()
    key: Callable[[AnyArray], AnyArray] = _unchanged


Colours = Classes | Ramp


def age_ramp(days: float, label_en: str, label_id: str) -> Ramp:
    """New is bright, old is dark, over `days`."""
    steps = np.linspace(0, days, len(CIVIDIS)).tolist()
    return Ramp(tuple(zip(steps, reversed(CIVIDIS), strict=True)), "age", label_en, label_id)


def rgb(colour: str) -> Rgb:
    """The three bytes of `#rrggbb`."""
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def palette(classes: Classes) -> dict[int, tuple[int, int, int, int]]:
    """A GDAL colour table: value → (red, green, blue, alpha)."""
    return {entry.value: (*rgb(entry.colour), 255) for entry in classes.entries}


def colourise(values: AnyArray, colours: Colours, nodata: int, night_number: int) -> NDArray[np.uint8]:
    """Picture of one layer: `values` (y, x) in the layer's dtype → (y, x, 4) uint8 RGBA; nodata is transparent.

    `night_number`: days since 2014-12-31 of the night shown, from which ages count.
    """
    picture = np.zeros((*values.shape, 4), dtype=np.uint8)
    entries = colours.entries if isinstance(colours, Classes) else colours.special
    if isinstance(colours, Ramp):
        picture[..., :3] = _ramped(values, colours, night_number)
        picture[..., 3] = 255
    for entry in entries:
        _paint(picture, values == entry.value, entry)
    picture[values == nodata] = 0
    return picture


def _ramped(values: AnyArray, ramp: Ramp, night_number: int) -> NDArray[np.uint8]:
    keyed = ramp.key(values).astype(np.float32)
    return ramp_rgb(keyed if ramp.of == "value" else night_number - keyed, ramp)


def ramp_rgb(position: AnyArray, ramp: Ramp) -> NDArray[np.uint8]:
    """Colours of positions on a ramp: (…) float → (…, 3) uint8; beyond either end its colour goes on."""
    at = np.array([stop for stop, _ in ramp.stops])
    inks = np.array([rgb(colour) for _, colour in ramp.stops], dtype=np.float64)
    channels = [np.interp(position, at, inks[:, channel]) for channel in range(3)]
    return np.stack(channels, axis=-1).round().astype(np.uint8)


def _paint(picture: NDArray[np.uint8], where: NDArray[np.bool_], entry: ClassColour) -> None:
    picture[where] = (*rgb(entry.colour), 255)
    if entry.hatched:
        stripes = np.add.outer(np.arange(where.shape[0]), np.arange(where.shape[1])) % _HATCH_PERIOD < 2
        picture[where & stripes] = (*_HATCH_INK, 255)
