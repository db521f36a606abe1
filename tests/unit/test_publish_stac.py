"""The static catalogue: valid STAC, walkable by relative links, true about its files."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import pystac
import pytest
from pystac.validation import validate_dict
from shapely.geometry import box, shape

from enggang.files import read_json
from enggang.layout import Layout
from enggang.publish.layers import LAYERS
from enggang.publish.products import publish_night
from enggang.publish.samples import sample_aoi, sample_release
from enggang.publish.stac import update_catalogue

NIGHTS = (date(2026, 11, 23), date(2026, 11, 24))
TYPES = {"catalog.json": "CATALOG", "collection.json": "COLLECTION", "item.json": "ITEM"}


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    made = Layout(tmp_path_factory.mktemp("home"))
    for night in NIGHTS:
        for aoi in ("north", "south"):
            publish_night(sample_release(night, aoi_id=aoi, pictures=aoi == "north"), made)
    return made


def _documents(layout: Layout) -> Iterator[Path]:
    for name in TYPES:
        yield from layout.products.rglob(name)


def test_every_document_is_valid_against_the_core_schemas(layout: Layout) -> None:
    documents = list(_documents(layout))
    assert len(documents) == 1 + 6 + 6 * 2 * 2
    for path in documents:
        # Extension schemas are not shipped with pystac and can't be fetched without a network.
        validate_dict(read_json(path), pystac.STACObjectType[TYPES[path.name]], stac_version="1.1.0", extensions=[])


def test_every_link_is_relative_and_leads_somewhere(layout: Layout) -> None:
    for path in _documents(layout):
        document = read_json(path)
        hrefs = [link["href"] for link in document["links"]]
        hrefs += [asset["href"] for asset in document.get("assets", {}).values()]
        assert hrefs
        for href in hrefs:
            assert href.startswith("."), href
            assert (path.parent / href).resolve().is_file(), (path, href)


def test_pystac_walks_from_the_catalogue_to_every_item(layout: Layout) -> None:
    catalogue = pystac.Catalog.from_file(str(layout.products / "catalog.json"))
    assert [child.id for child in catalogue.get_children()] == ["alerts", *LAYERS]
    ids = sorted(item.id for item in catalogue.get_items(recursive=True))
    names = ("alerts", *LAYERS)
    assert ids == sorted(f"{n}-{a}-{d.isoformat()}" for n in names for a in ("north", "south") for d in NIGHTS)


def test_checksums_and_sizes_are_those_of_the_files(layout: Layout) -> None:
    for path in layout.products.rglob("item.json"):
        for asset in read_json(path)["assets"].values():
            data = (path.parent / asset["href"]).read_bytes()
            assert asset["file:checksum"] == f"1220{hashlib.sha256(data).hexdigest()}"
            assert asset["file:size"] == len(data)


def test_an_item_says_grid_bands_classes_and_origin(layout: Layout) -> None:
    item = read_json(layout.products / "status" / "north" / "2026-11-24" / "item.json")
    geobox = sample_aoi().geobox
    assert item["properties"]["proj:code"] == "EPSG:32750"
    assert item["properties"]["proj:shape"] == [48, 64]
    assert item["properties"]["proj:transform"] == list(geobox.transform)[:6]
    assert item["properties"]["enggang:sources"] == ["S2_sample_20261124"]
    (band,) = item["assets"]["data"]["bands"]
    assert (band["data_type"], band["nodata"]) == ("uint8", 255)
    assert [c["value"] for c in band["classification:classes"]] == [0, 1, 2, 3, 4, 5]
    assert {a["roles"][0] for a in item["assets"].values()} == {"data", "thumbnail"}

    footprint = shape(item["geometry"])
    assert footprint.exterior.is_ccw
    assert footprint.hausdorff_distance(box(*item["bbox"])) < 2e-5
    middle = geobox.geographic_extent.centroid.coords[0]
    assert footprint.centroid.coords[0] == pytest.approx(middle, abs=1e-5)


def test_alerts_come_from_the_layers_of_their_night_and_show_a_picture(layout: Layout) -> None:
    north = read_json(layout.products / "alerts" / "north" / "2026-11-24" / "item.json")
    origins = [link["href"] for link in north["links"] if link["rel"] == "derived_from"]
    assert origins == [f"../../../{name}/north/2026-11-24/item.json" for name in LAYERS]
    assert north["assets"]["picture_small"]["roles"] == ["thumbnail"]
    south = read_json(layout.products / "alerts" / "south" / "2026-11-24" / "item.json")
    assert "picture" not in south["assets"]


def test_a_collection_knows_its_extent(layout: Layout) -> None:
    collection = read_json(layout.products / "status" / "collection.json")
    item = read_json(layout.products / "status" / "north" / "2026-11-24" / "item.json")
    assert collection["extent"]["spatial"]["bbox"] == [item["bbox"]] * 3
    assert collection["extent"]["temporal"]["interval"] == [["2026-11-22T18:00:00Z", "2026-11-23T18:00:00Z"]]
    assert collection["license"] == "CC-BY-4.0"


def test_a_new_night_rewrites_no_old_item(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    publish_night(sample_release(NIGHTS[0], pictures=False), layout)
    stamps = {p: p.stat().st_mtime_ns for p in layout.products.rglob("item.json")}
    catalogue = (layout.products / "catalog.json").stat().st_mtime_ns
    publish_night(sample_release(NIGHTS[1], pictures=False), layout)
    assert {p: p.stat().st_mtime_ns for p in stamps} == stamps
    assert (layout.products / "catalog.json").stat().st_mtime_ns == catalogue
    assert update_catalogue(layout) == 0


def test_a_revision_replaces_its_night_in_the_collection_and_names_the_older_one(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    publish_night(sample_release(NIGHTS[0], pictures=False), layout)
    publish_night(replace(sample_release(NIGHTS[1], pictures=False), night=NIGHTS[0]), layout)
    collection = read_json(layout.products / "status" / "collection.json")
    items = [link["href"] for link in collection["links"] if link["rel"] == "item"]
    assert items == ["./sample/2026-11-23-r2/item.json"]
    item = read_json(layout.products / "status" / items[0])
    assert item["properties"]["version"] == "2"
    assert [k["href"] for k in item["links"] if k["rel"] == "predecessor-version"] == ["../2026-11-23/item.json"]
