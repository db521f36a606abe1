"""The nightly flow on real rasters: every area by itself, safe to run twice, tried again where that helps."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from prefect.artifacts import Artifact
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import TaskRunFilter, TaskRunFilterName
from prefect.states import Crashed

from enggang.errors import SourceError, SourceUnavailable, StateLocked
from enggang.monitors.state import StateStore
from enggang.settings import load_settings
from enggang.stages.job import open_job
from flows import tasks
from flows.nightly import SUMMARY, TABLE, WARNED, nightly

if TYPE_CHECKING:
    from conftest import RadarArea

pytestmark = pytest.mark.xdist_group("prefect")

Snapshot = Callable[[Path], dict[str, tuple[int, str]]]


@pytest.fixture
def area(radar_area: RadarArea, settled: Path) -> RadarArea:
    radar_area.write_aoi(settled.parent / "aoi")
    return radar_area


def test_a_night_applies_alerts_and_publishes(area: RadarArea, settled: Path) -> None:
    result = nightly([area.id], area.monitored[-1])
    assert result["failed"] == {}
    summary = result["done"][area.id]
    assert len(summary["applied"]) == len(area.monitored)
    assert summary["outcome"] == "complete"
    assert summary["alerts"] == {"confirmed": 1}
    assert summary["published"]
    assert (settled / "products" / "latest.json").is_file()
    assert all((settled / "products" / href).is_file() for href in summary["files"].values())


def test_the_same_slot_twice_writes_nothing(area: RadarArea, settled: Path, snapshot_of: Snapshot) -> None:
    first = nightly([area.id], area.monitored[-1])
    before = snapshot_of(settled)
    again = nightly([area.id], area.monitored[-1])
    assert snapshot_of(settled) == before
    assert not first["done"][area.id]["already_done"]
    assert again["done"][area.id]["already_done"]


def test_a_finished_run_that_was_marked_crashed_publishes_nothing_again(
    area: RadarArea, settled: Path, snapshot_of: Snapshot
) -> None:
    state = nightly([area.id], area.monitored[-1], return_state=True)
    before = snapshot_of(settled)
    assert state.state_details.flow_run_id is not None
    with get_client(sync_client=True) as client:
        client.set_flow_run_state(state.state_details.flow_run_id, Crashed(), force=True)
        assert client.read_flow_run(state.state_details.flow_run_id).state.is_crashed()
    assert nightly([area.id], area.monitored[-1])["done"][area.id]["already_done"]
    assert snapshot_of(settled) == before


def test_a_bad_area_does_not_stop_a_good_one(area: RadarArea, settled: Path) -> None:
    area.write_aoi(settled.parent / "aoi", "rusak", source=str(settled / "nowhere" / "catalog.json"))
    state = nightly(None, area.monitored[-1], return_state=True)
    assert state.is_completed()
    assert state.name == WARNED
    result = state.result()
    assert list(result["done"]) == [area.id]
    assert "no source" in result["failed"]["rusak"]


def test_only_bad_areas_fail_the_run(area: RadarArea, settled: Path) -> None:
    state = nightly(["tiada"], area.monitored[-1], return_state=True)
    assert state.is_failed()
    assert "tiada" in state.message


def test_the_artifacts_say_it_in_both_languages(area: RadarArea) -> None:
    nightly([area.id, "tiada"], area.monitored[0])
    text = Artifact.get(SUMMARY)
    assert text is not None
    assert "1 of 2 areas done" in text.data
    assert "tidak ada peringatan baru" in text.data
    assert "no new alerts" in text.data
    assert "Next update by" in text.data
    assert "no AOI tiada" in text.data
    table = Artifact.get(TABLE)
    assert table is not None
    assert '"area": "hutan"' in table.data


def test_the_night_is_that_of_the_scheduled_start(area: RadarArea) -> None:
    """18.30 UTC is 02.30 WITA of the next day: the night that is over is the UTC date itself."""
    moment = datetime(2026, 1, 3, 18, 30, tzinfo=UTC)
    assert tasks.due_night.fn(area.id, moment) == date(2026, 1, 3)
    assert tasks.due_night.fn(area.id, moment - timedelta(hours=3)) == date(2026, 1, 2)


def hold_lease(folder: Path, held: Event, let_go: Event) -> None:
    """Be another process that writes the state."""
    with StateStore(folder).writer("another run", 60.0):
        held.set()
        let_go.wait(30)


def tries_of(name: str) -> int:
    with get_client(sync_client=True) as client:
        found = client.read_task_runs(task_run_filter=TaskRunFilter(name=TaskRunFilterName(any_=[name])))
        return max(run.run_count for run in found)


@pytest.fixture
def fast_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "night", tasks.night.with_options(retry_delay_seconds=[1.0, 3.0, 6.0]))


def test_a_locked_state_is_tried_again(area: RadarArea, fast_retries: None, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = open_job(area.id, load_settings()).store.folder
    context = multiprocessing.get_context("spawn")
    held, let_go = context.Event(), context.Event()
    other = context.Process(target=hold_lease, args=(folder, held, let_go))
    other.start()
    try:
        assert held.wait(60)
        night = area.monitored[0]
        asked: list[Any] = []

        def release_after_the_first_try(*given: Any) -> bool:
            asked.append(given)
            let_go.set()
            return tasks.can_retry(*given)

        patient = tasks.night.with_options(retry_condition_fn=release_after_the_first_try)
        monkeypatch.setattr(tasks, "night", patient)
        result = nightly([area.id], night)
    finally:
        let_go.set()
        other.join(30)
    assert result["done"][area.id]["outcome"] == "complete"
    assert len(asked) >= 1
    assert tries_of(f"night-{area.id}-{night}") >= 2


def test_an_error_that_stays_is_not_tried_again(area: RadarArea, settled: Path, fast_retries: None) -> None:
    area.write_aoi(settled.parent / "aoi", "tetap", source=str(settled / "nowhere" / "catalog.json"))
    nightly(["tetap"], area.monitored[0], return_state=True)
    assert tries_of(f"night-tetap-{area.monitored[0]}") == 1


@pytest.mark.parametrize(
    ("error", "again"),
    [(StateLocked("x"), True), (SourceUnavailable("x"), True), (SourceError("x"), False), (KeyError("x"), False)],
)
def test_whether_to_try_again_hangs_on_the_kind_of_error(error: Exception, again: bool) -> None:
    from prefect import flow

    @flow
    def fails() -> None:
        raise error

    state = fails(return_state=True)
    assert tasks.can_retry(tasks.night, None, state) is again  # type: ignore[arg-type]


def test_prefect_is_told_before_it_is_imported() -> None:
    assert os.environ["PREFECT_SERVER_ANALYTICS_ENABLED"] == "false"
    assert os.environ["DO_NOT_TRACK"] == "1"
    assert int(os.environ["PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS"]) >= 120
