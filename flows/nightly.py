"""All areas, one night, and what came of it as an artifact."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any

from prefect import flow
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.states import Completed, Failed

from flows import tasks
from flows.forest import forest

SUMMARY, TABLE = "enggang-nightly", "enggang-nightly-table"
WARNED = "CompletedWithWarnings"


@flow(name="nightly")
def nightly(aois: list[str] | None = None, night: date | None = None) -> State[Any]:
    """Run a night for `aois` (default: all areas); one that fails is recorded and the rest goes on.

    Areas follow each other, since the pixels of one use every core already. Without `night` each takes the last one
    that was over at the scheduled start, so that a slot that starts late or twice is about the same night. The result
    is {"done": {aoi: run summary}, "failed": {aoi: reason}}. The run is Completed where all went well,
    CompletedWithWarnings (a Completed state) where an area failed or left a scene or product out, and Failed only
    where no area was done: somebody gets alerts, so the night was worth it.
    """
    moment = _scheduled()
    done: dict[str, dict[str, Any]] = {}
    failed: dict[str, str] = {}
    for aoi in tasks.list_areas() if aois is None else dict.fromkeys(aois):
        state = forest(aoi, moment, night, return_state=True)
        outcome = state.result(raise_on_failure=False)
        if isinstance(outcome, dict):
            done[aoi] = outcome
        else:
            failed[aoi] = f"{type(outcome).__name__}: {outcome}"
    _tell(done, failed)
    return _conclude(done, failed)


def _scheduled() -> datetime:
    """When this run was due, in UTC."""
    scheduled = flow_run.scheduled_start_time
    return datetime.now(UTC) if scheduled is None else datetime.fromtimestamp(scheduled.timestamp(), UTC)


def _tell(done: dict[str, dict[str, Any]], failed: dict[str, str]) -> None:
    create_markdown_artifact(_markdown(done, failed), key=SUMMARY, description="What the night brought, by area.")
    create_table_artifact(_rows(done, failed), key=TABLE, description="Counts of the night, by area.")


def _markdown(done: dict[str, dict[str, Any]], failed: dict[str, str]) -> str:
    lines = [f"# {len(done)} of {len(done) + len(failed)} areas done", ""]
    for outcome in done.values():
        told = outcome["report"]
        lines += [f"## {told['title']}", "", told["id"], "", told["en"], ""]
        lines += [f"- left out: `{f['what']}` ({f['kind']}): {f['reason']}" for f in outcome["summary"]["failures"]]
    if failed:
        lines += ["## Failed", "", *(f"- **{aoi}**: {reason}" for aoi, reason in failed.items())]
    return "\n".join(lines)


def _rows(done: dict[str, dict[str, Any]], failed: dict[str, str]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = [_row(aoi, outcome["summary"]) for aoi, outcome in done.items()]
    return rows + [{"area": aoi, "outcome": reason} for aoi, reason in failed.items()]


def _row(aoi: str, summary: dict[str, Any]) -> dict[str, Any]:
    return {
        "area": aoi,
        "night": summary["night"],
        "outcome": "already done" if summary["already_done"] else summary["outcome"],
        "scenes": len(summary["applied"]),
        "new": summary["events"].get("created", 0),
        "confirmed": summary["events"].get("confirmed", 0),
        "left out": len(summary["failures"]),
        "published": summary["published"],
    }


def _conclude(done: dict[str, dict[str, Any]], failed: dict[str, str]) -> State[Any]:
    document = {"done": {aoi: outcome["summary"] for aoi, outcome in done.items()}, "failed": failed}
    if failed and not done:
        return Failed(message="no area was done: " + _list(failed))
    incomplete = [aoi for aoi, summary in document["done"].items() if summary["outcome"] != "complete"]
    if failed or incomplete:
        return Completed(name=WARNED, message="look at: " + _list([*failed, *incomplete]), data=document)
    return Completed(message=f"{len(done)} done", data=document)


def _list(names: Sequence[str] | dict[str, str]) -> str:
    return ", ".join(names)
