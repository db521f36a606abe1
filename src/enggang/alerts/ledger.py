"""The alert ledger on disk: one folder a night, never edited, never deleted.

`<night>/` holds the files of `ledger_format`. What a rerun replaces moves to `superseded/<n>/<night>/`. A new night
becomes visible by one rename of a complete folder; a replacement waits as `<night>.next` while the old one moves away,
and readers take it from there, so that at every moment either the old or the new night is found. One writer at a time:
the lease of the state is held while the ledger is written.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path

from enggang.alerts.ledger_format import ALERTS, EVENTS, MANIFEST, PIXELS, check, decode, decode_events, encode
from enggang.alerts.records import AlertEvent, LedgerNight
from enggang.errors import LedgerError
from enggang.files import disk_errors, remove_leftovers, write_bytes

_FILES = (ALERTS, PIXELS, EVENTS, MANIFEST)
_NIGHT = re.compile(r"\d{4}-\d{2}-\d{2}(\.next)?")
_SUPERSEDED = "superseded"
#: How often a reader that finds a night on the move looks again; one replacement is two renames.
_LOOKS = 20


class Ledger:
    """The nights of one monitor's alerts in one AOI, below `path`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def nights(self) -> list[date]:
        """All nights, ascending; empty where there is no ledger yet."""
        if not self.path.is_dir():
            return []
        names = (p.name for p in self.path.iterdir())
        return sorted({date.fromisoformat(name[:10]) for name in names if _NIGHT.fullmatch(name)})

    def read(self, night: date) -> LedgerNight:
        """One night. Raises `LedgerError` where there is none or its bytes changed on disk."""
        where = str(self.path / night.isoformat())
        found = decode(self._load(night, _FILES), where)
        if found.night != night:
            raise LedgerError(f"{where} holds the night {found.night}", "restore it from a backup")
        return found

    def last_before(self, night: date) -> LedgerNight | None:
        """The latest night before `night`; None where there is none."""
        earlier = [n for n in self.nights() if n < night]
        return self.read(earlier[-1]) if earlier else None

    def write(self, night: LedgerNight) -> int:
        """Write a night and return how many files were written: 0 where the same night stands there already.

        A different one of the same date is superseded. Raises `DiskFull`; then the old night stands.
        """
        name, contents = night.night.isoformat(), encode(night)
        self._settle(name)
        target = self.path / name
        if _holds(target, contents):
            return 0
        with disk_errors(target):
            self.path.mkdir(parents=True, exist_ok=True)
            part = self.path / f".part-{name}"
            part.mkdir()
            for file, data in contents.items():
                write_bytes(part / file, data)
            if target.is_dir():
                coming = part.rename(self.path / f"{name}.next")
                self._supersede([name])
                coming.rename(target)
            else:
                part.rename(target)
        return len(contents)

    def supersede_after(self, night: date) -> list[date]:
        """Move every night after `night` to `superseded/<n>/`, the latest first, and return them ascending.

        A kill on the way leaves a shorter ledger without gap; the same call again goes on.
        """
        later = [n for n in self.nights() if n > night]
        for n in later:
            self._settle(n.isoformat())
        with disk_errors(self.path):
            self._supersede([n.isoformat() for n in reversed(later)])
        return later

    def events_between(self, first: date, last: date) -> list[AlertEvent]:
        """All events of the nights from `first` to `last`, both included, in order."""
        nights = [n for n in self.nights() if first <= n <= last]
        return [event for n in nights for event in decode_events(self._events(n))]

    def history(self, alert_id: str) -> list[AlertEvent]:
        """All events of one alert in order; empty where the ledger doesn't know it."""
        wanted = alert_id.encode()
        found: list[AlertEvent] = []
        for night in self.nights():
            lines = [line for line in self._events(night).splitlines() if wanted in line]
            found += [e for e in decode_events(b"\n".join(lines)) if e.alert_id == alert_id]
        return found

    def _events(self, night: date) -> bytes:
        return self._load(night, (EVENTS, MANIFEST))[EVENTS]

    def _load(self, night: date, names: tuple[str, ...]) -> dict[str, bytes]:
        """The files of a night, all of one version, with the hashes checked."""
        target = self.path / night.isoformat()
        for folder in (target, target.with_name(f"{target.name}.next")) * _LOOKS:
            try:
                contents = _read_folder(folder, names)
            except FileNotFoundError:
                continue
            check(contents, str(target))
            return contents
        raise LedgerError(f"no complete night at {target}", "run that night again")

    def _settle(self, name: str) -> None:
        """Clear away what a killed writer left: finish a replacement on its way, drop one that never began."""
        remove_leftovers(self.path)
        target, coming = self.path / name, self.path / f"{name}.next"
        if coming.is_dir() and target.is_dir():
            shutil.rmtree(coming)
        elif coming.is_dir():
            coming.rename(target)

    def _supersede(self, names: list[str]) -> None:
        if not names:
            return
        attic = self.path / _SUPERSEDED
        taken = [int(p.name) for p in attic.iterdir()] if attic.is_dir() else []
        place = attic / str(max(taken, default=0) + 1)
        place.mkdir(parents=True)
        for name in names:
            (self.path / name).rename(place / name)


def _holds(folder: Path, contents: Mapping[str, bytes]) -> bool:
    try:
        return _read_folder(folder, contents) == contents
    except FileNotFoundError:
        return False


def _read_folder(folder: Path, names: Iterable[str]) -> dict[str, bytes]:
    """Files of a folder that may be renamed meanwhile: its descriptor goes with it, so that versions never mix."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        contents = {}
        for name in names:
            with os.fdopen(os.open(name, os.O_RDONLY, dir_fd=descriptor), "rb") as file:
                contents[name] = file.read()
        return contents
    finally:
        os.close(descriptor)
