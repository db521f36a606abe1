"""FAULTS 1: a nightly run killed anywhere and started again ends in the same bytes as one that nothing disturbed."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from enggang.stages.job import Job

PROCESS = Path(__file__).with_name("nightly_process.py")
NIGHTS = (date(2026, 1, 20), date(2026, 1, 21))

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("nightly kills")]


def run(*arguments: object) -> list[dict[str, Any]]:
    command = [sys.executable, "-W", "ignore", str(PROCESS), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_killed_at_random_moments_the_same_bytes_come_out(
    case: Callable[..., Path], make_job: Callable[..., Job], outcome: Callable[[Job], dict[str, Any]]
) -> None:
    folder = case(*NIGHTS)
    said = run("kills", folder, 20, 20260121)
    killed = [s for s in said if s.get("killed")]
    assert [s["status"] for s in killed] == [-9] * 20
    assert {s["status"] for s in said if not s.get("killed")} == {0}
    # the kills met every part of the work: baseline, scenes, between the nights, products
    assert any(s["seals"] <= 2 for s in killed)
    assert any(s["seals"] > 3 and not s["ledger"] for s in killed)
    assert any(s["ledger"] == 2 and not s["latest"] for s in killed)
    expected = outcome(make_job(folder / "undisturbed"))
    assert "products/latest.json" in expected["files"]
    for home in sorted({s["home"] for s in said}):
        assert outcome(make_job(folder / home)) == expected, home


def test_killed_at_write_points_the_same_bytes_come_out(
    case: Callable[..., Path],
    seen_home: Path,
    make_job: Callable[..., Job],
    outcome: Callable[[Job], dict[str, Any]],
) -> None:
    folder = case(NIGHTS[1], NIGHTS[1])
    shutil.copytree(seen_home, folder / "base")
    said = [s for s in run("points", folder, 9) if "home" in s]
    whole, *tries = said
    assert whole["changes"] > 80
    assert [s["status"] for s in tries] == [-9, 0] * 9
    expected = outcome(make_job(folder / "undisturbed"))
    for home in sorted({s["home"] for s in tries}):
        assert outcome(make_job(folder / home)) == expected, home
