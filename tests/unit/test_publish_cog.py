"""COGs: valid, self-describing, equal bytes for equal input, any grid and block size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from odc.geo.geobox import GeoBox
from rio_cogeo.cogeo import cog_validate

from enggang.errors import DiskFull, PublishError
from enggang.publish.cog import windows, write_cog
from enggang.publish.colours import Classes, palette
from enggang.publish.layers import LAYERS, Layer

TAGS = {"ENGGANG_AOI": "sample", "ENGGANG_NIGHT": "2026-11-24"}
UTM = GeoBox.from_bbox((500_000, 9_860_000, 513_000, 9_870_000), crs="EPSG:32750", resolution=10)
DEGREES = GeoBox.from_bbox((100.0, -1.0, 100.3, -0.9), crs="EPSG:4326", resolution=0.001)


def _values(layer: Layer, geobox: GeoBox) -> np.ndarray:
    rows, columns = np.indices(geobox.shape)
    if isinstance(layer.colours, Classes):
        return ((rows // 50 + columns // 70) % 6).astype(layer.dtype)
    return ((rows + columns) % 90).astype(layer.dtype)


def _write(path: Path, layer: Layer, geobox: GeoBox, block: int = 512) -> np.ndarray:
    values = _values(layer, geobox)
    write_cog(path, layer, geobox, lambda window: values[window], TAGS, block=block)
    return values


@pytest.mark.parametrize("layer", LAYERS.values(), ids=lambda layer: layer.name)
def test_a_cog_validates_and_describes_itself(layer: Layer, tmp_path: Path) -> None:
    path = tmp_path / f"{layer.name}.tif"
    values = _write(path, layer, UTM)
    valid, errors, warnings = cog_validate(path, strict=True, quiet=True)
    assert (valid, errors, warnings) == (True, [], [])
    with rasterio.open(path) as source:
        np.testing.assert_array_equal(source.read(1), values)
        assert (source.crs.to_epsg(), source.transform, source.shape) == (32750, UTM.transform, UTM.shape)
        assert (source.nodata, source.dtypes[0], source.units) == (layer.nodata, layer.dtype, (layer.unit,))
        assert (source.scales, source.offsets) == ((layer.scale,), (layer.offset,))
        assert source.descriptions[0] == f"{layer.title_en} / {layer.title_id}"
        assert source.overviews(1) == [2, 4]
        assert TAGS.items() <= source.tags().items()
        assert not any("DATE" in tag for tag in source.tags())
        if isinstance(layer.colours, Classes):
            shown = source.colormap(1)
            assert {value: shown[value] for value in palette(layer.colours)} == palette(layer.colours)
            assert source.tags(1)["CLASS_4"] == "confirmed / terkonfirmasi"
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_equal_input_gives_equal_bytes_whatever_the_block(tmp_path: Path) -> None:
    layer = LAYERS["first_disturbed"]
    for name, block in (("a.tif", 512), ("b.tif", 512), ("c.tif", 1024), ("d.tif", 300)):
        _write(tmp_path / name, layer, UTM, block)
    first = (tmp_path / "a.tif").read_bytes()
    assert all((tmp_path / name).read_bytes() == first for name in ("b.tif", "c.tif", "d.tif"))


def test_a_geographic_grid_keeps_its_place(tmp_path: Path) -> None:
    values = _write(tmp_path / "p.tif", LAYERS["probability"], DEGREES)
    with rasterio.open(tmp_path / "p.tif") as source:
        assert source.crs.to_epsg() == 4326
        assert source.bounds == pytest.approx((100.0, -1.0, 100.3, -0.9))
        np.testing.assert_array_equal(source.read(1), values)


@pytest.mark.parametrize("name", ["first_disturbed", "date_conf"])
def test_a_single_pixel_of_an_alert_stays_in_sight_when_zoomed_out(name: str, tmp_path: Path) -> None:
    values = np.zeros(UTM.shape, dtype=np.uint16)
    values[501, 703] = 24_340
    write_cog(tmp_path / "d.tif", LAYERS[name], UTM, lambda window: values[window], TAGS)
    with rasterio.open(tmp_path / "d.tif", overview_level=1) as zoomed_out:
        found = zoomed_out.read(1)
    assert np.argwhere(found == 24_340).tolist() == [[501 // 4, 703 // 4]]


def test_windows_tile_the_grid_once() -> None:
    seen = np.zeros(UTM.shape, dtype=np.uint8)
    for window in windows(UTM, 300):
        seen[window] += 1
    assert (seen == 1).all()


def test_a_block_of_another_type_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(PublishError, match=r"layer status: a block is float64 .* not uint8"):
        write_cog(tmp_path / "s.tif", LAYERS["status"], DEGREES, lambda w: np.zeros((100, 300)), TAGS)
    assert list(tmp_path.iterdir()) == []


def test_an_error_of_the_reader_passes_and_leaves_nothing(tmp_path: Path) -> None:
    def read(window: tuple[slice, slice]) -> np.ndarray:
        raise DiskFull("cache", "free space")

    with pytest.raises(DiskFull):
        write_cog(tmp_path / "s.tif", LAYERS["status"], UTM, read, TAGS)
    assert list(tmp_path.iterdir()) == []
