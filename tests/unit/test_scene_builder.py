"""A folder of dated GeoTIFFs becomes a catalogue of scenes like any other."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pystac
import pytest
import rasterio
from rasterio.transform import from_origin

from enggang.errors import DuplicateScene, SourceError
from enggang.sources.builder import DATE_PATTERNS, ORBIT_DERIVED, BuildSpec, build_catalog, orbit_state_of, parse_time
from enggang.sources.registry import open_source
from enggang.types import Scene

WORLD = (-180.0, -90.0, 180.0, 90.0)
RADAR = BuildSpec("s1", "sar", ("vh",), "dB")


def raster(path: Path, count: int = 1, crs: str | None = "EPSG:32750", **profile: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    given = {"crs": crs, "transform": from_origin(500_000, 9_900_000, 10, 10), "nodata": -9999.0} | profile
    with rasterio.open(path, "w", driver="GTiff", width=4, height=3, count=count, dtype="float32", **given) as target:
        target.write(np.full((count, 3, 4), -12.5, dtype=np.float32))
    return path


def scenes(catalogue: Path) -> tuple[Scene, ...]:
    found = open_source(str(catalogue)).search(
        WORLD, datetime(1990, 1, 1, tzinfo=UTC), datetime(2040, 1, 1, tzinfo=UTC)
    )
    assert found.failures == ()
    return found.scenes


def tree(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.mark.parametrize(
    ("stem", "expected", "known"),
    [
        ("S1_20160720T225537", datetime(2016, 7, 20, 22, 55, 37, tzinfo=UTC), True),
        ("2015-01-04-s1vv", datetime(2015, 1, 4, 12, tzinfo=UTC), False),
        ("vv_2015_01_04", datetime(2015, 1, 4, 12, tzinfo=UTC), False),
        ("LC08_20280229", datetime(2028, 2, 29, 12, tzinfo=UTC), False),
        ("LE7125059_2016366_ndvi", datetime(2016, 12, 31, 12, tzinfo=UTC), False),
    ],
)
def test_dates_are_found_in_names(stem: str, expected: datetime, known: bool) -> None:
    found = parse_time(stem, [re.compile(p) for p in DATE_PATTERNS])
    assert found is not None
    assert found[:2] == (expected, known)


@pytest.mark.parametrize("stem", ["dem", "20270229", "2015366_x", "tile_123456789"])
def test_what_is_no_date_is_none(stem: str) -> None:
    assert parse_time(stem, [re.compile(p) for p in DATE_PATTERNS]) is None


def test_two_builds_are_byte_identical_and_copy_nothing(tmp_path: Path) -> None:
    for day in ("20260101T105500", "20260113T215500"):
        raster(tmp_path / "in" / f"S1_{day}.tif")
    first = build_catalog(tmp_path / "in", tmp_path / "out", RADAR)
    before = tree(tmp_path / "out")
    assert build_catalog(tmp_path / "in", tmp_path / "out", RADAR) == first
    assert tree(tmp_path / "out") == before
    assert not [name for name in before if not name.endswith(".json")]


def test_items_say_what_files_say_and_are_valid_stac(tmp_path: Path) -> None:
    raster(tmp_path / "in" / "S1_20260101T105500.tif")
    report = build_catalog(tmp_path / "in", tmp_path / "out", RADAR)
    (scene,) = scenes(report.catalogue)
    vh = scene.assets["vh"]
    assert (vh.unit, vh.nodata, vh.scale) == ("dB", -9999.0, 1.0)
    assert Path(vh.href).resolve() == tmp_path / "in" / "S1_20260101T105500.tif"
    assert scene.geobox is not None
    assert (scene.geobox.shape, scene.geobox.resolution.x) == ((3, 4), 10)
    assert scene.bounds == pytest.approx((117.0, -0.9046, 117.0004, -0.9044), abs=1e-3)
    root = pystac.Catalog.from_file(str(report.catalogue))
    (item,) = root.get_items(recursive=True)
    assert item.id == report.scenes[0]
    assert item.get_parent() is not None


def test_a_moved_archive_keeps_its_fingerprints_and_its_files(tmp_path: Path) -> None:
    raster(tmp_path / "a" / "in" / "S1_20260101T105500.tif")
    before = scenes(build_catalog(tmp_path / "a" / "in", tmp_path / "a" / "out", RADAR).catalogue)
    (tmp_path / "a").rename(tmp_path / "b")
    after = scenes(tmp_path / "b" / "out")
    assert [s.fingerprint for s in after] == [s.fingerprint for s in before]
    assert Path(after[0].assets["vh"].href).is_file()


def test_the_direction_of_a_pass_is_derived_and_marked(tmp_path: Path) -> None:
    raster(tmp_path / "in" / "S1_20260101T105500.tif")
    raster(tmp_path / "in" / "S1_20260107T215500.tif")
    raster(tmp_path / "in" / "S1_20260113.tif")
    found = scenes(build_catalog(tmp_path / "in", tmp_path / "out", RADAR).catalogue)
    assert [s.orbit_state for s in found] == ["ascending", "descending", None]
    assert [s.properties.get(ORBIT_DERIVED) for s in found] == [True, True, None]
    assert orbit_state_of(datetime(2026, 1, 1, 4, 0, tzinfo=UTC), 117.0) is None


def test_one_date_of_several_files_is_one_scene(tmp_path: Path) -> None:
    for band in ("B04", "B08", "SCL"):
        raster(tmp_path / "in" / f"T50_{band}_2026-02-03.tif")
    spec = BuildSpec("s2", "optical", unit="reflectance", scale=1e-4, nodata=0)
    (scene,) = scenes(build_catalog(tmp_path / "in", tmp_path / "out", spec).catalogue)
    assert sorted(scene.assets) == ["nir", "red", "scl"]
    assert (scene.assets["red"].scale, scene.assets["red"].nodata) == (1e-4, 0.0)
    assert scene.assets["scl"].unit == "class"


def test_bands_within_a_file_go_by_order(tmp_path: Path) -> None:
    raster(tmp_path / "in" / "2026-02-03.tif", count=2)
    spec = BuildSpec("s1", "sar", ("vv", "vh"), "dB")
    (scene,) = scenes(build_catalog(tmp_path / "in", tmp_path / "out", spec).catalogue)
    assert {k: a.index for k, a in scene.assets.items()} == {"vv": 1, "vh": 2}


def test_a_second_collection_joins_the_first(tmp_path: Path) -> None:
    raster(tmp_path / "a" / "2026-02-03.tif")
    raster(tmp_path / "b" / "2026-02-04.tif")
    build_catalog(tmp_path / "a", tmp_path / "out", BuildSpec("radar", "sar", ("vv",), "dB"))
    report = build_catalog(tmp_path / "b", tmp_path / "out", BuildSpec("index", "optical", ("ndvi",)))
    assert [(s.collection, s.sensor) for s in scenes(report.catalogue)] == [("radar", "sar"), ("index", "optical")]


def test_two_files_of_one_band_and_time_are_refused(tmp_path: Path) -> None:
    raster(tmp_path / "in" / "a_20260101.tif")
    raster(tmp_path / "in" / "b_20260101.tif")
    with pytest.raises(DuplicateScene, match=r"a_20260101.tif and b_20260101.tif both give vh"):
        build_catalog(tmp_path / "in", tmp_path / "out", RADAR)
    assert not (tmp_path / "out").exists()


def test_what_is_skipped_is_told_and_nothing_dated_is_an_error(tmp_path: Path) -> None:
    raster(tmp_path / "in" / "dem.tif")
    raster(tmp_path / "in" / "20260102.tif", crs=None)
    (tmp_path / "in" / "20260103.tif").write_bytes(b"II*\0not a raster")
    with pytest.raises(SourceError, match=r"no dated GeoTIFF.*put a date such as"):
        build_catalog(tmp_path / "in", tmp_path / "out", RADAR)
    raster(tmp_path / "in" / "20260104.tif")
    skipped = build_catalog(tmp_path / "in", tmp_path / "out", RADAR).skipped
    assert [f.what for f in skipped] == ["20260102.tif", "20260103.tif", "dem.tif"]
    assert "no coordinate reference system" in skipped[0].reason
    assert "no date in its name" in skipped[2].reason


def test_the_real_stacks_enter_in_full(shared_data: Path, tmp_path: Path) -> None:
    stacks = shared_data / "sar_optical_bayts"
    specs = {
        "riau_s1_vh": (BuildSpec("riau-s1", "sar", ("vh",), "dB", platform="sentinel-1"), 110),
        "bolivia_s1_vv": (BuildSpec("bolivia-s1", "sar", ("vv",), "dB"), 73),
    }
    for folder, (spec, count) in specs.items():
        report = build_catalog(stacks / folder, tmp_path / "out", spec)
        assert (len(report.scenes), report.skipped) == (count, ())
    found = scenes(tmp_path / "out")
    assert len(found) == 183
    riau = [s for s in found if s.collection == "riau-s1"]
    assert {s.orbit_state for s in riau} == {"ascending", "descending"}
    assert all(s.assets["vh"].nodata == float(np.float32(-3.4e38)) for s in riau)
