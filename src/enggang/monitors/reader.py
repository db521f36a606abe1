"""Reading a state: one snapshot, consistent for as long as the reader lives, whatever is committed meanwhile."""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Iterator
from typing import Any, cast

import icechunk
import numpy as np
import zarr

from enggang.errors import StateError
from enggang.monitors.chunks import Chunks
from enggang.monitors.repository import StatePaths, head_of, open_repository, store_errors, verify_seal
from enggang.monitors.schema import ArraySpec, StateIdentity, specs_from_document, unpack
from enggang.types import AnyArray

Window = tuple[slice, slice]
ZarrArray = zarr.Array[Any]

#: Attributes of the root group: the identity, the array specs, and a count of commits.
IDENTITY, ARRAYS, REVISION = "enggang_identity", "enggang_arrays", "enggang_revision"


class StateReader:
    """The arrays of one snapshot. Reads may come from many threads at once."""

    def __init__(self, session: icechunk.Session, place: str) -> None:
        self._session = session
        self._place = place
        with store_errors(place):
            self._group = zarr.open_group(session.store, mode="r" if session.read_only else "r+", zarr_format=3)
            attributes: dict[str, Any] = dict(self._group.attrs.asdict())
            self._specs = specs_from_document(attributes.get(ARRAYS, {}))
        self.identity = StateIdentity.from_document(attributes.get(IDENTITY, {}))
        self._arrays: dict[str, ZarrArray] = {}
        self._chunks: dict[str, Chunks | None] = {}

    @property
    def snapshot(self) -> str:
        """The store's name of the snapshot that is read."""
        return str(self._session.snapshot_id)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all arrays, sorted."""
        return tuple(self._specs)

    def __contains__(self, name: str) -> bool:
        return name in self._specs

    def spec(self, name: str) -> ArraySpec:
        """How an array is packed. Raises `StateError` where the state has no such array."""
        if name not in self._specs:
            near = difflib.get_close_matches(name, self.names, n=1)
            hint = f"did you mean {near[0]}?" if near else f"it has {', '.join(self.names) or 'none'}"
            raise StateError(f"the state at {self._place} has no array {name}", hint)
        return self._specs[name]

    def read(self, name: str, window: Window) -> AnyArray:
        """The packed numbers of a window (rows, columns): (y, x), or (k, y, x) for arrays with layers.

        Raises `CorruptState` where bytes of a chunk changed on disk, `StateError` for an unknown array.
        """
        rows, columns = window
        with store_errors(
            f"{self._place}: {name} at rows {rows.start}–{rows.stop}, columns {columns.start}–{columns.stop}"
        ):
            chunks = self._coded(name)
            direct = chunks.read(window) if chunks else None
            return np.asarray(self._array(name)[(..., rows, columns)]) if direct is None else direct

    def read_values(self, name: str, window: Window) -> AnyArray:
        """As `read`, unpacked: float32 with NaN for the fill where the array is scaled."""
        return unpack(self.spec(name), self.read(name, window))

    def zarr_store(self) -> icechunk.IcechunkStore:
        """The snapshot as a Zarr store, for xarray (`xr.open_zarr`, which decodes the packing)."""
        return self._session.store

    def blocks(self) -> Iterator[Window]:
        """All blocks of the grid as windows, row by row; those at the lower and right edge may be smaller."""
        edge, (height, width) = self.identity.block, self.identity.shape
        for top in range(0, height, edge):
            for left in range(0, width, edge):
                yield slice(top, min(top + edge, height)), slice(left, min(left + edge, width))

    def _array(self, name: str) -> ZarrArray:
        array = self._arrays.get(name)
        if array is None:
            self.spec(name)
            array = self._arrays.setdefault(name, cast("ZarrArray", self._group[name]))
        return array

    def _coded(self, name: str) -> Chunks | None:
        """The array's chunks, where they can be read and written directly."""
        if name not in self._chunks:
            self._chunks[name] = Chunks.of(self._array(name))
        return self._chunks[name]


def open_reader(paths: StatePaths, at: str | None = None) -> StateReader:
    """A reader of the current snapshot or the one named; see `StateStore.reader`."""
    repo = open_repository(paths.repo)
    snapshot = at or head_of(paths)
    verify_seal(paths, snapshot)
    with store_errors(paths.repo):
        session = repo.readonly_session(snapshot_id=snapshot)
    return StateReader(session, str(paths.folder))


def content_digest(reader: StateReader) -> str:
    """SHA-256 over the name, dtype and every number of all arrays: equal for states that are equal pixel by pixel."""
    digest = hashlib.sha256()
    for name in reader.names:
        spec = reader.spec(name)
        digest.update(f"{name}:{spec.dtype}:{spec.scale}:{spec.shape(reader.identity.shape)};".encode())
        for window in reader.blocks():
            digest.update(np.ascontiguousarray(reader.read(name, window)).data)
    return digest.hexdigest()
