"""Atomic writes: old or new, never half; and a full disk is said so."""

from __future__ import annotations

import errno
import multiprocessing
import os
import shutil
import signal
import threading
from collections import namedtuple
from pathlib import Path

import pytest

from enggang.errors import DiskFull
from enggang.files import read_json, remove_leftovers, require_free_space, write_atomic, write_bytes, write_json


def test_equal_values_give_equal_bytes_whatever_their_order(tmp_path: Path) -> None:
    first = write_json(tmp_path / "a.json", {"b": 1, "a": [1.5, None, "hutan é"]})
    second = write_json(tmp_path / "b.json", {"a": [1.5, None, "hutan é"], "b": 1})
    assert first.read_bytes() == second.read_bytes()
    assert first.read_bytes().endswith(b"}\n")
    assert read_json(first) == {"a": [1.5, None, "hutan é"], "b": 1}


def test_parents_are_made_and_nothing_is_left_beside_the_file(tmp_path: Path) -> None:
    path = write_bytes(tmp_path / "a" / "b" / "c.bin", b"123")
    assert [p.name for p in path.parent.iterdir()] == ["c.bin"]


def test_the_writer_gets_a_path_with_the_same_suffix_on_the_same_disk(tmp_path: Path) -> None:
    seen: list[Path] = []

    def write(temporary: Path) -> None:
        seen.append(temporary)
        temporary.write_text("x")

    write_atomic(tmp_path / "layer.tif", write)
    assert seen[0].name == "layer.tif"
    assert seen[0].parent.parent == tmp_path
    assert not seen[0].exists()


def test_a_writer_that_fails_leaves_the_old_file_and_no_trace(tmp_path: Path) -> None:
    path = write_bytes(tmp_path / "x.bin", b"old")

    def fail(temporary: Path) -> None:
        temporary.write_bytes(b"half")
        raise RuntimeError("driver failed")

    with pytest.raises(RuntimeError, match="driver failed"):
        write_atomic(path, fail)
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["x.bin"]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_is_disk_full_with_the_old_file_intact(tmp_path: Path, code: int) -> None:
    path = write_bytes(tmp_path / "x.bin", b"old")

    def fill(temporary: Path) -> None:
        temporary.write_bytes(b"half")
        raise OSError(code, os.strerror(code))

    with pytest.raises(DiskFull, match=r"x\.bin .*free space"):
        write_atomic(path, fill)
    assert path.read_bytes() == b"old"


def test_other_errors_of_the_system_keep_their_kind(tmp_path: Path) -> None:
    def refuse(temporary: Path) -> None:
        raise PermissionError(errno.EACCES, "not yours")

    with pytest.raises(PermissionError):
        write_atomic(tmp_path / "x.bin", refuse)


def test_the_new_file_is_on_disk_before_it_takes_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    flush, rename = os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda fd: (order.append("flush"), flush(fd))[1])
    monkeypatch.setattr(Path, "replace", lambda self, to: (order.append("rename"), rename(self, to))[1])
    write_bytes(tmp_path / "x.bin", b"new")
    assert order.index("flush") < order.index("rename")


def test_a_reader_never_sees_half_a_file(tmp_path: Path) -> None:
    path = write_bytes(tmp_path / "x.bin", b"0" * 200_000)
    stop = threading.Event()
    seen: set[bytes] = set()

    def read() -> None:
        while not stop.is_set():
            seen.add(path.read_bytes())

    reader = threading.Thread(target=read)
    reader.start()
    for n in range(40):
        write_bytes(path, str(n % 10).encode() * 200_000)
    stop.set()
    reader.join()
    assert all(len(data) == 200_000 and len(set(data)) == 1 for data in seen)


def _write_until_killed(path: str) -> None:
    def slowly(temporary: Path) -> None:
        with temporary.open("wb") as file:
            file.write(b"half")
            file.flush()
            os.kill(os.getpid(), signal.SIGKILL)

    write_atomic(Path(path), slowly)


def test_a_killed_writer_leaves_the_old_file_and_a_leftover_that_can_be_removed(tmp_path: Path) -> None:
    path = write_bytes(tmp_path / "x.bin", b"old")
    child = multiprocessing.get_context("fork").Process(target=_write_until_killed, args=(str(path),))
    child.start()
    child.join(30)
    assert child.exitcode == -signal.SIGKILL
    assert path.read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 2
    remove_leftovers(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["x.bin"]


def test_too_little_free_space_is_refused_before_work_begins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage(1000, 860, 140))
    require_free_space(tmp_path / "not" / "there" / "yet", 0.14)
    with pytest.raises(DiskFull, match=r"14% of the disk .* 15% must stay free"):
        require_free_space(tmp_path, 0.15)
