"""`python -m flows [AOI …] [--night DATE]`: the nightly flow once, by Prefect's in-process server."""

from __future__ import annotations

import argparse
import os
from datetime import date

from flows.nightly import nightly
from flows.runtime import upgrade_database


def main() -> None:
    """Run the nightly flow for the areas named, or for all."""
    parser = argparse.ArgumentParser(prog="python -m flows", description=nightly.description)
    parser.add_argument("aois", nargs="*", metavar="AOI", help="areas; default: all")
    parser.add_argument("--night", type=date.fromisoformat, help="default: the last night that is over")
    given = parser.parse_args()
    upgrade_database(os.environ)
    nightly(given.aois or None, given.night)


if __name__ == "__main__":
    main()
