"""A range of past nights."""

from __future__ import annotations

from datetime import date
from typing import Any

from prefect import flow

from flows import tasks


@flow(name="backfill", flow_run_name="backfill-{aoi}-{first}-{last}")
def backfill(aoi: str, first: date, last: date, every_product: bool = False) -> list[dict[str, Any]]:
    """Run the nights of `aoi` from `first` to `last`, both included, in order; the run summary of each.

    Products are written for the last night, or with `every_product` for all; the ledger has every night. Cut off
    anywhere, the same run goes on from there.
    """
    return tasks.nights(aoi, first, last, every_product)
