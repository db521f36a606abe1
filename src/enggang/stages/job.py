"""What every step of a night is given."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import cached_property
from zoneinfo import ZoneInfo

from enggang.aoi import Aoi, load_aoi
from enggang.catalog import open_catalog
from enggang.errors import AoiError
from enggang.layout import Layout
from enggang.monitors.block import Engine
from enggang.monitors.config import MonitorConfig, load_monitor
from enggang.monitors.device import pick_device
from enggang.monitors.schema import StateIdentity
from enggang.monitors.state import StateStore
from enggang.settings import Settings
from enggang.sources.base import Source
from enggang.sources.registry import DeferredSource

#: The nightly run starts at this local time, when the day it is about is over; its alerts are there by the second.
RUN_AT, READY_BY = time(2, 0), time(6, 0)


@dataclass(frozen=True)
class Job:
    """One AOI, its monitor, where its scenes come from and where everything is kept."""

    aoi: Aoi
    monitor: MonitorConfig
    settings: Settings
    source: Source

    @cached_property
    def layout(self) -> Layout:
        """Paths below the home folder."""
        return Layout(self.settings.home)

    @cached_property
    def store(self) -> StateStore:
        """The monitor's state."""
        return StateStore(self.layout.state(self.aoi.id, self.monitor.key))

    @cached_property
    def identity(self) -> StateIdentity:
        """What the state must be; see `StateIdentity.require`."""
        return StateIdentity(self.aoi.id, self.monitor.key, self.monitor.digest, self.aoi.geobox, self.settings.block)

    @cached_property
    def workers(self) -> int:
        """Dask threads."""
        return self.settings.workers or os.cpu_count() or 1

    @cached_property
    def engine(self) -> Engine:
        """Where kernels run."""
        height, width = self.identity.shape
        return Engine(pick_device(self.settings.device), self.settings.compile, height * width)

    def closes(self, night: date) -> datetime:
        """The UTC end of a night: local midnight after it. Scenes acquired before belong to it or to earlier ones."""
        zone = ZoneInfo(self.aoi.properties.timezone)
        return datetime.combine(night + timedelta(days=1), time(), zone)

    def run_time(self, night: date) -> datetime:
        """The nominal UTC time of the night's run, the only time that enters a product."""
        zone = ZoneInfo(self.aoi.properties.timezone)
        return datetime.combine(night + timedelta(days=1), RUN_AT, zone).astimezone(ZoneInfo("UTC"))


def open_job(aoi_id: str, settings: Settings, source: str | None = None) -> Job:
    """Put a job together from the AOI's file and the settings; `source` overrides the AOI's own.

    The source is opened by the first search. Raises `AoiError`, `ConfigError`.
    """
    aoi = load_aoi(aoi_id, settings.aoi_dir)
    if len(aoi.properties.monitors) != 1:
        raise AoiError(f"AOI {aoi_id} names {len(aoi.properties.monitors)} monitors", "name one forest monitor")
    monitor = load_monitor(aoi.properties.monitors[0])
    catalog = open_catalog(settings.catalog, settings.home)
    return Job(aoi, monitor, settings, DeferredSource(source or aoi.properties.source, catalog))


def last_closed_night(now: datetime, timezone: str) -> date:
    """The night that a run started at `now` (UTC-aware) is about: yesterday in local time."""
    return now.astimezone(ZoneInfo(timezone)).date() - timedelta(days=1)


def next_update(now: datetime, timezone: str) -> datetime:
    """When, in local time, the alerts of the next run after `now` (UTC-aware) are there at the latest."""
    zone = ZoneInfo(timezone)
    local = now.astimezone(zone)
    day = local.date() if local.time() < RUN_AT else local.date() + timedelta(days=1)
    return datetime.combine(day, READY_BY, zone)
