"""FAULTS 5: blocks on a Dask cluster of processes give what threads give, through dying workers and a broken tile."""

from __future__ import annotations

import os
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import dask
import pytest
import rasterio

from enggang.alerts.ledger_format import encode
from enggang.errors import ConfigError
from enggang.monitors.history import applied_scenes
from enggang.monitors.reader import content_digest
from enggang.stages import ingest
from enggang.stages.alerts import ledger_of
from enggang.stages.job import Job
from enggang.stages.night import NightOptions, run_night

distributed = pytest.importorskip("distributed", reason="the optional extra for clusters is not installed")

NIGHT = date(2026, 1, 21)
QUIET = NightOptions(publish=False)

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("cluster")]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Two worker processes with one thread each, that come back when they die."""
    with (
        dask.config.set({"distributed.nanny.pre-spawn-environ": {"MALLOC_TRIM_THRESHOLD_": 2**30}}),  # type: ignore[attr-defined]
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, host="127.0.0.1", dashboard_address="127.0.0.1:0"
        ) as started,
    ):
        yield started


@contextmanager
def killer(cluster: Any, often: float, times: int) -> Iterator[list[int]]:
    """SIGKILL a worker every `often` seconds, in turn, `times` in all; the pids that were killed. It must end: on a
    slow machine a new worker needs longer to start than the next kill is away."""
    stop, killed = threading.Event(), []

    def kill() -> None:
        while len(killed) < times and not stop.wait(often):
            alive = [n.pid for n in cluster.workers.values() if n.pid and n.pid not in killed]
            if len(alive) > 1:
                os.kill(alive[len(killed) % 2], signal.SIGKILL)
                killed.append(alive[len(killed) % 2])

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        yield killed
    finally:
        stop.set()
        thread.join()


def result(job: Job) -> tuple[Any, ...]:
    log = job.store.log()
    ledger = ledger_of(job)
    nights = [encode(ledger.read(n)) for n in ledger.nights()]
    return content_digest(job.store.reader()), [(c.scene_id, c.fingerprint, dict(c.extra)) for c in log], nights


def test_a_cluster_gives_what_threads_give(
    cluster: Any, make_job: Callable[..., Job], seen_home: Path, tmp_path: Path
) -> None:
    """Baseline, evidence and late scenes' rehearsal all cross to other processes and back."""
    threads = make_job(tmp_path / "threads", block=64)
    spread = make_job(tmp_path / "spread", block=64, dask_scheduler=cluster.scheduler_address)
    for job in (threads, spread):
        assert run_night(job, date(2026, 1, 6), QUIET).failures == ()
    assert result(spread) == result(threads)
    assert len(applied_scenes(spread.store.log())) == 2


def test_workers_that_are_killed_change_nothing(
    cluster: Any, make_job: Callable[..., Job], home: Path, tmp_path: Path
) -> None:
    threads = make_job(Path(shutil.copytree(home, tmp_path / "threads")))
    run_night(threads, date(2026, 1, 31), QUIET)
    job = make_job(home, dask_scheduler=cluster.scheduler_address)
    with killer(cluster, 1.0, times=4) as killed:
        assert run_night(job, date(2026, 1, 31), QUIET).failures == ()
    assert killed, "no worker died in time"
    assert result(job) == result(threads)


def break_tile(archive: Path, scene: str) -> Path:
    """Overwrite the beginning of the compressed pixels of one band; headers and size stay as they were."""
    path = next(archive.glob(f"*/{scene}/B12.tif"))
    with rasterio.open(path) as band:
        at = int(band.get_tag_item("BLOCK_OFFSET_0_0", "TIFF", bidx=1))
    data = bytearray(path.read_bytes())
    data[at : at + 40] = bytes(40)
    path.write_bytes(bytes(data))
    return path


def test_scenes_with_a_broken_tile_are_quarantined_and_the_rest_is_published(
    cluster: Any, make_job: Callable[..., Job], own_archive: Path, tmp_path: Path
) -> None:
    """One of the history, found by the fit of the baseline, and one to monitor."""
    history, monitored = "demo-s2a-20250720T023109", "demo-s2b-20260111T023112"
    paths = {scene: break_tile(own_archive, scene) for scene in (history, monitored)}
    job = make_job(tmp_path / "home", own_archive, dask_scheduler=cluster.scheduler_address)
    summary = run_night(job, date(2026, 1, 16))
    assert [(f.what, f.kind) for f in summary.failures] == [(s, "CorruptAsset") for s in paths]
    for failure in summary.failures:
        assert "swir22" in failure.reason
        assert str(paths[failure.what]) in failure.reason
    assert summary.published
    assert monitored not in summary.applied
    assert len(summary.applied) == 5


def test_a_scene_that_kills_its_workers_is_left_out(
    cluster: Any, make_job: Callable[..., Job], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = make_job(home, dask_scheduler=cluster.scheduler_address)
    monkeypatch.setattr(ingest, "see_block", die)
    monkeypatch.setattr(cluster.scheduler, "allowed_failures", 0)  # 3 by default, each with a worker's start
    summary = run_night(job, NIGHT, QUIET)
    assert [(f.what, f.kind) for f in summary.failures] == [("demo-s2b-20260121T023115", "WorkerLost")]
    assert "row 0, column 0" in summary.failures[0].reason
    monkeypatch.undo()
    assert run_night(job, NIGHT, QUIET).failures == ()


def die(*_: Any) -> None:
    """A block whose decoding ends the process, as a fault in a C library would."""
    os.kill(os.getpid(), signal.SIGKILL)


def test_no_scheduler_at_the_address_is_said_so(make_job: Callable[..., Job], home: Path) -> None:
    job = make_job(home, dask_scheduler="tcp://127.0.0.1:9")
    with (
        dask.config.set({"distributed.comm.timeouts.connect": "1s"}),  # type: ignore[attr-defined]
        pytest.raises(ConfigError, match=r"no Dask scheduler at tcp://127\.0\.0\.1:9") as refused,
    ):
        run_night(job, NIGHT, QUIET)
    assert "ENGGANG_DASK_SCHEDULER" in refused.value.remedy
