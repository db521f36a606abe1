"""The whole job on the demo archive: simulated scenes with known truth, through the same steps as real ones."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from enggang.layout import Layout
from enggang.monitors.config import load_monitor
from enggang.settings import Settings
from enggang.simulate import DemoSpec, demo_aoi, write_demo_archive
from enggang.simulate.passes import overpasses
from enggang.sources.registry import open_source
from enggang.stages.job import Job
from enggang.stages.night import backfill
from enggang.stages.progress import Progress
from enggang.stages.summary import NightSummary

#: Name of the demo's archive below the home folder, and of its entry in the dataset catalogue.
ARCHIVE = "demo"


@dataclass(frozen=True, slots=True)
class DemoRun:
    """What the demo did. `last`: its last night; `nights` and `scenes`: how many were run and applied now, 0 where all
    was done before."""

    job: Job
    archive: Path
    last: NightSummary
    nights: int
    scenes: int


def run_demo(settings: Settings, spec: DemoSpec, progress: Progress) -> DemoRun:
    """Write the archive of `spec`, fit the baseline, and run every night of its monitoring period.

    Safe to repeat: what is done is left as it is. Raises `ConfigError` where the home folder holds another demo,
    `DiskFull`, `StateLocked`.
    """
    catalogue = _archive(Layout(settings.home), spec, progress)
    aoi = demo_aoi(spec)
    job = Job(aoi, load_monitor(aoi.properties.monitors[0]), settings, open_source(str(catalogue)))
    summaries = list(backfill(job, spec.monitor_from, spec.end, progress=progress))
    fresh = [summary for summary in summaries if not summary.already_done]
    return DemoRun(job, catalogue.parent, summaries[-1], len(fresh), sum(len(s.applied) for s in fresh))


def _archive(layout: Layout, spec: DemoSpec, progress: Progress) -> Path:
    """Write the archive, and hand on how far it is: it tells (done, in all), a step wants ticks."""
    told = 0
    with progress.step("archive", len(overpasses(spec))) as tick:

        def tell(done: int, _total: int) -> None:
            nonlocal told
            for _ in range(told, done):
                tick()
            told = done

        return write_demo_archive(layout.archive(ARCHIVE), spec, tell)
