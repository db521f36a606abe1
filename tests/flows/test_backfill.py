"""A range of nights as a flow, and the same nights by the nightly flow."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from enggang.settings import load_settings
from enggang.stages.alerts import ledger_of
from enggang.stages.job import open_job
from flows.backfill import backfill
from flows.nightly import nightly

if TYPE_CHECKING:
    from conftest import RadarArea

pytestmark = pytest.mark.xdist_group("prefect")

Snapshot = Callable[[Path], dict[str, tuple[int, str]]]


@pytest.fixture
def area(radar_area: RadarArea, settled: Path) -> RadarArea:
    radar_area.write_aoi(settled.parent / "aoi")
    return radar_area


def test_a_range_has_every_night_and_products_of_the_last(
    area: RadarArea, settled: Path, snapshot_of: Snapshot
) -> None:
    first, last = area.monitored[0], area.monitored[2]
    summaries = backfill(area.id, first, last)
    assert [s["night"] for s in summaries][:: (last - first).days] == [first.isoformat(), last.isoformat()]
    assert sum(len(s["applied"]) for s in summaries) == 3
    assert [s["published"] for s in summaries] == [False] * (len(summaries) - 1) + [True]
    nights = ledger_of(open_job(area.id, load_settings())).nights()
    assert len(nights) == (last - first).days + 1

    before = snapshot_of(settled)
    again = backfill(area.id, first, last)
    assert all(s["already_done"] for s in again)
    assert snapshot_of(settled) == before


def test_the_nightly_flow_goes_on_where_a_backfill_ended(area: RadarArea) -> None:
    backfill(area.id, area.monitored[0], area.monitored[1])
    result = nightly([area.id], area.monitored[2])
    assert len(result["done"][area.id]["applied"]) == 1
