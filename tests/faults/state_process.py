"""Processes that write a state, for tests that kill, stop and starve them. Run as a script; speaks JSON lines.

    state_process.py hold FOLDER OWNER LEASE_SECONDS   open a transaction, say "ready", commit at the next input line
    state_process.py kills FOLDER COUNT SEED           kill a writer COUNT times at random moments, report each time
    state_process.py points FOLDER FAULT               kill or starve a writer at its n-th file operation, n = 1, 2, …
    state_process.py starve DISK FREE...               fill a small disk but for so many bytes, try a commit, repeat
    state_process.py straight FOLDER SCENES            apply the scenes undisturbed, say the digest after each
    state_process.py apply FOLDER SCENES               apply the scenes up to this number

The script forks its writers after the imports, so that one more costs milliseconds; it opens no state itself, since
the threads of the store don't survive a fork.
"""

from __future__ import annotations

import errno
import json
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from affine import Affine
from odc.geo.geobox import GeoBox

from enggang.errors import EnggangError
from enggang.monitors.history import Change
from enggang.monitors.reader import content_digest
from enggang.monitors.schema import BELIEF, StateIdentity
from enggang.monitors.scrub import scrub
from enggang.monitors.state import StateStore

GRID = GeoBox((150, 130), Affine(10, 0, 500_000, 0, -10, 0), "EPSG:32750")
IDENTITY = StateIdentity("demo", "forest-1", "d" * 64, GRID, 64)
#: Exit status of a writer that ended before its fault came.
UNTOUCHED = 3
MUTATING = {"os.rename", "os.mkdir", "os.utime", "os.remove", "os.rmdir"}


def say(**message: Any) -> None:
    print(json.dumps(message), flush=True)


def scene(day: int) -> Change:
    moment = datetime(2026, 1, 1, 2, tzinfo=UTC) + timedelta(days=day)
    return Change("scene", f"S{day}", moment, f"print-{day}", moment.date())


def apply_scenes(folder: Path, upto: int) -> None:
    """Create the state where there is none, then apply the scenes that are missing, up to number `upto`."""
    store = StateStore(folder)
    with store.writer("night", 90) as writer:
        if not store.exists():
            writer.create(IDENTITY, BELIEF)
        for day in range(len(writer.log()), upto + 1):
            with writer.transaction(scene(day)) as tx:
                for window in tx.blocks():
                    rng = np.random.default_rng([day, window[0].start, window[1].start])
                    for name in ("log_odds", "status", "last_valid"):
                        was = tx.read(name, window)
                        tx.write(name, window, (was + rng.integers(0, 9, was.shape)).astype(was.dtype))


def report(folder: Path, **more: Any) -> None:
    """Say which scenes the state holds and what its content is."""
    store = StateStore(folder)
    if not store.exists():
        say(scenes=None, digest=None, damages=0, **more)
        return
    damages = [str(d) for d in scrub(folder).damages]
    say(scenes=[c.scene_id for c in store.log()], digest=content_digest(store.reader()), damages=damages, **more)


def forked(work: Callable[[], None]) -> int:
    """Run `work` in a fork; returns its pid."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            work()
            code = 0
        except EnggangError as error:
            say(error=type(error).__name__, text=str(error))
            code = 2
        finally:
            sys.stdout.flush()
            os._exit(code)
    return pid


def wait(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def kills(folder: Path, count: int, seed: int) -> None:
    rng = random.Random(seed)
    for number in range(count):
        pid = forked(lambda: apply_scenes(folder, 10_000))
        time.sleep(rng.uniform(0.0, 0.15) if number < 5 else rng.uniform(0.05, 0.4))
        os.kill(pid, signal.SIGKILL)
        wait(pid)
        wait(forked(lambda: report(folder)))


def fail_at(folder: Path, number: int, fault: str) -> Callable[[], bool]:
    """From here on, the `number`-th change to a file below `folder` kills this process or finds no space.

    Returns a function that tells whether it came to that.
    """
    seen = 0

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal seen
        writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        if not (event in MUTATING or writes) or not str(arguments[0]).startswith(str(folder)):
            return
        seen += 1
        if seen == number:
            if fault == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), arguments[0])

    sys.addaudithook(hook)
    return lambda: seen >= number


def points(folder: Path, fault: str) -> None:
    wait(forked(lambda: apply_scenes(folder / "0", 1)))
    for number in range(1, 500):
        here = folder / str(number)
        shutil.copytree(folder / "0", here)

        def attempt(here: Path = here, number: int = number) -> None:
            fired = fail_at(here, number, fault)
            apply_scenes(here, 2)
            if not fired():
                os._exit(UNTOUCHED)

        code = wait(forked(attempt))
        wait(forked(lambda here=here, number=number, code=code: report(here, point=number, code=code, when="after")))
        wait(forked(lambda here=here: apply_scenes(here, 2)))
        wait(forked(lambda here=here, number=number, code=code: report(here, point=number, code=code, when="rerun")))
        if code == UNTOUCHED:
            return


def starve(disk: Path, *free: str) -> None:
    """Try the same commit with so many bytes free, then with all of the disk."""
    state, ballast = disk / "state", disk / "ballast"
    wait(forked(lambda: apply_scenes(state, 2)))
    for left in map(int, free):
        space = os.statvfs(disk)
        ballast.write_bytes(bytes(max(space.f_bavail * space.f_frsize - left, 0)))
        code = wait(forked(lambda: apply_scenes(state, 3)))
        ballast.unlink()
        wait(forked(lambda code=code: report(state, code=code)))
    wait(forked(lambda: apply_scenes(state, 3)))
    wait(forked(lambda: report(state, code=0)))


def straight(folder: Path, scenes: int) -> None:
    apply_scenes(folder, scenes)
    store = StateStore(folder)
    say(digests=[content_digest(store.reader(at=c.snapshot)) for c in store.log()])


def apply(folder: Path, scenes: int) -> None:
    try:
        apply_scenes(folder, scenes)
        report(folder)
    except EnggangError as error:
        say(error=type(error).__name__, text=str(error))


def hold(folder: Path, owner: str, seconds: float) -> None:
    store = StateStore(folder)
    try:
        with store.writer(owner, seconds) as writer:
            with writer.transaction(scene(len(writer.log()))) as tx:
                window = next(tx.blocks())
                tx.write("sensors", window, np.full_like(tx.read("sensors", window), 77))
                say(ready=True, token=writer.lease.holder.token)
                sys.stdin.readline()
            say(committed=tx.commit.snapshot if tx.commit else None)
    except EnggangError as error:
        say(error=type(error).__name__, text=str(error))


COMMANDS: dict[str, Callable[..., None]] = {
    "hold": lambda folder, owner, seconds: hold(folder, owner, float(seconds)),
    "kills": lambda folder, count, seed: kills(folder, int(count), int(seed)),
    "points": points,
    "starve": starve,
    "straight": lambda folder, scenes: straight(folder, int(scenes)),
    "apply": lambda folder, scenes: apply(folder, int(scenes)),
}

if __name__ == "__main__":
    COMMANDS[sys.argv[1]](Path(sys.argv[2]), *sys.argv[3:])
