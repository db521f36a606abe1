"""What a monitor's state holds: its arrays, how they are packed on disk, and which version of the schema wrote them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from affine import Affine
from odc.geo.geobox import GeoBox

from enggang.errors import CorruptState, NewerSchema, StateError
from enggang.types import AnyArray, FloatArray, Sensor

#: Raised by one with every change that an older release couldn't read; see `enggang.monitors.migrate`.
SCHEMA_VERSION = 1

#: Quantum of the baseline (coefficients and standard deviation): 0.001 dB for SAR, 0.0001 for optical indices.
UNIT_SCALE: Mapping[Sensor, float] = MappingProxyType({"sar": 1e-3, "optical": 1e-4})


@dataclass(frozen=True, slots=True)
class ArraySpec:
    """One array of the state, (y, x), or (k, y, x) where `layers` = k > 0.

    A scaled array (scale ≠ 1) stores round(value / scale) as `dtype`, and `fill` stands for NaN. An unscaled one
    stores the numbers themselves, and `fill` is what a pixel holds that was never written.
    """

    name: str
    dtype: str
    fill: int
    scale: float = 1.0
    layers: int = 0

    @property
    def scaled(self) -> bool:
        """True where the packed numbers are not the values themselves."""
        return self.scale != 1.0

    def shape(self, grid: tuple[int, int]) -> tuple[int, ...]:
        """The array's shape on a grid, or its chunk's on a block, of `grid` = (rows, columns)."""
        return (self.layers, *grid) if self.layers else grid


#: The belief, all (y, x). Days are counted since 2014-12-31, 0 = none; log-odds has 0.01 as its quantum.
BELIEF: tuple[ArraySpec, ...] = (
    ArraySpec("log_odds", "int16", fill=-32768, scale=0.01),
    ArraySpec("status", "uint8", fill=0),
    ArraySpec("first_disturbed", "uint16", fill=0),
    ArraySpec("flagged_on", "uint16", fill=0),
    ArraySpec("confirmed_on", "uint16", fill=0),
    ArraySpec("last_valid", "uint16", fill=0),
    ArraySpec("observations", "uint8", fill=0),
    ArraySpec("sensors", "uint8", fill=0),
)


def baseline_name(channel: str, part: str) -> str:
    """Name of one array (`coef`, `sd`, `n`) of a channel's baseline: `baseline/vh/descending/coef`."""
    return f"baseline/{channel}/{part}"


def baseline_specs(channel: str, coefficients: int, scale: float) -> tuple[ArraySpec, ...]:
    """The arrays of one channel's baseline: coefficients (k, y, x), standard deviation and count (y, x).

    `scale` is the quantum of coefficients and standard deviation in the measure's unit; see `UNIT_SCALE`.
    """
    return (
        ArraySpec(baseline_name(channel, "coef"), "int16", fill=-32768, scale=scale, layers=coefficients),
        ArraySpec(baseline_name(channel, "sd"), "uint16", fill=0, scale=scale),
        ArraySpec(baseline_name(channel, "n"), "uint16", fill=0),
    )


def pack(spec: ArraySpec, values: AnyArray) -> AnyArray:
    """Values to what is stored: `spec.dtype`, saturated at its limits; NaN becomes `spec.fill` in a scaled array.

    A valid value never becomes the fill: it saturates at the number next to it.
    """
    limits = np.iinfo(spec.dtype)
    low, high = int(limits.min), int(limits.max)
    if not spec.scaled:
        return np.clip(values, low, high).astype(spec.dtype, copy=False)
    low, high = low + (spec.fill == low), high - (spec.fill == high)
    with np.errstate(over="ignore"):  # what overflows saturates
        scaled: FloatArray = np.asarray(values, dtype=np.float32) / np.float32(spec.scale)
    missing = np.isnan(scaled)
    np.clip(scaled, low, high, out=scaled)
    np.rint(scaled, out=scaled)
    scaled[missing] = spec.fill
    return scaled.astype(spec.dtype)


def unpack(spec: ArraySpec, packed: AnyArray) -> AnyArray:
    """What is stored to values: float32 with NaN for the fill where scaled, else the stored array itself."""
    if not spec.scaled:
        return packed
    values: FloatArray = packed.astype(np.float32)
    values *= np.float32(spec.scale)
    values[packed == spec.fill] = np.nan
    return values


@dataclass(frozen=True, slots=True)
class StateIdentity:
    """Whose state it is: AOI, monitor version, the digest of its config, the grid and the block edge in pixels."""

    aoi: str
    monitor: str
    config_digest: str
    geobox: GeoBox
    block: int
    schema_version: int = SCHEMA_VERSION

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns) of the grid."""
        return (int(self.geobox.shape[0]), int(self.geobox.shape[1]))

    def to_document(self) -> dict[str, Any]:
        """As plain JSON."""
        return {
            "aoi": self.aoi,
            "monitor": self.monitor,
            "config_digest": self.config_digest,
            "crs": str(self.geobox.crs),
            "transform": [float(number) for number in self.geobox.transform[:6]],
            "shape": list(self.shape),
            "block": self.block,
            "schema_version": self.schema_version,
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> StateIdentity:
        """Back from JSON. Raises `NewerSchema` for a schema later than this release's, `CorruptState` for nonsense."""
        try:
            version = int(document["schema_version"])
            if version > SCHEMA_VERSION:
                raise NewerSchema(
                    f"the state of {document.get('monitor')} has schema {version}; this release reads up to "
                    f"{SCHEMA_VERSION}",
                    "run the release that wrote it, or a later one",
                )
            geobox = GeoBox(tuple(document["shape"]), Affine(*document["transform"]), document["crs"])
            texts = {key: str(document[key]) for key in ("aoi", "monitor", "config_digest")}
            return cls(geobox=geobox, block=int(document["block"]), schema_version=version, **texts)
        except (KeyError, TypeError, ValueError) as error:
            raise CorruptState(f"the state's identity can't be read ({error!r})", "scrub and repair it") from error

    def require(self, wanted: StateIdentity) -> None:
        """Raise `StateError` where this state is not the one that `wanted` describes."""
        if (self.aoi, self.monitor) != (wanted.aoi, wanted.monitor):
            raise StateError(
                f"the state belongs to {self.aoi}/{self.monitor}, not {wanted.aoi}/{wanted.monitor}",
                "point the home folder at the right state",
            )
        if self.config_digest != wanted.config_digest:
            raise StateError(
                f"the config of monitor {self.monitor} differs from the one its state was built with",
                "restore that config, or raise the monitor's version so that it starts a state of its own",
            )
        if self.geobox != wanted.geobox or self.block != wanted.block:
            raise StateError(
                f"the grid or block of AOI {self.aoi} differs from the one its state was built on",
                "restore the AOI's grid and ENGGANG_BLOCK, or raise the monitor's version",
            )


def specs_to_document(specs: Iterable[ArraySpec]) -> dict[str, Any]:
    """Array specs as plain JSON, keyed by name."""
    return {s.name: {"dtype": s.dtype, "fill": s.fill, "scale": s.scale, "layers": s.layers} for s in specs}


def specs_from_document(document: Mapping[str, Any]) -> dict[str, ArraySpec]:
    """Array specs back from JSON, sorted by name."""
    return {name: ArraySpec(name, **document[name]) for name in sorted(document)}
