"""Publishing a night: immutable folders, revisions, an unmoved latest where something failed, areas side by side."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pytest
import rasterio

from enggang.errors import CorruptState, PublishError
from enggang.files import read_json
from enggang.layout import Layout
from enggang.publish.latest import read_latest
from enggang.publish.layers import LAYERS
from enggang.publish.products import publish_night
from enggang.publish.release import NightRelease
from enggang.publish.samples import sample_release
from enggang.types import AnyArray

NIGHT = date(2026, 11, 24)
NEXT = date(2026, 11, 25)
Read = Callable[[str, tuple[slice, slice]], AnyArray]


def _files(layout: Layout) -> dict[str, str]:
    paths = (p for p in layout.products.rglob("*") if p.is_file())
    return {p.relative_to(layout.products).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in paths}


def _corrected(read: Read) -> Read:
    """The same state with one forest pixel that turned out to be observed."""

    def corrected(name: str, window: tuple[slice, slice]) -> AnyArray:
        whole = read(name, (slice(None), slice(None))).copy()
        if name == "status":
            whole[0, 0] = 1
        return whole[window]

    return corrected


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path)


def test_a_night_is_complete_and_every_href_is_there(layout: Layout) -> None:
    published = publish_night(sample_release(NIGHT), layout)
    assert published.complete
    assert list(published.layers) == list(LAYERS)
    latest = read_latest(layout)["sample"]
    assert (latest.night, latest.published_for) == (NIGHT, datetime(2026, 11, 23, 18, tzinfo=UTC))
    hrefs = [*latest.layers.values(), *latest.alerts.values(), *latest.items.values()]
    hrefs += [latest.events, latest.picture or "", latest.picture_small or ""]
    assert all((layout.products / href).is_file() for href in hrefs)
    assert set(latest.alerts) == {"geojson", "gpkg", "geoparquet", "flatgeobuf"}
    assert published.written == len(_files(layout))
    events = read_json(layout.products / latest.events)["events"]
    assert [(e["kind"], e["kind_id"]) for e in events] == [("created", "peringatan baru")]


def test_rasters_say_what_the_state_says(layout: Layout) -> None:
    release = sample_release(NIGHT, pictures=False)
    published = publish_night(release, layout)
    everything = (slice(None), slice(None))
    for name, layer in LAYERS.items():
        with rasterio.open(layout.products / published.layers[name]) as source:
            expected = layer.derive({need: release.read(need, everything) for need in layer.needs})
            np.testing.assert_array_equal(source.read(1), expected)
            assert source.tags()["ENGGANG_NIGHT"] == "2026-11-24"
            assert source.tags()["ENGGANG_STATE"] == release.versions.state


def test_the_same_night_twice_writes_nothing(layout: Layout) -> None:
    publish_night(sample_release(NIGHT, pictures=False), layout)
    before = {p: p.stat().st_mtime_ns for p in layout.products.rglob("*")}
    again = publish_night(sample_release(NIGHT, pictures=False), layout)
    assert again.written == 0
    assert {p: p.stat().st_mtime_ns for p in layout.products.rglob("*") if p.is_file()} == {
        p: stamp for p, stamp in before.items() if p.is_file()
    }


def test_two_homes_get_the_same_bytes(tmp_path: Path) -> None:
    one, other = Layout(tmp_path / "one"), Layout(tmp_path / "other")
    for layout in (one, other):
        publish_night(sample_release(NIGHT), layout)
    assert _files(one) == _files(other)


def test_other_content_becomes_a_revision_and_nothing_is_overwritten(layout: Layout) -> None:
    release = sample_release(NIGHT, pictures=False)
    publish_night(release, layout)
    first = _files(layout)
    published = publish_night(replace(release, read=_corrected(release.read)), layout)
    assert published.layers["status"] == "status/sample/2026-11-24-r2/status.tif"
    assert published.layers["probability"] == "probability/sample/2026-11-24/probability.tif"
    second = _files(layout)
    moved = {name for name in first if second[name] != first[name]}
    assert moved == {"latest.json", "status/collection.json", "alerts/collection.json"}
    assert read_latest(layout)["sample"].layers["status"] == published.layers["status"]
    assert publish_night(replace(release, read=_corrected(release.read)), layout).written == 0


def test_an_older_night_never_takes_latest_back(layout: Layout) -> None:
    publish_night(sample_release(NEXT, pictures=False), layout)
    published = publish_night(sample_release(NIGHT, pictures=False), layout)
    assert published.written > 0
    assert read_latest(layout)["sample"].night == NEXT


def test_a_layer_that_fails_is_named_and_latest_stays(layout: Layout) -> None:
    publish_night(sample_release(NIGHT, pictures=False), layout)
    release = sample_release(NEXT, pictures=False)

    def read(name: str, window: tuple[slice, slice]) -> AnyArray:
        if name == "log_odds":
            raise CorruptState("chunk log_odds/0/0 is damaged", "restore it from the backup")
        return release.read(name, window)

    published = publish_night(replace(release, read=read), layout)
    assert not published.complete
    (failure,) = published.failures
    assert failure.what == "probability of sample, 2026-11-25"
    assert (failure.kind, failure.remedy) == ("CorruptState", "restore it from the backup")
    assert sorted(published.layers) == sorted(set(LAYERS) - {"probability"})
    assert read_latest(layout)["sample"].night == NIGHT

    healed = publish_night(release, layout)
    assert healed.complete
    assert read_latest(layout)["sample"].night == NEXT


def test_areas_published_at_once_all_stand_in_latest(layout: Layout) -> None:
    names = [f"area-{i}" for i in range(6)]
    releases: list[NightRelease] = [sample_release(NIGHT, aoi_id=name, pictures=False) for name in names]
    with ThreadPoolExecutor(6) as pool:
        published = list(pool.map(lambda release: publish_night(release, layout), releases))
    assert all(night.complete for night in published)
    assert sorted(read_latest(layout)) == names
    items = [link["href"] for link in read_json(layout.products / "status" / "collection.json")["links"]]
    assert [href for href in items if "item" in href] == [f"./{name}/2026-11-24/item.json" for name in names]
    assert not list(layout.products.rglob(".part-*"))


def test_folders_can_be_served_to_the_public(layout: Layout) -> None:
    published = publish_night(sample_release(NIGHT, pictures=False), layout)
    for href in (*published.layers.values(), *published.alerts.values()):
        path = layout.products / href
        assert path.stat().st_mode & 0o444 == 0o444
        assert path.parent.stat().st_mode & 0o555 == 0o555


def test_what_does_not_fit_together_is_refused(layout: Layout) -> None:
    release = sample_release(NIGHT)
    with pytest.raises(PublishError, match="no zone"):
        publish_night(replace(release, at=datetime(2026, 11, 23, 18)), layout)  # noqa: DTZ001
    with pytest.raises(PublishError, match="before and after"):
        publish_night(replace(release, before=None), layout)
    with pytest.raises(PublishError, match="is not of other"):
        publish_night(replace(release, aoi=sample_release(NIGHT, aoi_id="other").aoi), layout)
    assert not layout.products.exists()


def test_a_damaged_latest_is_told_with_its_remedy(layout: Layout) -> None:
    publish_night(sample_release(NIGHT, pictures=False), layout)
    layout.latest.write_bytes(b'{"sample": {"night": 3')
    with pytest.raises(PublishError, match="publish the last night again"):
        read_latest(layout)


def test_keys_of_a_newer_release_are_ignored(layout: Layout) -> None:
    publish_night(sample_release(NIGHT, pictures=False), layout)
    text = layout.latest.read_text(encoding="utf-8")
    layout.latest.write_text(text.replace('"night"', '"smoke": {"a": 1}, "night"'), encoding="utf-8")
    assert read_latest(layout)["sample"].night == NIGHT
