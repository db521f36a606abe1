"""Publish a night with a fault at every write point in turn, each in a process of its own.

Run as a script: `publish_under_fault.py HOME MODE [STEP]`. MODE kill: the process is gone at once, nothing is cleaned
up; full: the write says "no space left". STEP 1 takes every point, 2 every second. After each fault it checks what is
served, runs the night again without a fault and compares all products with those of an undisturbed run. Prints one
JSON report.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import signal
import sys
import traceback
from collections.abc import Callable
from datetime import date
from pathlib import Path

from enggang.errors import DiskFull
from enggang.layout import Layout
from enggang.publish import products
from enggang.publish.latest import read_latest
from enggang.publish.layers import LAYERS
from enggang.publish.samples import sample_release

OLD, NEW = date(2026, 11, 24), date(2026, 11, 25)
DONE, FULL, WRONG, NOT_REACHED = 0, 3, 4, 5
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
#: Cleaning up can't run out of space, but can be killed.
CLEANING = {"os.remove", "os.rmdir", "os.chmod"}
CHANGING = {"os.mkdir", "os.rename"}


def arm(home: Path, mode: str, at: int) -> Callable[[], bool]:
    """Fault the `at`-th change below `home`, which an audit hook sees; the answer says whether it came to that."""
    seen = 0

    def hook(event: str, args: tuple[object, ...]) -> None:
        nonlocal seen
        if event == "open":
            changes = isinstance(args[2], int) and bool(args[2] & WRITING)
        else:
            changes = event in CHANGING or (mode == "kill" and event in CLEANING)
        if not changes or not str(args[0]).startswith(str(home)):
            return
        seen += 1
        if seen == at and mode == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if seen == at:
            raise OSError(errno.ENOSPC, "No space left on device")

    sys.addaudithook(hook)
    return lambda: seen >= at


def in_child(work: Callable[[], int]) -> int:
    """Run `work` in a forked process; its exit status, negative for a signal."""
    child = os.fork()
    if child == 0:
        try:
            os._exit(work())
        except DiskFull:
            os._exit(FULL)
        except BaseException:  # noqa: BLE001 - the child must not go on with its parent's work
            traceback.print_exc()
            os._exit(WRONG)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def publish(layout: Layout, night: date) -> int:
    """A night of one layer and the alerts: every kind of write, in fewer points than with all layers."""
    products.LAYERS = {"status": LAYERS["status"]}
    published = products.publish_night(sample_release(night, pictures=False), layout)
    return DONE if published.complete else WRONG


def tree(layout: Layout) -> dict[str, str]:
    """Every file below the products folder with its SHA-256, leftovers too."""
    files = sorted(p for p in layout.products.rglob("*") if p.is_file())
    return {str(p.relative_to(layout.products)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def faults_of(layout: Layout) -> list[str]:
    """What a reader would find wrong: a visible product that isn't whole, or a latest that leads nowhere."""
    wrong = []
    for item in layout.products.glob("*/*/2026-*/item.json"):
        for asset in json.loads(item.read_bytes())["assets"].values():
            path = item.parent / asset["href"]
            if not path.is_file() or path.stat().st_size != asset["file:size"]:
                wrong.append(f"{path} is not what its item says")
    wrong += [f"{f} has no item" for f in layout.products.glob("*/*/2026-*") if not (f / "item.json").is_file()]
    latest = read_latest(layout)["sample"]
    for href in (*latest.layers.values(), *latest.alerts.values(), *latest.items.values(), latest.events):
        if not (layout.products / href).is_file():
            wrong.append(f"latest leads to {href}, which is not there")
        if latest.night.isoformat() not in href:
            wrong.append(f"latest mixes nights: {href}")
    return wrong


def one_fault(base: Path, home: Path, mode: str, at: int, expected: dict[str, str]) -> tuple[int, list[str]]:
    """Fault, check, heal, compare; the exit status of the faulted run and what was wrong."""
    shutil.copytree(base, home)
    layout = Layout(home)
    before = tree(layout)

    def faulted() -> int:
        reached = arm(home, mode, at)
        status = publish(layout, NEW)
        return status if reached() else NOT_REACHED

    status = in_child(faulted)
    wrong = faults_of(layout)
    after = tree(layout)
    lost = [f for f in before if "/2026-" in f and after.get(f) != before[f]]
    wrong += [f"{f} changed" for f in lost]
    if mode == "full" and list(layout.products.rglob(".part-*")):
        wrong.append("a clean failure left something behind")
    if in_child(lambda: publish(layout, NEW)) != DONE or tree(layout) != expected:
        wrong.append("the run after it gives other products")
    shutil.rmtree(home)
    return status, [f"point {at}: {text}" for text in wrong]


def main(folder: Path, mode: str, step: int) -> None:
    """Try point after point until a run comes to its end before the next."""
    base, undisturbed = folder / "base", folder / "undisturbed"
    in_child(lambda: publish(Layout(base), OLD))
    shutil.copytree(base, undisturbed)
    in_child(lambda: publish(Layout(undisturbed), NEW))
    expected = tree(Layout(undisturbed))
    statuses, wrong = [], []
    for at in range(1, 500, step):
        status, found = one_fault(base, folder / f"{mode}-{at}", mode, at, expected)
        wrong += found
        if status == NOT_REACHED:
            break
        statuses.append(status)
    print(json.dumps({"statuses": statuses, "wrong": wrong, "files": len(expected)}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 1)
