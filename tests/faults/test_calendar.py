"""FAULTS 21 and 22 for whole nights: midnight here and there, the leap day, New Year, clocks that step."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

from enggang.aoi import parse_aoi
from enggang.monitors.config import load_monitor
from enggang.monitors.reader import content_digest
from enggang.settings import Settings
from enggang.sources.builder import BuildSpec, build_catalog
from enggang.sources.registry import open_source
from enggang.stages.alerts import ledger_of
from enggang.stages.job import Job
from enggang.stages.night import NightOptions, backfill, run_night
from enggang.types import day_of

SIZE = 24
BEGIN = date(2027, 12, 20)
#: The patch is bare from here on.
CLEARED = datetime(2027, 12, 31, 12, tzinfo=UTC)
QUIET = NightOptions(publish=False)

#: Acquisitions and the night in Asia/Makassar (UTC+8) that each belongs to.
NIGHT_OF = {
    "2027-12-25T10:00:00": date(2027, 12, 25),
    "2027-12-31T15:59:59": date(2027, 12, 31),
    "2027-12-31T16:00:01": date(2028, 1, 1),
    "2027-12-31T23:59:59": date(2028, 1, 1),
    "2028-01-01T00:00:01": date(2028, 1, 1),
    "2028-02-28T15:59:59": date(2028, 2, 28),
    "2028-02-28T17:30:00": date(2028, 2, 29),
    "2028-02-29T15:59:59": date(2028, 2, 29),
    "2028-02-29T17:30:00": date(2028, 3, 1),
}
PATTERN = r"(?P<year>\d{4})(?P<month>\d\d)(?P<day>\d\d)T(?P<hour>\d\d)(?P<minute>\d\d)(?P<second>\d\d)"


def acquisitions() -> list[datetime]:
    history = [datetime(2027, 11, 20, 10, tzinfo=UTC) - timedelta(days=12 * n) for n in range(12)]
    return sorted([*history, *(datetime.fromisoformat(text).replace(tzinfo=UTC) for text in NIGHT_OF)])


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Radar scenes of 24 × 24 pixels in dB: forest at −12, the patch 5 dB below once it is bare."""
    folder = tmp_path_factory.mktemp("scenes")
    rng = np.random.default_rng(22)
    profile = {"driver": "GTiff", "count": 1, "width": SIZE, "height": SIZE, "dtype": "float32", "nodata": -9999.0}
    place = {"crs": "EPSG:32750", "transform": from_origin(453_000, 9_903_000, 20, 20)}
    for moment in acquisitions():
        values = rng.normal(-12, 0.5, (SIZE, SIZE))
        if moment >= CLEARED:
            values[6:14, 8:16] -= 5
        with rasterio.open(folder / f"s1_{moment:%Y%m%dT%H%M%S}_vh.tif", "w", **profile, **place) as file:
            file.write(values.astype("float32"), 1)
    spec = BuildSpec("radar", "sar", unit="dB", date_pattern=PATTERN, orbit_state="descending", bands=("vh",))
    return build_catalog(folder, folder / "catalogue", spec).catalogue


@pytest.fixture(scope="module")
def job_at(catalogue: Path) -> Callable[[Path], Job]:
    properties = {
        "id": "calendar", "name_id": "kalender", "name_en": "calendar", "crs": "EPSG:32750", "resolution_m": 20,
        "monitors": ["riau"], "monitor_from": BEGIN.isoformat(),
        "grid": {"shape": [SIZE, SIZE], "transform": [20, 0, 453_000, 0, -20, 9_903_000]},
    }  # fmt: skip
    ring = [[116.577, -0.882], [116.582, -0.882], [116.582, -0.877], [116.577, -0.877], [116.577, -0.882]]
    feature = {"type": "Feature", "properties": properties, "geometry": {"type": "Polygon", "coordinates": [ring]}}

    def make(home: Path) -> Job:
        settings = Settings(home=home, min_free_share=0, workers=1)
        return Job(parse_aoi(feature, "the test's AOI"), load_monitor("riau"), settings, open_source(str(catalogue)))

    return make


@pytest.fixture(scope="module")
def walked(job_at: Callable[[Path], Job], tmp_path_factory: pytest.TempPathFactory) -> tuple[Job, dict[date, Any]]:
    """Every night from before New Year to after the leap day, one by one."""
    job = job_at(tmp_path_factory.mktemp("walked"))
    nights = {s.night: s for s in backfill(job, date(2027, 12, 24), date(2028, 3, 2))}
    return job, nights


def test_every_scene_belongs_to_its_local_night(walked: tuple[Job, dict[date, Any]]) -> None:
    job, nights = walked
    commits = [c for c in job.store.log() if c.kind == "scene"]
    assert {c.acquired.strftime("%Y-%m-%dT%H:%M:%S"): c.night for c in commits if c.acquired} == NIGHT_OF
    for night, summary in nights.items():
        assert summary.failures == ()
        assert len(summary.applied) == list(NIGHT_OF.values()).count(night), night


def test_the_ledger_has_every_night_once_and_in_order(walked: tuple[Job, dict[date, Any]]) -> None:
    job, nights = walked
    expected = [date(2027, 12, 24) + timedelta(n) for n in range(70)]
    assert expected[-1] == date(2028, 3, 2)
    assert date(2028, 2, 29) in expected
    assert ledger_of(job).nights() == expected == list(nights)
    assert [s.at for s in nights.values()] == sorted({s.at for s in nights.values()})
    assert all(
        s.at == datetime.combine(s.night, datetime.min.time(), UTC) + timedelta(hours=18) for s in nights.values()
    )
    events = ledger_of(job).events_between(expected[0], expected[-1])
    assert len({e.id for e in events}) == len(events)
    assert [e.night for e in events] == sorted(e.night for e in events)


def test_an_alert_of_new_year_has_its_dates_right(walked: tuple[Job, dict[date, Any]]) -> None:
    job, _ = walked
    (alert,) = ledger_of(job).read(date(2028, 3, 2)).alerts
    assert alert.status.value == "confirmed"
    assert alert.first_disturbed == date(2027, 12, 31)  # the UTC date of the observation
    assert alert.first_seen <= date(2028, 1, 1)
    days = job.store.reader().read("last_valid", (slice(0, SIZE), slice(0, SIZE)))
    assert {day_of(n) for n in np.unique(days)} == {date(2028, 2, 29)}


@pytest.mark.parametrize("step", [-timedelta(hours=1), timedelta(days=400)])
def test_nights_run_one_by_one_end_as_a_range_does_whatever_the_clock_says(
    step: timedelta,
    walked: tuple[Job, dict[date, Any]],
    job_at: Callable[[Path], Job],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The wall clock steps between the nights; nothing that is kept comes from it."""
    job = job_at(tmp_path)
    real = time.time
    for number, night in enumerate(sorted({*NIGHT_OF.values(), date(2028, 3, 2)})):
        monkeypatch.setattr(time, "time", lambda n=number: real() + n * step.total_seconds())
        assert run_night(job, night, QUIET).failures == ()
    (alert,), (expected,) = (ledger_of(j).read(date(2028, 3, 2)).alerts for j in (job, walked[0]))
    assert content_digest(job.store.reader()) == content_digest(walked[0].store.reader())
    assert alert == expected


def test_what_comes_a_second_after_midnight_waits_for_the_next_night(
    job_at: Callable[[Path], Job], tmp_path: Path
) -> None:
    job = job_at(tmp_path)
    run_night(job, date(2027, 12, 31), QUIET)
    assert [c.night for c in job.store.log() if c.night][-1] == date(2027, 12, 31)
    assert len(run_night(job, date(2028, 1, 1), QUIET).applied) == 3
