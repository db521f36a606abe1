"""Writing a state: under a lease, one commit per scene, all of it or nothing."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import icechunk
import numpy as np
import zarr
from zarr.codecs import BloscCodec, Crc32cCodec

from enggang.errors import StateError
from enggang.monitors.history import Change, Commit, require_next
from enggang.monitors.lease import Lease
from enggang.monitors.reader import ARRAYS, IDENTITY, REVISION, StateReader, Window, open_reader
from enggang.monitors.repository import (
    BRANCH,
    StatePaths,
    create_repository,
    head_of,
    make_durable,
    open_repository,
    read_chain,
    seal_snapshot,
    store_errors,
    verify_seal,
    write_head,
)
from enggang.monitors.schema import SCHEMA_VERSION, ArraySpec, StateIdentity, specs_to_document
from enggang.types import AnyArray

#: Fastest to read and write of those compared in bench/state_io.py. The checksum comes last, so that a chunk can be
#: checked undecoded.
COMPRESSORS = (BloscCodec(cname="lz4", clevel=1, shuffle="bitshuffle"), Crc32cCodec())


class Transaction(StateReader):
    """Changes on the way to a commit. Different blocks may be read and written from many threads at once.

    After the transaction has ended, `commit` is what it became.
    """

    def __init__(self, session: icechunk.Session, place: str) -> None:
        super().__init__(session, place)
        self.commit: Commit | None = None

    def write(self, name: str, window: Window, packed: AnyArray, was: AnyArray | None = None) -> None:
        """Write packed numbers into a window of whole blocks: (y, x), or (k, y, x) for arrays with layers.

        `was`: what was read there before; where nothing changed, the chunk is left as it is and costs nothing.
        Raises `StateError` for a wrong dtype or shape, or a window that cuts through a block (two threads would
        overwrite each other there).
        """
        spec = self.spec(name)
        self._require_blocks(name, window)
        expected = spec.shape((window[0].stop - window[0].start, window[1].stop - window[1].start))
        if packed.dtype != np.dtype(spec.dtype) or packed.shape != expected:
            raise StateError(
                f"{name} takes {spec.dtype} {expected}, not {packed.dtype} {packed.shape}", "pack the values first"
            )
        if was is not None and np.array_equal(was, packed):
            return
        with store_errors(f"{self._place}: {name}"):
            chunks = self._coded(name)
            if chunks is None or not chunks.write(window, packed):
                self._array(name)[(..., *window)] = packed

    def add_arrays(self, specs: Iterable[ArraySpec]) -> None:
        """Add arrays, filled with their fill. One that is there already with the same spec stays as it is.

        Raises `StateError` where it is there with another spec.
        """
        for spec in specs:
            if spec.name not in self._specs:
                self._create_array(spec)
            elif self._specs[spec.name] != spec:
                raise StateError(f"array {spec.name} exists as {self._specs[spec.name]}", "raise the monitor's version")
        self._specs = dict(sorted(self._specs.items()))
        with store_errors(self._place):
            self._group.attrs[ARRAYS] = specs_to_document(self._specs.values())

    def set_schema(self, version: int) -> None:
        """Say which schema the state has after this commit; for migrations alone."""
        self.identity = replace(self.identity, schema_version=version)
        with store_errors(self._place):
            self._group.attrs[IDENTITY] = self.identity.to_document()

    def _create_array(self, spec: ArraySpec) -> None:
        edge = self.identity.block
        # What CF readers (xarray, GDAL) need to show physical values.
        attributes: dict[str, Any] = {"scale_factor": spec.scale, "_FillValue": spec.fill} if spec.scaled else {}
        with store_errors(self._place):
            self._arrays[spec.name] = self._group.create_array(
                spec.name,
                shape=spec.shape(self.identity.shape),
                chunks=spec.shape((edge, edge)),
                dtype=spec.dtype,
                fill_value=spec.fill,
                compressors=COMPRESSORS,
                dimension_names=("k", "y", "x") if spec.layers else ("y", "x"),
                attributes=attributes,
            )
        self._specs[spec.name] = spec

    def _require_blocks(self, name: str, window: Window) -> None:
        edge = self.identity.block
        for span, size in zip(window, self.identity.shape, strict=True):
            inside = 0 <= span.start < span.stop <= size
            if not inside or span.start % edge or (span.stop % edge and span.stop != size):
                raise StateError(f"{name}: window {window} is not made of whole blocks of {edge}", "write whole blocks")


class Writer:
    """The one writer of a state, for as long as it holds the lease."""

    def __init__(self, paths: StatePaths, lease: Lease) -> None:
        self.paths = paths
        self.lease = lease
        self._busy = False
        self._log: list[Commit] | None = None

    def create(self, identity: StateIdentity, specs: Iterable[ArraySpec]) -> Commit:
        """Make the state, with its arrays filled with their fills. It appears whole or not at all.

        Raises `StateError` where there is one already.
        """
        if self.paths.repo.exists():
            raise StateError(
                f"there is a state at {self.paths.folder} already", "use it, or raise the monitor's version"
            )
        with store_errors(self.paths.folder):
            temporary = StatePaths(Path(tempfile.mkdtemp(prefix=".part-", dir=self.paths.folder)))
        try:
            commit = _build(temporary, identity, specs)
            self.adopt(temporary)
        finally:
            shutil.rmtree(temporary.folder, ignore_errors=True)
        return commit

    def adopt(self, built: StatePaths) -> None:
        """Make a complete state that lies on the same disk the state of this folder, which has none."""
        make_durable(built.folder)
        with self.lease.critical():
            shutil.rmtree(self.paths.seals, ignore_errors=True)  # of an adoption that was killed right here
            built.seals.rename(self.paths.seals)
            built.repo.rename(self.paths.repo)
        make_durable(self.paths.folder)
        self._log = None

    def identity(self) -> StateIdentity:
        """Whose state it is, as of now."""
        return open_reader(self.paths).identity

    def log(self) -> tuple[Commit, ...]:
        """All commits, oldest first. Read once: nobody else can commit while this writer holds the lease."""
        if self._log is None:
            self._log = read_log(self.paths)
        return tuple(self._log)

    @contextmanager
    def transaction(self, change: Change) -> Iterator[Transaction]:
        """One commit. It is made when the body ends; where the body raises, the state stays as it was.

        Raises `StateError` for a scene that is applied already or older than the last one, `FencedOut` where another
        writer took over, `DiskFull` where no space is left, `CorruptState` where the state is damaged.
        """
        if self._busy:
            raise StateError("a transaction within a transaction", "finish the first one")
        self.lease.check()
        require_next(self.log(), change)
        parent = self.log()[-1].snapshot
        self._busy = True
        try:
            repo = open_repository(self.paths.repo)
            verify_seal(self.paths, parent)
            with store_errors(self.paths.repo):
                session = repo.writable_session(BRANCH)
            transaction = Transaction(session, str(self.paths.folder))
            if change.kind != "migration" and transaction.identity.schema_version != SCHEMA_VERSION:
                raise StateError(f"the state has schema {transaction.identity.schema_version}", "migrate it first")
            yield transaction
            transaction.commit = self._publish(repo, session, change)
        finally:
            self._busy = False

    def reset_to(self, snapshot: str) -> Commit:
        """Make an earlier commit the current one again; what came after it is no longer part of the state.

        Raises `StateError` where the snapshot is not in the log or its pixels were given up, `FencedOut`.
        """
        commits = list(self.log())
        index = next((i for i, c in enumerate(commits) if c.snapshot == snapshot and c.readable), None)
        if index is None or self._busy:
            raise StateError(
                f"the state can't be reset to {snapshot}", "choose a commit of its log, between transactions"
            )
        if index == len(commits) - 1:
            return commits[-1]
        verify_seal(self.paths, snapshot)
        self._move(open_repository(self.paths.repo), commits[-1].snapshot, snapshot)
        self._log = commits[: index + 1]
        return commits[index]

    def require_idle(self) -> Commit:
        """The current commit. Raises `StateError` amid a transaction."""
        if self._busy:
            raise StateError("a transaction is under way", "finish it first")
        return self.log()[-1]

    def forget_log(self) -> None:
        """Read the log anew at the next call; for those who change history beside this writer, under its lease."""
        self._log = None

    def _publish(self, repo: icechunk.Repository, session: icechunk.Session, change: Change) -> Commit:
        """Two phases: write everything as a snapshot that nothing points to, then move the branch to it."""
        parent = self.log()[-1].snapshot
        self.lease.check()
        with store_errors(self.paths.repo):
            group = zarr.open_group(session.store, mode="r+", zarr_format=3)
            group.attrs[REVISION] = len(self.log()) + 1
            snapshot = session.flush(change.message, change.to_metadata())
        seal_snapshot(self.paths, repo, snapshot)
        self._move(repo, parent, snapshot)
        commit = Commit.from_metadata(snapshot, parent, change.to_metadata())
        self._log = [*self.log(), commit]
        return commit

    def _move(self, repo: icechunk.Repository, parent: str, snapshot: str) -> None:
        make_durable(self.paths.folder)
        with self.lease.critical(), store_errors(self.paths.repo):
            write_head(self.paths, snapshot, parent)
            repo.reset_branch(BRANCH, snapshot, from_snapshot_id=parent)
        make_durable(self.paths.folder)


def read_log(paths: StatePaths) -> list[Commit]:
    """All commits of a state, oldest first."""
    if not paths.repo.is_dir():
        raise StateError(f"there is no state at {paths.folder}", "build the monitor's baseline first")
    chain = read_chain(paths, head_of(paths))
    return [Commit.from_metadata(s.snapshot, s.parent, s.commit, readable=bool(s.objects)) for s in chain]


def _build(paths: StatePaths, identity: StateIdentity, specs: Iterable[ArraySpec]) -> Commit:
    repo = create_repository(paths.repo)
    change = Change("create", fingerprint=identity.config_digest, extra=identity.to_document())
    with store_errors(paths.repo):
        root = repo.lookup_branch(BRANCH)
        session = repo.writable_session(BRANCH)
        attributes: dict[str, Any] = {IDENTITY: identity.to_document(), ARRAYS: {}, REVISION: 1}
        zarr.open_group(session.store, mode="a", zarr_format=3).attrs.update(attributes)
    Transaction(session, str(paths.folder)).add_arrays(specs)
    with store_errors(paths.repo):
        snapshot = session.flush(change.message, change.to_metadata())
        seal_snapshot(paths, repo, snapshot)
        write_head(paths, snapshot, root)
        repo.reset_branch(BRANCH, snapshot, from_snapshot_id=root)
    return Commit.from_metadata(snapshot, root, change.to_metadata())
