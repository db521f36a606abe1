"""Readers during commits, resets and backups: each sees one version, whole."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from odc.geo.geobox import GeoBox

from enggang.monitors.history import Change
from enggang.monitors.schema import BELIEF, StateIdentity
from enggang.monitors.state import StateStore

GRID = GeoBox((40, 40), Affine(10, 0, 500_000, 0, -10, 0), "EPSG:32750")
IDENTITY = StateIdentity("demo", "forest-1", "d" * 64, GRID, 16)
NAMES = ("first_disturbed", "last_valid", "confirmed_on")


@pytest.fixture
def store(tmp_path: Path) -> StateStore:
    store = StateStore(tmp_path / "state")
    with store.writer("test", 90) as writer:
        writer.create(IDENTITY, BELIEF)
    return store


def versions(store: StateStore, stop: threading.Event) -> Iterator[int]:
    """The one number that each reader finds in all blocks of all arrays, until told to stop; 40 readers at least."""
    count = 0
    while count < 40 or not stop.is_set():
        reader = store.reader()
        seen = {int(v) for window in reader.blocks() for name in NAMES for v in np.unique(reader.read(name, window))}
        assert len(seen) == 1, f"a reader saw {sorted(seen)}"
        count += 1
        yield seen.pop()


def test_two_hundred_readers_each_see_one_version(store: StateStore) -> None:
    stop = threading.Event()
    with ThreadPoolExecutor(5) as pool:
        readers = [pool.submit(lambda: list(versions(store, stop))) for _ in range(5)]
        try:
            with store.writer("test", 90) as writer:
                for day in range(1, 21):
                    moment = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=day)
                    with writer.transaction(Change("scene", f"S{day}", moment, "f")) as tx:
                        for window in tx.blocks():
                            for name in NAMES:
                                tx.write(name, window, np.full_like(tx.read(name, window), day))
                    if day % 7 == 0:
                        writer.reset_to(writer.log()[-3].snapshot)
        finally:
            stop.set()
        seen = [reader.result() for reader in readers]
    assert sum(map(len, seen)) >= 200
    assert len({number for numbers in seen for number in numbers}) > 3, "the readers saw no commit happen"
