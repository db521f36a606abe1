"""FAULTS 24 for whole nights: who reads while nights are run sees one version, whole."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import rasterio

from enggang.alerts.ledger_format import encode
from enggang.monitors.reader import content_digest
from enggang.publish.latest import read_latest
from enggang.stages.alerts import ledger_of
from enggang.stages.job import Job
from enggang.stages.night import run_night

FIRST, LAST = date(2026, 1, 20), date(2026, 1, 22)
READERS = 6


class Watcher:
    """Readers in threads that look until told to stop; what they saw, and what went wrong."""

    def __init__(self, looks: list[Callable[[], Any]]) -> None:
        self.seen: list[set[Any]] = [set() for _ in looks]
        self.counts = [0] * len(looks)
        self.errors: list[BaseException] = []
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._watch, args=(n % len(looks), looks[n % len(looks)])) for n in range(READERS)
        ]

    def __enter__(self) -> Watcher:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _watch(self, number: int, look: Callable[[], Any]) -> None:
        while not self._stop.is_set():
            try:
                self.seen[number].add(look())
            except Exception as error:  # noqa: BLE001 - whatever a reader meets is what the test is about
                self.errors.append(error)
                return
            self.counts[number] += 1


def test_readers_of_products_state_and_ledger_see_one_version(home: Path, make_job: Callable[..., Job]) -> None:
    job = make_job(home)

    def products() -> tuple[str, ...]:
        latest = read_latest(job.layout)["demo"]
        found = []
        for href in latest.layers.values():
            with rasterio.open(job.layout.products / href) as cog:
                cog.read(1)
                found.append((cog.tags()["ENGGANG_NIGHT"], cog.tags()["ENGGANG_STATE"]))
        assert len(set(found)) == 1, found
        assert found[0][0] == latest.night.isoformat()
        return found[0]

    def state() -> str:
        return content_digest(job.store.reader())

    def ledger() -> tuple[date, bytes]:
        whole = ledger_of(job)
        newest = whole.nights()[-1]
        return newest, b"".join(encode(whole.read(newest)).values())

    with Watcher([products, state, ledger]) as watcher:
        for offset in range(1, (LAST - FIRST).days + 1):
            assert run_night(job, FIRST + timedelta(offset)).published
    assert watcher.errors == []
    assert min(watcher.counts) > 5
    log = job.store.log()
    assert watcher.seen[1] <= {content_digest(job.store.reader(at=c.snapshot)) for c in log if c.kind == "scene"}
    assert {night for night, _ in watcher.seen[0]} <= {(FIRST + timedelta(n)).isoformat() for n in range(3)}
    assert len({night for night, _ in watcher.seen[2]}) == len(watcher.seen[2]), "two versions of one night"
    assert min(len(seen) for seen in watcher.seen) >= 2, "the readers missed the changes"
