"""What a night of tracking is given beside its pixels."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from odc.geo.geobox import GeoBox

from enggang.alerts.context import DistrictLookup
from enggang.alerts.records import Versions


@dataclass(frozen=True, slots=True)
class AlertRules:
    """When pixels are an alert.

    `mmu_ha`: smallest area of a new alert. `finish_days`: a confirmed alert that has not changed for this long is
    finished. `confirmed_share`: an alert below the MMU takes the status that this share of its pixels has; a larger one
    takes the status that an MMU of its pixels has. `tolerance`: share by which cells may fall short of their nominal
    size: a cell of a UTM zone is up to 0.3 % smaller at the zone's edge, and the MMU is meant in whole cells.
    """

    mmu_ha: float = 0.1
    finish_days: int = 90
    confirmed_share: float = 0.5
    tolerance: float = 0.005


@dataclass(frozen=True, slots=True)
class TrackContext:
    """All that a night needs beside pixels: `at` is the nominal UTC time of the run, `districts` names the district of
    each of an array of WGS84 geometries (None = no layer)."""

    aoi: str
    geobox: GeoBox
    night: date
    at: datetime
    rules: AlertRules
    versions: Versions
    districts: DistrictLookup | None = None
