"""The demo archive as a reader meets it: valid STAC, whole COGs, the stated radiometry, and truth that holds."""

from __future__ import annotations

import hashlib
import json
from datetime import date
from pathlib import Path

import numpy as np
import pystac
import pystac.validation
import pytest
import rasterio
from odc.geo.geobox import GeoBox
from rio_cogeo.cogeo import cog_validate

from enggang.aoi import load_aoi
from enggang.errors import ConfigError, SourceError
from enggang.simulate import DemoSpec, Truth, demo_aoi, demo_feature, read_truth, write_demo_archive
from enggang.simulate.passes import overpasses
from enggang.simulate.signatures import ClearingKind, TrapKind
from enggang.types import AnyArray, day_number

SPEC = DemoSpec.tiny()


def read(path: Path) -> AnyArray:
    with rasterio.open(path) as dataset:
        return dataset.read(1)


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_demo_archive(tmp_path_factory.mktemp("demo") / "archive", SPEC).parent


@pytest.fixture(scope="module")
def items(archive: Path) -> list[pystac.Item]:
    return list(pystac.Catalog.from_file(str(archive / "catalog.json")).get_items(recursive=True))


@pytest.fixture(scope="module")
def truth(archive: Path) -> Truth:
    return read_truth(archive)


def test_every_overpass_is_an_item_with_its_time(items: list[pystac.Item]) -> None:
    expected = {one.id: one.acquired for one in overpasses(SPEC)}
    assert {item.id: item.datetime for item in items} == expected
    assert all(item.id.endswith(f"{moment:%Y%m%dT%H%M%S}") for item in items if (moment := item.datetime))


def test_items_and_collections_validate_as_stac(archive: Path) -> None:
    """Core schemas only: those of extensions are not bundled and can't be fetched offline."""
    catalog = pystac.Catalog.from_file(str(archive / "catalog.json"))
    collections = list(catalog.get_children())
    assert [c.id for c in collections] == ["sentinel-1-rtc", "sentinel-2-l2a"]
    for thing in (catalog, *collections, *(next(iter(c.get_items())) for c in collections)):
        document = thing.to_dict()
        document["stac_extensions"] = []
        assert pystac.validation.validate_dict(document, stac_version="1.1.0", href=thing.get_self_href())


def test_catalogue_points_only_within_itself(archive: Path) -> None:
    for path in archive.rglob("*.json"):
        document = json.loads(path.read_bytes())
        for href in [link["href"] for link in document.get("links", [])] + [
            asset["href"] for asset in document.get("assets", {}).values()
        ]:
            assert (path.parent / href).resolve().is_file(), (path, href)
            assert "truth" not in href


def test_every_asset_is_a_cog_as_its_item_says(items: list[pystac.Item]) -> None:
    picked = items[:: len(items) // 10]
    assert {item.collection_id for item in picked} == {"sentinel-1-rtc", "sentinel-2-l2a"}
    for item in picked:
        for asset in item.assets.values():
            path = Path(asset.get_absolute_href() or "")
            band = asset.extra_fields["bands"][0]
            assert asset.extra_fields["file:size"] == path.stat().st_size
            assert asset.extra_fields["file:checksum"] == "1220" + hashlib.sha256(path.read_bytes()).hexdigest()
            valid, errors, warnings = cog_validate(path, strict=True)
            assert valid, (path, errors, warnings)
            with rasterio.open(path) as dataset:
                assert dataset.dtypes[0] == band["data_type"]
                assert dataset.nodata == band["nodata"]
                assert GeoBox(dataset.shape, dataset.transform, str(dataset.crs)) == SPEC.geobox
            assert list(SPEC.geobox.transform)[:6] == item.properties["proj:transform"]


def test_optical_numbers_carry_the_offset_of_baseline_0400(
    archive: Path, items: list[pystac.Item], truth: Truth
) -> None:
    """A forest's NBR is near 0.67 with scale and offset; without the offset it would be near 0.45."""
    clearest = min((i for i in items if "eo:cloud_cover" in i.properties), key=lambda i: i.properties["eo:cloud_cover"])
    folder = archive / "sentinel-2-l2a" / clearest.id
    band = clearest.assets["nir"].extra_fields["bands"][0]
    nir, swir = (read(folder / name) * band["raster:scale"] + band["raster:offset"] for name in ("B08.tif", "B12.tif"))
    clear = (read(folder / "SCL.tif") == 4) & truth.forest
    nbr = ((nir - swir) / (nir + swir))[clear]
    assert clear.sum() > 500
    assert 0.6 < np.median(nbr) < 0.74


def test_cloud_cover_is_what_the_classification_says(archive: Path, items: list[pystac.Item]) -> None:
    optical = [i for i in items if "eo:cloud_cover" in i.properties]
    for item in optical[:20]:
        scl = read(archive / "sentinel-2-l2a" / item.id / "SCL.tif")
        share = 100 * np.isin(scl, (8, 9, 10)).sum() / (scl > 0).sum()
        assert item.properties["eo:cloud_cover"] == pytest.approx(share, abs=0.01)
        nodata = read(archive / "sentinel-2-l2a" / item.id / "B04.tif") == 0
        np.testing.assert_array_equal(nodata, scl == 0)


def test_backscatter_of_a_clearing_falls_on_its_day(archive: Path, truth: Truth) -> None:
    """VH of every clearing but burns and plots below 0.1 ha, before against after, minus that of standing forest."""
    days, stack = [], []
    for one in overpasses(SPEC):
        if one.track.sensor == "sar":
            days.append(one.day)
            stack.append(read(archive / "sentinel-1-rtc" / one.id / "VH.tif"))
    steady = truth.forest & (truth.clearing_day == 0) & (truth.trap == 0)
    when = np.array(days)
    cube = np.stack(stack) - np.array([band[steady].mean() for band in stack])[:, None, None]
    checked = 0
    for feature in json.loads((archive / "truth" / "clearings.geojson").read_bytes())["features"]:
        facts = feature["properties"]
        if facts["history"] or facts["area_ha"] < 0.1 or facts["kind"] == "burn":
            continue
        start, end = (day_number(date.fromisoformat(facts[key])) for key in ("start", "end"))
        here = (truth.kind == ClearingKind[facts["kind"].upper()]) & (truth.clearing_day >= start)
        here &= truth.clearing_day <= end
        drop = cube[when < start][:, here].mean() - cube[when >= end][:, here].mean()
        assert drop > 1.5, facts
        checked += 1
    assert checked >= 3


def test_truth_holds_together(truth: Truth) -> None:
    cleared = truth.clearing_day > 0
    history = cleared & (truth.clearing_day < day_number(SPEC.monitor_from))
    assert truth.monitor_from == SPEC.monitor_from
    assert truth.geobox == SPEC.geobox
    np.testing.assert_array_equal(cleared, truth.kind > 0)
    assert not (history & truth.forest).any()
    assert truth.forest[cleared & ~history].all(), "only standing forest is cleared"
    assert not (cleared & (truth.trap > 0)).any()
    assert truth.clearing_day.max() < day_number(SPEC.end)
    assert set(np.unique(truth.trap)) >= {TrapKind.FLOODED_FOREST, TrapKind.STORM, TrapKind.DRYING}


def test_outlines_have_the_area_they_state(archive: Path) -> None:
    """The geodesic area on WGS84 against pixels × pixel area; UTM's scale differs by up to 0.08 %."""
    from pyproj import Geod
    from shapely.geometry import shape

    geod = Geod(ellps="WGS84")
    features = json.loads((archive / "truth" / "clearings.geojson").read_bytes())["features"]
    for feature in features:
        area, _ = geod.geometry_area_perimeter(shape(feature["geometry"]))
        assert area / 1e4 == pytest.approx(feature["properties"]["area_ha"], rel=0.002, abs=1e-3)


def test_a_finished_archive_is_left_alone(archive: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in archive.rglob("*")}
    seen: list[tuple[int, int]] = []
    assert write_demo_archive(archive, SPEC, lambda *step: seen.append(step)) == archive / "catalog.json"
    assert {path: path.stat().st_mtime_ns for path in archive.rglob("*")} == before
    assert seen == [(len(overpasses(SPEC)),) * 2]


def test_a_damaged_archive_is_repaired_to_the_byte(archive: Path, tmp_path: Path) -> None:
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(archive, copy)
    for one in overpasses(SPEC)[5::40]:
        shutil.rmtree(copy / one.track.collection / one.id)
    steps: list[tuple[int, int]] = []
    write_demo_archive(copy, SPEC, lambda *step: steps.append(step), workers=1)
    assert digests(copy) == digests(archive)
    assert steps[-1][0] == steps[-1][1]
    assert len(steps) == 1 + len(overpasses(SPEC)[5::40])


def test_an_archive_of_other_parameters_is_refused(archive: Path) -> None:
    with pytest.raises(ConfigError, match="other parameters"):
        write_demo_archive(archive, DemoSpec.tiny(seed=1))


def test_a_folder_of_something_else_is_refused_and_kept(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("chapter 1")
    with pytest.raises(ConfigError, match="not empty"):
        write_demo_archive(tmp_path, SPEC)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]


def test_no_truth_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="make the demo archive again"):
        read_truth(tmp_path)


def test_demo_area_is_the_grid_of_the_archive(repository: Path) -> None:
    """aoi/demo.geojson is written by `demo_feature`; this keeps the two together."""
    path = repository / "aoi" / "demo.geojson"
    assert json.loads(path.read_bytes()) == json.loads(json.dumps(demo_feature()))
    aoi = load_aoi("demo", repository / "aoi")
    assert aoi.geobox == DemoSpec().geobox
    assert aoi.properties.monitor_from == DemoSpec().monitor_from
    assert demo_aoi(SPEC, source="/x/catalog.json").geobox == SPEC.geobox


@pytest.mark.parametrize(
    "change",
    [
        {"size": 97},
        {"size": 32},
        {"seed": -1},
        {"s2_step_days": 0},
        {"resolution_m": 0.0},
        {"cloud_cover": 1.0},
        {"end": date(2026, 1, 5)},
    ],
)
def test_impossible_parameters_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        DemoSpec(**change)  # type: ignore[arg-type]
