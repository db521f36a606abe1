"""When a night is over, when its run is due, and when people get the next alerts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enggang.stages.job import READY_BY, RUN_AT, last_closed_night, next_update

WITA = "Asia/Makassar"
MOMENTS = st.datetimes(
    datetime.fromisoformat("2015-01-01"), datetime.fromisoformat("2040-01-01"), timezones=st.just(UTC)
)
ZONES = st.sampled_from([WITA, "Asia/Jakarta", "America/La_Paz", "UTC", "Pacific/Kiritimati", "Asia/Kathmandu"])


@given(MOMENTS, ZONES)
def test_the_next_update_is_that_of_the_next_run(moment: datetime, zone: str) -> None:
    due = next_update(moment, zone)
    run = datetime.combine(due.date(), RUN_AT, ZoneInfo(zone))
    assert due.timetz() == READY_BY.replace(tzinfo=ZoneInfo(zone))
    assert moment < run <= moment + timedelta(days=1)


@given(MOMENTS, ZONES)
def test_at_the_time_of_a_run_the_night_before_is_over(moment: datetime, zone: str) -> None:
    due = next_update(moment, zone)
    run = datetime.combine(due.date(), RUN_AT, ZoneInfo(zone))
    assert last_closed_night(run, zone) == due.date() - timedelta(days=1)


@pytest.mark.parametrize(
    ("clock", "ready"),
    [
        ("2026-11-24T17:59:59+00:00", "2026-11-25 06:00:00+08:00"),  # 01.59 WITA: tonight's run is still to come
        ("2026-11-24T18:00:00+00:00", "2026-11-26 06:00:00+08:00"),  # 02.00 WITA: it is under way
        ("2028-02-28T20:00:00+00:00", "2028-03-01 06:00:00+08:00"),
        ("2026-12-31T10:00:00+00:00", "2027-01-01 06:00:00+08:00"),
    ],
)
def test_in_east_kalimantan(clock: str, ready: str) -> None:
    assert str(next_update(datetime.fromisoformat(clock), WITA)) == ready
