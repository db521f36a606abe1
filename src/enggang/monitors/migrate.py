"""Bringing the state of an older release up to this release's schema, one commit a version."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from enggang.errors import StateError
from enggang.monitors.history import Change, Commit
from enggang.monitors.schema import SCHEMA_VERSION
from enggang.monitors.writer import Transaction, Writer

#: What changes a state of schema n into one of schema n + 1, by n. Version 1 is the first, so there is none yet.
MIGRATIONS: Mapping[int, Callable[[Transaction], None]] = MappingProxyType({})


def migrate(
    writer: Writer,
    migrations: Mapping[int, Callable[[Transaction], None]] = MIGRATIONS,
    target: int = SCHEMA_VERSION,
) -> list[Commit]:
    """Migrate the state to schema `target`; returns the commits, none where it is there already.

    Each version is one commit, so a run that was cut off goes on where it stopped, and the state before stays
    readable. Raises `StateError` where a step is missing.
    """
    commits = []
    for version in range(writer.identity().schema_version, target):
        if version not in migrations:
            raise StateError(f"there is no migration from schema {version}", "run a release that still has it first")
        change = Change("migration", fingerprint=f"{version}→{version + 1}")
        with writer.transaction(change) as tx:
            migrations[version](tx)
            tx.set_schema(version + 1)
        commits.append(writer.log()[-1])
    return commits
