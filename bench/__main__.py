"""All rows of the bench, printed and written as JSON; a row below its bar is said to be, and is no failure."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from types import MappingProxyType

from bench.machine import machine
from bench.rows import BenchRow, table, without_bar

#: Part → what it measures; each is a module with `run(quick)`.
PARTS: Mapping[str, str] = MappingProxyType(
    {
        "kernels": "fits and updates in memory, one thread, beside nrt",
        "window_path": "reading scenes on the grid, beside odc-stac and bare rasterio",
        "state_io": "reading and writing the state, beside plain files of the same bytes",
        "nightly": "a whole nightly update, beside reading its bands",
        "threads": "two Dask threads beside one",
    }
)


def main() -> None:
    """Run the parts asked for."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), metavar="NAME", help=", ".join(PARTS))
    parser.add_argument("--quick", action="store_true", help="small data, no bars: does everything run?")
    parser.add_argument("--out", type=Path, default=Path("var/bench/results.json"))
    options = parser.parse_args()
    found: dict[str, list[BenchRow]] = {}
    document = {"machine": machine(), "quick": options.quick}
    for name in options.only:
        began = time.perf_counter()
        run: Callable[[bool], list[BenchRow]] = import_module(f"bench.{name}").run
        rows = run(options.quick)
        found[name] = [without_bar(row) for row in rows] if options.quick else rows
        print(f"\n{name}: {PARTS[name]} ({time.perf_counter() - began:.0f} s)\n{table(found[name])}", flush=True)
        document["parts"] = {part: [row.to_document() for row in done] for part, done in found.items()}
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"\nwritten to {options.out}")


if __name__ == "__main__":
    main()
