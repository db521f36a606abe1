"""One writer at a time: a lease with a fencing token.

The lease file holds the token and the holder; its modification time is the heartbeat, in nanoseconds of the
machine's boot clock. So a beat needs no disk space, and neither a wrong wall clock nor a step of it matters.
Whatever changes the state does so in a critical section (an `flock`) after comparing the token: a writer that was
taken over can wake up at any time, and its commit is refused.
"""

from __future__ import annotations

import fcntl
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson

from enggang.errors import CorruptState, DiskFull, FencedOut, StateLocked
from enggang.files import disk_errors, read_json, write_json

Clock = Callable[[], float]

_NANO = 1_000_000_000
_RELEASED = 0


def boot_clock() -> float:
    """Seconds since the machine started, time asleep included: the same for all processes, never set back."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a lease. `boot` names the run of the kernel, `pids` its process table (containers have their own);
    `started` is the start time of the process in clock ticks, which tells it from a later one with the same pid."""

    token: int
    owner: str
    host: str
    boot: str
    pids: str
    pid: int
    started: int
    seconds: float


class Lease:
    """A lease held by this process, kept alive by a thread until `release`."""

    def __init__(self, folder: Path, holder: Holder, clock: Clock) -> None:
        self.folder = folder
        self.holder = holder
        self._clock = clock
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._keep_alive, name="state-lease", daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Raise `FencedOut` where another writer took over. Certain only within `critical`."""
        current = _read(self.folder)
        if current is None or current.token != self.holder.token:
            by = f"{current.owner} (pid {current.pid} on {current.host})" if current else "someone"
            raise FencedOut(
                f"the lease of {self.folder} was taken over by {by} while this writer was silent",
                "nothing of this commit was kept; run the job again",
            )

    @contextmanager
    def critical(self) -> Iterator[None]:
        """The only place where the state may change: nobody can take the lease over meanwhile.

        Raises `FencedOut` where somebody has, `StateLocked` where another process stays in its own critical section.
        """
        with locked(_lock(self.folder), self.holder.seconds):
            self.check()
            yield

    def release(self) -> None:
        """Give the lease back; the next writer need not wait for it to expire."""
        self._stop.set()
        self._thread.join()
        with locked(_lock(self.folder), self.holder.seconds):
            current = _read(self.folder)
            if current is not None and current.token == self.holder.token:
                _beat(self.folder, _RELEASED)

    def _keep_alive(self) -> None:
        while not self._stop.wait(self.holder.seconds / 4):
            # A beat on a lease that was taken over this instant only lengthens the new holder's, so no lock is needed.
            with suppress(FileNotFoundError, CorruptState, DiskFull):
                current = _read(self.folder)
                if current is None or current.token != self.holder.token:
                    return
                _beat(self.folder, _ticks(self._clock))


def acquire(folder: Path, owner: str, seconds: float, clock: Clock = boot_clock) -> Lease:
    """Take the lease of the state in `folder`, or take it over from a writer that is dead or silent for its `seconds`.

    A holder on this machine is judged by its process and the boot clock. A holder elsewhere can only be watched: its
    lease falls when two tries, further apart than `seconds`, see no beat between them.
    Raises `StateLocked`, naming the holder, where the lease is live.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with locked(_lock(folder), seconds):
        current = _read(folder)
        if current is not None:
            _refuse_live(folder, current, clock)
        token = current.token + 1 if current else 1
        here = _here()
        holder = Holder(token, owner, here.host, here.boot, here.pids, here.pid, here.started, seconds)
        write_json(_file(folder), asdict(holder))
        _beat(folder, _ticks(clock))
    return Lease(folder, holder, clock)


@dataclass(frozen=True, slots=True)
class _Here:
    host: str
    boot: str
    pids: str
    pid: int
    started: int


def _here() -> _Here:
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    pid = os.getpid()
    pids = str(Path("/proc/self/ns/pid").readlink())
    return _Here(socket.gethostname(), boot, pids, pid, _started(pid) or 0)


def _started(pid: int) -> int | None:
    """Start time of a process in clock ticks (field 22 of /proc/<pid>/stat); None where it is gone or a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def _refuse_live(folder: Path, holder: Holder, clock: Clock) -> None:
    beat = _file(folder).stat().st_mtime_ns
    if beat == _RELEASED:
        return
    here = _here()
    if holder.boot != here.boot:
        if holder.host != here.host:
            _watch(folder, holder, beat, clock)
        return  # the same machine, started anew since: its processes are gone
    if holder.pids == here.pids and _started(holder.pid) != holder.started:
        return
    age = (_ticks(clock) - beat) / _NANO
    if 0 <= age <= holder.seconds:  # a beat in the future is none: its writer died before it could set the time
        raise _locked_error(folder, holder, age)


def _watch(folder: Path, holder: Holder, beat: int, clock: Clock) -> None:
    """Judge a holder on another machine by whether its heartbeat moves between two tries made here."""
    path = folder / "lease.watch.json"
    here, ticks = _here(), clock()
    seen: dict[str, Any] = read_json(path) if path.exists() else {}
    same = (seen.get("token"), seen.get("beat"), seen.get("boot")) == (holder.token, beat, here.boot)
    since = float(seen["since"]) if same else ticks
    if not same:
        write_json(path, {"token": holder.token, "beat": beat, "boot": here.boot, "since": ticks})
    if ticks - since <= holder.seconds:
        raise _locked_error(folder, holder, ticks - since)


def _locked_error(folder: Path, holder: Holder, age: float) -> StateLocked:
    left = max(holder.seconds - age, 0)
    who = f"{holder.owner} (pid {holder.pid} on {holder.host})"
    return StateLocked(
        f"{folder} is being written by {who}, last heard of {age:.0f} s ago",
        f"wait for it to finish; if it stays silent its lease expires in {left:.0f} s",
    )


def _file(folder: Path) -> Path:
    return folder / "lease.json"


def _lock(folder: Path) -> Path:
    return folder / "lease.lock"


def _ticks(clock: Clock) -> int:
    return max(int(clock() * _NANO), 1)


def _beat(folder: Path, ticks: int) -> None:
    with disk_errors(_file(folder)):
        os.utime(_file(folder), ns=(ticks, ticks))


def _read(folder: Path) -> Holder | None:
    path = _file(folder)
    try:
        return Holder(**read_json(path))
    except FileNotFoundError:
        return None
    except (orjson.JSONDecodeError, TypeError) as error:
        raise CorruptState(f"{path} can't be read", "make sure that no writer runs, then delete the file") from error


@contextmanager
def locked(path: Path, patience: float, shared: bool = False) -> Iterator[None]:
    """Hold the `flock` of a file, waiting up to `patience` seconds for it; the kernel frees it when a process dies.

    Raises `StateLocked` where another process holds it for longer.
    """
    mode = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    with disk_errors(path):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        deadline = boot_clock() + patience
        while True:
            try:
                fcntl.flock(descriptor, mode | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if boot_clock() > deadline:
                    raise StateLocked(
                        f"another process has held {path} for over {patience:.0f} s",
                        "look whether it was stopped; continue or end it",
                    ) from None
                time.sleep(0.01)
        yield
    finally:
        os.close(descriptor)
