"""The demo's world: ground, clearings and traps put together, and what its surface is on a given day."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from enggang.simulate.clearings import Clearing, plan_clearings
from enggang.simulate.landscape import Landscape, make_landscape
from enggang.simulate.signatures import (
    KIND_SURFACES,
    TRAP_EFFECTS,
    Cover,
    backscatter_table,
    property_table,
    reflectance_table,
)
from enggang.simulate.spec import DemoSpec
from enggang.simulate.traps import Trap, plan_traps
from enggang.types import BoolArray, FloatArray

#: Midsummer of the near infrared and the driest week of grass, as positions in the year.
_GREENEST, _DRIEST = 0.15, 0.71


@dataclass(frozen=True, slots=True, eq=False)
class World:
    """Everything that is fixed in time; rasters are (y, x).

    clearing_day: uint16 days since 2014-12-31, 0 = never. kind: uint8 codes of `ClearingKind`, 0 = none.
    regrowth_days: float32. reflectance: (band, y, x) and backscatter: (polarisation, y, x) float32 of the surface
    at the start, in the order of `signatures.BANDS` and `POLARISATIONS`.
    """

    spec: DemoSpec
    landscape: Landscape
    clearings: tuple[Clearing, ...]
    traps: tuple[Trap, ...]
    clearing_day: NDArray[np.uint16]
    kind: NDArray[np.uint8]
    regrowth_days: FloatArray
    reflectance: FloatArray
    backscatter: FloatArray

    @classmethod
    def make(cls, spec: DemoSpec) -> Self:
        """Draw the world of `spec`."""
        landscape = make_landscape(spec)
        clearings = plan_clearings(spec, landscape)
        shape = landscape.cover.shape
        day, kind = np.zeros(shape, dtype=np.uint16), np.zeros(shape, dtype=np.uint8)
        regrowth = np.ones(shape, dtype=np.float32)
        for one in clearings:
            day[one.rows, one.cols] = one.days
            kind[one.rows, one.cols] = one.kind
            regrowth[one.rows, one.cols] = one.regrowth_days
        traps = plan_traps(spec, landscape, day > 0)
        crown = property_table("crown")[landscape.cover] * landscape.crown
        rough = property_table("rough")[landscape.cover] * landscape.rough
        reflectance = reflectance_table()[:, landscape.cover] * np.exp(crown)
        backscatter = backscatter_table()[:, landscape.cover] + rough
        return cls(spec, landscape, clearings, traps, day, kind, regrowth, reflectance, backscatter)

    def forest_on(self, day: int) -> BoolArray:
        """Natural forest not yet cleared on `day`: (y, x) bool."""
        gone = (self.clearing_day > 0) & (self.clearing_day <= day)
        return np.asarray(self.landscape.forest & ~gone, dtype=bool)

    def reflectance_on(self, day: int, year_fraction: float) -> FloatArray:
        """Surface reflectance on `day`: (band, y, x) float32, unitless."""
        season = np.float32(np.cos(2 * np.pi * (year_fraction - _GREENEST)))
        surface = self.reflectance.copy()
        surface[3] *= 1 + property_table("season")[self.landscape.cover] * season
        table = reflectance_table()
        rows, cols, mix = self._bare(day)
        texture = np.exp(property_table("crown")[Cover.BARE_SOIL] * self.landscape.crown[rows, cols])
        surface[:, rows, cols] = (table[:, 1:] @ mix) * texture
        dryness = 0.3 * (1 + np.cos(2 * np.pi * (year_fraction - _DRIEST))) / 2
        grass = self.landscape.cover == Cover.GRASS
        surface[:, grass] += np.float32(dryness) * (table[:, [Cover.DRY_GRASS]] - surface[:, grass])
        for trap in self.traps:
            effect = TRAP_EFFECTS[trap.kind]
            weight = np.float32(effect.weight * trap.strength(day))
            if weight > 0:
                here = surface[:, trap.rows, trap.cols]
                surface[:, trap.rows, trap.cols] = here + weight * (table[:, [effect.towards]] - here)
        return surface

    def backscatter_on(self, day: int) -> FloatArray:
        """Dry-weather gamma nought on `day`: (polarisation, y, x) float32, dB, without speckle."""
        surface = self.backscatter.copy()
        rows, cols, mix = self._bare(day)
        rough = property_table("rough")[Cover.BARE_SOIL] * self.landscape.rough[rows, cols]
        surface[:, rows, cols] = backscatter_table()[:, 1:] @ mix + rough
        for trap in self.traps:
            effect, strength = TRAP_EFFECTS[trap.kind], trap.strength(day)
            if strength > 0:
                change = np.array([[effect.vh], [effect.vv]], dtype=np.float32) * np.float32(strength)
                surface[:, trap.rows, trap.cols] += change
        return surface

    def wetness_on(self, day: int) -> FloatArray:
        """dB that soaking rain adds to each pixel on `day`: (y, x) float32."""
        wet = property_table("wet")
        surface = wet[self.landscape.cover]
        rows, cols, mix = self._bare(day)
        surface[rows, cols] = wet[1:] @ mix
        return surface

    def _bare(self, day: int) -> tuple[NDArray[np.int64], NDArray[np.int64], FloatArray]:
        """Pixels cleared by `day` and the shares of each surface there: rows, cols, (code − 1, pixel) float32.

        The fresh surface gives way to the lasting one, and both to regrowth, each exponentially.
        """
        rows, cols = np.nonzero((self.clearing_day > 0) & (self.clearing_day <= day))
        kind = self.kind[rows, cols]
        age = (day - self.clearing_day[rows, cols].astype(np.int64)).astype(np.float32)
        bare = np.exp(-age / self.regrowth_days[rows, cols])
        mix = np.zeros((max(Cover), len(rows)), dtype=np.float32)
        for code, surface in KIND_SURFACES.items():
            here = np.flatnonzero(kind == code)
            fresh = np.exp(-age[here] / np.float32(surface.fresh_days))
            mix[surface.fresh - 1, here] += bare[here] * fresh
            mix[surface.surface - 1, here] += bare[here] * (1 - fresh)
        mix[Cover.REGROWTH - 1] += 1 - bare
        return rows, cols, mix
