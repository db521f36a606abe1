"""One night of one AOI, whole: find scenes, update belief, track alerts, publish, and say what was done."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from enggang import __version__
from enggang.alerts.records import AlertStatus, LedgerNight
from enggang.errors import StateError
from enggang.files import require_free_space
from enggang.monitors.history import Commit
from enggang.monitors.schema import BELIEF
from enggang.monitors.writer import Writer
from enggang.publish.products import publish_night
from enggang.publish.release import NightRelease, PublishedNight
from enggang.stages.alerts import ledger_of, track_night, versions_of
from enggang.stages.baseline import fit_baseline
from enggang.stages.coverage import measure_coverage
from enggang.stages.imagery import before_and_after
from enggang.stages.ingest import Ingested, catch_up
from enggang.stages.job import Job
from enggang.stages.progress import Progress, Silent
from enggang.stages.scenes import Found, discover
from enggang.stages.summary import LASTING, NightSummary, inputs_digest, read_summary, write_summary
from enggang.types import Failure

OWNER = "nightly"


@dataclass(frozen=True, slots=True)
class NightOptions:
    """`publish`: write products (the ledger is always written). `found`: scenes searched already, for a range."""

    publish: bool = True
    found: Found | None = None


def run_night(
    job: Job, night: date, options: NightOptions | None = None, progress: Progress | None = None
) -> NightSummary:
    """Run one night; killed anywhere and run again, it ends in the same state, alerts and products.

    A night that was done with the same inputs returns its summary with `already_done` and writes nothing.
    Raises `DiskFull`, `StateLocked`, `SourceError`, and `StateError` for a night that later ones stand upon.
    """
    options, progress = options or NightOptions(), progress or Silent()
    require_free_space(job.settings.home, job.settings.min_free_share)
    found = options.found or discover(job, night)
    found = found.up_to(night, job.aoi.properties.timezone)
    path = job.layout.run(job.aoi.id, night)
    inputs = inputs_digest(job, found.monitored, night)
    done = read_summary(path)
    if done is not None and _is_done(job, done, inputs, options.publish):
        return done.model_copy(update={"already_done": True})
    _require_last(job, night)
    with job.store.writer(OWNER, job.settings.lease_seconds) as writer:
        failures = [*found.failures, *_require_baseline(job, writer, found, progress)]
        ingested = catch_up(job, writer, found.monitored, progress)
        reader = job.store.reader()
        tracked = track_night(job, reader, writer.log(), night)
        published = _publish(job, tracked, writer.log(), ingested) if options.publish else None
        summary = _summarise(job, night, inputs, (tracked, ingested, published), failures, writer.log())
        write_summary(path, summary)
    return summary


def backfill(
    job: Job, first: date, last: date, every_product: bool = False, progress: Progress | None = None
) -> Iterator[NightSummary]:
    """Run the nights from `first` to `last`, both included, in order; products for the last one, or for `every` one."""
    found = discover(job, last, first)
    progress = progress or Silent()
    with progress.step("nights", (last - first).days + 1) as tick:
        for offset in range((last - first).days + 1):
            night = first + timedelta(days=offset)
            options = NightOptions(publish=every_product or night == last, found=found)
            yield run_night(job, night, options, progress)
            tick()


def _is_done(job: Job, done: NightSummary, inputs: str, publish: bool) -> bool:
    """Whether a night needs no second run: it was complete with the same inputs, or later nights stand upon it and try
    again what it left out. A summary without the night it tells of is nothing."""
    nights = ledger_of(job).nights() if job.store.exists() else []
    if done.night not in nights:
        return False
    return done.night < nights[-1] or (done.inputs == inputs and done.serves(publish))


def _require_last(job: Job, night: date) -> None:
    later = [n for n in ledger_of(job).nights() if n > night]
    if later:
        raise StateError(
            f"{job.aoi.id}: {night} can't be run, {later[-1]} stands upon it",
            f"go back first: enggang rollback --aoi {job.aoi.id} --to {night - timedelta(days=1)}",
        )


def _require_baseline(job: Job, writer: Writer, found: Found, progress: Progress) -> list[Failure]:
    if not job.store.exists():
        writer.create(job.identity, BELIEF)
    job.store.identity().require(job.identity)
    if any(commit.kind == "baseline" for commit in writer.log()):
        return []
    return fit_baseline(job, writer, found.history, progress)


def _publish(job: Job, tracked: LedgerNight, commits: Sequence[Commit], ingested: Ingested) -> PublishedNight:
    images = before_and_after(job, tracked.night)
    before, after = images if images is not None else (None, None)
    release = NightRelease(
        aoi=job.aoi,
        night=tracked.night,
        at=job.run_time(tracked.night),
        versions=versions_of(job, commits),
        # A merged alert is part of its survivor: on a map its outline would lie twice. The ledger keeps it.
        alerts=tuple(alert for alert in tracked.alerts if alert.status is not AlertStatus.MERGED),
        events=tracked.events,
        read=job.store.reader().read,
        before=before,
        after=after,
        sources=tuple(c.scene_id for c in commits if c.kind == "scene" and c.night == tracked.night),
    )
    return publish_night(release, job.layout)


def _summarise(
    job: Job,
    night: date,
    inputs: str,
    results: tuple[LedgerNight, Ingested, PublishedNight | None],
    failures: Sequence[Failure],
    commits: Sequence[Commit],
) -> NightSummary:
    tracked, ingested, published = results
    earlier = [n for n in ledger_of(job).nights() if n < night]
    since = max(earlier, default=date.min)
    everything = (*failures, *ingested.failures, *(published.failures if published else ()))
    last = {c.extra["sensor"]: c.acquired for c in commits if c.kind == "scene" and c.acquired}
    return NightSummary(
        aoi=job.aoi.id,
        monitor=job.monitor.key,
        night=night,
        at=job.run_time(night),
        software=__version__,
        inputs=inputs,
        outcome="incomplete" if any(f.kind not in LASTING for f in everything) else "complete",
        applied=tuple(c.scene_id for c in commits if c.night is not None and since < c.night <= night),
        replayed=ingested.replayed,
        failures=everything,
        alerts=dict(sorted(Counter(alert.status.value for alert in tracked.alerts).items())),
        events=dict(sorted(Counter(event.kind.value for event in tracked.events).items())),
        last_scene=dict(sorted(last.items())),
        coverage=measure_coverage(job, job.store.reader(), night),
        published=published is not None and published.complete,
        layers=dict(published.layers) if published else {},
        files=dict(published.alerts) if published else {},
        picture=published.picture if published else None,
    )
