"""The ledger keeps every night, says what happened, and loses nothing to a rerun."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import geopandas
import numpy as np
import orjson
import pytest

from enggang.alerts.ledger import Ledger
from enggang.alerts.ledger_format import MANIFEST, SCHEMA_VERSION, encode
from enggang.alerts.records import LedgerNight
from enggang.alerts.track import TrackContext, track
from enggang.errors import LedgerError
from enggang.types import PixelTable

NIGHT = date(2028, 2, 28)


@pytest.fixture
def nights(pixels_of: Callable[..., PixelTable], context_of: Callable[..., TrackContext]) -> list[LedgerNight]:
    """Four nights: a birth, growth with a second alert, their merge, and the withdrawal of all."""
    status = np.ones((60, 60), dtype=np.uint8)
    found: list[LedgerNight] = []
    for n in range(4):
        status[5:9, 5 : 9 + 4 * n] = 3
        status[5:9, 20:24] = 4 if n else 1
        status[5, 9:20] = 3 if n == 2 else status[5, 9:20]
        status = status if n < 3 else np.ones_like(status)
        night = NIGHT + timedelta(n)
        found.append(track(found[-1] if found else None, pixels_of(status, night), context_of(night)))
    return found


@pytest.fixture
def ledger(tmp_path: Path, nights: list[LedgerNight]) -> Ledger:
    ledger = Ledger(tmp_path / "ledger")
    for night in nights:
        ledger.write(night)
    return ledger


def same(a: LedgerNight, b: LedgerNight) -> bool:
    return encode(a) == encode(b) and (a.night, a.alerts, a.events) == (b.night, b.alerts, b.events)


def test_what_is_written_is_read(ledger: Ledger, nights: list[LedgerNight]) -> None:
    assert ledger.nights() == [n.night for n in nights]
    assert all(same(ledger.read(n.night), n) for n in nights)
    assert ledger.read(NIGHT).pixels.index.dtype == np.int64
    assert ledger.read(NIGHT).pixels.alert.dtype == np.int32


def test_an_empty_ledger_has_no_nights(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "none")
    assert ledger.nights() == []
    assert ledger.last_before(NIGHT) is None
    assert ledger.history("demo") == []
    assert ledger.supersede_after(NIGHT) == []
    assert not ledger.path.exists()
    with pytest.raises(LedgerError, match="2028-02-28"):
        ledger.read(NIGHT)


def test_a_night_without_alerts_is_a_night(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    assert ledger.write(LedgerNight.empty(NIGHT)) == 4
    assert same(ledger.read(NIGHT), LedgerNight.empty(NIGHT))


def test_the_last_night_before(ledger: Ledger) -> None:
    before = ledger.last_before(date(2028, 3, 1))
    assert before is not None
    assert before.night == date(2028, 2, 29)
    assert ledger.last_before(NIGHT) is None


def test_the_same_night_again_writes_nothing(ledger: Ledger, nights: list[LedgerNight]) -> None:
    before = {p: p.stat().st_mtime_ns for p in ledger.path.rglob("*")}
    assert [ledger.write(n) for n in nights] == [0, 0, 0, 0]
    assert {p: p.stat().st_mtime_ns for p in ledger.path.rglob("*")} == before


def test_another_night_of_the_same_date_supersedes_the_old(ledger: Ledger, nights: list[LedgerNight]) -> None:
    other = replace(nights[1], events=nights[1].events[:1])
    assert ledger.write(other) == 4
    assert same(ledger.read(other.night), other)
    assert same(Ledger(ledger.path / "superseded" / "1").read(other.night), nights[1])
    assert ledger.write(nights[1]) == 4
    assert same(Ledger(ledger.path / "superseded" / "2").read(other.night), other)


def test_later_nights_are_superseded_together(ledger: Ledger, nights: list[LedgerNight]) -> None:
    assert ledger.supersede_after(nights[1].night) == [nights[2].night, nights[3].night]
    assert ledger.nights() == [nights[0].night, nights[1].night]
    assert Ledger(ledger.path / "superseded" / "1").nights() == [nights[2].night, nights[3].night]
    assert ledger.supersede_after(nights[1].night) == []


def test_events_and_histories(ledger: Ledger, nights: list[LedgerNight]) -> None:
    told = ledger.events_between(nights[1].night, nights[2].night)
    assert told == [*nights[1].events, *nights[2].events]
    first = nights[0].alerts[0].id
    assert [(e.night.day, e.kind.value) for e in ledger.history(first)] == [
        (28, "created"),
        (28, "provisional"),
        (29, "grown"),
        (1, "grown"),
        (1, "confirmed"),
        (2, "withdrawn"),
    ]
    assert ledger.history(first[:-1]) == [], "part of an id is no id"


def test_the_alerts_of_a_night_open_in_one_line(ledger: Ledger, nights: list[LedgerNight]) -> None:
    frame = geopandas.read_parquet(ledger.path / "2028-02-29" / "alerts.parquet")
    assert list(frame["id"]) == [a.id for a in nights[1].alerts]
    assert frame.crs.to_string() == "OGC:CRS84"
    assert frame.geometry.tolist() == [a.geometry for a in nights[1].alerts]


def test_a_later_schema_is_refused_with_the_remedy(ledger: Ledger) -> None:
    path = ledger.path / NIGHT.isoformat() / MANIFEST
    manifest = orjson.loads(path.read_bytes())
    path.write_bytes(orjson.dumps({**manifest, "schema": SCHEMA_VERSION + 1}))
    with pytest.raises(LedgerError, match="update Enggang"):
        ledger.read(NIGHT)


def test_a_night_in_the_wrong_folder_is_refused(ledger: Ledger) -> None:
    (ledger.path / "2028-02-28").rename(ledger.path / "2028-02-27")
    with pytest.raises(LedgerError, match="holds the night 2028-02-28"):
        ledger.read(date(2028, 2, 27))


def test_a_night_that_lost_a_file_is_named_and_written_anew(ledger: Ledger, nights: list[LedgerNight]) -> None:
    (ledger.path / "2028-02-28" / "pixels.parquet").unlink()
    with pytest.raises(LedgerError, match="no complete night"):
        ledger.read(NIGHT)
    assert ledger.write(nights[0]) == 4
    assert same(ledger.read(NIGHT), nights[0])
