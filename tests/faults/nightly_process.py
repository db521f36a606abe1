"""Nightly runs in processes of their own, to be killed and stopped. Run as a script; speaks JSON lines.

    nightly_process.py kills CASE COUNT SEED    kill backfills COUNT times at random moments, in homes CASE/killed-0 …,
                                                each of which goes on until it is done
    nightly_process.py points CASE SAMPLES      kill a night at SAMPLES of its write points, each in a copy of CASE/base
    nightly_process.py pause CASE               run a night in CASE/home without publishing, and wait for a line before
                                                its first scene

CASE is a folder with `case.json`: the AOI's feature, the archive, the first and last night and the settings.
Runs are forked from this process once its modules are loaded, so that one more costs little; it opens no state
itself, since the threads of the store don't survive a fork.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from importlib import import_module
from pathlib import Path
from typing import Any

import icechunk

from enggang.aoi import parse_aoi
from enggang.errors import EnggangError
from enggang.monitors.config import load_monitor
from enggang.settings import Settings
from enggang.sources.registry import open_source
from enggang.stages.job import Job
from enggang.stages.night import NightOptions, backfill, run_night
from enggang.stages.progress import Silent

#: Loaded at the first picture, which would be in every child.
_LATE = ("matplotlib.backends.backend_agg", "matplotlib.figure", "matplotlib.font_manager", "pyogrio", "geopandas")
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_CHANGING = {"os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.chmod", "os.utime"}
#: Exit status of a run that ended before its kill came.
DONE = 0


def say(**message: Any) -> None:
    print(json.dumps(message), flush=True)


def read_case(folder: Path) -> tuple[Callable[[Path], Job], date, date]:
    """(what makes a job for a home, first night, last night)."""
    case = json.loads((folder / "case.json").read_text())
    aoi, monitor = parse_aoi(case["aoi"], "the case"), load_monitor(case["monitor"])

    def job(home: Path) -> Job:
        return Job(
            aoi, monitor, Settings.model_validate({"home": home, **case["settings"]}), open_source(case["archive"])
        )

    return job, date.fromisoformat(case["first"]), date.fromisoformat(case["last"])


def forked(work: Callable[[], None]) -> int:
    """Run `work` in a fork; its pid."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            work()
            code = DONE
        except EnggangError as error:
            say(error=type(error).__name__, text=str(error))
        finally:
            sys.stdout.flush()
            os._exit(code)
    return pid


def wait(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def traces(home: Path) -> dict[str, int]:
    """How far a run came, told from file names alone."""
    patterns = {"seals": "state/*/*/seals/*.json", "ledger": "ledger/*/*/20*", "products": "products/*/*/20*",
                "latest": "products/latest.json", "runs": "runs/*/*.json"}  # fmt: skip
    return {name: len(list(home.glob(pattern))) for name, pattern in patterns.items()}


def kills(folder: Path, count: int, seed: int) -> None:
    make_job, first, last = read_case(folder)

    def run(home: Path) -> None:
        for _ in backfill(make_job(home), first, last):
            pass

    begun = time.monotonic()
    status = wait(forked(lambda: run(folder / "undisturbed")))
    length = time.monotonic() - begun
    say(home="undisturbed", status=status, seconds=length)
    rng = random.Random(seed)
    made, homes = 0, 0
    while made < count:
        home = folder / f"killed-{homes}"
        homes += 1
        status = -signal.SIGKILL
        while status and made < count:
            pid = forked(lambda home=home: run(home))  # type: ignore[misc]
            time.sleep(rng.uniform(0.02, 0.7) * length)
            os.kill(pid, signal.SIGKILL)
            status = wait(pid)
            made += status != DONE
            say(home=home.name, killed=status != DONE, status=status, **traces(home))
        if status:
            say(home=home.name, killed=False, status=wait(forked(lambda home=home: run(home))))  # type: ignore[misc]


def count_changes(home: Path, die_at: int) -> Callable[[], int]:
    """Count changes to files below `home` and to the branch of its state; die at one of them (0 = never).

    Returns a function that tells the count so far.
    """
    seen = 0

    def tick() -> None:
        nonlocal seen
        seen += 1
        if seen == die_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        writes = event == "open" and isinstance(arguments[2], int) and bool(arguments[2] & _WRITING)
        if (writes or event in _CHANGING) and str(arguments[0]).startswith(str(home)):
            tick()

    sys.addaudithook(hook)
    for owner, name in ((icechunk.Repository, "reset_branch"), (icechunk.Session, "flush")):
        setattr(owner, name, _between(getattr(owner, name), tick))  # its files are written by Rust, unseen by the hook
    return lambda: seen


def _between(call: Callable[..., Any], tick: Callable[[], None]) -> Callable[..., Any]:
    def counted(*arguments: Any, **named: Any) -> Any:
        tick()
        try:
            return call(*arguments, **named)
        finally:
            tick()

    return counted


def points(folder: Path, samples: int) -> None:
    make_job, night, _ = read_case(folder)

    def run(home: Path, die_at: int = 0) -> None:
        seen = count_changes(home, die_at)
        run_night(make_job(home), night)
        say(changes=seen())

    def copied(name: str) -> Path:
        return Path(shutil.copytree(folder / "base", folder / name))

    home = copied("undisturbed")
    reading, writing = os.pipe()
    kept = os.dup(1)
    os.dup2(writing, 1)
    status = wait(forked(lambda: run(home)))
    os.dup2(kept, 1)
    changes = int(json.loads(os.read(reading, 4096))["changes"])
    say(home=home.name, status=status, changes=changes)
    for number in range(samples):
        point = 1 + round(number * (changes - 1) / (samples - 1))
        home = copied(f"point-{point}")
        say(home=home.name, status=wait(forked(lambda home=home, point=point: run(home, point))))  # type: ignore[misc]
        say(home=home.name, status=wait(forked(lambda home=home: run(home))))  # type: ignore[misc]


class Paused(Silent):
    """Says "ready" when the scenes begin, and goes on when a line comes."""

    @contextmanager
    def step(self, what: str, total: int) -> Iterator[Callable[[], None]]:
        if what == "scenes":
            say(ready=True, pid=os.getpid())
            sys.stdin.readline()
        yield lambda: None


def pause(folder: Path) -> None:
    make_job, night, _ = read_case(folder)
    try:
        summary = run_night(make_job(folder / "home"), night, NightOptions(publish=False), Paused())
        say(outcome=summary.outcome)
    except EnggangError as error:
        say(error=type(error).__name__, text=str(error))


COMMANDS: dict[str, Callable[..., None]] = {
    "kills": lambda folder, count, seed: kills(folder, int(count), int(seed)),
    "points": lambda folder, samples: points(folder, int(samples)),
    "pause": pause,
}

if __name__ == "__main__":
    for module in _LATE if sys.argv[1] != "pause" else ():
        import_module(module)
    COMMANDS[sys.argv[1]](Path(sys.argv[2]), *sys.argv[3:])
