"""One area, one night."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from prefect import flow

from flows import tasks


@flow(name="forest", flow_run_name="forest-{aoi}")
def forest(aoi: str, moment: datetime, night: date | None = None) -> dict[str, Any]:
    """Run one area's night: {"summary": the night's run summary, "report": it in words}.

    `moment` (UTC-aware) is when the run was due; without `night` it is about the last night over by then. A night that
    was done with the same scenes comes back at once and nothing is written.
    """
    summary = tasks.night(aoi, night or tasks.due_night(aoi, moment))
    return {"summary": summary, "report": tasks.report(aoi, summary, moment)}
