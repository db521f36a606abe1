"""STAC items → scenes: real items of three providers, and what their quirks must not do."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from enggang.errors import ConfigError, SceneError
from enggang.sources.stac import StacOptions, parse_options
from enggang.sources.stac_static import scene_from_dict
from enggang.types import Scene

OPTICAL_BANDS = {"blue", "green", "red", "nir", "nir08", "swir16", "swir22", "scl", "rededge1", "rededge2", "rededge3"}


def item(assets: dict[str, Any] | None = None, **properties: Any) -> dict[str, Any]:
    default = {"red": {"href": "./B04.tif", "type": "image/tiff; application=geotiff", "roles": ["data"]}}
    return {
        "type": "Feature",
        "stac_version": "1.1.0",
        "id": "one",
        "geometry": {"type": "Point", "coordinates": [117.0, -0.5]},
        "bbox": [117.0, -0.5, 117.0, -0.5],
        "properties": {"datetime": "2026-01-02T02:20:00Z", "platform": "sentinel-2a"} | properties,
        "links": [],
        "assets": default if assets is None else assets,
    }


def parse(document: dict[str, Any], href: str | None = "/archive/one/one.json", **options: Any) -> Scene:
    return scene_from_dict(document, href, StacOptions(**options))


def recorded(shared_data: Path, cassette: str) -> list[dict[str, Any]]:
    text = (shared_data / "stac_responses" / "pystac_client_cassettes" / cassette).read_text()
    bodies = [json.loads(i["response"]["body"]["string"]) for i in yaml.safe_load(text)["interactions"]]
    return [feature for body in bodies for feature in body.get("features", ())]


def test_earth_search_items_have_common_names_and_no_twins_of_jpeg2000(shared_data: Path) -> None:
    features = recorded(shared_data, "TestCLISearch.test_filter[inprocess].yaml")
    scenes = [parse(f, None) for f in features]
    assert len(scenes) == 20
    level2 = [s for s in scenes if s.collection.endswith("l2a")]
    assert level2
    for scene in level2:
        assert scene.assets.keys() >= OPTICAL_BANDS, scene.id
        assert not [b for b in scene.assets if b.endswith("-jp2")]
        assert scene.assets["red"].unit == "reflectance"
        assert scene.assets["scl"].unit == "class"
        assert scene.geobox is not None
        assert scene.geobox.resolution.x == 10
    radar = [s for s in scenes if s.sensor == "sar"]
    assert {s.orbit_state for s in radar} == {"ascending"}
    assert all(s.relative_orbit == 56 for s in radar)


def test_an_offset_that_the_pixels_already_carry_is_not_applied_again(shared_data: Path) -> None:
    by_collection = {
        s.collection: s.assets["red"].offset
        for f in recorded(shared_data, "TestCLISearch.test_filter[inprocess].yaml")
        if (s := parse(f, None)).collection.endswith("l2a")
    }
    assert by_collection == {"sentinel-2-l2a": 0.0, "sentinel-2-c1-l2a": -0.1}


def test_planetary_computer_items_get_names_scale_and_orbit(shared_data: Path) -> None:
    text = (shared_data / "stac_responses/odc_stac/site2-2020_jun_jul-35MNM.geojson").read_text()
    scenes = [parse(f, None) for f in json.loads(text)["features"]]
    assert len(scenes) == 13
    for scene in scenes:
        assert scene.assets.keys() >= OPTICAL_BANDS
        assert scene.assets["nir"].href.endswith("_B08_10m.tif")
        assert scene.assets["nir08"].href.endswith("_B8A_20m.tif")
        assert (scene.assets["red"].scale, scene.assets["red"].offset) == (1e-4, 0.0)
        assert (scene.orbit_state, scene.relative_orbit) == ("descending", 78)
        assert str(scene.geobox.crs) == "EPSG:32735" if scene.geobox else False


def test_a_processing_baseline_from_4_on_brings_its_offset() -> None:
    assert parse(item(**{"s2:processing_baseline": "05.11"})).assets["red"].offset == -0.1
    assert parse(item(**{"s2:processing_baseline": "02.12"})).assets["red"].offset == 0.0


def test_an_old_item_with_transforms_of_nine_numbers(shared_data: Path) -> None:
    text = (shared_data / "stac_responses/odc_stac/S2A_28QCH_20200714_0_L2A.json").read_text()
    scene = parse(json.loads(text), None)
    assert scene.geobox is not None
    assert tuple(scene.geobox.transform)[:6] == (10, 0, 300000, 0, -10, 2300040)
    assert "overview" not in scene.assets


def test_cdse_takes_each_band_at_the_resolution_it_was_measured_in() -> None:
    keys = [f"{b}_{m}m" for b in ("B02", "B04", "B05", "SCL") for m in (10, 20, 60)]
    names = {"B02": "blue", "B04": "red", "B05": "rededge071"}
    assets = {
        k: {
            "href": f"s3://eodata/{k}.jp2",
            "type": "image/jp2",
            "bands": [{"name": k[:3], "eo:common_name": names[k[:3]]}] if k[:3] in names else [],
        }
        for k in keys
        if k not in ("B05_10m", "SCL_10m")
    }
    scene = parse(item(assets))
    found = {b: scene.assets[b].href.rsplit("/")[-1] for b in ("blue", "red", "rededge1", "scl")}
    assert found == {"blue": "B02_10m.jp2", "red": "B04_10m.jp2", "rededge1": "B05_20m.jp2", "scl": "SCL_20m.jp2"}


def test_bands_of_stac_1_1_state_scale_nodata_and_unit() -> None:
    band = {"name": "vh", "unit": "dB", "nodata": "nan", "raster:scale": 0.01, "raster:offset": -50}
    asset = {"href": "vh.tif", "type": "image/tiff; application=geotiff", "bands": [band]}
    vh = parse(item({"vh": asset}, platform="sentinel-1a")).assets["vh"]
    assert (vh.scale, vh.offset, vh.unit, vh.href) == (0.01, -50.0, "dB", "/archive/one/vh.tif")
    assert vh.nodata != vh.nodata


def test_one_file_of_several_bands_is_several_bands() -> None:
    bands = [{"name": "vv", "unit": "dB"}, {"name": "vh", "unit": "dB"}]
    scene = parse(item({"data": {"href": "s1.tif", "type": "image/tiff", "bands": bands}}, platform="sentinel-1a"))
    assert {name: a.index for name, a in scene.assets.items()} == {"vv": 1, "vh": 2}


def test_backscatter_without_unit_is_refused_and_an_option_helps() -> None:
    radar = item({"VH": {"href": "vh.tif", "type": "image/tiff"}}, platform="sentinel-1a")
    with pytest.raises(SceneError, match="dB or power"):
        parse(radar)
    assert parse(radar, unit="dB").assets["vh"].unit == "dB"
    radar["properties"]["sar:product_type"] = "RTC"
    assert parse(radar).assets["vh"].unit == "power"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"datetime": None}, "item one is malformed .*datetime"),
        ({"datetime": "yesterday"}, "item one is malformed"),
    ],
)
def test_items_without_a_usable_time_are_scene_errors(change: dict[str, Any], words: str) -> None:
    with pytest.raises(SceneError, match=words):
        parse(item(**change))


def test_items_without_assets_or_sensor_are_scene_errors() -> None:
    with pytest.raises(SceneError, match="no raster asset"):
        parse(item({"info": {"href": "a.xml", "type": "application/xml"}}))
    unknown = {"density": {"href": "d.tif", "type": "image/tiff"}}
    with pytest.raises(SceneError, match=r"doesn't say its sensor.*density"):
        parse(item(unknown, platform="balloon-7"))
    assert parse(item(unknown, platform="balloon-7"), sensor="optical").sensor == "optical"


def test_the_fingerprint_is_of_the_observation_not_of_the_place() -> None:
    here, there = parse(item()), parse(item(), "/elsewhere/one/one.json")
    assert here.fingerprint == there.fingerprint
    assert here.assets["red"].href != there.assets["red"].href
    signed = item({"red": {"href": "https://a.example/B04.tif?sig=1", "type": "image/tiff"}})
    other = item({"red": {"href": "https://a.example/B04.tif?sig=2", "type": "image/tiff"}})
    assert parse(signed).fingerprint == parse(other).fingerprint
    reprocessed = item()
    reprocessed["assets"]["red"]["file:checksum"] = "1220aa"
    moved_in_time = item(datetime="2026-01-02T02:20:01Z")
    assert len({parse(d).fingerprint for d in (item(), reprocessed, moved_in_time)}) == 3


def test_times_are_utc() -> None:
    assert parse(item(datetime="2026-01-02T10:20:00+08:00")).acquired == datetime(2026, 1, 2, 2, 20, tzinfo=UTC)


def test_an_unknown_option_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match="source earth: option colections"):
        parse_options({"colections": ["a"]}, "earth")
    assert parse_options({"bands": {"X": "red"}}, "earth").bands == {"X": "red"}
