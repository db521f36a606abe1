"""Many readers of `latest.json`: run as a script, `publish_readers.py HOME THREADS`; ends when HOME/stop exists.

Every reader again and again reads `latest.json` once and then all it leads to, and notes whatever does not belong to
the one night that it names. Prints one JSON report.
"""

from __future__ import annotations

import hashlib
import json
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import rasterio

from enggang.layout import Layout
from enggang.publish.latest import LatestNight, read_latest


def read_once(layout: Layout, latest: LatestNight) -> list[str]:
    """What is wrong with the version that one read of `latest.json` names."""
    night = latest.night.isoformat()
    wrong = []
    for href in latest.items.values():
        path = layout.products / href
        item = json.loads(path.read_bytes())
        if item["properties"]["enggang:night"] != night:
            wrong.append(f"{href} is of another night than {night}")
        for asset in item["assets"].values():
            digest = hashlib.sha256((path.parent / asset["href"]).read_bytes()).hexdigest()
            if asset["file:checksum"] != f"1220{digest}":
                wrong.append(f"{href}: {asset['href']} is not what the item says")
    states = {f["properties"]["state"] for f in _features(layout, latest)}
    with rasterio.open(layout.products / latest.layers["status"]) as source:
        states.add(source.tags()["ENGGANG_STATE"])
    return wrong if states == {latest.versions["state"]} else [*wrong, f"{night} mixes the states {states}"]


def _features(layout: Layout, latest: LatestNight) -> list[dict[str, dict[str, str]]]:
    features: list[dict[str, dict[str, str]]] = json.loads((layout.products / latest.alerts["geojson"]).read_bytes())[
        "features"
    ]
    return features


def reader(home: Path, started: threading.Barrier) -> tuple[int, list[str], list[str]]:
    """Reads until told to stop: (versions read, nights seen, what was wrong)."""
    layout, nights, wrong, reads = Layout(home), set(), [], 0
    started.wait()
    while not (home / "stop").exists():
        latest = read_latest(layout)["sample"]
        nights.add(latest.night.isoformat())
        wrong += read_once(layout, latest)
        reads += 1
    return reads, sorted(nights), wrong


def main(home: Path, threads: int) -> None:
    """Let `threads` readers read side by side."""
    started = threading.Barrier(threads, action=lambda: print("reading", flush=True))
    with ThreadPoolExecutor(threads) as pool:
        results = list(pool.map(lambda _: reader(home, started), range(threads)))
    report = {
        "readers": len(results),
        "idle": sum(reads == 0 for reads, _, _ in results),
        "reads": sum(reads for reads, _, _ in results),
        "nights": sorted({night for _, nights, _ in results for night in nights}),
        "wrong": [text for _, _, wrong in results for text in wrong],
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
