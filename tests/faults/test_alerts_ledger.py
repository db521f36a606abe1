"""Kills, full disks, flipped bytes and readers during a replacement: the ledger shows the old night or the new one."""

from __future__ import annotations

import errno
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from odc.geo.geobox import GeoBox

from enggang.alerts.ledger import Ledger
from enggang.alerts.ledger_format import encode
from enggang.alerts.records import LedgerNight, Versions
from enggang.alerts.track import AlertRules, TrackContext, track
from enggang.errors import DiskFull, LedgerError
from enggang.types import PixelTable

NIGHT = date(2028, 2, 29)
GRID = GeoBox((40, 40), Affine(10, 0, 500_000, 0, -10, 9_900_000), "EPSG:32750")


def tracked(previous: LedgerNight | None, night: date, size: int) -> LedgerNight:
    """A night on which a square of `size` pixels is flagged."""
    row, col = (a.ravel() for a in np.mgrid[5 : 5 + size, 5 : 5 + size])
    n = len(row)
    days, few = np.full(n, 4800, dtype=np.uint16), np.full(n, 2, dtype=np.uint8)
    belief = np.full(n, 0.8, dtype=np.float32)
    pixels = PixelTable(row.astype(np.int32), col.astype(np.int32), few, belief, days, days, days * 0, few, few)
    at = datetime(night.year, night.month, night.day, 22, tzinfo=UTC)
    context = TrackContext("demo", GRID, night, at, AlertRules(), Versions("m", "s", "d", "0"))
    return track(previous, pixels, context)


@pytest.fixture
def old() -> list[LedgerNight]:
    """Three nights around the leap day."""
    nights: list[LedgerNight] = []
    for n in (-1, 0, 1):
        nights.append(tracked(nights[-1] if nights else None, NIGHT + timedelta(n), 5 + n))
    return nights


@pytest.fixture
def new(old: list[LedgerNight]) -> LedgerNight:
    """Another outcome of the middle night, as after a late scene."""
    return tracked(old[0], NIGHT, 9)


def visible(ledger: Ledger) -> dict[date, dict[str, bytes]]:
    return {night: encode(ledger.read(night)) for night in ledger.nights()}


def versions(folder: Path) -> set[tuple[str, bytes]]:
    """All nights that are kept, superseded ones too, each by its date and manifest, which holds the other hashes."""
    return {(p.parent.name, p.read_bytes()) for p in folder.rglob("night.json")}


@pytest.mark.parametrize("operation", ["first", "replace", "supersede"])
def test_a_kill_at_every_write_leaves_the_old_or_the_new(
    operation: str, tmp_path: Path, old: list[LedgerNight], new: LedgerNight
) -> None:
    for night in old:
        Ledger(tmp_path / "old").write(night)
    Ledger(tmp_path / "new").write(new)
    script = Path(__file__).with_name("kill_ledger_writer.py")
    command = [sys.executable, str(script), str(tmp_path), operation]
    kills = int(subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout)
    assert kills >= {"first": 10, "replace": 14, "supersede": 3}[operation]

    def finish(ledger: Ledger) -> None:
        if operation == "supersede":
            ledger.supersede_after(old[0].night)
        else:
            ledger.write(new)

    first, middle, last = (encode(n) for n in old)
    days = [n.night for n in old]
    allowed = {
        "first": [{}, {NIGHT: encode(new)}],
        "replace": [
            {days[0]: first, days[1]: middle, days[2]: last},
            {days[0]: first, days[1]: encode(new), days[2]: last},
        ],
        "supersede": [dict(zip(days[:n], (first, middle, last), strict=False)) for n in (1, 2, 3)],
    }[operation]
    for n in range(kills):
        ledger = Ledger(tmp_path / f"try-{n}")
        assert visible(ledger) in allowed, f"killed at write {n}"
        finish(ledger)
        assert visible(ledger) == visible(Ledger(tmp_path / f"try-{kills}"))
        assert versions(ledger.path) == versions(tmp_path / f"try-{kills}"), "nothing is lost"
        assert not [p for p in ledger.path.iterdir() if p.name.startswith(".part-") or p.name.endswith(".next")]


def test_no_space_at_every_write_serves_the_old_night(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: list[LedgerNight], new: LedgerNight
) -> None:
    ledger = Ledger(tmp_path)
    for night in old:
        ledger.write(night)
    before = visible(ledger)
    write: Callable[[Path, bytes], int] = Path.write_bytes
    for failing in range(4):
        calls = iter(range(100))

        def full(path: Path, data: bytes, calls: object = calls, failing: int = failing) -> int:
            if next(calls) == failing:  # type: ignore[call-overload]
                write(path, data[: len(data) // 2])
                raise OSError(errno.ENOSPC, "No space left on device")
            return write(path, data)

        with monkeypatch.context() as patch:
            patch.setattr(Path, "write_bytes", full)
            with pytest.raises(DiskFull):
                ledger.write(new)
        assert visible(ledger) == before
    assert ledger.write(new) == 4
    assert visible(ledger)[NIGHT] == encode(new)


def test_a_flipped_byte_anywhere_is_found_and_named(tmp_path: Path, old: list[LedgerNight]) -> None:
    ledger = Ledger(tmp_path)
    ledger.write(old[1])
    for path in sorted((tmp_path / NIGHT.isoformat()).iterdir()):
        whole = path.read_bytes()
        for position in range(0, len(whole), max(1, len(whole) // 60)):
            damaged = bytearray(whole)
            damaged[position] ^= 0x01
            path.write_bytes(bytes(damaged))
            with pytest.raises(LedgerError, match=r"2028-02-29.*(restore|update|run that night)"):
                ledger.read(NIGHT)
        path.write_bytes(whole)
    assert encode(ledger.read(NIGHT)) == encode(old[1])


def test_readers_see_one_version_while_a_night_is_replaced(
    tmp_path: Path, old: list[LedgerNight], new: LedgerNight
) -> None:
    ledger = Ledger(tmp_path)
    ledger.write(old[1])
    allowed = [encode(old[1]), encode(new)]
    seen: list[int] = []
    stop = threading.Event()

    def look() -> None:
        while not stop.is_set():
            seen.append(allowed.index(encode(Ledger(tmp_path).read(NIGHT))))

    readers = [threading.Thread(target=look) for _ in range(4)]
    for reader in readers:
        reader.start()
    for n in range(40):
        ledger.write(new if n % 2 == 0 else old[1])
    stop.set()
    for reader in readers:
        reader.join()
    assert set(seen) == {0, 1}
    assert len(list((tmp_path / "superseded").iterdir())) == 40


def test_the_same_slot_twice_doubles_nothing(tmp_path: Path, old: list[LedgerNight]) -> None:
    ledger = Ledger(tmp_path)
    ledger.write(old[0])
    again = [tracked(ledger.last_before(NIGHT), NIGHT, 5) for _ in range(2)]
    assert [ledger.write(n) for n in again] == [4, 0]
    events = ledger.events_between(date(2028, 1, 1), date(2028, 12, 31))
    assert len({e.id for e in events}) == len(events)


def test_replaying_later_nights_keeps_the_ids(tmp_path: Path, old: list[LedgerNight], new: LedgerNight) -> None:
    """A late scene changes the middle night; what follows is told again, and the first version stays on file."""
    ledger = Ledger(tmp_path)
    for night in old:
        ledger.write(night)
    ledger.supersede_after(old[0].night)
    ledger.write(new)
    after = tracked(new, old[2].night, 9)
    ledger.write(after)
    assert [a.id for a in after.alerts] == [a.id for a in old[2].alerts]
    assert after.events == ()
    kept = Ledger(tmp_path / "superseded" / "1")
    assert visible(kept) == {n.night: encode(n) for n in old[1:]}
    assert replace(old[2], events=()) != old[2]
