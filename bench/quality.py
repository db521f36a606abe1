"""F1 and delay of the detector on simulated cubes, by a scoring harness that lies outside of this repository.

    python bench/quality.py --harness DIR [--sets ekhard_test,ek_test,nrt_test]

DIR holds `quality_harness.py`, which gives `SETS` (name → generator and its arguments) and `score(alarms, cube)`. The
cubes of `nrt_*` need the package nrt-data (extra `bench`). Sweep on the `*_tune` sets, report the `*_test` ones.
"""

from __future__ import annotations

import argparse
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from enggang.evaluate.detector import detector

TEST_SETS = "ekhard_test,ek_test,nrt_test"


def main() -> None:
    """Print one line a set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--harness", type=Path, required=True, metavar="DIR", help="folder of quality_harness.py")
    parser.add_argument("--sets", default=TEST_SETS, help="names with commas between them")
    given = parser.parse_args()
    sys.path.insert(0, str(given.harness))
    harness: Any = import_module("quality_harness")
    print(f"{'set':<14}{'F1':>7}{'precision':>11}{'recall':>8}{'delay, observations':>21}{'days':>6}")
    for name in given.sets.split(","):
        make, arguments = harness.SETS[name]
        cube = make(**arguments)
        found = harness.score(detector(cube["dates"], cube["cube"], cube["hist_end"]), cube)
        shown = f"{found['F1']:>7.3f}{found['P']:>11.3f}{found['R']:>8.3f}"
        print(f"{name:<14}{shown}{found['delay_obs']:>21.0f}{found['delay_days']:>6.0f}")


if __name__ == "__main__":
    main()
