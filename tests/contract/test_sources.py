"""What every source of scenes keeps to, run on a static catalogue from disk, the same over HTTP, and a STAC API.

The API is a small real server on 127.0.0.1 that pages over recorded items of Earth Search.
"""

from __future__ import annotations

import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from enggang.errors import ConfigError, SourceError, SourceUnavailable
from enggang.sources.base import Source
from enggang.sources.registry import open_source, open_stac
from enggang.sources.stac_api import StacApi
from enggang.sources.stac_static import StaticCatalogue

WORLD = (-180.0, -90.0, 180.0, 90.0)
NEAR = (117.0, -0.6, 117.1, -0.5)
START, END = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)
ID = "S2A_50MMD_{:%Y%m%d}"


def feature(day: int, west: float = 117.0, **properties: Any) -> dict[str, Any]:
    moment = START + timedelta(days=day)
    box = [west, -0.6, west + 0.1, -0.5]
    ring = [[box[0], box[1]], [box[2], box[1]], [box[2], box[3]], [box[0], box[3]], [box[0], box[1]]]
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "id": ID.format(moment),
        "collection": "sentinel-2-l2a",
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "bbox": box,
        "properties": {"datetime": moment.isoformat(), "platform": "sentinel-2a"} | properties,
        "links": [],
        "assets": {"red": {"href": "B04.tif", "type": "image/tiff; application=geotiff"}},
    }


def features() -> list[dict[str, Any]]:
    """Out of order; one far away, one on each border of the interval, one exact twin, two that differ under one id,
    and three that can't be used."""
    twice_different = [feature(9), feature(9, **{"s2:generation_time": "2026-03-01T00:00:00Z"})]
    nameless, timeless, bare = feature(11), feature(12), feature(13)
    nameless["properties"].pop("platform")
    nameless["assets"] = {"density": {"href": "d.tif", "type": "image/tiff"}}
    timeless["properties"]["datetime"] = None
    bare["assets"] = {}
    good = [feature(5), feature(0), feature(31), feature(3, west=20.0), feature(20), feature(20)]
    return [*good, *twice_different, nameless, timeless, bare]


def write_catalogue(folder: Path, items: list[dict[str, Any]]) -> Path:
    links = []
    for n, item in enumerate(items):
        path = folder / "scenes" / f"{n}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(item))
        links.append({"rel": "item", "href": f"./{n}.json"})
    collection = {"type": "Collection", "id": "sentinel-2-l2a", "links": links}
    (folder / "scenes" / "collection.json").write_text(json.dumps(collection))
    child = {"rel": "child", "href": "./scenes/collection.json"}
    root = folder / "catalog.json"
    root.write_text(json.dumps({"type": "Catalog", "id": "test", "links": [child]}))
    return root


@dataclass
class Api:
    """What the API server answers with; `faults` are statuses given before the first good answer."""

    items: list[dict[str, Any]]
    page: int = 3
    faults: list[int] = field(default_factory=list)
    requests: list[dict[str, Any]] = field(default_factory=list)
    url: str = ""

    def landing(self) -> dict[str, Any]:
        conforms = ["core", "item-search", "ogcapi-features", "collections"]
        return {
            "type": "Catalog",
            "stac_version": "1.0.0",
            "id": "api",
            "description": "test",
            "conformsTo": [f"https://api.stacspec.org/v1.0.0/{c}" for c in conforms],
            "links": [
                {"rel": "self", "href": self.url, "type": "application/json"},
                {"rel": "root", "href": self.url, "type": "application/json"},
                {"rel": "search", "href": f"{self.url}/search", "type": "application/geo+json", "method": "POST"},
            ],
        }

    def search(self, body: dict[str, Any]) -> dict[str, Any]:
        self.requests.append(body)
        start = int(body.get("next", 0))
        stop = start + self.page
        answer: dict[str, Any] = {"type": "FeatureCollection", "features": self.items[start:stop], "links": []}
        if stop < len(self.items):
            link = {"rel": "next", "href": f"{self.url}/search", "method": "POST", "body": {**body, "next": stop}}
            answer["links"].append(link | {"type": "application/geo+json"})
        return answer


class ApiHandler(BaseHTTPRequestHandler):
    def __init__(self, api: Api, *args: Any) -> None:
        self.api = api
        super().__init__(*args)

    def do_GET(self) -> None:
        self._answer(200, self.api.landing())

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.api.faults:
            self._answer(self.api.faults.pop(0), {"code": "fault", "description": "on purpose"})
        else:
            self._answer(200, self.api.search(body))

    def _answer(self, status: int, document: dict[str, Any]) -> None:
        data = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args: Any) -> None:
        pass


class QuietFiles(SimpleHTTPRequestHandler):
    def log_message(self, *args: Any) -> None:
        pass


Serve = Callable[[Any], str]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start a server for a handler; gives its URL. All are stopped after the test."""
    running: list[ThreadingHTTPServer] = []

    def start(handler: Any) -> str:
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        running.append(server)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        return f"http://127.0.0.1:{server.server_address[1]}"

    yield start
    for server in running:
        server.shutdown()
        server.server_close()


def serve_api(serve: Serve, items: list[dict[str, Any]], **options: Any) -> Api:
    api = Api(items, **options)
    api.url = serve(partial(ApiHandler, api))
    for item in items:
        item["links"] = [{"rel": "self", "href": f"{api.url}/items/{item['id']}"}]
    return api


@pytest.fixture(params=["folder", "website", "api"])
def source(request: pytest.FixtureRequest, serve: Serve, tmp_path: Path) -> Source:
    if request.param == "api":
        return open_source(serve_api(serve, features()).url)
    root = write_catalogue(tmp_path, features())
    if request.param == "folder":
        return open_source(str(root.parent))
    return open_source(serve(partial(QuietFiles, directory=str(tmp_path))) + "/catalog.json")


def test_scenes_come_in_order_of_acquisition_and_the_end_is_not_included(source: Source) -> None:
    found = source.search(NEAR, START, END)
    assert [s.id for s in found.scenes] == [ID.format(START + timedelta(days=d)) for d in (0, 5, 20)]
    assert all(s.acquired.utcoffset() == timedelta(0) for s in found.scenes)
    assert len(source.search(WORLD, START, END).scenes) == 4


def test_bad_items_are_failures_and_never_stop_the_rest(source: Source) -> None:
    failures = {f.what: f.kind for f in source.search(NEAR, START, END).failures}
    expected = {9: "DuplicateScene", 11: "SceneError", 12: "SceneError", 13: "SceneError"}
    assert failures == {ID.format(START + timedelta(days=d)): kind for d, kind in expected.items()}


def test_hrefs_are_absolute(source: Source) -> None:
    for scene in source.search(NEAR, START, END).scenes:
        href = scene.assets["red"].href
        assert href.startswith(("http://", "/"))
        assert href.endswith("B04.tif")


def test_nothing_found_is_a_result(source: Source) -> None:
    assert source.search((0.0, 50.0, 1.0, 51.0), START, END).scenes == ()
    assert source.search(NEAR, START, START).scenes == ()


def test_a_time_without_zone_is_refused(source: Source) -> None:
    with pytest.raises(SourceError, match="no time zone"):
        source.search(NEAR, START.replace(tzinfo=None), END)


def test_an_api_is_asked_for_place_time_and_collections_page_by_page(serve: Serve) -> None:
    api = serve_api(serve, features())
    open_source(api.url, {}).search(NEAR, START, END)
    assert len(api.requests) == 4
    source = open_stac(api.url, {"collections": ["sentinel-2-l2a"]})
    source.search(NEAR, START, END)
    asked = api.requests[-4]
    assert asked["collections"] == ["sentinel-2-l2a"]
    assert asked["bbox"] == list(NEAR)
    assert asked["datetime"] == "2026-01-01T00:00:00Z/2026-02-01T00:00:00Z"


def test_real_recorded_items_come_through_the_api(serve: Serve, shared_data: Path) -> None:
    text = (shared_data / "stac_responses/odc_stac/site2-2020_jun_jul-35MNM.geojson").read_text()
    api = serve_api(serve, json.loads(text)["features"], page=5)
    found = open_source(api.url).search(WORLD, datetime(2020, 6, 1, tzinfo=UTC), datetime(2020, 8, 1, tzinfo=UTC))
    assert len(found.scenes) == 13
    assert found.failures == ()
    assert len(api.requests) == 3


def test_a_busy_service_is_asked_again_and_a_refusal_is_not(serve: Serve) -> None:
    api = serve_api(serve, features(), faults=[429, 503])
    assert len(StacApi(api.url, first_wait=0.01).search(NEAR, START, END).scenes) == 3
    api.faults = [503] * 9
    with pytest.raises(SourceUnavailable, match="answered 503"):
        StacApi(api.url, attempts=2, first_wait=0.01).search(NEAR, START, END)
    assert len(api.faults) == 7
    api.faults = [400] * 9
    with pytest.raises(SourceError, match="answered 400"):
        StacApi(api.url, first_wait=0.01).search(NEAR, START, END)
    assert len(api.faults) == 8


def test_nobody_at_home_is_unavailable() -> None:
    with pytest.raises(SourceUnavailable, match="can't be reached"):
        StacApi("http://127.0.0.1:9", attempts=1).search(NEAR, START, END)


def test_a_link_to_nothing_is_a_failure(tmp_path: Path) -> None:
    root = write_catalogue(tmp_path, features())
    (tmp_path / "scenes" / "1.json").unlink()
    (tmp_path / "scenes" / "0.json").write_text("{")
    found = open_source(str(root)).search(NEAR, START, END)
    assert [s.acquired.day for s in found.scenes] == [21]
    kinds = [f.kind for f in found.failures if f.what.endswith(".json")]
    assert kinds == ["SourceError", "SourceError"]


def test_another_collection_is_not_read(tmp_path: Path) -> None:
    root = write_catalogue(tmp_path, features())
    assert StaticCatalogue(str(root)).search(NEAR, START, END).scenes
    assert open_stac(str(root), {"collections": ["sentinel-1-rtc"]}).search(NEAR, START, END).scenes == ()


def test_436_items_list_within_two_seconds(tmp_path: Path) -> None:
    items = [feature(n % 30) | {"id": f"scene-{n:03}"} for n in range(436)]
    source = open_source(str(write_catalogue(tmp_path, items)))
    began = time.process_time()
    assert len(source.search(NEAR, START, END).scenes) == 436
    assert time.process_time() - began < 2


def test_the_real_static_catalogue_has_five_scenes_and_five_links_to_nothing(shared_data: Path) -> None:
    source = open_source(str(shared_data / "s2_stac_cogs" / "mapchete_eo"))
    found = source.search(WORLD, datetime(2023, 8, 1, tzinfo=UTC), datetime(2023, 9, 1, tzinfo=UTC))
    assert [f"{s.acquired:%m-%d}" for s in found.scenes] == ["08-10", "08-13", "08-15", "08-18", "08-20"]
    assert [f.kind for f in found.failures] == ["SourceError"] * 5
    assert all("33TWM" in f.what for f in found.failures)


@dataclass(frozen=True)
class Entry:
    type: str
    href: str
    options: dict[str, Any]


def test_names_paths_and_what_is_neither(tmp_path: Path) -> None:
    root = write_catalogue(tmp_path, features())
    catalog = {"demo": Entry("stac", str(root), {"sensor": "optical"}), "roads": Entry("vector", "roads.gpkg", {})}
    assert open_source("demo", catalog).name == str(root)
    with pytest.raises(ConfigError, match=r"roads is of type vector.*stac"):
        open_source("roads", catalog)
    with pytest.raises(ConfigError, match="did you mean demo"):
        open_source("dmo", catalog)
    with pytest.raises(SourceError, match="no catalogue at"):
        open_stac(str(tmp_path / "nowhere"))
    shutil.copy(root, tmp_path / "list.json")
    (tmp_path / "list.json").write_text("[]")
    with pytest.raises(SourceError, match="not a STAC catalogue"):
        open_stac(str(tmp_path / "list.json")).search(NEAR, START, END)
