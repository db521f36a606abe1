"""prefect.yaml by Prefect's own loader, down to what a server would be sent."""

from __future__ import annotations

import io
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from prefect.cli.deploy._config import _load_deploy_configs_and_actions
from prefect.client.schemas.schedules import CronSchedule
from prefect.flows import load_flow_from_entrypoint
from rich.console import Console

from enggang.aoi import list_aois, load_aoi

pytestmark = pytest.mark.xdist_group("prefect")


@pytest.fixture(scope="module")
def deployments(repository: Path) -> dict[str, dict[str, Any]]:
    told = io.StringIO()
    found, _ = _load_deploy_configs_and_actions(repository / "prefect.yaml", console=Console(file=told))
    assert told.getvalue() == ""  # the loader prints what it doesn't understand, and skips it
    return {one["name"]: one for one in found}


@pytest.fixture
def in_repository(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Entrypoints are relative to the checkout."""
    monkeypatch.chdir(repository)


@pytest.mark.parametrize("name", ["nightly", "backfill"])
def test_entrypoints_are_flows_that_take_the_parameters(
    deployments: dict[str, dict[str, Any]], in_repository: None, name: str
) -> None:
    one = deployments[name]
    flow = load_flow_from_entrypoint(one["entrypoint"])
    assert flow.name == name
    given = {"aoi": "ikn", "first": "2026-01-01", "last": "2026-01-02"} if name == "backfill" else {}
    flow.validate_parameters(one.get("parameters", {}) | given)


def test_the_nightly_slot_is_two_in_the_morning_in_east_kalimantan(deployments: dict[str, dict[str, Any]]) -> None:
    (schedule,) = deployments["nightly"]["schedules"]
    assert CronSchedule(cron=schedule["cron"], timezone=schedule["timezone"]).cron == "0 2 * * *"
    assert schedule["timezone"] == "Asia/Makassar"


def test_one_run_at_a_time_and_a_busy_slot_is_not_queued(deployments: dict[str, dict[str, Any]]) -> None:
    assert deployments["nightly"]["concurrency_limit"] == {"limit": 1, "collision_strategy": "CANCEL_NEW"}


def test_a_backfill_has_no_schedule(deployments: dict[str, dict[str, Any]]) -> None:
    assert not {"schedule", "schedules"} & set(deployments["backfill"])


def test_the_areas_of_the_schedule_exist(deployments: dict[str, dict[str, Any]], repository: Path) -> None:
    assert set(deployments["nightly"]["parameters"]["aois"]) <= set(list_aois(repository / "aoi"))


def test_no_two_areas_of_the_schedule_hold_the_same_ground(
    deployments: dict[str, dict[str, Any]], repository: Path
) -> None:
    """One clearing in two areas would be two alerts for the same officer."""
    areas = [load_aoi(one, repository / "aoi") for one in deployments["nightly"]["parameters"]["aois"]]
    assert not any(a.geometry.intersects(b.geometry) for a, b in combinations(areas, 2))
    ikn, kaltim = (load_aoi(one, repository / "aoi") for one in ("ikn", "kaltim"))
    assert ikn.geometry.intersects(kaltim.geometry)
