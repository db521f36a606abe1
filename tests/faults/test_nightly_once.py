"""FAULTS 2, 4, 19 for whole nights: one run at a time, a dead or frozen one is succeeded, a done one only says so."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from enggang.errors import StateError, StateLocked, is_retryable
from enggang.files import read_json
from enggang.stages.job import Job
from enggang.stages.night import NightOptions, backfill, run_night

PROCESS = Path(__file__).with_name("nightly_process.py")
NIGHT = date(2026, 1, 21)
QUIET = NightOptions(publish=False)

Outcome = Callable[[Job], dict[str, Any]]
pytestmark = pytest.mark.xdist_group("nightly once")


class OtherRun:
    """A run of the same night in a process of its own, paused after it took the lease."""

    def __init__(self, case: Path) -> None:
        command = [sys.executable, "-W", "ignore", str(PROCESS), "pause", str(case)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.said()["ready"]

    def said(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        message: dict[str, Any] = json.loads(self.process.stdout.readline())
        return message

    def go_on(self) -> dict[str, Any]:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return self.said()


@contextmanager
def other_run(case: Path) -> Iterator[OtherRun]:
    run = OtherRun(case)
    try:
        yield run
    finally:
        run.process.kill()
        run.process.wait()


def stamps(home: Path) -> dict[str, tuple[int, int, int]]:
    """Inode, size and time of change of every file and folder: nothing can be written without changing one."""
    return {str(p): (s.st_ino, s.st_size, s.st_mtime_ns) for p in home.rglob("*") if (s := p.lstat())}


@pytest.fixture(scope="module")
def undisturbed(seen_home: Path, make_job: Callable[..., Job], outcome: Outcome, tmp_path_factory: Any) -> Any:
    """What `NIGHT` leaves behind."""
    job = make_job(Path(shutil.copytree(seen_home, tmp_path_factory.mktemp("undisturbed") / "home")))
    run_night(job, NIGHT, QUIET)
    return outcome(job)


def test_a_second_run_is_told_who_is_at_it_and_the_first_ends_well(
    home: Path, case: Callable[..., Path], make_job: Callable[..., Job], outcome: Outcome, undisturbed: Any
) -> None:
    job = make_job(home)
    with other_run(case(NIGHT, NIGHT)) as other:
        with pytest.raises(StateLocked, match=rf"nightly \(pid {other.process.pid} on ") as refused:
            run_night(job, NIGHT, QUIET)
        assert is_retryable(refused.value)
        assert "expires" in refused.value.remedy
        assert other.go_on() == {"outcome": "complete"}
    assert outcome(job) == undisturbed
    assert run_night(job, NIGHT, QUIET).already_done


def test_a_killed_run_is_succeeded_at_once(
    home: Path, case: Callable[..., Path], make_job: Callable[..., Job], outcome: Outcome, undisturbed: Any
) -> None:
    job = make_job(home)
    with other_run(case(NIGHT, NIGHT)) as other:
        other.process.send_signal(signal.SIGKILL)
        other.process.wait()
        assert run_night(job, NIGHT, QUIET).outcome == "complete"  # the lease is 90 s long: nothing waits for it
    assert outcome(job) == undisturbed


def test_a_frozen_run_is_fenced_out_when_it_wakes(
    home: Path, case: Callable[..., Path], make_job: Callable[..., Job], outcome: Outcome, undisturbed: Any
) -> None:
    job = make_job(home, lease_seconds=2)
    lease = job.store.folder / "lease.json"
    with other_run(case(NIGHT, NIGHT, lease_seconds=2)) as other:
        token = read_json(lease)["token"]
        os.kill(other.process.pid, signal.SIGSTOP)
        begun = time.monotonic()
        while True:
            try:
                run_night(job, NIGHT, QUIET)
                break
            except StateLocked:
                assert time.monotonic() - begun < 20
                time.sleep(0.2)
        assert read_json(lease)["token"] > token
        os.kill(other.process.pid, signal.SIGCONT)
        assert other.go_on()["error"] == "FencedOut"
    assert outcome(job) == undisturbed


def test_the_same_night_twice_writes_nothing(home: Path, make_job: Callable[..., Job]) -> None:
    first = run_night(make_job(home), NIGHT)
    before = stamps(home)
    again = run_night(make_job(home), NIGHT)
    assert stamps(home) == before
    assert again == first.model_copy(update={"already_done": True})


def test_the_very_first_night_and_one_long_after_it_know_themselves_too(
    seen_home: Path, home: Path, make_job: Callable[..., Job]
) -> None:
    """What a search finds depends on what is in the state; whether a night is done must not."""
    job = make_job(home)
    before = stamps(home)
    assert run_night(job, date(2026, 1, 20)).already_done
    far = date(2026, 2, 28) + timedelta(days=30)
    run_night(job, far, QUIET)
    after = stamps(home)
    assert before != after
    assert run_night(job, far, QUIET).already_done
    assert stamps(home) == after


def test_a_published_night_is_not_done_for_less_and_an_unpublished_one_is_not_done_for_more(
    home: Path, make_job: Callable[..., Job]
) -> None:
    job = make_job(home)
    assert not run_night(job, NIGHT, QUIET).published
    full = run_night(job, NIGHT)
    assert full.published
    assert not full.already_done
    assert run_night(job, NIGHT, QUIET).already_done


def test_a_range_that_was_done_is_walked_without_a_write(home: Path, make_job: Callable[..., Job]) -> None:
    nights = (date(2026, 1, 20), date(2026, 1, 23))
    done = [s.night for s in backfill(make_job(home), *nights)]
    assert done == [nights[0] + timedelta(n) for n in range(4)]
    before = stamps(home)
    assert all(s.already_done for s in backfill(make_job(home), *nights))
    assert stamps(home) == before


def test_a_night_in_the_past_is_refused_with_the_way_back(home: Path, make_job: Callable[..., Job]) -> None:
    before = stamps(home)
    with pytest.raises(StateError, match="2026-01-18 can't be run, 2026-01-20 stands upon it") as refused:
        run_night(make_job(home), date(2026, 1, 18))
    assert refused.value.remedy == "go back first: enggang rollback --aoi demo --to 2026-01-17"
    assert stamps(home) == before
