"""Chunks coded directly are the chunks that zarr writes and reads."""

from __future__ import annotations

from pathlib import Path

import icechunk
import numpy as np
import pytest
import zarr
from zarr.buffer import cpu, default_buffer_prototype
from zarr.codecs import ZstdCodec
from zarr.core.sync import sync

from enggang.monitors.chunks import Chunks
from enggang.monitors.schema import BELIEF, ArraySpec, baseline_specs
from enggang.monitors.writer import COMPRESSORS
from enggang.types import AnyArray

EDGE, SHAPE = 16, (40, 25)
SPECS = (*BELIEF, *baseline_specs("nbr", 3, 1e-4))
CORNER = (slice(32, 40), slice(16, 25))
WINDOWS = [(slice(0, 16), slice(0, 16)), (slice(16, 32), slice(16, 25)), (slice(32, 40), slice(0, 16)), CORNER]


@pytest.fixture
def group(tmp_path: Path) -> zarr.Group:
    repository = icechunk.Repository.create(icechunk.local_filesystem_storage(str(tmp_path / "repo")))
    return zarr.open_group(repository.writable_session("main").store, mode="a", zarr_format=3)


def make(group: zarr.Group, spec: ArraySpec, name: str) -> zarr.Array:
    return group.create_array(
        name,
        shape=spec.shape(SHAPE),
        chunks=spec.shape((EDGE, EDGE)),
        dtype=spec.dtype,
        fill_value=spec.fill,
        compressors=COMPRESSORS,
    )


def numbers(spec: ArraySpec, window: tuple[slice, slice]) -> AnyArray:
    rng = np.random.default_rng(7)
    shape = spec.shape((window[0].stop - window[0].start, window[1].stop - window[1].start))
    return rng.integers(0, 200, shape).astype(spec.dtype)


@pytest.mark.parametrize("spec", SPECS, ids=lambda s: s.name)
@pytest.mark.parametrize("window", WINDOWS, ids=str)
def test_what_is_written_directly_is_byte_for_byte_what_zarr_writes(
    group: zarr.Group, spec: ArraySpec, window: tuple[slice, slice]
) -> None:
    by_zarr, direct = make(group, spec, "zarr"), make(group, spec, "direct")
    values = numbers(spec, window)
    by_zarr[(..., *window)] = values
    chunks = Chunks.of(direct)
    assert chunks is not None
    assert chunks.write(window, values)
    index = (*(0,) * (by_zarr.ndim - 2), window[0].start // EDGE, window[1].start // EDGE)
    key = by_zarr.metadata.encode_chunk_key(index)
    stored = [sync(group.store.get(f"{name}/{key}", default_buffer_prototype())) for name in ("zarr", "direct")]
    assert stored[0] is not None
    assert stored[0].to_bytes() == stored[1].to_bytes()
    np.testing.assert_array_equal(chunks.read(window), values)
    np.testing.assert_array_equal(direct[:], by_zarr[:])


def test_parts_of_a_chunk_are_read_and_what_spans_chunks_is_left_to_zarr(group: zarr.Group) -> None:
    array = make(group, SPECS[0], "a")
    array[:] = np.arange(np.prod(SHAPE), dtype=np.int16).reshape(SHAPE)
    chunks = Chunks.of(array)
    assert chunks is not None
    for window in [(slice(17, 30), slice(2, 5)), (slice(39, 40), slice(24, 25))]:
        found = chunks.read(window)
        np.testing.assert_array_equal(found, array[window])
        assert found is not None
        assert found.flags.writeable
    for window in [(slice(0, 17), slice(0, 16)), (slice(32, 41), slice(0, 16)), (slice(5, 5), slice(0, 16))]:
        assert chunks.read(window) is None


def test_a_part_of_a_chunk_and_the_fill_alone_are_left_to_zarr(group: zarr.Group) -> None:
    array = make(group, SPECS[0], "a")
    chunks = Chunks.of(array)
    assert chunks is not None
    assert not chunks.write((slice(0, 8), slice(0, 16)), np.ones((8, 16), np.int16))
    assert not chunks.write(WINDOWS[0], np.full((EDGE, EDGE), SPECS[0].fill, np.int16))
    np.testing.assert_array_equal(chunks.read(CORNER), np.full((8, 9), SPECS[0].fill, np.int16))


@pytest.mark.parametrize("damage", ["flipped", "cut", "empty", "of another array"])
def test_damaged_bytes_are_refused(group: zarr.Group, damage: str) -> None:
    array, other = make(group, SPECS[0], "a"), make(group, SPECS[1], "b")
    for each in (array, other):
        each[WINDOWS[0]] = numbers(SPECS[1], WINDOWS[0])
    stored, foreign = (sync(group.store.get(f"{n}/c/0/0", default_buffer_prototype())).to_bytes() for n in ("a", "b"))
    flipped = bytes([stored[0], *stored[1:40], stored[40] ^ 4, *stored[41:]])
    bad = {"flipped": flipped, "cut": stored[:-9], "empty": b"", "of another array": foreign}[damage]
    sync(group.store.set("a/c/0/0", cpu.Buffer.from_bytes(bad)))
    chunks = Chunks.of(array)
    assert chunks is not None
    with pytest.raises(ValueError, match=r"checksum|another size"):
        chunks.read(WINDOWS[0])


def test_another_coding_is_left_to_zarr(group: zarr.Group) -> None:
    array = group.create_array("z", shape=SHAPE, chunks=(EDGE, EDGE), dtype="int16", compressors=ZstdCodec())
    assert Chunks.of(array) is None
