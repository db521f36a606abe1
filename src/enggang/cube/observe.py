"""From a scene and a block of the AOI's grid to observations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from odc.geo.geobox import GeoBox

from enggang.cube.assets import asset_of, gdal_settings
from enggang.cube.backscatter import to_decibel
from enggang.cube.indices import INDICES
from enggang.cube.masks import bright_blue, unclear_classes
from enggang.cube.reader import Band, read_band, read_classes
from enggang.errors import ConfigError
from enggang.types import BoolArray, FloatArray, MaskRule, ObservationSpec, Scene

_SCL = "scl"
_BLUE = "blue"
_STRIP_PIXELS = 64 * 1024


def observe_block(scene: Scene, geobox: GeoBox, specs: Sequence[ObservationSpec]) -> dict[str, FloatArray]:
    """Observations of a scene on `geobox`, any part of the AOI's grid: measure → (y, x) float32, NaN = not valid.

    Units: dB for vh and vv, none for indices. What lies outside the scene is NaN. Neighbourhoods (mask dilation,
    speckle box) reach beyond the block, so values don't depend on how the grid is cut.
    Raises `MissingBand`, `CorruptAsset`, `OversizedAsset`, `GridMismatch` (all `SceneError`), or `SourceUnavailable`.
    """
    block = _Block(scene, geobox)
    with gdal_settings():
        return {spec.measure: block.observe(spec) for spec in specs}


def bands_of(scene: Scene, spec: ObservationSpec) -> tuple[str, ...]:
    """The bands that a measure needs of a scene, without those of the mask.

    A band named as the measure goes before the index. Raises `MissingBand`.
    """
    index = INDICES.get(spec.measure)
    if spec.measure in scene.assets or index is None:
        return (asset_of(scene, spec.measure).band,)
    return tuple(asset_of(scene, band).band for band in index.bands)


def mask_bands(scene: Scene, rule: MaskRule | None) -> tuple[str, ...]:
    """The bands that a mask rule reads of a scene; a test whose band isn't there is left out."""
    if rule is None or scene.sensor != "optical":
        return ()
    blue = (_BLUE,) if rule.blue_max is not None and _BLUE in scene.assets else ()
    return ((_SCL,) if _SCL in scene.assets else ()) + blue


class _Block:
    """One block of one scene: each band is read once, whatever measures share it."""

    def __init__(self, scene: Scene, geobox: GeoBox) -> None:
        self.scene = scene
        self.geobox = geobox
        self._bands: dict[tuple[str, int], Band] = {}
        self.shape = (int(geobox.shape[0]), int(geobox.shape[1]))
        self._masks: dict[MaskRule, BoolArray | None] = {}

    def observe(self, spec: ObservationSpec) -> FloatArray:
        bands = bands_of(self.scene, spec)
        if self.scene.sensor == "sar":
            return self._backscatter(bands[0], spec)
        function = _as_it_is if bands == (spec.measure,) else INDICES[spec.measure].function
        unclear = None if spec.mask is None else self._unclear(spec.mask)
        if unclear is not None and unclear.all():  # overcast: what the bands hold doesn't count
            return np.full(self.shape, np.nan, np.float32)
        first, *others = [self._band(band) for band in bands]
        out = np.empty(self.shape, np.float32)
        for rows in _strips(out.shape):
            target = out[rows]
            part = function(first.rows(rows, target), *(band.rows(rows) for band in others))
            if part is not target:
                np.copyto(target, part)
            if unclear is not None:
                np.copyto(target, np.nan, where=unclear[rows])
        return out

    def _backscatter(self, band: str, spec: ObservationSpec) -> FloatArray:
        if spec.speckle_window % 2 == 0:
            raise ConfigError(f"speckle_window of {spec.measure} is {spec.speckle_window}", "give an odd number")
        values = self._band(band, spec.speckle_window // 2).values()
        return to_decibel(values, self.scene.assets[band].unit, spec.speckle_window)

    def _band(self, band: str, halo: int = 0) -> Band:
        key = (band, halo)
        if key not in self._bands:
            self._bands[key] = read_band(self.scene, band, _padded(self.geobox, halo))
        return self._bands[key]

    def _unclear(self, rule: MaskRule) -> BoolArray | None:
        """Pixels that the rule refuses; None where the scene has no band to tell."""
        if rule not in self._masks:
            bands = mask_bands(self.scene, rule)
            unclear = np.zeros(self.shape, dtype=bool) if bands else None
            if unclear is not None and _SCL in bands:
                unclear |= unclear_classes(read_classes(self.scene, _SCL, _padded(self.geobox, rule.dilate)), rule)
            if unclear is not None and _BLUE in bands and rule.blue_max is not None:
                blue = self._band(_BLUE)
                for rows in _strips(self.shape):
                    unclear[rows] |= bright_blue(blue.rows(rows), rule.blue_max)
            self._masks[rule] = unclear
        return self._masks[rule]


def _as_it_is(values: FloatArray) -> FloatArray:
    return values


def _strips(shape: tuple[int, ...]) -> Iterator[slice]:
    """Rows that fit a core's cache together with what is made of them on the way to a measure."""
    step = max(1, _STRIP_PIXELS // max(1, shape[1]))
    return (slice(start, min(start + step, shape[0])) for start in range(0, shape[0], step))


def _padded(geobox: GeoBox, halo: int) -> GeoBox:
    return geobox.pad(halo) if halo else geobox
