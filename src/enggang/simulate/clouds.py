"""The sky of one Sentinel-2 scene: clouds, their shadows, and what the scene classification misses of both."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from enggang.simulate.noise import correlated_field
from enggang.types import BoolArray, FloatArray

#: Pixels around the scene from which clouds cast shadows into it.
_PAD = 80


@dataclass(frozen=True, slots=True)
class Sky:
    """One sky; every array is (y, x).

    opacity, shadow: float32, 0–1. brightness: float32 around 1, of the cloud tops. missed: bool, where thin cloud
    and shadow escape the classification; overseen: bool, where even thick cloud does.
    """

    opacity: FloatArray
    shadow: FloatArray
    brightness: FloatArray
    missed: BoolArray
    overseen: BoolArray


def make_sky(rng: np.random.Generator, size: int, year_fraction: float, cloud_cover: float) -> Sky:
    """Draw a sky over size × size pixels of 10 m.

    The share of cloud is Beta distributed about `cloud_cover` in the mean, 0.08 more in January and less in July
    (wettest as over Borneo), with many overcast days and few clear ones.
    """
    mean = cloud_cover + 0.08 * np.cos(2 * np.pi * (year_fraction - 0.04))
    share = float(np.clip(rng.beta(2.4 * mean, 2.4 * (1 - mean)), 0.004, 0.996))
    edge = size + 2 * _PAD
    field = correlated_field(rng, (edge, edge), slope=float(rng.uniform(2.0, 2.7)), longest=float(rng.uniform(60, 220)))
    excess = np.maximum(field - np.float32(ndtri(1 - share)), 0)
    thickness = np.float32(rng.uniform(0.8, 3.5))
    opacity = (1 - np.exp(-thickness * excess)).astype(np.float32)

    # The morning sun stands in the east, so shadows fall west; by season they lean north or south.
    reach = rng.uniform(25, 70)
    lean = 0.6 * np.cos(2 * np.pi * (year_fraction - 0.47))
    down, left = round(reach * lean), round(reach * 0.8)
    inner = slice(_PAD, _PAD + size)
    cast = opacity[_PAD - down : _PAD - down + size, _PAD + left : _PAD + left + size]
    over = opacity[inner, inner]
    slips = correlated_field(rng, (size, size), slope=2.0, longest=40.0)
    brightness = 1 + np.float32(0.12) * correlated_field(rng, (size, size), slope=2.2, longest=30.0)
    return Sky(over, cast * (1 - over), brightness, slips > 0.3, slips > 1.9)
