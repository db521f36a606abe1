"""A demo archive that is killed, or runs out of disk, is finished by the next run, to the byte."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from datetime import date
from pathlib import Path

import pytest

from enggang.simulate import DemoSpec, write_demo_archive

SPEC = DemoSpec(size=64, start=date(2025, 11, 1), monitor_from=date(2026, 1, 1), end=date(2026, 2, 28))

#: Writes SPEC's archive; with a second argument no file may grow beyond that many bytes.
SCRIPT = """
import resource, signal, sys
from datetime import date
from pathlib import Path
from enggang.simulate import DemoSpec, write_demo_archive
if len(sys.argv) > 2:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]),) * 2)
spec = DemoSpec(size=64, start=date(2025, 11, 1), monitor_from=date(2026, 1, 1), end=date(2026, 2, 28))
write_demo_archive(Path(sys.argv[1]), spec, workers=2)
"""


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("whole") / "archive"
    write_demo_archive(folder, SPEC, workers=1)
    return digests(folder)


@pytest.mark.parametrize("scenes", [1, 12, 30])
def test_killed_archive_is_finished_to_the_byte(tmp_path: Path, whole: dict[str, str], scenes: int) -> None:
    folder = tmp_path / "archive"
    process = subprocess.Popen([sys.executable, "-c", SCRIPT, str(folder)])
    deadline = time.monotonic() + 60
    while len(list(folder.glob("sentinel-*/demo-*"))) < scenes and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.002)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "the archive was complete before the kill"
    assert not (folder / "manifest.json").exists()
    for scene in folder.glob("sentinel-*/demo-*"):
        partial = {
            name: digest for name, digest in digests(folder).items() if scene.name in name and ".part" not in name
        }
        assert partial == {name: digest for name, digest in whole.items() if scene.name in name}, (
            "a scene is half there"
        )
    write_demo_archive(folder, SPEC)
    assert digests(folder) == whole
    assert not list(folder.rglob(".part-*"))


def test_full_disk_is_named_and_the_next_run_finishes(tmp_path: Path, whole: dict[str, str]) -> None:
    folder = tmp_path / "archive"
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(folder), "4000"], capture_output=True, text=True, timeout=60
    )
    assert run.returncode == 1
    assert "DiskFull" in run.stderr.splitlines()[-1]
    assert "no space left while writing" in run.stderr
    write_demo_archive(folder, SPEC)
    assert digests(folder) == whole
