"""The commands on a small real area: what they print, what they write, and how they end."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import geopandas as gpd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from shapely.geometry import box
from typer.testing import CliRunner

from enggang import errors
from enggang.cli import COMMANDS, GROUPS, app, nightly, status
from enggang.cli.faults import exit_code, hoist
from enggang.settings import load_settings
from enggang.stages.job import Job, open_job

if TYPE_CHECKING:
    from conftest import RadarArea

Run = Callable[..., Any]
Snapshot = Callable[[Path], dict[str, tuple[int, str]]]


@pytest.fixture
def home(tmp_path: Path, repository: Path, radar_area: RadarArea, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home, with one area beside it."""
    radar_area.write_aoi(tmp_path / "aoi")
    monkeypatch.setenv("ENGGANG_AOI_DIR", str(tmp_path / "aoi"))
    monkeypatch.setenv("ENGGANG_CATALOG", str(repository / "data_catalog.yaml"))
    monkeypatch.setenv("ENGGANG_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("ENGGANG_MIN_FREE_SHARE", "0")
    monkeypatch.setenv("ENGGANG_COMPILE", "never")
    return tmp_path / "home"


@pytest.fixture
def run() -> Run:
    """`run("status", "--json", code=0)`: the result, after its exit code was checked."""

    def invoke(*words: str, code: int = 0, answer: str = "") -> Any:
        result = CliRunner().invoke(app, [str(w) for w in words], input=answer)
        assert result.exit_code == code, result.output
        return result

    return invoke


@pytest.fixture
def job(home: Path, radar_area: RadarArea) -> Job:
    return open_job(radar_area.id, load_settings())


def all_commands() -> list[list[str]]:
    inner = [[name, str(c.name)] for name, group in GROUPS for c in group.registered_commands if c.name]
    return [[name] for name, _, _ in COMMANDS] + inner


@pytest.mark.parametrize("words", all_commands(), ids=" ".join)
def test_every_command_explains_itself_with_an_example(run: Run, words: list[str]) -> None:
    text = run(*words, "--help").output
    assert f"enggang {' '.join(words)}" in text
    assert "Examples:" in text


def test_a_night_speaks_both_languages_and_says_what_comes_next(run: Run, home: Path, radar_area: RadarArea) -> None:
    text = run("nightly", "--aoi", "hutan", "--date", radar_area.monitored[-1].isoformat()).output
    assert "peringatan baru" in text
    assert "new alert" in text
    assert "Pembaruan berikutnya paling lambat" in text
    assert "6 scenes applied" in text
    assert "alerts.geojson" in text
    assert text.splitlines()[-1].startswith("→ how fresh everything is: enggang status")
    assert "\x1b" not in text


def test_a_quiet_night_was_checked(run: Run, home: Path, radar_area: RadarArea) -> None:
    text = run("nightly", "--aoi", "hutan", "--date", radar_area.monitored[0].isoformat()).output
    assert "Checked, no new alerts" in text
    assert "Diperiksa, tidak ada peringatan baru" in text


def test_the_same_night_twice_writes_nothing(
    run: Run, home: Path, radar_area: RadarArea, snapshot_of: Snapshot
) -> None:
    words = ("nightly", "--aoi", "hutan", "--date", radar_area.monitored[-1].isoformat())
    run(*words)
    before = snapshot_of(home)
    assert "already done: nothing was written" in run(*words).output
    assert snapshot_of(home) == before


def test_the_default_night_is_the_last_that_is_over_there(
    run: Run, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """17.00 UTC is 01.00 WITA of the next day."""
    monkeypatch.setattr(nightly, "now", lambda: datetime(2026, 1, 15, 17, tzinfo=UTC))
    assert "2026-01-15" in run("nightly", "--aoi", "hutan", "--dry-run").output
    monkeypatch.setattr(nightly, "now", lambda: datetime(2026, 1, 15, 15, tzinfo=UTC))
    assert "2026-01-14" in run("nightly", "--aoi", "hutan", "--dry-run").output


@pytest.mark.parametrize("command", ["nightly", "backfill"])
def test_a_dry_run_lists_scenes_and_writes_nothing(run: Run, home: Path, radar_area: RadarArea, command: str) -> None:
    first, last = radar_area.monitored[0].isoformat(), radar_area.monitored[2].isoformat()
    days = ["--date", last] if command == "nightly" else ["--from", first, "--to", last]
    text = run(command, "--aoi", "hutan", *days, "--dry-run").output
    assert "3 scenes would be applied" in text
    assert "baseline from 12 scenes" in text
    assert all(f"{day:%Y-%m-%d} 12:00Z  sar" in text for day in radar_area.monitored[:3])
    assert not home.exists()


def test_no_publish_writes_ledger_but_no_products(run: Run, home: Path, radar_area: RadarArea) -> None:
    run("nightly", "--aoi", "hutan", "--date", radar_area.monitored[0].isoformat(), "--no-publish")
    assert not (home / "products").exists()
    assert (home / "ledger" / "hutan" / "riau-1" / radar_area.monitored[0].isoformat()).is_dir()


def test_a_bad_area_never_stops_the_rest(run: Run, home: Path, radar_area: RadarArea) -> None:
    day = radar_area.monitored[0].isoformat()
    result = run("nightly", "--aoi", "tiada,hutan", "--date", day, code=1)
    assert "error: tiada: no AOI tiada" in result.stderr
    assert "1 of 2 areas failed: tiada" in result.stderr
    assert "1 scene applied" in result.stdout


def test_a_locked_state_ends_with_three(run: Run, job: Job, radar_area: RadarArea) -> None:
    with job.store.writer("another run", 60.0):
        result = run("nightly", "--aoi", "hutan", "--date", radar_area.monitored[0].isoformat(), code=3)
    assert "is being written by another run" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_misspelt_area_is_told_the_nearest(run: Run, home: Path) -> None:
    result = run("nightly", "--aoi", "hutam", code=2)
    assert result.stderr.splitlines() == [f"error: no AOI hutam in {home.parent / 'aoi'} → did you mean hutan?"]
    assert "Traceback" in run("--verbose", "nightly", "--aoi", "hutam", code=2).output


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.ConfigError("x"), 2),
        (errors.UnknownDataset("x"), 2),
        (errors.SourceError("x"), 2),
        (errors.SourceUnavailable("x"), 1),
        (errors.StateLocked("x"), 3),
        (errors.CorruptState("x"), 1),
        (errors.DiskFull("x"), 1),
        (OSError("x"), 1),
    ],
    ids=lambda value: type(value).__name__,
)
def test_exit_codes_go_by_the_kind_of_error(error: Exception, code: int) -> None:
    assert exit_code(error) == code


def test_status_as_text_and_as_json(run: Run, home: Path, radar_area: RadarArea) -> None:
    assert "no night has been run: enggang nightly --aoi hutan" in run("status").output
    run("nightly", "--aoi", "hutan", "--date", radar_area.monitored[-1].isoformat())
    text = run("status", "--aoi", "hutan").output
    assert "6 applied; newest: sar" in text
    assert "1 confirmed" in text
    (one,) = json.loads(run("status", "--json").output)
    assert one["ledger_night"] == one["products_night"] == radar_area.monitored[-1].isoformat()
    assert one["summary"]["alerts"] == {"confirmed": 1}
    assert one["problem"] is None


def test_status_shows_damage_and_ends_with_one(run: Run, job: Job, radar_area: RadarArea) -> None:
    run("nightly", "--aoi", "hutan", "--date", radar_area.monitored[0].isoformat(), "--no-publish")
    for seal in job.store.paths.seals.glob("*.json"):
        seal.write_bytes(b"{}")
    assert "enggang state scrub --aoi hutan" in run("status", code=1).output


def test_backfill_then_back_and_forth_again(run: Run, job: Job, radar_area: RadarArea) -> None:
    first, middle, last = (radar_area.monitored[n] for n in (0, 1, 2))
    words = ("backfill", "--aoi", "hutan", "--from", first.isoformat(), "--to", last.isoformat())
    assert "25 nights run, 3 scenes applied" in run(*words).output
    assert "0 nights run, 0 scenes applied, 25 were done already" in run(*words).output

    back = ("rollback", "--aoi", "hutan", "--to", middle.isoformat())
    assert "12 nights and 1 scene would be undone" in run(*back, "--dry-run").output
    run(*back, answer="n\n", code=1)
    assert len(job.store.log()) == 5  # created, baseline, three scenes
    assert "undone: 12 nights, 1 scene" in run(*back, "--yes").output
    assert len(job.store.log()) == 4
    assert "nothing to undo" in run(*back, "--yes").output
    assert "12 nights run, 1 scene applied, 13 were done already" in run(*words).output


def test_a_longer_range_goes_on_where_a_shorter_one_ended(run: Run, home: Path, radar_area: RadarArea) -> None:
    first, middle, last = (radar_area.monitored[n].isoformat() for n in (0, 1, 2))
    run("backfill", "--aoi", "hutan", "--from", first, "--to", middle)
    text = run("backfill", "--aoi", "hutan", "--from", first, "--to", last).output
    assert "12 nights run, 1 scene applied, 13 were done already" in text


def test_an_archive_that_is_complete_is_not_behind(
    run: Run, home: Path, radar_area: RadarArea, monkeypatch: pytest.MonkeyPatch
) -> None:
    radar_area.write_aoi(home.parent / "aoi", source="riau")
    words = ("nightly", "--aoi", "hutan", "--date", radar_area.monitored[-1].isoformat())
    run(*words, "--source", radar_area.catalogue, "--no-publish")
    assert "its archive is complete" in run("status").output
    radar_area.write_aoi(home.parent / "aoi")
    monkeypatch.setattr(status, "now", lambda: datetime(2026, 12, 1, tzinfo=UTC))
    assert "nights behind: enggang nightly --aoi hutan" in run("status").output


def test_a_range_that_runs_backwards_is_bad_input(run: Run, home: Path) -> None:
    run("backfill", "--aoi", "hutan", "--from", "2026-02-01", "--to", "2026-01-01", code=2)


@pytest.fixture
def boundary(tmp_path: Path) -> Path:
    """Two districts of some 12,000 ha each, as an office hands them in."""
    frame = gpd.GeoDataFrame(
        {"NAMOBJ": ["Kutai Timur", "Berau"]},
        geometry=[box(117.0, 0.5, 117.1, 0.6), box(117.1, 0.5, 117.2, 0.6)],
        crs="EPSG:4326",
    )
    frame.to_file(tmp_path / "batas.gpkg")
    return tmp_path / "batas.gpkg"


def test_an_area_is_added_listed_and_given_a_new_outline(run: Run, home: Path, boundary: Path) -> None:
    add = ("aoi", "add", str(boundary), "--id", "kutim", "--where", "NAMOBJ=Kutai Timur")
    told = run(*add, "--set", "name_en=East Kutai", "--set", "monitor_from=2026-02-01", "--set", "channels=a,b").output
    assert "EPSG:32650" in told
    assert "enggang nightly --aoi kutim --dry-run" in told
    path = home.parent / "aoi" / "kutim.geojson"
    first = json.loads(path.read_text())["properties"]
    assert (first["name_en"], first["monitor_from"], first["channels"]) == ("East Kutai", "2026-02-01", ["a", "b"])
    assert "East Kutai" in run("aoi", "list").output

    other = ("aoi", "add", str(boundary), "--id", "kutim", "--where", "NAMOBJ=Berau")
    assert "give --replace" in run(*other, code=2).stderr
    run(*other, "--replace")
    second = json.loads(path.read_text())["properties"]
    assert {k: v for k, v in second.items() if k != "provenance"} == {
        k: v for k, v in first.items() if k != "provenance"
    }
    assert second["provenance"]["where"] == "NAMOBJ=Berau"


def test_a_property_that_does_not_exist_is_told_the_nearest(run: Run, home: Path, boundary: Path) -> None:
    result = run("aoi", "add", str(boundary), "--id", "x", "--set", "timezon=Asia/Jakarta", code=2)
    assert "did you mean timezone?" in result.stderr


def test_districts_are_imported(run: Run, home: Path, boundary: Path) -> None:
    text = run("aoi", "districts", str(boundary), "--name", "NAMOBJ", "--source", "BIG").output
    assert "2 districts" in text
    assert "Kutai Timur, Berau" in text
    assert set(gpd.read_file(home / "boundaries.gpkg")["name"]) == {"Kutai Timur", "Berau"}


def test_scenes_are_built_and_listed(run: Run, home: Path, radar_area: RadarArea) -> None:
    folder = radar_area.catalogue.parents[1]
    words = ("--archive", "uji", "--sensor", "sar", "--bands", "vh", "--unit", "dB")
    assert "18 scenes" in run("scenes", "build", folder, *words).output
    catalogue = home / "archives" / "uji" / "catalog.json"
    text = run("scenes", "list", "--aoi", "hutan", "--source", catalogue, "--from", "2026-01-01").output
    assert text.count("  sar  ") == sum(day.year == 2026 for day in (*radar_area.history, *radar_area.monitored))
    assert "date" in run("scenes", "list", "--aoi", "hutan", "--from", "soon", code=2).output


def test_damage_is_named_and_mended_from_the_backup(run: Run, job: Job, radar_area: RadarArea, tmp_path: Path) -> None:
    run("nightly", "--aoi", "hutan", "--date", radar_area.monitored[0].isoformat(), "--no-publish")
    kept = tmp_path / "kept"
    run("state", "backup", "--aoi", "hutan", "--to", kept)
    run("state", "scrub", "--aoi", "hutan", "--home", kept)
    chunk = max((job.store.paths.repo / "chunks").iterdir(), key=lambda path: path.stat().st_size)
    data = bytearray(chunk.read_bytes())
    data[len(data) // 2] ^= 1
    chunk.write_bytes(data)

    result = run("state", "scrub", "--aoi", "hutan", code=1)
    assert chunk.name in result.stdout
    assert "enggang state repair --aoi hutan --from BACKUP" in result.stderr
    assert "1 of 1 damaged object mended" in run("state", "repair", "--aoi", "hutan", "--from", kept).output
    run("state", "scrub", "--aoi", "hutan")


def test_a_lost_state_is_restored_whole(run: Run, job: Job, radar_area: RadarArea, tmp_path: Path) -> None:
    run("nightly", "--aoi", "hutan", "--date", radar_area.monitored[0].isoformat(), "--no-publish")
    log = job.store.log()
    run("state", "backup", "--aoi", "all", "--to", tmp_path / "kept")
    job.store.paths.repo.rename(tmp_path / "lost")
    assert "restored from" in run("state", "repair", "--aoi", "hutan", "--from", tmp_path / "kept").output
    assert job.store.log() == log


def test_garbage_is_collected(run: Run, job: Job, radar_area: RadarArea) -> None:
    run("nightly", "--aoi", "hutan", "--date", radar_area.monitored[0].isoformat(), "--no-publish")
    assert "0 objects, 0.0 MB freed" in run("state", "gc", "--aoi", "hutan").output


def test_datasets_are_listed_by_role(run: Run, home: Path) -> None:
    text = run("catalog", "list", "--role", "out").output
    assert "Forest alerts" in text
    assert "Earth Search" not in text


WORDS = st.lists(st.sampled_from(["nightly", "--aoi", "all", "--date", "-x", "a=b"]))


@given(before=WORDS, after=WORDS, literal=WORDS)
def test_global_options_move_to_the_front_and_nothing_else_moves(
    before: list[str], after: list[str], literal: list[str]
) -> None:
    found = hoist([*before, "--home", "var/x", *after, "--verbose", "--", *literal, "--home"])
    assert found == ["--home", "var/x", "--verbose", *before, *after, "--", *literal, "--home"]
    assert hoist([*before, "--home=var/x", *after]) == ["--home=var/x", *before, *after]


def test_home_is_taken_from_anywhere(run: Run, home: Path, radar_area: RadarArea, tmp_path: Path) -> None:
    run("nightly", "--aoi", "hutan", "--date", radar_area.monitored[0].isoformat(), "--home", tmp_path / "other")
    assert (tmp_path / "other" / "runs" / "hutan").is_dir()
    assert not home.exists()
