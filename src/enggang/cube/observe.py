"""From a scene and a block of the AOI's grid to observations."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from odc.geo.geobox import GeoBox

from enggang.cube.backscatter import to_decibel
from enggang.cube.indices import INDICES
from enggang.cube.masks import clear_blue, clear_classes
from enggang.cube.reader import asset_of, read_classes, read_values
from enggang.errors import ConfigError
from enggang.types import BoolArray, FloatArray, MaskRule, ObservationSpec, Scene

_SCL = "scl"
_BLUE = "blue"


def observe_block(scene: Scene, geobox: GeoBox, specs: Sequence[ObservationSpec]) -> dict[str, FloatArray]:
    """Observations of a scene on `geobox`, any part of the AOI's grid: measure → (y, x) float32, NaN = not valid.

    Units: dB for vh and vv, none for indices. What lies outside the scene is NaN. Neighbourhoods (mask dilation,
    speckle box) reach beyond the block, so values don't depend on how the grid is cut.
    Raises `MissingBand`, `CorruptAsset`, `OversizedAsset`, `GridMismatch` (all `SceneError`), or `SourceUnavailable`.
    """
    block = _Block(scene, geobox)
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
        self._bands: dict[tuple[str, int], FloatArray] = {}
        self._masks: dict[MaskRule, BoolArray | None] = {}

    def observe(self, spec: ObservationSpec) -> FloatArray:
        bands = bands_of(self.scene, spec)
        if self.scene.sensor == "sar":
            return self._backscatter(bands[0], spec)
        index = None if bands == (spec.measure,) else INDICES[spec.measure]
        values = [self._band(band).copy() for band in bands]
        measure = values[0] if index is None else index.function(*values)
        clear = None if spec.mask is None else self._clear(spec.mask)
        if clear is not None:
            np.copyto(measure, np.nan, where=~clear)
        return measure

    def _backscatter(self, band: str, spec: ObservationSpec) -> FloatArray:
        if spec.speckle_window % 2 == 0:
            raise ConfigError(f"speckle_window of {spec.measure} is {spec.speckle_window}", "give an odd number")
        values = self._band(band, spec.speckle_window // 2).copy()
        return to_decibel(values, self.scene.assets[band].unit, spec.speckle_window)

    def _band(self, band: str, halo: int = 0) -> FloatArray:
        key = (band, halo)
        if key not in self._bands:
            self._bands[key] = read_values(self.scene, band, _padded(self.geobox, halo))
        return self._bands[key]

    def _clear(self, rule: MaskRule) -> BoolArray | None:
        if rule not in self._masks:
            bands = mask_bands(self.scene, rule)
            clear = None
            if _SCL in bands:
                clear = clear_classes(read_classes(self.scene, _SCL, _padded(self.geobox, rule.dilate)), rule)
            if _BLUE in bands and rule.blue_max is not None:
                dark = clear_blue(self._band(_BLUE), rule.blue_max)
                clear = dark if clear is None else clear & dark
            self._masks[rule] = clear
        return self._masks[rule]


def _padded(geobox: GeoBox, halo: int) -> GeoBox:
    return geobox.pad(halo) if halo else geobox
