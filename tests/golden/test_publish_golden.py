"""Products of the sample night against the golden ones in `publish/`: tags, then the valid area, then values.

Made anew by `python tests/golden/regenerate_publish.py`.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio

from enggang.files import read_json
from enggang.layout import Layout
from enggang.publish.latest import LatestNight
from enggang.publish.layers import LAYERS
from enggang.publish.products import publish_night
from enggang.publish.samples import sample_release

GOLDEN = Path(__file__).parent / "publish"
NIGHT = date(2026, 11, 24)
#: What a newer GDAL or GEOS may write differently without any change for a reader.
ENCODING = {"file:checksum", "file:size"}


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    made = Layout(tmp_path_factory.mktemp("home"))
    publish_night(sample_release(NIGHT, pictures=False), made)
    return made


def _plain(value: Any) -> Any:
    """JSON without encoding details, numbers at seven decimals."""
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items() if key not in ENCODING}
    if isinstance(value, list):
        return [_plain(entry) for entry in value]
    return round(value, 7) if isinstance(value, float) else value


@pytest.mark.parametrize("name", LAYERS)
def test_a_raster_is_the_golden_one(name: str, layout: Layout) -> None:
    path = layout.product(name, "sample", NIGHT) / f"{name}.tif"
    with rasterio.open(path) as made, rasterio.open(GOLDEN / f"{name}.tif") as golden:
        tags = {key: value for key, value in golden.tags().items() if key.startswith("ENGGANG_")}
        assert {key: value for key, value in made.tags().items() if key.startswith("ENGGANG_")} == tags
        for fact in ("crs", "transform", "shape", "dtypes", "nodata", "units", "scales", "offsets", "descriptions"):
            assert getattr(made, fact) == getattr(golden, fact), fact
        assert made.tags(1) == golden.tags(1)
        assert made.colorinterp == golden.colorinterp
        np.testing.assert_array_equal(made.read_masks(1), golden.read_masks(1))
        np.testing.assert_array_equal(made.read(1), golden.read(1))


@pytest.mark.parametrize("name", ["alerts.geojson", "events.json"])
def test_alerts_and_events_are_the_golden_ones(name: str, layout: Layout) -> None:
    assert _plain(read_json(layout.product("alerts", "sample", NIGHT) / name)) == _plain(read_json(GOLDEN / name))


def test_an_item_is_the_golden_one(layout: Layout) -> None:
    made = read_json(layout.product("status", "sample", NIGHT) / "item.json")
    assert _plain(made) == _plain(read_json(GOLDEN / "item-status.json"))


def test_a_released_latest_stays_readable(layout: Layout) -> None:
    released = {aoi: LatestNight.model_validate(entry) for aoi, entry in read_json(GOLDEN / "latest.json").items()}
    assert read_json(layout.latest) == {aoi: entry.model_dump(mode="json") for aoi, entry in released.items()}


def test_golden_rasters_hold_every_status_and_every_kind_of_silence() -> None:
    with rasterio.open(GOLDEN / "status.tif") as source:
        assert sorted(np.unique(source.read(1))) == [0, 1, 2, 3, 4, 5, 255]
    with rasterio.open(GOLDEN / "last_valid.tif") as source:
        assert {0, 65535} < set(np.unique(source.read(1)).tolist())


def test_golden_files_are_small() -> None:
    assert sum(path.stat().st_size for path in GOLDEN.iterdir()) < 20_000
