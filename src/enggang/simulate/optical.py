"""Sentinel-2 level 2A as it would see the demo's world: bands as digital numbers, and the scene classification."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from enggang.simulate.clouds import Sky, make_sky
from enggang.simulate.landscape import OPTICAL_SEED
from enggang.simulate.noise import correlated_field
from enggang.simulate.passes import Overpass
from enggang.simulate.signatures import BANDS
from enggang.simulate.world import World
from enggang.types import AnyArray, BoolArray, FloatArray

#: Digital number = (reflectance − offset) / scale, as of processing baseline 04.00; 0 is nodata.
SCALE, OFFSET, NODATA = 0.0001, -0.1, 0

#: Bands whose own pixel is 20 m; they and the classification come on the 10 m grid in 2 × 2 equal pixels.
COARSE_BANDS = ("swir16", "swir22")

_CLOUD = np.array([0.56, 0.54, 0.55, 0.60, 0.44, 0.34], dtype=np.float32)
_SHADE = np.array([0.50, 0.55, 0.60, 0.68, 0.72, 0.74], dtype=np.float32)
_HAZE = np.array([1.0, 0.65, 0.40, 0.12, 0.03, 0.01], dtype=np.float32)
_SENSOR_NOISE = np.array([0.0030, 0.0032, 0.0032, 0.0080, 0.0055, 0.0045], dtype=np.float32)

#: Scene classification codes (Sentinel-2 level 2A).
SCL_NODATA, SCL_DARK, SCL_SHADOW, SCL_VEGETATION, SCL_BARE, SCL_WATER = 0, 2, 3, 4, 5, 6
SCL_CLOUD_MEDIUM, SCL_CLOUD_HIGH, SCL_CIRRUS = 8, 9, 10


@dataclass(frozen=True, slots=True)
class OpticalImage:
    """One scene: `bands` by common name, (y, x) uint16 digital numbers, 0 = nodata; `scl` (y, x) uint8."""

    bands: Mapping[str, NDArray[np.uint16]]
    scl: NDArray[np.uint8]

    @property
    def cloud_cover(self) -> float:
        """Share of cloud in per cent, as the classification has it (classes 8 to 10)."""
        seen = self.scl != SCL_NODATA
        return round(100.0 * float((self.scl[seen] >= SCL_CLOUD_MEDIUM).mean()), 2) if seen.any() else 0.0


def render_optical(world: World, overpass: Overpass) -> OpticalImage:
    """Make the Sentinel-2 scene of `overpass`; the same overpass always gives the same scene."""
    rng = world.spec.generator(OPTICAL_SEED, overpass.day)
    size = world.spec.size
    sky = make_sky(rng, size, overpass.year_fraction, world.spec.cloud_cover)
    ground = world.reflectance_on(overpass.day, overpass.year_fraction)
    strip = _strip(rng, size)
    scl = _classify(rng, ground, sky)
    scl[~strip] = SCL_NODATA
    haze = rng.normal(0.0, 0.006) * _HAZE
    gain = 1 + rng.normal(0.0, 0.02, len(BANDS)).astype(np.float32)
    bands: dict[str, NDArray[np.uint16]] = {}
    for number, name in enumerate(BANDS):
        shaded = ground[number] * gain[number] * (1 - _SHADE[number] * sky.shadow) + np.float32(haze[number])
        seen = shaded + sky.opacity * (_CLOUD[number] * sky.brightness - shaded)
        seen = _add_noise(rng, seen, _SENSOR_NOISE[number], coarse=name in COARSE_BANDS)
        bands[name] = _digital(seen, strip)
    return OpticalImage(bands, scl)


def _add_noise(rng: np.random.Generator, seen: FloatArray, sd: np.float32, *, coarse: bool) -> FloatArray:
    """Sensor and atmosphere noise of `sd` plus 1.5 % of the signal, on the band's own pixel."""
    own = _halved(seen) if coarse else seen
    noisy = own + rng.standard_normal(own.shape, dtype=np.float32) * (sd + np.float32(0.015) * own)
    return _doubled(noisy) if coarse else noisy


def _digital(reflectance: FloatArray, strip: BoolArray) -> NDArray[np.uint16]:
    numbers: NDArray[np.uint16] = np.clip(np.rint((reflectance - OFFSET) / SCALE), 1, 32767).astype(np.uint16)
    numbers[~strip] = NODATA
    return numbers


def _classify(rng: np.random.Generator, ground: FloatArray, sky: Sky) -> NDArray[np.uint8]:
    """The scene classification with its known faults: missed thin cloud and shadow, bright soil taken for cloud."""
    opacity, shadow = _centres(sky.opacity), _centres(sky.shadow)
    missed, overseen = _centres(sky.missed), _centres(sky.overseen)
    blue, green, red, nir, *_ = (_halved(band) for band in ground)
    ndvi = (nir - red) / (nir + red)
    dark = (ndvi < 0.3) & (nir < 0.12) & (green <= nir * 1.3)
    taken_for_cloud = (
        (blue > 0.055) & (green < nir) & (correlated_field(rng, blue.shape, slope=2.0, longest=15.0) > 1.3)
    )
    rules: tuple[tuple[AnyArray, int], ...] = (
        (ndvi <= 0.35, SCL_BARE),
        (dark, SCL_DARK),
        (green > nir, SCL_WATER),
        (taken_for_cloud, SCL_CLOUD_MEDIUM),
        ((shadow > 0.22) & ~missed, SCL_SHADOW),
        ((opacity > 0.08) & ~missed, SCL_CIRRUS),
        ((opacity > 0.30) & ~overseen, SCL_CLOUD_MEDIUM),
        ((opacity > 0.60) & ~(overseen & (opacity < 0.75)), SCL_CLOUD_HIGH),
    )
    scl = np.full(blue.shape, SCL_VEGETATION, dtype=np.uint8)
    for where, code in rules:
        scl[where] = code
    return _doubled(scl)


def _strip(rng: np.random.Generator, size: int) -> BoolArray:
    """Pixels within the data strip, (y, x) bool; one scene in sixteen has the strip's slanted edge in it."""
    edge, side, slant = rng.uniform(0.2, 0.8), rng.random() < 0.5, rng.random() < 1 / 16
    if not slant:
        return np.ones((size, size), dtype=bool)
    row, col = np.ogrid[0:size, 0:size]
    west = col + 0.2 * row < edge * size * 1.2
    return np.asarray(west if side else ~west, dtype=bool)


def _halved(band: FloatArray) -> FloatArray:
    # Four strided slices: five times as fast as the mean over a reshaped view.
    total = band[::2, ::2] + band[1::2, ::2]
    total += band[::2, 1::2]
    total += band[1::2, 1::2]
    return np.asarray(total * np.float32(0.25), dtype=np.float32)


def _centres(band: AnyArray) -> AnyArray:
    return band[::2, ::2]


def _doubled(band: AnyArray) -> AnyArray:
    return np.repeat(np.repeat(band, 2, axis=0), 2, axis=1)
