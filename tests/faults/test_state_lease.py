"""One writer at a time: real processes that compete, stop and die; clocks that step; machines that restart."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from affine import Affine
from odc.geo.geobox import GeoBox

from enggang.errors import CorruptState, FencedOut, StateLocked, is_retryable
from enggang.monitors.garbage import collect_garbage
from enggang.monitors.history import Change
from enggang.monitors.lease import acquire, boot_clock
from enggang.monitors.schema import BELIEF, StateIdentity
from enggang.monitors.state import StateStore

PROCESS = Path(__file__).with_name("state_process.py")
GRID = GeoBox((150, 130), Affine(10, 0, 500_000, 0, -10, 0), "EPSG:32750")
IDENTITY = StateIdentity("demo", "forest-1", "d" * 64, GRID, 64)
WINDOW = (slice(0, 64), slice(0, 64))


class OtherWriter:
    """A writer in a process of its own that sits in an open transaction until told to commit."""

    def __init__(self, folder: Path, owner: str, seconds: float) -> None:
        command = [sys.executable, str(PROCESS), "hold", str(folder), owner, str(seconds)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def said(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        message: dict[str, Any] = json.loads(self.process.stdout.readline())
        return message

    def commit(self) -> dict[str, Any]:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return self.said()


@pytest.fixture
def store(tmp_path: Path) -> StateStore:
    store = StateStore(tmp_path / "state")
    with store.writer("first", 90) as writer:
        writer.create(IDENTITY, BELIEF)
    return store


@pytest.fixture
def other(store: StateStore) -> Iterator[OtherWriter]:
    """Another process amid a transaction; its lease lasts four seconds of silence."""
    writer = OtherWriter(store.folder, "other", 4)
    assert writer.said()["ready"]
    yield writer
    writer.process.kill()
    writer.process.wait()


def apply(store: StateStore, number: int) -> int:
    """Apply one scene; returns the fencing token."""
    moment = datetime(2027, 1, 1, tzinfo=UTC) + timedelta(days=number)
    with store.writer("me", 90) as writer, writer.transaction(Change("scene", f"mine-{number}", moment, "f")) as tx:
        tx.write("sensors", WINDOW, np.full((64, 64), number, np.uint8))
    return writer.lease.holder.token


def test_second_committer_is_refused_and_told_who_writes(store: StateStore, other: OtherWriter) -> None:
    with pytest.raises(StateLocked) as refused:
        apply(store, 1)
    assert f"other (pid {other.process.pid}" in refused.value.what
    assert "expires in" in refused.value.remedy
    assert is_retryable(refused.value)
    assert other.commit()["committed"]
    other.process.wait(timeout=20)
    apply(store, 1)
    assert [c.scene_id for c in store.log()] == ["", "S1", "mine-1"]


def test_a_live_writer_keeps_its_lease_beyond_its_length(store: StateStore, other: OtherWriter) -> None:
    time.sleep(5)
    with pytest.raises(StateLocked):
        apply(store, 1)
    assert other.commit()["committed"]


def test_stopped_writer_is_taken_over_and_can_commit_nothing_when_it_wakes(
    store: StateStore, other: OtherWriter
) -> None:
    os.kill(other.process.pid, signal.SIGSTOP)
    deadline = time.monotonic() + 60
    token = 0
    while not token:
        assert time.monotonic() < deadline
        try:
            token = apply(store, 1)
        except StateLocked:
            time.sleep(0.2)
    os.kill(other.process.pid, signal.SIGCONT)
    said = other.commit()
    assert said["error"] == "FencedOut"
    assert "taken over" in said["text"]
    assert token == 3
    assert [c.scene_id for c in store.log()] == ["", "mine-1"]
    assert (store.reader().read("sensors", WINDOW) == 1).all()
    apply(store, 2)


def test_killed_writer_is_succeeded_at_once(store: StateStore, other: OtherWriter) -> None:
    other.process.kill()
    other.process.wait()
    assert apply(store, 1) == 3
    assert [c.scene_id for c in store.log()] == ["", "mine-1"]


def test_garbage_is_not_collected_while_another_writer_commits(store: StateStore, other: OtherWriter) -> None:
    now = datetime(2026, 6, 1, tzinfo=UTC)

    def collect() -> None:
        with store.writer("me", 90) as writer:
            collect_garbage(writer, now - timedelta(days=2), now)

    with pytest.raises(StateLocked):
        collect()
    assert other.commit()["committed"]
    other.process.wait(timeout=20)
    collect()
    assert (store.reader().read("sensors", WINDOW) == 77).all()


def test_wall_clock_has_no_say(store: StateStore) -> None:
    """The heartbeat follows the boot clock, so a wall clock set back or forward neither prolongs nor ends a lease."""
    lease = acquire(store.folder, "a", 60)
    beat = (store.folder / "lease.json").stat().st_mtime
    assert abs(beat - boot_clock()) < 5
    with pytest.raises(StateLocked):
        acquire(store.folder, "b", 60)
    with pytest.raises(StateLocked):
        acquire(store.folder, "b", 60, clock=lambda: boot_clock() + 59)
    second = acquire(store.folder, "b", 60, clock=lambda: boot_clock() + 61)
    with pytest.raises(FencedOut, match="taken over by b"):
        lease.check()
    assert second.holder.token == lease.holder.token + 1
    lease.release()
    second.check()
    second.release()


def rewrite_holder(folder: Path, **changes: object) -> None:
    """Make the lease look as if another machine, or this one before a restart, had taken it."""
    path = folder / "lease.json"
    beat = path.stat().st_mtime_ns
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    os.utime(path, ns=(beat, beat))


def test_lease_from_before_a_restart_of_the_machine_is_void(store: StateStore) -> None:
    lease = acquire(store.folder, "a", 60)
    rewrite_holder(store.folder, boot="an earlier run of the kernel")
    acquire(store.folder, "b", 60).release()
    with pytest.raises(FencedOut):
        lease.check()


def test_lease_of_another_machine_falls_only_when_no_beat_is_seen_for_its_length(store: StateStore) -> None:
    acquire(store.folder, "a", 60)
    rewrite_holder(store.folder, boot="elsewhere", host="other-machine")
    now = boot_clock()
    for later in (0, 40):
        with pytest.raises(StateLocked, match="other-machine"):
            acquire(store.folder, "b", 60, clock=lambda later=later: now + later)
    beat = store.folder / "lease.json"
    os.utime(beat, ns=(123, 123))
    for later in (50, 105):
        with pytest.raises(StateLocked):
            acquire(store.folder, "b", 60, clock=lambda later=later: now + later)
    lease = acquire(store.folder, "b", 60, clock=lambda: now + 115)
    lease.check()
    lease.release()


def test_recycled_pid_is_not_taken_for_the_holder(store: StateStore) -> None:
    acquire(store.folder, "a", 60)
    rewrite_holder(store.folder, started=1)
    acquire(store.folder, "b", 60).release()


def test_unreadable_lease_is_named(store: StateStore) -> None:
    (store.folder / "lease.json").write_bytes(b"\xff{")
    with pytest.raises(CorruptState, match=r"lease\.json"):
        acquire(store.folder, "b", 60)


def test_fenced_writer_can_not_reset(store: StateStore) -> None:
    apply(store, 1)
    first = store.log()[0].snapshot
    with store.writer("slow", 60) as writer:
        writer.log()
        acquire(store.folder, "quick", 60, clock=lambda: boot_clock() + 100).release()
        with pytest.raises(FencedOut):
            writer.reset_to(first)
    assert len(store.log()) == 2
