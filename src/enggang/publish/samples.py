"""A small night with every status, made by arithmetic: for tests, golden products and trying out a new layer."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta

import numpy as np
from numpy.typing import NDArray
from odc.geo.geom import polygon
from shapely.geometry import mapping
from shapely.geometry.polygon import orient

from enggang.alerts.records import Alert, AlertEvent, AlertStatus, EventKind, Versions
from enggang.aoi import Aoi, parse_aoi
from enggang.publish.imagery import Imagery
from enggang.publish.release import NightRelease
from enggang.types import AnyArray, PixelStatus, day_number

_SHAPE = (48, 64)
_RESOLUTION_M = 10.0
_TRANSFORM = (_RESOLUTION_M, 0.0, 500_000.0, 0.0, -_RESOLUTION_M, 9_880_000.0)
_NO_BELIEF = -32768
#: status → (first row, last row + 1, first column, last column + 1) of its clearing.
_CLEARINGS: Mapping[PixelStatus, tuple[int, int, int, int]] = {
    PixelStatus.FLAGGED: (10, 14, 8, 16),
    PixelStatus.PROVISIONAL: (16, 22, 20, 30),
    PixelStatus.CONFIRMED: (26, 36, 34, 50),
}
_LOG_ODDS = {PixelStatus.FLAGGED: 80, PixelStatus.PROVISIONAL: 220, PixelStatus.CONFIRMED: 500}
_AGE_DAYS = {PixelStatus.FLAGGED: 0, PixelStatus.PROVISIONAL: 24, PixelStatus.CONFIRMED: 150}


def sample_aoi(aoi_id: str = "sample") -> Aoi:
    """An area of 64 × 48 pixels of 10 m in UTM 50S, at the equator's south."""
    outline = [(116.99, -1.1), (117.02, -1.1), (117.02, -1.08), (116.99, -1.08), (116.99, -1.1)]
    properties = {
        "id": aoi_id,
        "name_id": "Hutan contoh",
        "name_en": "Sample forest",
        "crs": "EPSG:32750",
        "resolution_m": _RESOLUTION_M,
        "monitors": ["sample"],
        "monitor_from": "2026-01-01",
        "grid": {"shape": _SHAPE, "transform": _TRANSFORM},
    }
    return parse_aoi(
        {"geometry": mapping(orient(polygon(outline, "EPSG:4326").geom)), "properties": properties}, "sample"
    )


def sample_state(night: date) -> dict[str, AnyArray]:
    """State arrays as packed on disk, (48, 64), which differ from night to night.

    Rows 0–7 were never observed, rows 40–47 were no forest before, columns 60–63 lie outside.
    """
    status = np.full(_SHAPE, PixelStatus.FOREST, dtype=np.uint8)
    log_odds = np.full(_SHAPE, -450, dtype=np.int16)
    disturbed = np.zeros(_SHAPE, dtype=np.uint16)
    for kind, (top, bottom, left, right) in _CLEARINGS.items():
        status[top:bottom, left:right] = kind
        log_odds[top:bottom, left:right] = _LOG_ODDS[kind] + day_number(night) % 7
        disturbed[top:bottom, left:right] = day_number(night) - _AGE_DAYS[kind]
    last_valid = np.full(_SHAPE, day_number(night) - 3, dtype=np.uint16)
    last_valid[20:30, :12] = day_number(night) - 75
    for rows, columns, kind in (
        (slice(0, 8), slice(None), PixelStatus.UNKNOWN),
        (slice(40, 48), slice(None), PixelStatus.NONFOREST),
        (slice(None), slice(60, 64), PixelStatus.OUTSIDE),
    ):
        status[rows, columns] = kind
        log_odds[rows, columns] = _NO_BELIEF
    last_valid[(status == PixelStatus.UNKNOWN) | (status == PixelStatus.OUTSIDE)] = 0
    first = np.where(disturbed > 0, disturbed - 2, 0).astype(np.uint16)
    return {
        "status": status,
        "log_odds": log_odds,
        "first_disturbed": first,
        "flagged_on": disturbed,
        "last_valid": last_valid,
    }


def sample_alerts(aoi: Aoi, night: date) -> tuple[Alert, ...]:
    """One alert for each clearing of `sample_state`, the flagged one new on `night`."""
    return tuple(_alert(aoi, night, kind) for kind in _CLEARINGS)


def sample_imagery(aoi: Aoi, night: date, cleared: bool, grey: bool = False) -> Imagery:
    """True colour (or grey) with or without the clearings; the top eight rows are not observed."""
    rows, columns = np.indices(_SHAPE)
    shade = (10 * np.sin(rows / 5) + 8 * np.cos(columns / 7)).round()
    colour = np.stack([shade + base for base in (45, 80, 50)], axis=-1)
    for top, bottom, left, right in _CLEARINGS.values() if cleared else ():
        colour[top:bottom, left:right] = (150, 118, 88)
    pixels: NDArray[np.uint8] = colour.clip(0, 255).astype(np.uint8)
    acquired = datetime.combine(night - timedelta(days=2 if cleared else 90), time(2, 20), UTC)
    seen = rows >= 8
    return Imagery(
        pixels=pixels[..., 1].copy() if grey else pixels,
        geobox=aoi.geobox,
        acquired=acquired,
        sensor="Sentinel-1" if grey else "Sentinel-2",
        observed=seen,
    )


def sample_release(night: date, aoi_id: str = "sample", pictures: bool = True) -> NightRelease:
    """A complete release of `night`: equal arguments give equal releases."""
    aoi, state = sample_aoi(aoi_id), sample_state(night)
    at = datetime.combine(night - timedelta(days=1), time(18), UTC)
    alerts = sample_alerts(aoi, night)
    new = next(alert for alert in alerts if alert.first_seen == night)
    event = AlertEvent(
        id=f"{new.id}/{night.isoformat()}/created",
        alert_id=new.id,
        kind=EventKind.CREATED,
        night=night,
        at=at,
        status=new.status,
        area_ha=new.area_ha,
        probability=new.probability,
    )
    return NightRelease(
        aoi=aoi,
        night=night,
        at=at,
        versions=alerts[0].versions,
        alerts=alerts,
        events=(event,),
        read=lambda name, window: state[name][window],
        before=sample_imagery(aoi, night, cleared=False) if pictures else None,
        after=sample_imagery(aoi, night, cleared=True) if pictures else None,
        sources=(f"S2_sample_{night:%Y%m%d}",),
    )


def _alert(aoi: Aoi, night: date, kind: PixelStatus) -> Alert:
    top, bottom, left, right = _CLEARINGS[kind]
    corners = ((left, top), (left, bottom), (right, bottom), (right, top), (left, top))
    ring = [aoi.geobox.transform @ corner for corner in corners]
    outline = orient(polygon(ring, aoi.geobox.crs).to_crs("EPSG:4326").geom)
    first = night - timedelta(days=_AGE_DAYS[kind])
    probability = 1 / (1 + float(np.exp(-_LOG_ODDS[kind] / 100)))
    return Alert(
        id=f"{aoi.id}-{first:%Y%m%d}-r{top}c{left}",
        aoi=aoi.id,
        status=AlertStatus(kind.name.lower()),
        first_seen=first,
        first_disturbed=first - timedelta(days=2),
        flagged_on=first,
        confirmed_on=first + timedelta(days=12) if kind is PixelStatus.CONFIRMED else None,
        last_changed=night,
        probability=round(probability, 4),
        sensors=("optical", "sar"),
        observations=3,
        area_ha=(bottom - top) * (right - left) * _RESOLUTION_M**2 / 10_000,
        centroid=(outline.centroid.x, outline.centroid.y),
        geometry=outline,
        district="Kutai Timur" if kind is PixelStatus.CONFIRMED else None,
        versions=Versions(model="sample-1", state=night.isoformat(), data=night.isoformat(), software="0.1.0"),
    )
