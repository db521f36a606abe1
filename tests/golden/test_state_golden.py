"""The state of every released schema stays readable: one repository of each is kept here, never to be remade."""

from __future__ import annotations

import shutil
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pytest

from enggang.monitors.history import Change, state_version
from enggang.monitors.migrate import migrate
from enggang.monitors.reader import content_digest
from enggang.monitors.schema import SCHEMA_VERSION
from enggang.monitors.scrub import scrub
from enggang.monitors.state import StateStore

KEPT = Path(__file__).parent
#: By schema: the content after each commit, and the state's version.
CONTENT = {
    1: (
        "70cc4ff96ca5c297df9e1da2b32621a497cfb79d6f0daffaae1a45c23510b6a9",
        "60d52097e317de202b7d2c61ef463cda448224899510353f0a1d44f086af49e1",
        "0d68191d014ad43c937dca9a3292faffb8b16de24b7988392b3e0812f70938d4",
        "87fbb00ff6b8b95c8a2b7054f07a30ffd42d1a8e97520618859e2d15055c8660",
    )
}
VERSION = {1: "1005881cc79b0018133d7182f1a7de4cfee26e084f013560eada5bb986e48c07"}


def test_every_schema_up_to_this_one_is_kept() -> None:
    assert sorted(CONTENT) == list(range(1, SCHEMA_VERSION + 1))


@pytest.mark.parametrize("schema", CONTENT)
def test_kept_state_reads_as_on_the_day_it_was_written(schema: int) -> None:
    store = StateStore(KEPT / f"state-schema-{schema}")
    log = store.log()
    assert [c.kind for c in log] == ["create", "baseline", "scene", "scene"]
    assert (log[-1].scene_id, log[-1].night, log[-1].acquired) == (
        "S1A_2",
        date(2026, 1, 3),
        datetime(2026, 1, 2, 21, 30, tzinfo=UTC),
    )
    assert log[-1].extra == {"items": ["S1A_2"]}
    assert tuple(content_digest(store.reader(at=c.snapshot)) for c in log) == CONTENT[schema]
    assert state_version(log) == VERSION[schema]
    assert store.identity().geobox.crs.epsg == 32750
    assert scrub(store.folder).damages == ()


@pytest.mark.parametrize("schema", CONTENT)
def test_kept_state_can_be_gone_on_with(schema: int, tmp_path: Path) -> None:
    store = StateStore(tmp_path / "state")
    shutil.copytree(KEPT / f"state-schema-{schema}", store.folder)
    with store.writer("test", 90) as writer:
        migrate(writer)
        change = Change("scene", "S1A_3", datetime(2026, 1, 3, 21, 30, tzinfo=UTC), "print-3", date(2026, 1, 4))
        with writer.transaction(change) as tx:
            window = next(tx.blocks())
            tx.write("sensors", window, np.ones_like(tx.read("sensors", window)))
    assert store.reader().read("sensors", (slice(0, 12), slice(0, 10))).sum() == 64
    assert store.log()[-1].scene_id == "S1A_3"
