"""What a demo archive is made from: one frozen record, and the seeds derived from it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date
from typing import Any, Self

import numpy as np
from affine import Affine
from odc.geo.geobox import GeoBox

from enggang.errors import ConfigError
from enggang.types import day_number

#: Raised whenever equal parameters no longer give equal bytes.
ARCHIVE_VERSION = 1

#: UTM zone 50 south; the upper left corner lies some 10 km north-west of Nusantara, on the 20 m grid of Sentinel-2.
CRS = "EPSG:32750"
WEST, NORTH = 453_000.0, 9_903_000.0

#: Edge in pixels at which every clearing has its full size; smaller archives get smaller and fewer clearings.
FULL_SIZE = 512


@dataclass(frozen=True, slots=True)
class DemoSpec:
    """Parameters of a demo archive; equal parameters give byte-identical archives.

    size: edge in pixels, even, since half of the Sentinel-2 bands have twice the pixel. `start` to the day before
    `monitor_from` is history; `end` is the last day with acquisitions. cloud_cover: mean share of cloud through the
    year, 0.1–0.9. Raises `ConfigError` for what can't be made.
    """

    seed: int = 2026
    size: int = FULL_SIZE
    resolution_m: float = 10.0
    start: date = date(2024, 1, 1)
    monitor_from: date = date(2026, 1, 1)
    end: date = date(2026, 6, 30)
    s2_step_days: int = 5
    s1_step_days: int = 12
    cloud_cover: float = 0.70

    def __post_init__(self) -> None:
        if self.size % 2 or not 64 <= self.size <= 2048:
            raise ConfigError(f"a demo of {self.size} pixels can't be made", "give an even size of 64 to 2048")
        if not self.resolution_m > 0 or self.seed < 0 or min(self.s1_step_days, self.s2_step_days) < 1:
            raise ConfigError(
                "seed, resolution_m or a step of the demo is out of range", "give a seed ≥ 0 and steps ≥ 1 day"
            )
        if not 0.1 <= self.cloud_cover <= 0.9:
            raise ConfigError(f"a mean cloud cover of {self.cloud_cover} can't be made", "give 0.1 to 0.9")
        if (self.monitor_from - self.start).days < 30 or (self.end - self.monitor_from).days < 30:
            raise ConfigError(
                f"history from {self.start} and monitoring {self.monitor_from} to {self.end} are too short",
                "give each of the two at least 30 days",
            )

    @classmethod
    def tiny(cls, seed: int = 2026) -> Self:
        """A small archive with every kind of clearing: 96 px, 10 months of history, 3 months to monitor.

        Half the sky is clear, so that the short history still has some twenty clear observations of a pixel.
        """
        return cls(seed=seed, size=96, start=date(2025, 3, 1), end=date(2026, 3, 31), cloud_cover=0.45)

    @property
    def geobox(self) -> GeoBox:
        """The grid of every raster of the archive, in EPSG:32750."""
        transform = Affine(self.resolution_m, 0.0, WEST, 0.0, -self.resolution_m, NORTH)
        return GeoBox((self.size, self.size), transform, CRS)

    @property
    def pixels_per_ha(self) -> float:
        """Pixels in one hectare."""
        return 1e4 / self.resolution_m**2

    @property
    def scale(self) -> float:
        """Share of the full archive's ground that this one covers, at most 1."""
        return min(1.0, (self.size / FULL_SIZE) ** 2)

    @property
    def monitor_days(self) -> tuple[int, int]:
        """First and last day to monitor, in days since 2014-12-31."""
        return day_number(self.monitor_from), day_number(self.end)

    @property
    def history_days(self) -> tuple[int, int]:
        """First and last day of the history, in days since 2014-12-31."""
        return day_number(self.start), day_number(self.monitor_from) - 1

    def as_json(self) -> dict[str, Any]:
        """The parameters and the archive version, ready for JSON."""
        plain = {k: v.isoformat() if isinstance(v, date) else v for k, v in asdict(self).items()}
        return {"version": ARCHIVE_VERSION, **plain}

    def generator(self, *key: int) -> np.random.Generator:
        """The random numbers of one part: they depend on the seed and `key` alone, never on the order of work."""
        return np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=key))
