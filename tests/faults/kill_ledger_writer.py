"""Run as a script: do one ledger operation again and again in forked children, and kill each at a later write.

Arguments: folder, operation (first, replace, supersede). The folder holds the ledgers `old` and `new`. Child n works
on `try-<n>`, a copy of what the operation starts from, and dies without any clean-up at its n-th change to the disk;
the last child is the one that got through. The number of children that died is printed.
"""

from __future__ import annotations

import os
import shutil
import sys
from datetime import date
from pathlib import Path

from enggang.alerts.ledger import Ledger
from enggang.alerts.records import LedgerNight

NIGHT = date(2028, 2, 29)
CHANGES = {"os.rename", "os.mkdir", "os.rmdir", "os.remove"}
KILLED = 137


def die_at(step: int) -> None:
    """From now on, leave at the `step`-th change to the disk."""
    done = 0

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal done
        writes = event == "open" and len(arguments) > 2 and bool(int(str(arguments[2] or 0)) & os.O_WRONLY)
        if event in CHANGES or writes:
            done += 1
            if done > step:
                os._exit(KILLED)

    sys.addaudithook(hook)


def operate(operation: str, target: Ledger, new: LedgerNight) -> None:
    if operation == "supersede":
        target.supersede_after(date(2028, 2, 28))
    else:
        target.write(new)


def main(root: Path, operation: str) -> None:
    new = Ledger(root / "new").read(NIGHT)
    step = 0
    while True:
        place = root / f"try-{step}"
        if operation != "first":
            shutil.copytree(root / "old", place)
        child = os.fork()
        if child == 0:
            die_at(step)
            operate(operation, Ledger(place), new)
            os._exit(0)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if code != KILLED:
            sys.stdout.write(f"{step}\n")
            sys.exit(code)
        step += 1


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
