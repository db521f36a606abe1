"""What people and providers get wrong, met by a whole night: one failure or one error each, with name and remedy."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import rasterio
from rasterio.crs import CRS
from rasterio.transform import from_origin

from enggang.errors import BaselineMissing, ConfigError, NewerSchema, StateError
from enggang.files import read_json, write_json
from enggang.monitors import schema
from enggang.monitors.config import load_monitor
from enggang.monitors.schema import BELIEF
from enggang.publish.latest import read_latest
from enggang.stages.alerts import ledger_of
from enggang.stages.job import Job
from enggang.stages.night import NightOptions, run_night

NIGHT = date(2026, 1, 23)
#: A scene of `NIGHT`, by its two bands, and one of two nights before, which must not suffer with it.
SCENE, OTHER = "demo-s1a-20260123T102323", "demo-s2b-20260121T023115"
QUIET = NightOptions(publish=False)


def band_of(archive: Path, band: str = "VH") -> Path:
    return next(archive.glob(f"*/{SCENE}/{band}.tif"))


def rewrite(path: Path, **changes: Any) -> None:
    """Write a raster anew with the same pixels and another profile."""
    with rasterio.open(path) as band:
        values, profile = band.read(1), {**band.profile, "driver": "GTiff", **changes}
    path.unlink()
    with rasterio.open(path, "w", **profile) as band:
        band.write(values, 1)


def edit_item(archive: Path, change: Callable[[dict[str, Any]], object]) -> None:
    path = next(archive.glob(f"*/{SCENE}/{SCENE}.json"))
    document = read_json(path)
    change(document)
    write_json(path, document)


def cut_short(archive: Path) -> None:
    path = band_of(archive)
    path.write_bytes(path.read_bytes()[:-200])


def drop_crs(archive: Path) -> None:
    rewrite(band_of(archive), crs=None)


def move_away(archive: Path) -> None:
    rewrite(band_of(archive), transform=from_origin(700_000, 9_800_000, 10, 10))


def wrong_zone(archive: Path) -> None:
    rewrite(band_of(archive), crs=CRS.from_epsg(32748))


def without_bands(archive: Path) -> None:
    edit_item(
        archive,
        lambda item: item.update(assets={"hh": {**item["assets"]["vh"], "bands": [{"name": "HH", "unit": "dB"}]}}),
    )


def without_unit(archive: Path) -> None:
    edit_item(archive, lambda item: [asset["bands"][0].pop("unit") for asset in item["assets"].values()])


def without_time(archive: Path) -> None:
    edit_item(archive, lambda item: item["properties"].pop("datetime"))


def lost_file(archive: Path) -> None:
    band_of(archive).unlink()


def not_a_raster(archive: Path) -> None:
    band_of(archive).write_text("<html>503 Service Unavailable</html>")


def second_version(archive: Path) -> None:
    """The same id twice in the catalogue, with different pixels."""
    collection = next(archive.glob(f"*/{SCENE}")).parent
    copy = Path(shutil.copytree(collection / SCENE, collection / "copy"))
    item = read_json(copy / f"{SCENE}.json")
    item["properties"]["datetime"] = "2026-01-23T10:23:24Z"
    write_json(copy / f"{SCENE}.json", item)
    document = read_json(collection / "collection.json")
    document["links"].append({"rel": "item", "href": f"./copy/{SCENE}.json", "type": "application/geo+json"})
    write_json(collection / "collection.json", document)


@pytest.mark.parametrize(
    ("harm", "kind", "words", "remedy"),
    [
        (cut_short, "CorruptAsset", "vh", "fetch the file again"),
        (lost_file, "CorruptAsset", "VH.tif", "fetch the file again"),
        (not_a_raster, "CorruptAsset", "VH.tif", "fetch the file again"),
        (drop_crs, "GridMismatch", "no coordinate reference system", "gdal_edit"),
        (move_away, "GridMismatch", "doesn't meet the AOI's grid", "georeference"),
        (wrong_zone, "GridMismatch", "EPSG:32748", "georeference"),
        (without_bands, "MissingBand", "it has hh", "bands"),
        (without_unit, "SceneError", "dB or power", "unit"),
        (without_time, "SceneError", SCENE, "correct the item"),
        (second_version, "DuplicateScene", "2 different scenes carry the id", "keep one"),
    ],
)
def test_a_bad_scene_is_one_failure_and_the_rest_goes_on(
    harm: Callable[[Path], None],
    kind: str,
    words: str,
    remedy: str,
    home: Path,
    own_archive: Path,
    make_job: Callable[..., Job],
) -> None:
    harm(own_archive)
    job = make_job(home, own_archive)
    summary = run_night(job, NIGHT, QUIET)
    (failure,) = summary.failures
    assert failure.kind == kind
    assert SCENE in f"{failure.what} {failure.reason}"
    assert words in failure.reason
    assert remedy in failure.remedy
    assert summary.outcome == "incomplete"
    assert summary.applied == (OTHER,)
    assert NIGHT in ledger_of(job).nights()


def test_a_night_without_scenes_is_a_result(home: Path, make_job: Callable[..., Job]) -> None:
    job = make_job(home)
    run_night(job, date(2026, 1, 21), QUIET)
    summary = run_night(job, date(2026, 1, 22))
    assert (summary.applied, summary.events, summary.outcome) == ((), {}, "complete")
    assert ledger_of(job).read(date(2026, 1, 22)).events == ()
    assert read_latest(job.layout)["demo"].night == date(2026, 1, 22)


def test_no_alert_is_a_result(make_job: Callable[..., Job], tmp_path: Path) -> None:
    job = make_job(tmp_path)
    summary = run_night(job, date(2026, 1, 2))
    assert (summary.alerts, summary.outcome) == ({}, "complete")
    assert read_latest(job.layout)["demo"].alerts.keys() == summary.files.keys() > set()
    for href in summary.files.values():
        assert (job.layout.products / href).stat().st_size > 0


def test_a_state_of_a_later_release_is_left_alone(
    make_job: Callable[..., Job], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = make_job(tmp_path)
    with monkeypatch.context() as later:
        later.setattr(schema, "SCHEMA_VERSION", 99)
        identity = schema.StateIdentity(
            job.aoi.id, job.monitor.key, job.monitor.digest, job.aoi.geobox, job.settings.block, 99
        )
        with job.store.writer("later release", 90) as writer:
            writer.create(identity, BELIEF)
    with pytest.raises(NewerSchema, match=r"the state of kaltim-\d+ has schema 99") as refused:
        run_night(job, NIGHT, QUIET)
    assert "release" in refused.value.remedy
    assert [c.kind for c in job.store.log()] == ["create"]


def test_a_changed_config_under_the_same_version_is_refused(home: Path, make_job: Callable[..., Job]) -> None:
    monitor = load_monitor("kaltim")
    changed = monitor.model_copy(update={"belief": monitor.belief.model_copy(update={"flagged": 0.65})})
    with pytest.raises(StateError, match=f"config of monitor {monitor.key} differs") as refused:
        run_night(make_job(home, monitor=changed), NIGHT, QUIET)
    assert "raise the monitor's version" in refused.value.remedy
    fresh = changed.model_copy(update={"version": "2"})
    assert run_night(make_job(home, monitor=fresh), NIGHT, QUIET).failures == ()


def test_another_block_or_grid_is_refused(home: Path, make_job: Callable[..., Job]) -> None:
    with pytest.raises(StateError, match="grid or block of AOI demo differs") as refused:
        run_night(make_job(home, block=128), NIGHT, QUIET)
    assert "ENGGANG_BLOCK" in refused.value.remedy


def test_too_short_a_history_says_what_there_is(make_job: Callable[..., Job], tmp_path: Path) -> None:
    job = make_job(tmp_path, aoi={"monitor_from": "2025-08-20"})
    with pytest.raises(BaselineMissing) as refused:
        run_night(job, date(2025, 8, 21), QUIET)
    said = str(refused.value)
    assert "demo: no channel has the 12 scenes before 2025-08-20" in said
    assert "nbr: 7" in said
    assert "vh/descending-134: 3" in said
    assert "move monitor_from" in said
    assert ledger_of(job).nights() == []


def test_an_unknown_device_is_named(home: Path, make_job: Callable[..., Job]) -> None:
    with pytest.raises(ConfigError, match="device 'gpu0' can't be used") as refused:
        run_night(make_job(home, device="gpu0"), NIGHT, QUIET)
    assert refused.value.remedy == "set ENGGANG_DEVICE=auto"


@pytest.mark.parametrize(
    ("text", "words", "remedy"),
    [
        ("extends: kaltim\nbelief: {flaged: 0.7}", "belief.flaged", "did you mean flagged?"),
        ("extends: kaltim\nmask: {dilat: 3}", "mask.dilat", "did you mean dilate?"),
        ("extends: kaltin", "no monitor kaltin", "did you mean kaltim?"),
        ("extends: kaltim\nbelief: {flagged: 0.9}", "prior < released < flagged", "correct the value"),
        ("extends: kaltim\nchannels: []", "channels", "correct the value"),
        ("- kaltim", "not a mapping", "presets"),
    ],
)
def test_a_typo_in_a_monitor_is_named_with_the_nearest_key(text: str, words: str, remedy: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as refused:
        load_monitor(str(path))
    assert words in refused.value.what
    assert remedy in refused.value.remedy
