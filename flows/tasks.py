"""One-line tasks: ids and dates in, summaries out. Whether a task is tried again is a property of the error."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, TypedDict

from prefect import Task, task
from prefect.client.schemas.objects import State, TaskRun

from enggang.aoi import list_aois
from enggang.errors import is_retryable
from enggang.settings import load_settings
from enggang.stages.job import last_closed_night, next_update, open_job
from enggang.stages.night import backfill, run_night
from enggang.stages.report import report_night
from enggang.stages.summary import NightSummary
from flows.runtime import RunLog

#: Seconds before each new try. A lease is taken over after two minutes of silence at most, so the last try comes later.
DELAYS = (15.0, 45.0, 120.0)


def can_retry(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    """True where the error's kind says that another try can help."""
    error = state.result(raise_on_failure=False)
    return isinstance(error, BaseException) and is_retryable(error)


class _Policy(TypedDict):
    retries: int
    retry_delay_seconds: list[float]
    retry_condition_fn: Any


RETRIES = _Policy(retries=len(DELAYS), retry_delay_seconds=list(DELAYS), retry_condition_fn=can_retry)


@task(tags={"read"})
def list_areas() -> list[str]:
    """Ids of all areas."""
    return list_aois(load_settings().aoi_dir)


@task(task_run_name="due-{aoi}", tags={"read"})
def due_night(aoi: str, moment: datetime) -> date:
    """The last night that is over at `moment` where the area lies."""
    return last_closed_night(moment, open_job(aoi, load_settings()).aoi.properties.timezone)


@task(task_run_name="night-{aoi}-{night}", tags={"write"}, **RETRIES)
def night(aoi: str, night: date) -> dict[str, Any]:
    """One night; its summary as JSON."""
    return run_night(open_job(aoi, load_settings()), night, progress=RunLog()).model_dump(mode="json")


@task(task_run_name="nights-{aoi}-{first}-{last}", tags={"write"}, **RETRIES)
def nights(aoi: str, first: date, last: date, every_product: bool) -> list[dict[str, Any]]:
    """A range of nights; their summaries as JSON. A new try goes on where the last one was cut off."""
    runs = backfill(open_job(aoi, load_settings()), first, last, every_product, RunLog())
    return [summary.model_dump(mode="json") for summary in runs]


@task(task_run_name="report-{aoi}", tags={"read"})
def report(aoi: str, summary: dict[str, Any], moment: datetime) -> dict[str, str]:
    """The night in words: title, and the text in both languages."""
    area = open_job(aoi, load_settings()).aoi
    told = report_night(area, NightSummary.model_validate(summary), next_update(moment, area.properties.timezone))
    return {"title": told.title, "id": told.text("id"), "en": told.text("en")}
