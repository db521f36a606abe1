"""FAULTS 10: scenes that come late or change afterwards; the belief is that of a run which had everything in time."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import rasterio

from enggang.files import read_json, write_json
from enggang.monitors.history import applied_scenes
from enggang.monitors.reader import content_digest
from enggang.publish.latest import read_latest
from enggang.stages.alerts import ledger_of
from enggang.stages.job import Job
from enggang.stages.night import NightOptions, run_night
from enggang.stages.summary import NightSummary

BEFORE, NIGHT = date(2026, 1, 20), date(2026, 1, 21)
#: Ten days before `NIGHT`, and a second late scene.
LATE, LATER = "demo-s2b-20260111T023112", "demo-s2a-20260116T023119"
FRESH = "demo-s2b-20260121T023115"
QUIET = NightOptions(publish=False)

Outcome = Callable[[Job], dict[str, Any]]


def offer(archive: Path, without: Iterable[str] = ()) -> None:
    """Let the catalogue list every scene but these."""
    for path in archive.glob("*/collection.json"):
        whole = path.with_name("whole.json")
        if not whole.exists():
            shutil.copy(path, whole)
        document = read_json(whole)
        document["links"] = [n for n in document["links"] if not any(scene in n["href"] for scene in without)]
        write_json(path, document)


def truncate(archive: Path, scene: str, band: str = "B12") -> Path:
    path = next(archive.glob(f"*/{scene}/{band}.tif"))
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])
    return path


def darken(archive: Path, scene: str) -> None:
    """Reprocess a scene: other pixels and another size and checksum under the old id."""
    item = next(archive.glob(f"*/{scene}/{scene}.json"))
    path = item.with_name("B08.tif")
    with rasterio.open(path) as band:
        values, profile = band.read(1), {**band.profile, "driver": "GTiff"}
    path.unlink()
    with rasterio.open(path, "w", **profile) as band:
        band.write((values * 0.8).astype("uint16"), 1)
    document = read_json(item)
    document["assets"]["nir"]["file:checksum"] = "1220" + "ab" * 32
    write_json(item, document)


def night(job: Job, when: date) -> NightSummary:
    return run_night(job, when, QUIET)


@pytest.fixture(scope="module")
def in_time(make_job: Callable[..., Job], outcome: Outcome, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What both nights leave behind when every scene is there on its day."""
    job = make_job(tmp_path_factory.mktemp("in-time"))
    for when in (BEFORE, NIGHT):
        night(job, when)
    return outcome(job)


@pytest.fixture(scope="module")
def lacking(make_job: Callable[..., Job], quick_archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home that has seen `BEFORE` without the two late scenes; read only."""
    folder = tmp_path_factory.mktemp("lacking")
    archive = Path(shutil.copytree(quick_archive, folder / "demo"))
    offer(archive, (LATE, LATER))
    night(make_job(folder / "home", archive), BEFORE)
    return folder / "home"


@pytest.fixture
def job(lacking: Path, own_archive: Path, make_job: Callable[..., Job], tmp_path: Path) -> Job:
    """Goes on from `lacking`, with an archive of its own that offers everything."""
    return make_job(Path(shutil.copytree(lacking, tmp_path / "home")), own_archive)


def log_of(job: Job) -> list[str]:
    return [c.scene_id for c in job.store.log() if c.kind == "scene"]


def ledger_bytes(job: Job, when: date) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in (ledger_of(job).path / when.isoformat()).iterdir()}


def test_two_scenes_that_come_late_at_once_change_nothing_but_the_time_they_came(
    job: Job, own_archive: Path, in_time: dict[str, Any], outcome: Outcome
) -> None:
    past = ledger_bytes(job, BEFORE)
    known = log_of(job)
    summary = night(job, NIGHT)
    found = outcome(job)
    assert summary.failures == ()
    assert summary.replayed == tuple(s for s in known if s > "")[known.index("demo-s1a-20260111T102327") :]
    assert {k: found[k] for k in ("pixels", "version", "log")} == {k: in_time[k] for k in ("pixels", "version", "log")}
    assert ledger_bytes(job, BEFORE) == past
    assert night(job, NIGHT).already_done


def test_a_late_scene_tells_nobody_again_what_they_know(job: Job, own_archive: Path, in_time: dict[str, Any]) -> None:
    offer(own_archive, (LATER, FRESH))
    before = {a.id: a for a in ledger_of(job).read(BEFORE).alerts}
    night(job, NIGHT)
    after = ledger_of(job).read(NIGHT)
    told = {e.alert_id: e for e in after.events if e.kind.value in ("created", "provisional", "confirmed")}
    for alert in after.alerts:
        known = before.get(alert.id)
        changed = known is None or known.status != alert.status
        assert (alert.id in told) == changed, alert.id
    assert {a.id for a in after.alerts} >= set(before), "no alert changes its id"


def test_a_corrupt_late_scene_rolls_nothing_back(job: Job, own_archive: Path) -> None:
    offer(own_archive, (LATER,))
    truncate(own_archive, LATE)
    known = [c.snapshot for c in job.store.log()]
    summary = night(job, NIGHT)
    assert [c.snapshot for c in job.store.log()][: len(known)] == known
    assert log_of(job)[-1] == FRESH
    (failure,) = summary.failures
    assert (failure.what, failure.kind) == (LATE, "CorruptAsset")
    assert "swir22" in failure.reason
    assert summary.replayed == ()
    assert summary.outcome == "incomplete"


def test_a_late_scene_that_is_mended_enters_the_next_time(
    job: Job, own_archive: Path, quick_archive: Path, in_time: dict[str, Any], outcome: Outcome
) -> None:
    broken = truncate(own_archive, LATE)
    assert night(job, NIGHT).outcome == "incomplete"
    shutil.copy(quick_archive / broken.relative_to(own_archive), broken)
    assert night(job, NIGHT).outcome == "complete"
    assert outcome(job)["pixels"] == in_time["pixels"]


@pytest.mark.parametrize("loss", ["unlisted", "damaged"])
def test_without_the_scenes_to_replay_the_late_one_waits_and_nothing_is_lost(
    loss: str, job: Job, own_archive: Path
) -> None:
    needed = "demo-s1a-20260118T220447"
    offer(own_archive, (LATER, needed) if loss == "unlisted" else (LATER,))
    if loss == "damaged":
        truncate(own_archive, needed, "VH")
    known = [c.snapshot for c in job.store.log()]
    summary = night(job, NIGHT)
    (failure,) = summary.failures
    assert (failure.what, failure.kind) == (LATE, "HistoryMissing")
    assert needed in failure.reason
    assert "restore" in failure.remedy
    assert [c.snapshot for c in job.store.log()][: len(known)] == known
    assert log_of(job)[-1] == FRESH, "the night goes on"


def test_of_two_late_scenes_the_one_that_can_be_replayed_is_applied(job: Job, own_archive: Path) -> None:
    offer(own_archive, ("demo-s1a-20260111T102327",))  # between the two
    summary = night(job, NIGHT)
    assert [f.what for f in summary.failures] == [LATE]
    assert LATER in log_of(job)
    assert "demo-s1a-20260111T102327" in log_of(job)


def test_a_reprocessed_scene_takes_the_place_of_its_earlier_version(
    home: Path, own_archive: Path, make_job: Callable[..., Job], tmp_path: Path
) -> None:
    darken(own_archive, LATE)
    job, straight = make_job(home, own_archive), make_job(tmp_path / "straight", own_archive)
    old = applied_scenes(job.store.log())[LATE].fingerprint
    assert night(job, NIGHT).failures == ()
    for when in (BEFORE, NIGHT):
        night(straight, when)
    assert applied_scenes(job.store.log())[LATE].fingerprint != old
    assert log_of(job) == log_of(straight)
    assert content_digest(job.store.reader()) == content_digest(straight.store.reader())


def test_a_reprocessed_scene_that_is_corrupt_leaves_its_earlier_version(
    home: Path, own_archive: Path, make_job: Callable[..., Job]
) -> None:
    darken(own_archive, LATER)
    darken(own_archive, LATE)
    truncate(own_archive, LATER)
    job = make_job(home, own_archive)
    known = applied_scenes(job.store.log())
    summary = night(job, NIGHT)
    assert {(f.what, f.kind) for f in summary.failures} == {(LATER, "CorruptAsset"), (LATE, "HistoryMissing")}
    now = applied_scenes(job.store.log())
    assert now[LATER].fingerprint == known[LATER].fingerprint
    assert now[LATE].fingerprint == known[LATE].fingerprint


def test_the_last_scene_reprocessed_to_a_later_time_is_applied_once(
    home: Path, own_archive: Path, make_job: Callable[..., Job]
) -> None:
    job = make_job(home, own_archive)
    last = log_of(job)[-1]
    item = next(own_archive.glob(f"*/{last}/{last}.json"))
    document = read_json(item)
    document["properties"]["datetime"] = "2026-01-18T22:05:10Z"
    write_json(item, document)
    assert night(job, NIGHT).failures == ()
    assert log_of(job)[-2:] == [last, FRESH]
    assert len(set(log_of(job))) == len(log_of(job))


def test_a_past_night_is_not_published_again(
    home: Path, own_archive: Path, make_job: Callable[..., Job], tree: Callable[[Path], dict[str, str]]
) -> None:
    job = make_job(home, own_archive)
    before = tree(home)
    darken(own_archive, LATE)
    assert run_night(job, NIGHT).published
    after = tree(home)
    changed = {name for name, digest in before.items() if after.get(name) != digest}
    assert all(name.endswith(("latest.json", "catalog.json", "collection.json")) for name in changed), changed
    assert read_latest(job.layout)["demo"].night == NIGHT


@pytest.mark.slow
def test_killed_while_it_replays_the_same_bytes_come_out(
    lacking: Path,
    case: Callable[..., Path],
    make_job: Callable[..., Job],
    in_time: dict[str, Any],
    outcome: Outcome,
    tree: Callable[[Path], dict[str, str]],
) -> None:
    folder = case(NIGHT, NIGHT)
    shutil.copytree(lacking, folder / "base")
    script = [sys.executable, "-W", "ignore", str(Path(__file__).with_name("nightly_process.py"))]
    done = subprocess.run(
        [*script, "points", str(folder), "6"], capture_output=True, text=True, timeout=400, check=False
    )
    assert done.returncode == 0, done.stderr
    whole, *tries = [json.loads(line) for line in done.stdout.splitlines() if "home" in line]
    assert whole["changes"] > 100
    assert [t["status"] for t in tries] == [-9, 0] * 6
    for home in sorted({t["home"] for t in tries}):
        job = make_job(folder / home)
        assert outcome(job)["pixels"] == in_time["pixels"], home
        assert outcome(job)["version"] == in_time["version"], home
        expected = {n: d for n, d in tree(folder / "undisturbed").items() if not n.startswith("runs")}
        assert {n: d for n, d in tree(folder / home).items() if not n.startswith("runs")} == expected, home
