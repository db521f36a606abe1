"""FAULTS 23 for whole nights: without space a night fails cleanly, old products stay served, and it completes later."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import rasterio

from enggang.errors import DiskFull
from enggang.monitors.reader import content_digest
from enggang.monitors.scrub import scrub
from enggang.publish.latest import read_latest
from enggang.stages.alerts import ledger_of
from enggang.stages.job import Job
from enggang.stages.night import run_night

SEEN, NIGHT = date(2026, 1, 20), date(2026, 1, 21)

Outcome = Callable[[Job], dict[str, Any]]
pytestmark = pytest.mark.xdist_group("full disk")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MiB."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small file system")
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def leave(disk: Path, free: int) -> Path:
    """Fill the disk but for `free` bytes; the file that does it."""
    space = os.statvfs(disk)
    ballast = disk / "ballast"
    ballast.write_bytes(bytes(max(space.f_bavail * space.f_frsize - free, 0)))
    return ballast


def assert_served(job: Job) -> None:
    """Everything that readers see is whole, and of one night or the other."""
    latest = read_latest(job.layout)["demo"]
    assert latest.night in (SEEN, NIGHT)
    for layer, href in latest.layers.items():
        with rasterio.open(job.layout.products / href) as cog:
            assert cog.tags()["ENGGANG_NIGHT"] == latest.night.isoformat()
            assert cog.checksum(1) >= 0, layer
    assert scrub(job.store.folder).damages == ()
    assert SEEN in ledger_of(job).nights()
    for night in ledger_of(job).nights():
        ledger_of(job).read(night)


def attempt(job: Job, old: str) -> str:
    """Run the night; how far it came."""
    try:
        run_night(job, NIGHT)
    except DiskFull as error:
        if "free space" not in error.remedy:
            return str(error)
    else:
        return "done"
    if NIGHT in ledger_of(job).nights():
        return "ledger"
    return "nothing" if content_digest(job.store.reader()) == old else "scene"


def test_a_night_that_runs_out_of_space_anywhere_fails_cleanly_and_completes_later(
    small_disk: Path, seen_home: Path, make_job: Callable[..., Job], outcome: Outcome, tmp_path: Path
) -> None:
    undisturbed = make_job(Path(shutil.copytree(seen_home, tmp_path / "undisturbed")))
    run_night(undisturbed, NIGHT)
    expected = outcome(undisturbed)
    old = content_digest(make_job(seen_home).store.reader())
    reached: set[str] = set()
    for free in (0, 24, 48, 80, 120, 200, 320):
        home = Path(shutil.copytree(seen_home, small_disk / f"home-{free}"))
        job = make_job(home)
        ballast = leave(small_disk, free * 1024)
        reached.add(attempt(job, old))
        assert_served(job)
        ballast.unlink()
        run_night(job, NIGHT)
        assert outcome(job) == expected, f"after a run with {free} KiB"
        shutil.rmtree(home)
    assert {"nothing", "ledger"} <= reached, "the disk filled always at the same stage"
    assert reached <= {"nothing", "scene", "ledger", "done"}


def test_below_the_share_that_must_stay_free_nothing_is_begun(
    small_disk: Path, seen_home: Path, make_job: Callable[..., Job], tree: Callable[[Path], dict[str, str]]
) -> None:
    home = Path(shutil.copytree(seen_home, small_disk / "home"))
    job = make_job(home, min_free_share=0.15)
    leave(small_disk, 1024 * 1024)
    before = {str(p): p.lstat().st_mtime_ns for p in home.rglob("*")}
    with pytest.raises(DiskFull, match=r"1[0-4]% of the disk of .*home is free; 15% must stay free") as refused:
        run_night(job, NIGHT)
    assert "ENGGANG_MIN_FREE_SHARE" in refused.value.remedy
    assert {str(p): p.lstat().st_mtime_ns for p in home.rglob("*")} == before
