"""Whole chunks between a store and arrays, coded in the calling thread.

Zarr takes each chunk through its event loop and two more threads, copying it on the way: for a block that is one chunk,
that costs more than the codecs themselves. What lies in the store is the same, and zarr reads it.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

import google_crc32c
import numpy as np
import zarr
from numcodecs import Blosc  # type: ignore[import-untyped]
from zarr.abc.store import Store
from zarr.buffer import cpu, default_buffer_prototype
from zarr.codecs import BloscCodec, BytesCodec, Crc32cCodec
from zarr.core.sync import sync

from enggang.types import AnyArray

Window = tuple[slice, slice]
_CHECKSUM = 4
#: Where the header of a Blosc buffer says how many bytes it decodes to.
_DECODED_SIZE = slice(4, 8)
_SHUFFLES = {"noshuffle": Blosc.NOSHUFFLE, "shuffle": Blosc.SHUFFLE, "bitshuffle": Blosc.BITSHUFFLE}


@dataclass(frozen=True, slots=True)
class Chunks:
    """The chunks of one array, whose last two axes are (y, x) and whose first, if any, is whole in each chunk."""

    store: Store
    path: str
    array: zarr.Array[Any]
    blosc: Blosc

    @classmethod
    def of(cls, array: zarr.Array[Any]) -> Chunks | None:
        """None where the array is coded in another way than `writer.COMPRESSORS`, or by another byte order."""
        codecs = array.metadata.codecs if array.metadata.zarr_format == 3 else ()
        kinds = [type(codec) for codec in codecs]
        if kinds != [BytesCodec, BloscCodec, Crc32cCodec] or sys.byteorder != "little":
            return None
        blosc: Any = codecs[1]
        coder = Blosc(blosc.cname.value, blosc.clevel, _SHUFFLES[blosc.shuffle.value], blosc.blocksize)
        return cls(array.store, array.path, array, coder)

    def read(self, window: Window) -> AnyArray | None:
        """The numbers of a window that lies within one chunk; None where it doesn't.

        Raises `ValueError` or `RuntimeError` where the chunk's bytes are damaged.
        """
        place = self._place(window)
        if place is None:
            return None
        stored = sync(self.store.get(self._key(place), default_buffer_prototype()))
        if stored is None:
            shape = (*self.array.shape[:-2], *(span.stop - span.start for span in window))
            return np.full(shape, self.array.fill_value, self.array.dtype)
        rows, columns = (
            slice(span.start - index * edge, span.stop - index * edge)
            for span, index, edge in zip(window, place, self._edges, strict=True)
        )
        return np.ascontiguousarray(self._decoded(np.asarray(stored.as_numpy_array()))[..., rows, columns])

    def write(self, window: Window, numbers: AnyArray) -> bool:
        """Write a whole chunk, or all of it that lies on the grid; False where the window is none, or holds the fill
        alone, which zarr doesn't store."""
        place = self._place(window)
        whole = place is not None and all(
            span.start == index * edge and span.stop == min((index + 1) * edge, size)
            for span, index, edge, size in zip(window, place, self._edges, self.array.shape[-2:], strict=True)
        )
        if place is None or not whole or bool((numbers == self.array.fill_value).all()):
            return False
        chunk = numbers
        if numbers.shape != self.array.chunks:
            chunk = np.full(self.array.chunks, self.array.fill_value, self.array.dtype)
            chunk[tuple(slice(0, size) for size in numbers.shape)] = numbers
        body = self.blosc.encode(np.ascontiguousarray(chunk))
        coded = body + google_crc32c.value(body).to_bytes(_CHECKSUM, "little")
        sync(self.store.set(self._key(place), cpu.Buffer.from_bytes(coded)))
        return True

    @property
    def _edges(self) -> tuple[int, int]:
        return (self.array.chunks[-2], self.array.chunks[-1])

    def _place(self, window: Window) -> tuple[int, int] | None:
        """Row and column of the one chunk that holds a window."""
        first = tuple(span.start // edge for span, edge in zip(window, self._edges, strict=True))
        last = tuple((span.stop - 1) // edge for span, edge in zip(window, self._edges, strict=True))
        inside = all(0 <= s.start < s.stop <= size for s, size in zip(window, self.array.shape[-2:], strict=True))
        return (first[0], first[1]) if inside and first == last else None

    def _key(self, place: tuple[int, int]) -> str:
        index = (0,) * (self.array.ndim - 2) + place
        return f"{self.path}/{self.array.metadata.encode_chunk_key(index)}"

    def _decoded(self, stored: AnyArray) -> AnyArray:
        body, checksum = stored[:-_CHECKSUM], stored[-_CHECKSUM:]
        if google_crc32c.value(body).to_bytes(_CHECKSUM, "little") != checksum.tobytes():
            raise ValueError("stored and computed checksum do not match")
        chunk = np.empty(self.array.chunks, self.array.dtype)
        if int.from_bytes(body[_DECODED_SIZE].tobytes(), "little") != chunk.nbytes:
            raise ValueError(f"a chunk of another size than {chunk.nbytes} bytes")
        self.blosc.decode(body, out=chunk)
        return chunk
