"""The state of one monitor in one AOI: the only mutable raster data.

An icechunk repository on a local disk: each commit is atomic and stays readable, so every past night can be read or
gone back to. See docs/architecture.md for the arrays.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from enggang.files import remove_leftovers
from enggang.monitors.history import Commit
from enggang.monitors.lease import Clock, acquire, boot_clock
from enggang.monitors.reader import StateReader, open_reader
from enggang.monitors.repository import StatePaths
from enggang.monitors.schema import StateIdentity
from enggang.monitors.writer import Writer, read_log


class StateStore:
    """The state in one folder (`Layout.state`). Making this object touches nothing."""

    def __init__(self, folder: Path) -> None:
        self.paths = StatePaths(folder)

    @property
    def folder(self) -> Path:
        """Where the state lies."""
        return self.paths.folder

    def exists(self) -> bool:
        """True where a state was created here."""
        return self.paths.repo.is_dir()

    def identity(self) -> StateIdentity:
        """Whose state it is. Raises `StateError` where there is none, `NewerSchema`, `CorruptState`."""
        return self.reader().identity

    def log(self) -> list[Commit]:
        """All commits, oldest first: the creation, baselines, and scenes in order of acquisition."""
        return read_log(self.paths)

    def reader(self, at: str | None = None) -> StateReader:
        """Read the current snapshot, or the one named `at` (a `Commit.snapshot`).

        The reader keeps seeing that snapshot. Raises `StateError` where there is no state, `NewerSchema`, and
        `CorruptState` where the snapshot's metadata changed on disk or the snapshot is not there.
        """
        return open_reader(self.paths, at)

    @contextmanager
    def writer(self, owner: str, lease_seconds: float, clock: Clock = boot_clock) -> Iterator[Writer]:
        """Be the one writer. `owner` is shown to others; `lease_seconds` of silence and the lease can be taken over.

        Raises `StateLocked` where another writer holds the lease.
        """
        lease = acquire(self.folder, owner, lease_seconds, clock)
        try:
            remove_leftovers(self.folder)
            yield Writer(self.paths, lease)
        finally:
            lease.release()
