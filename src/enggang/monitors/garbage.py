"""Freeing space: objects that no commit of the history needs, and, where asked for, the pixels of old commits."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import icechunk

from enggang.errors import StateError
from enggang.monitors.backup import GARBAGE_LOCK
from enggang.monitors.lease import locked
from enggang.monitors.repository import (
    Seal,
    StatePaths,
    file_digest,
    open_repository,
    read_chain,
    store_errors,
    write_seal,
)
from enggang.monitors.scrub import PARTIAL
from enggang.monitors.writer import Writer

#: Nothing younger is ever deleted, so that no reader or backup that is under way loses what it reads.
MINIMUM_AGE = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Collected:
    """What was deleted: objects and bytes, and how many commits gave up their pixels."""

    objects: int
    size: int
    given_up: int


def collect_garbage(
    writer: Writer, older_than: datetime, now: datetime, give_up_before: datetime | None = None
) -> Collected:
    """Delete objects older than `older_than` that no commit needs: those of aborted, undone and given-up commits.

    `give_up_before`: commits made before it keep their record in the log, but their pixels can no longer be read or
    gone back to; the current commit always stays. What is needed is decided by following references, never by
    clocks: a skewed clock may keep garbage, it can't delete what is alive. Nobody else can commit meanwhile.
    Raises `StateError` for a time nearer than a day, `StateLocked` where a backup is under way, `FencedOut`.
    """
    for moment in (older_than, give_up_before):
        if moment is not None and moment > now - MINIMUM_AGE:
            raise StateError(f"garbage up to {moment:%Y-%m-%d %H:%M} is younger than a day", "choose an earlier time")
    paths, seconds = writer.paths, writer.lease.holder.seconds
    chain = read_chain(paths, writer.require_idle().snapshot)
    with locked(paths.folder / GARBAGE_LOCK, seconds), writer.lease.critical(), store_errors(paths.repo):
        repo = open_repository(paths.repo)
        given_up = _give_up(paths, repo, chain, give_up_before) if give_up_before else 0
        _drop_seals(paths, {s.snapshot for s in chain})
        summary = repo.garbage_collect(older_than)
        partial = _drop_partial(paths, older_than)
    writer.forget_log()
    counts = (
        summary.chunks_deleted,
        summary.manifests_deleted,
        summary.snapshots_deleted,
        summary.attributes_deleted,
        summary.transaction_logs_deleted,
    )
    return Collected(sum(counts) + partial, summary.bytes_deleted, given_up)


def _give_up(paths: StatePaths, repo: icechunk.Repository, chain: list[Seal], before: datetime) -> int:
    """Cut the repository's history before the first commit made at or after `before`; the seals keep the records."""
    live = [s for s in chain if s.objects]
    made = {s.snapshot: repo.lookup_snapshot(s.snapshot).written_at for s in live}
    kept = next((i for i, s in enumerate(live) if made[s.snapshot] >= before), len(live) - 1)
    first = live[kept]
    name = f"snapshots/{first.snapshot}"
    # The first commit that stays is rewritten in place, without its parent: until that is done it can't be compared.
    write_seal(paths, replace(first, objects={**first.objects, name: ""}))
    for seal in live[:kept]:
        write_seal(paths, replace(seal, objects={}))
    if kept:
        repo.expire_snapshots(made[first.snapshot])
    write_seal(paths, replace(first, objects={**first.objects, name: file_digest(paths.repo / name)}))
    return kept


def _drop_seals(paths: StatePaths, history: set[str]) -> None:
    for path in paths.seals.glob("*.json"):
        if path != paths.head and path.stem not in history:
            path.unlink()


def _drop_partial(paths: StatePaths, older_than: datetime) -> int:
    """Delete what killed writers left half written."""
    old = [
        path
        for path in paths.repo.rglob("*")
        if PARTIAL.search(path.name) and datetime.fromtimestamp(path.stat().st_mtime, UTC) < older_than
    ]
    for path in old:
        path.unlink()
    return len(old)
