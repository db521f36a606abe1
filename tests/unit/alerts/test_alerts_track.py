"""One alert's life, step by step, as a forestry officer would tell it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, timedelta

import numpy as np
import pytest
import shapely

from enggang.alerts.records import Alert, AlertStatus, LedgerNight
from enggang.alerts.track import AlertRules, TrackContext, track
from enggang.errors import LedgerError
from enggang.types import AnyArray, PixelTable, day_number

PixelsOf = Callable[..., PixelTable]
ContextOf = Callable[..., TrackContext]
NIGHT = date(2027, 6, 1)


@pytest.fixture
def status() -> AnyArray:
    """60 × 60, all forest."""
    return np.ones((60, 60), dtype=np.uint8)


class Teller:
    """Tracks one night after the other."""

    def __init__(self, pixels_of: PixelsOf, context_of: ContextOf) -> None:
        self.pixels_of, self.context_of = pixels_of, context_of
        self.last: LedgerNight | None = None

    def night(self, day: date, status: AnyArray, **columns: object) -> list[str]:
        """Track one night; returns the events as "<first pixel of the alert> kind"."""
        self.last = track(self.last, self.pixels_of(status, day, **columns), self.context_of(day))
        return [f"{e.alert_id.rsplit('-', 1)[1]} {e.kind}" for e in self.last.events]

    def alert(self, tail: str) -> Alert:
        assert self.last is not None
        (found,) = [a for a in self.last.alerts if a.id.endswith(tail)]
        return found


@pytest.fixture
def tell(pixels_of: PixelsOf, context_of: ContextOf) -> Teller:
    return Teller(pixels_of, context_of)


def test_no_pixels_is_a_night_without_alerts(tell: Teller, status: AnyArray) -> None:
    assert tell.night(NIGHT, status) == []
    assert tell.last is not None
    assert tell.last.alerts == ()


def test_an_alert_is_born_at_the_mmu_and_not_below(tell: Teller, status: AnyArray) -> None:
    status[5, 5:14] = 4  # nine pixels of 0.01 ha
    assert tell.night(NIGHT, status) == []
    status[5, 14] = 4
    assert tell.night(NIGHT + timedelta(1), status) == ["r5c5 created", "r5c5 provisional", "r5c5 confirmed"]
    assert tell.alert("r5c5").area_ha == pytest.approx(0.1, rel=3e-3)


def test_a_new_alert_says_what_its_pixels_say(tell: Teller, status: AnyArray) -> None:
    status[5, 5:17] = [3] * 10 + [2] * 2
    day = day_number(NIGHT)
    tell.night(
        NIGHT,
        status,
        probability=np.linspace(0.8, 0.91, 12),
        first_disturbed=[day - 9, *[day - 12] * 9, day - 40, day - 40],
        flagged_on=[day - 3] * 11 + [0],
        observations=[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12],
        sensors=[1] * 11 + [2],
    )
    alert = tell.alert("r5c5")
    assert alert.id == "demo-20270601-r5c5"
    assert alert.status is AlertStatus.PROVISIONAL
    assert alert.first_seen == alert.last_changed == NIGHT
    assert alert.first_disturbed == NIGHT - timedelta(12), "flagged pixels don't date a provisional alert"
    assert alert.flagged_on == NIGHT - timedelta(3)
    assert alert.confirmed_on is None
    assert alert.probability == pytest.approx(0.855)
    assert alert.observations == 6
    assert alert.sensors == ("sar", "optical")
    assert shapely.contains_xy(alert.geometry, *alert.centroid)


def test_confirmation_takes_the_day_on_which_an_mmu_was_confirmed(tell: Teller, status: AnyArray) -> None:
    status[5, 5:20] = 3
    tell.night(NIGHT, status)
    status[5, 5:14] = 4  # one short of the MMU
    assert tell.night(NIGHT + timedelta(5), status, confirmed_on=0) == []
    status[5, 5:17] = 4
    days = [day_number(NIGHT) + n for n in (3, 4, 1, 1, 1, 1, 1, 1, 1, 9, 8, 7, 0, 0, 0)]
    events = tell.night(NIGHT + timedelta(10), status, confirmed_on=days)
    assert events == ["r5c5 confirmed"]
    assert tell.alert("r5c5").confirmed_on == NIGHT + timedelta(7), "the tenth of the twelve"


def test_belief_may_fall_before_confirmation_but_not_after(tell: Teller, status: AnyArray) -> None:
    status[5, 5:20] = 3
    tell.night(NIGHT, status)
    status[5, 5:20] = 2
    assert tell.night(NIGHT + timedelta(1), status) == ["r5c5 demoted"]
    status[5, 5:20] = 4
    assert tell.night(NIGHT + timedelta(2), status) == ["r5c5 provisional", "r5c5 confirmed"]
    status[5, 5:20] = 2
    assert tell.night(NIGHT + timedelta(3), status) == []
    alert = tell.alert("r5c5")
    assert alert.status is AlertStatus.CONFIRMED
    assert alert.confirmed_on == alert.last_changed == NIGHT + timedelta(2)
    assert alert.versions.state == f"state {NIGHT + timedelta(2)}", "an unchanged alert keeps its versions"


def test_growth_and_shrinking_keep_the_id(tell: Teller, status: AnyArray) -> None:
    status[5:10, 5:10] = 2
    tell.night(NIGHT, status)
    status[3:10, 3:10] = 2  # a new first pixel
    assert tell.night(NIGHT + timedelta(1), status) == ["r5c5 grown"]
    assert tell.alert("r5c5").area_ha == pytest.approx(0.49, rel=3e-3)
    status[3:10, 3:8] = 1
    assert tell.night(NIGHT + timedelta(2), status) == ["r5c5 shrunk"]
    status[9, 4:8] = 2
    status[3:7, 9] = 1
    assert tell.night(NIGHT + timedelta(3), status) == ["r5c5 grown"], "ground moved, the area didn't"


def test_a_small_remnant_stays_part_of_its_alert(tell: Teller, status: AnyArray) -> None:
    status[5, 5:30] = 2
    tell.night(NIGHT, status)
    status[5, 20:26] = 1  # 15 pixels and 4
    assert tell.night(NIGHT + timedelta(1), status) == ["r5c5 shrunk"]
    alert = tell.alert("r5c5")
    assert alert.geometry.geom_type == "MultiPolygon"
    assert alert.area_ha == pytest.approx(0.19, rel=3e-3)
    status[5:7, 26:34] = 2  # the remnant reaches the MMU by itself
    events = tell.night(NIGHT + timedelta(2), status)
    assert events == ["r5c5 split", "r5c5 shrunk", "r5c26 created"]
    status[5, 5:25] = 1
    status[5:7, 28:34] = 1  # four pixels of the child are left
    assert tell.night(NIGHT + timedelta(3), status) == ["r5c5 withdrawn", "r5c26 shrunk"]


def test_of_a_split_the_larger_part_keeps_the_id(tell: Teller, status: AnyArray) -> None:
    status[5, 5:40] = 4
    tell.night(NIGHT, status)
    status[5, 17] = 1  # twelve pixels and 22
    events = tell.night(NIGHT + timedelta(1), status)
    assert events == ["r5c5 split", "r5c5 shrunk", "r5c5 created", "r5c5 provisional", "r5c5 confirmed"]
    assert tell.last is not None
    old, child = tell.last.alerts
    assert (old.id, old.first_seen) == ("demo-20270601-r5c5", NIGHT)
    assert (child.id, child.split_from) == ("demo-20270602-r5c5", old.id)
    assert old.area_ha == pytest.approx(0.22, rel=3e-3)
    assert child.area_ha == pytest.approx(0.12, rel=3e-3)


def test_of_a_merge_the_oldest_survives_and_confirmation_passes_on(tell: Teller, status: AnyArray) -> None:
    status[5:9, 20:24] = 2
    tell.night(NIGHT, status)
    status[5:15, 5:15] = 4
    tell.night(NIGHT + timedelta(1), status)
    status[5, 15:20] = 2
    status[5:15, 5:15] = 2
    events = tell.night(NIGHT + timedelta(2), status)
    assert events == ["r5c20 grown", "r5c20 provisional", "r5c20 confirmed", "r5c5 merged"]
    survivor, loser = tell.alert("r5c20"), tell.alert("r5c5")
    assert loser.status is AlertStatus.MERGED
    assert loser.merged_into == survivor.id
    assert loser.area_ha == pytest.approx(1.0, rel=3e-3), "the last outline stays on record"
    assert not loser.status.is_open
    assert not loser.status.is_standing
    assert survivor.confirmed_on == NIGHT + timedelta(1)
    assert survivor.area_ha == pytest.approx(1.21, rel=3e-3)
    assert tell.night(NIGHT + timedelta(3), status) == []


def test_of_equally_old_alerts_the_larger_survives(tell: Teller, status: AnyArray) -> None:
    status[5:9, 5:8] = 2
    status[5:9, 12:18] = 2
    tell.night(NIGHT, status)
    status[5, 8:12] = 2
    assert tell.night(NIGHT + timedelta(1), status) == ["r5c12 grown", "r5c5 merged"]


def test_a_part_of_exactly_the_mmu_is_split_off(tell: Teller, status: AnyArray) -> None:
    status[5, 5:40] = 2
    tell.night(NIGHT, status)
    status[5, 15] = 1
    assert "r5c5 created" in tell.night(NIGHT + timedelta(1), status)


def test_split_and_merge_in_one_night(tell: Teller, status: AnyArray) -> None:
    status[5, 5:40] = 2  # A
    tell.night(NIGHT, status)
    status[8, 5:17] = 2  # B
    tell.night(NIGHT + timedelta(1), status)
    status[5, 17:20] = 1
    status[6:8, 10] = 2  # a part of A goes over to B
    events = tell.night(NIGHT + timedelta(2), status)
    assert events == ["r5c5 shrunk", "r8c5 grown"]
    assert tell.alert("r8c5").area_ha == pytest.approx(0.26, rel=3e-3)


def test_an_alert_without_pixels_is_withdrawn_for_good(tell: Teller, status: AnyArray) -> None:
    status[5:9, 5:9] = 3
    tell.night(NIGHT, status)
    assert tell.night(NIGHT + timedelta(1), np.ones_like(status)) == ["r5c5 withdrawn"]
    alert = tell.alert("r5c5")
    assert alert.reason is not None
    assert "2027-06-02" in alert.reason
    assert "2027-06-01" in alert.reason
    assert alert.area_ha == pytest.approx(0.16, rel=3e-3)
    tell.night(NIGHT + timedelta(2), status)
    assert tell.last is not None
    assert [a.id for a in tell.last.alerts] == ["demo-20270601-r5c5", "demo-20270603-r5c5"]


def test_a_still_confirmed_alert_is_finished_and_growth_reopens_it(tell: Teller, status: AnyArray) -> None:
    status[5:9, 5:9] = 4
    status[20:24, 5:9] = 2
    tell.night(NIGHT, status)
    assert tell.night(NIGHT + timedelta(89), status) == []
    assert tell.night(NIGHT + timedelta(90), status) == ["r5c5 finished"], "a flagged alert isn't finished"
    assert tell.alert("r5c5").last_changed == NIGHT
    assert tell.night(NIGHT + timedelta(200), status) == []
    status[9, 5] = 2
    assert tell.night(NIGHT + timedelta(201), status) == ["r5c5 grown", "r5c5 reopened"]
    assert tell.alert("r5c5").status is AlertStatus.CONFIRMED
    assert tell.alert("r5c5").last_changed == NIGHT + timedelta(201)


def test_ids_and_intervals_hold_across_leap_day_and_new_year(tell: Teller, status: AnyArray) -> None:
    nights = [date(2027, 12, 31), date(2028, 1, 1), date(2028, 2, 28), date(2028, 2, 29), date(2028, 3, 1)]
    for n, night in enumerate(nights):
        status[10 * n : 10 * n + 4, 5:9] = 4
        tell.night(night, status)
    assert tell.last is not None
    born = [a.id for a in tell.last.alerts]
    assert born == [f"demo-{night:%Y%m%d}-r{10 * n}c5" for n, night in enumerate(nights)], "sorted by id is by night"
    assert [a.first_seen for a in tell.last.alerts] == nights
    finished = {day: tell.night(day, status) for day in (date(2028, 5, 28), date(2028, 5, 29), date(2028, 5, 30))}
    assert [e for e in finished[date(2028, 5, 28)] if e.startswith("r20")] == ["r20c5 finished"]
    assert finished[date(2028, 5, 29)] == ["r30c5 finished"]
    assert finished[date(2028, 5, 30)] == ["r40c5 finished"]


def test_districts_are_asked_once_per_outline(tell: Teller, status: AnyArray, context_of: ContextOf) -> None:
    asked: list[int] = []

    def lookup(shapes: AnyArray) -> list[str | None]:
        asked.append(len(shapes))
        return ["Paser"] * len(shapes)

    status[5:9, 5:9] = 3
    pixels = tell.pixels_of(status, NIGHT)
    first = track(None, pixels, context_of(NIGHT, districts=lookup))
    second = track(first, pixels, context_of(NIGHT + timedelta(1), districts=lookup))
    assert [a.district for a in second.alerts] == ["Paser"]
    assert asked == [1, 0]


def test_rules_decide(pixels_of: PixelsOf, context_of: ContextOf, status: AnyArray) -> None:
    status[5, 5:10] = 4
    rules = AlertRules(mmu_ha=0.05, finish_days=1)
    first = track(None, pixels_of(status, NIGHT), context_of(NIGHT, rules=rules))
    later = NIGHT + timedelta(1)
    second = track(first, pixels_of(status, later), context_of(later, rules=rules))
    assert [a.status for a in second.alerts] == [AlertStatus.FINISHED]


def test_nights_go_forward_only(pixels_of: PixelsOf, context_of: ContextOf, status: AnyArray) -> None:
    first = track(None, pixels_of(status, NIGHT), context_of(NIGHT))
    with pytest.raises(LedgerError, match="2027-06-01"):
        track(first, pixels_of(status, NIGHT), context_of(NIGHT))
    naive = replace(context_of(NIGHT), at=datetime(2027, 6, 1, 22))  # noqa: DTZ001
    with pytest.raises(LedgerError, match="zone"):
        track(None, pixels_of(status, NIGHT), naive)


def test_a_table_out_of_order_is_refused(pixels_of: PixelsOf, context_of: ContextOf, status: AnyArray) -> None:
    status[5, 5:20] = 2
    table = pixels_of(status, NIGHT)
    for wrong in (
        replace(table, col=table.col[::-1]),
        replace(table, col=table.col * 0),
        replace(table, col=table.col + 50),
    ):
        with pytest.raises(LedgerError, match="sorted"):
            track(None, wrong, context_of(NIGHT))
