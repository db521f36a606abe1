"""Whatever the pixels do, alerts keep their ids, share no ground, and their events tell the whole story."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from odc.geo.geobox import GeoBox
from scipy import ndimage

from enggang.alerts.components import label
from enggang.alerts.lifecycle import TRANSITIONS
from enggang.alerts.records import AlertStatus, EventKind, LedgerNight, Versions
from enggang.alerts.track import AlertRules, TrackContext, track
from enggang.types import AnyArray, PixelStatus, PixelTable, day_number

SHAPE = (9, 11)
GRID = GeoBox(SHAPE, Affine(10, 0, 500_000, 0, -10, 9_900_000), "EPSG:32750")
START = date(2028, 2, 27)
#: Three 10 m pixels: small enough that a grid of 9 × 11 is full of births, merges and splits.
RULES = AlertRules(mmu_ha=0.03, finish_days=3)
EIGHT = np.ones((3, 3), dtype=int)


def pixels_of(status: AnyArray, day: int) -> PixelTable:
    """The flagged and better pixels of a (y, x) status raster."""
    row, col = np.nonzero(status >= PixelStatus.FLAGGED)
    found = status[row, col].astype(np.uint8)
    days = np.full(len(row), day, dtype=np.uint16)
    return PixelTable(
        row=row.astype(np.int32),
        col=col.astype(np.int32),
        status=found,
        probability=np.full(len(row), 0.9, dtype=np.float32),
        first_disturbed=days - 6,
        flagged_on=days,
        confirmed_on=np.where(found == PixelStatus.CONFIRMED, days, 0).astype(np.uint16),
        observations=np.full(len(row), 3, dtype=np.uint8),
        sensors=np.full(len(row), 1, dtype=np.uint8),
    )


def context(night: date) -> TrackContext:
    at = datetime(night.year, night.month, night.day, 22, tzinfo=UTC)
    return TrackContext("demo", GRID, night, at, RULES, Versions("m", night.isoformat(), "d", "0"))


def run(rasters: list[AnyArray]) -> list[LedgerNight]:
    nights: list[LedgerNight] = []
    for n, raster in enumerate(rasters):
        night = START + timedelta(days=n)
        before = nights[-1] if nights else None
        nights.append(track(before, pixels_of(raster, day_number(night)), context(night)))
    return nights


# Mostly forest, so that components stay apart; every other value is a status of the table.
raster = arrays(np.uint8, SHAPE, elements=st.sampled_from([1, 1, 1, 2, 3, 4]))


@st.composite
def growing(draw: st.DrawFn) -> list[AnyArray]:
    """Nights on which rectangles come, go and change status: long shared histories, unlike unrelated noise."""
    now = np.ones(SHAPE, dtype=np.uint8)
    nights = []
    for _ in range(draw(st.integers(2, 6))):
        for _ in range(draw(st.integers(0, 4))):
            top, left = draw(st.integers(0, SHAPE[0] - 1)), draw(st.integers(0, SHAPE[1] - 1))
            high, wide = draw(st.sampled_from([(1, 3), (1, 9), (3, 2), (8, 1), (4, 5)]))
            now[top : top + high, left : left + wide] = draw(st.sampled_from([1, 4, 3, 2, 1]))
        nights.append(now.copy())
    return nights


histories = st.one_of(growing(), st.lists(raster, min_size=1, max_size=4))


@given(raster)
@settings(max_examples=150, deadline=None)
def test_components_are_those_of_the_full_raster_in_order(status: AnyArray) -> None:
    table = pixels_of(status, 5000)
    expected, count = ndimage.label(status >= 2, structure=EIGHT)
    found = label(table, SHAPE[1])
    assert len(set(found.tolist())) == count
    pairs = set(zip(found.tolist(), expected[table.row, table.col].tolist(), strict=True))
    assert len(pairs) == count
    assert list(dict.fromkeys(found.tolist())) == list(range(count))


@given(histories)
@settings(max_examples=120, deadline=None)
def test_every_large_component_is_one_alert_and_no_ground_counts_twice(rasters: list[AnyArray]) -> None:
    for status, night in zip(rasters, run(rasters), strict=True):
        ids = [a.id for a in night.alerts]
        assert ids == sorted(set(ids))
        assert np.all(np.diff(night.pixels.index) > 0)
        owner = np.full(SHAPE[0] * SHAPE[1], -1)
        owner[night.pixels.index] = night.pixels.alert
        labels, count = ndimage.label(status >= 2, structure=EIGHT)
        for component in range(1, count + 1):
            inside = set(owner[(labels == component).ravel()].tolist())
            assert len(inside) == 1
            assert np.sum(labels == component) < 3 or inside != {-1}
        assert set(owner[(status < 2).ravel()].tolist()) <= {-1}
        standing = {n for n, a in enumerate(night.alerts) if a.status.is_standing}
        assert standing == set(night.pixels.alert.tolist())
        area = sum(a.area_ha for a in night.alerts if a.status.is_standing)
        assert area == pytest.approx(len(night.pixels.index) * 0.01, rel=3e-3, abs=1e-4 * len(standing))


@given(histories)
@settings(max_examples=120, deadline=None)
def test_events_replay_to_the_same_alerts_along_allowed_edges(rasters: list[AnyArray]) -> None:
    nights = run(rasters)
    status: dict[str, AlertStatus] = {}
    area: dict[str, float] = {}
    seen: set[str] = set()
    for night in nights:
        for event in night.events:
            assert event.id not in seen
            seen.add(event.id)
            assert (event.alert_id in status) != (event.kind is EventKind.CREATED)
            before = status.get(event.alert_id, AlertStatus.FLAGGED)
            assert event.status is before or event.status in TRANSITIONS[before]
            status[event.alert_id], area[event.alert_id] = event.status, event.area_ha
        assert status == {a.id: a.status for a in night.alerts}
        assert area == {a.id: a.area_ha for a in night.alerts}
        touched = {e.alert_id for e in night.events if e.kind is not EventKind.FINISHED}
        assert touched == {a.id for a in night.alerts if a.last_changed == night.night}


@given(histories)
@settings(max_examples=60, deadline=None)
def test_tracking_again_gives_the_same_night_and_a_still_night_no_event(rasters: list[AnyArray]) -> None:
    first, second = run(rasters), run(rasters)
    for a, b in zip(first, second, strict=True):
        assert (a.alerts, a.events) == (b.alerts, b.events)
        assert np.array_equal(a.pixels.index, b.pixels.index)
        assert np.array_equal(a.pixels.alert, b.pixels.alert)
    last = first[-1]
    after = last.night + timedelta(days=1)
    same = track(last, pixels_of(rasters[-1], day_number(last.night)), context(after))
    assert {e.kind for e in same.events} <= {EventKind.FINISHED}
    finished = {e.alert_id for e in same.events}
    before = {a.id: a for a in last.alerts}
    for alert in same.alerts:
        old = before[alert.id]
        assert alert.geometry == old.geometry
        assert alert.last_changed == old.last_changed
        assert alert.id in finished or (alert.status, alert.versions) == (old.status, old.versions)


@given(growing(), st.integers(0, 3))
@settings(max_examples=60, deadline=None)
def test_an_id_survives_growth(rasters: list[AnyArray], by: int) -> None:
    last = run(rasters)[-1]
    grown = ndimage.grey_dilation(rasters[-1], size=(2 * by + 1, 2 * by + 1))
    night = last.night + timedelta(days=1)
    after = track(last, pixels_of(grown, day_number(night)), context(night))
    born = {e.alert_id for e in after.events if e.kind is EventKind.CREATED}
    closed = {a.id: a for a in after.alerts if not a.status.is_standing}
    for alert in last.alerts:
        if alert.status.is_standing and alert.id in closed:
            survivor = closed[alert.id].merged_into
            assert survivor is not None
            assert survivor not in closed
    assert {a.id for a in after.alerts} == {a.id for a in last.alerts} | born
    assert not [a for a in after.alerts if a.status is AlertStatus.WITHDRAWN and a.last_changed == night]
