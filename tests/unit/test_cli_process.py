"""The program as a process: quick to answer, plain when piped, and never a traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = [sys.executable, "-c", "from enggang.cli import app; app(prog_name='enggang')"]
#: What takes long to import; the help must not wait for any of it.
HEAVY = ("torch", "numpy", "pandas", "rasterio", "geopandas", "xarray", "dask", "icechunk", "prefect", "matplotlib")


@pytest.fixture
def environ(tmp_path: Path, repository: Path) -> dict[str, str]:
    """The process's own environment without ENGGANG_*, with its home in `tmp_path`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ENGGANG_")}
    return kept | {
        "ENGGANG_HOME": str(tmp_path / "home"),
        "ENGGANG_AOI_DIR": str(repository / "aoi"),
        "ENGGANG_CATALOG": str(repository / "data_catalog.yaml"),
        "ENGGANG_MIN_FREE_SHARE": "0",
    }


def enggang(environ: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*PROGRAM, *words], env=environ, capture_output=True, text=True, check=False, timeout=300)


def test_the_help_imports_nothing_heavy(environ: dict[str, str]) -> None:
    code = f"import enggang.cli, sys; print([m for m in {HEAVY!r} if m in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], env=environ, text=True).strip() == "[]"


def test_bad_input_is_one_plain_line_and_two(environ: dict[str, str]) -> None:
    done = enggang(environ, "nightly", "--aoi", "kaltm")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.splitlines() == [f"error: no AOI kaltm in {environ['ENGGANG_AOI_DIR']} → did you mean kaltim?"]


def test_a_misspelt_setting_is_named(environ: dict[str, str]) -> None:
    done = enggang(environ | {"ENGGANG_HOMME": "x"}, "status")
    assert done.returncode == 2
    assert done.stderr == "error: unknown setting ENGGANG_HOMME → did you mean ENGGANG_HOME?\n"


def test_a_missing_archive_says_how_to_make_one(environ: dict[str, str]) -> None:
    done = enggang(environ, "nightly", "--aoi", "riau", "--date", "2016-02-01")
    assert done.returncode == 2
    assert "enggang scenes build" in done.stderr
    assert not list(Path(environ["ENGGANG_HOME"]).rglob("repo"))


def test_an_unforeseen_error_is_one_line_unless_verbose(environ: dict[str, str], tmp_path: Path) -> None:
    hook = tmp_path / "sitecustomize.py"
    hook.write_text("import enggang.aoi\nenggang.aoi.list_aois = lambda folder: 1 // 0\n")
    broken = environ | {"PYTHONPATH": str(tmp_path)}
    done = enggang(broken, "aoi", "list")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("error: ZeroDivisionError: ")
    assert "Traceback" not in done.stderr
    assert "Traceback" in enggang(broken, "aoi", "list", "--verbose").stderr


@pytest.mark.slow
def test_the_demo_runs_says_how_good_it_was_and_is_not_run_twice(environ: dict[str, str], tmp_path: Path) -> None:
    first = enggang(environ, "demo", "--size", "tiny", "--home", str(tmp_path / "demo"))
    assert first.returncode == 0, first.stderr
    assert "archive: 146 of 146" in first.stdout
    assert "90 nights run, 33 scenes applied" in first.stdout
    assert "user's accuracy" in first.stdout
    assert "median days from clearing to flag" in first.stdout
    assert "\x1b" not in first.stdout
    for line in ("alerts", "picture"):
        path = next(text.split()[1] for text in first.stdout.splitlines() if text.startswith(f"  {line} "))
        assert Path(path).is_file()

    again = enggang(environ, "demo", "--size", "tiny", "--home", str(tmp_path / "demo"))
    assert again.returncode == 0, again.stderr
    assert "already done; scenes and truth" in again.stdout
    other = enggang(environ, "demo", "--home", str(tmp_path / "demo"))
    assert other.returncode == 2
    assert "holds a demo archive of other parameters" in other.stderr
