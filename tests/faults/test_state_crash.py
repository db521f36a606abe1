"""A writer that dies or runs out of disk at any moment leaves a state that equals some number of whole scenes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

PROCESS = Path(__file__).with_name("state_process.py")


def run(*arguments: object) -> list[dict[str, Any]]:
    """Run the writer script to its end; returns what it said."""
    command = [sys.executable, str(PROCESS), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def straight(folder: Path, scenes: int) -> list[str]:
    return list(run("straight", folder, scenes)[0]["digests"])


@pytest.fixture(scope="module")
def digests(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Digests after the creation and each of three scenes, from a run that nothing disturbs."""
    return straight(tmp_path_factory.mktemp("straight") / "state", 3)


def assert_prefix(said: dict[str, Any], digests: list[str]) -> None:
    count = len(said["scenes"])
    assert said["scenes"] == ["", *(f"S{day}" for day in range(1, count))]
    assert said["digest"] == digests[count - 1]
    assert said["damages"] == []


@pytest.mark.slow
def test_killed_at_random_moments_the_state_is_a_prefix_and_a_rerun_ends_equal(tmp_path: Path) -> None:
    said = run("kills", tmp_path / "killed", 24, 20260131)
    reached = max(len(s["scenes"] or ()) for s in said)
    digests = straight(tmp_path / "straight", reached + 3)
    lengths = [len(s["scenes"]) for s in said if s["scenes"]]
    assert len(said) == 24
    assert lengths == sorted(lengths), "a commit was lost"
    assert lengths[-1] > 5, "the kills came before anything was done"
    for state in said:
        if state["scenes"]:
            assert_prefix(state, digests)
    final = run("apply", tmp_path / "killed", reached + 3)[0]
    assert final["digest"] == digests[reached + 3]


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["kill", "full"])
def test_killed_or_out_of_space_at_every_file_operation(tmp_path: Path, fault: str, digests: list[str]) -> None:
    said = run("points", tmp_path / fault, fault)
    states = [s for s in said if "point" in s]
    errors = [s for s in said if "error" in s]
    codes = {s["code"] for s in states}
    for state in states:
        assert_prefix(state, digests)
        assert len(state["scenes"]) >= 2
        if state["when"] == "rerun":
            assert state["digest"] == digests[2]
    assert max(s["point"] for s in states) > 15, "the faults missed the store's own files"
    if fault == "kill":
        assert codes == {-9, 3}
    else:
        # 0: a step that may fail, such as taking away a temporary folder
        assert codes == {0, 2, 3}
        assert {e["error"] for e in errors} == {"DiskFull"}
        assert all("free space" in e["text"] for e in errors)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small file system")
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_full_disk_leaves_the_old_state_and_the_same_commit_succeeds_later(
    small_disk: Path, digests: list[str]
) -> None:
    said = run("starve", small_disk, 0, 16_384, 49_152, 81_920, 102_400)
    states = [s for s in said if "scenes" in s]
    errors = [s["error"] for s in said if "error" in s]
    for state in states:
        assert_prefix(state, digests)
        assert state["code"] in (0, 2)
        assert len(state["scenes"]) == (4 if state["code"] == 0 else 3)
    assert len(errors) >= 2
    assert set(errors) == {"DiskFull"}
    assert states[-1]["digest"] == digests[3]
