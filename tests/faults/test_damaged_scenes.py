"""Cases 8, 9 and 12 of the faults a night must stand: cut files, headers that lie, seams of zones and hemispheres."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import rasterio
from affine import Affine
from odc.geo.geobox import GeoBox
from odc.geo.geom import point
from pyproj import Transformer
from rio_cogeo import cog_profiles, cog_translate

from enggang.cube import check_scene, observe_block
from enggang.errors import CorruptAsset, GridMismatch, OversizedAsset
from enggang.types import Asset, ObservationSpec, Scene

BOX = GeoBox((1024, 1024), Affine(10, 0, 500_000, 0, -10, 9_900_000), "EPSG:32750")
RED = [ObservationSpec("red")]
pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")


def scene(path: Path | str, **changes: Any) -> Scene:
    asset = Asset(str(path), "red", **changes)
    return Scene("S2A_CUT", "c", datetime(2026, 1, 2, tzinfo=UTC), "optical", {"red": asset}, (110, -5, 120, 5), "f")


def box_of(path: Path) -> GeoBox:
    with rasterio.open(path) as source:
        return GeoBox(source.shape, source.transform, str(source.crs))


def make_cog(path: Path) -> Path:
    values = np.random.default_rng(0).integers(1, 4000, (1024, 1024)).astype(np.uint16)
    plain = path.with_suffix(".plain.tif")
    with rasterio.open(
        plain, "w", driver="GTiff", width=1024, height=1024, count=1, dtype="uint16", crs="EPSG:32750",
        transform=BOX.transform, nodata=0,
    ) as target:  # fmt: skip
        target.write(values, 1)
    cog_translate(plain, path, {**cog_profiles.get("deflate"), "blockxsize": 256, "blockysize": 256}, quiet=True)
    return path


def cut(whole: Path, share: float, path: Path) -> Path:
    data = whole.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    sidecar = whole.with_name(whole.name + ".aux.xml")
    if sidecar.exists():
        shutil.copyfile(sidecar, path.with_name(path.name + ".aux.xml"))
    return path


def outcomes(whole: Path, tmp_path: Path) -> dict[int, tuple[bool, bool]]:
    """For each twentieth: (the check refuses it, reading refuses it). Fails where pixels come out other than true."""
    box = box_of(whole)
    true = observe_block(scene(whole), box, RED)["red"]
    found = {}
    for percent in range(5, 100, 5):
        one = scene(cut(whole, percent / 100, tmp_path / f"{percent}{whole.suffix}"))
        said = [refusal(check_scene, one, box), refusal(observe_block, one, box)]
        assert all("S2A_CUT" in text and "red" in text for text in said if text)
        if not said[1]:
            np.testing.assert_array_equal(observe_block(one, box, RED)["red"], true)
        found[percent] = (bool(said[0]), bool(said[1]))
    return found


def refusal(attempt: Callable[..., object], one: Scene, box: GeoBox) -> str:
    """What the refusal says; empty where there is none."""
    try:
        attempt(one, box, RED)
    except CorruptAsset as error:
        return str(error)
    return ""


def test_a_cog_cut_at_every_twentieth_is_refused_and_never_zero(tmp_path: Path) -> None:
    found = outcomes(make_cog(tmp_path / "whole.tif"), tmp_path)
    assert all(check for check, _ in found.values())
    assert all(read for percent, (_, read) in found.items() if percent < 95)


def test_a_real_cog_cut_at_every_twentieth_is_refused(shared_data: Path, tmp_path: Path) -> None:
    (whole,) = shared_data.glob("s2_stac_cogs/rio_tiler_pds/sentinel-cogs/**/S2A_29RKH_20200219_0_L2A/B11.tif")
    assert set(outcomes(whole, tmp_path).values()) == {(True, True)}


def test_a_real_jpeg2000_cut_at_every_twentieth_is_refused(shared_data: Path, tmp_path: Path) -> None:
    whole = shared_data / "s2_stac_cogs/mapchete_eo/sentinel-2-l2a/S2B_33TWL_20230820_0_L2A/SCL.tif"
    assert set(outcomes(whole, tmp_path).values()) == {(True, True)}


def test_a_byte_flipped_in_a_tile_is_refused(tmp_path: Path) -> None:
    path = make_cog(tmp_path / "whole.tif")
    with rasterio.open(path) as source:
        start = int(source.get_tag_item("BLOCK_OFFSET_2_1", "TIFF", bidx=1))
    data = bytearray(path.read_bytes())
    data[start + 10 : start + 60] = bytes(50)
    path.write_bytes(data)
    with pytest.raises(CorruptAsset, match=r"S2A_CUT: asset red .*can't be read"):
        observe_block(scene(path), BOX, RED)


def test_sparse_tiles_are_nodata_and_no_fault(tmp_path: Path) -> None:
    path = tmp_path / "sparse.tif"
    with rasterio.open(
        path, "w", driver="GTiff", width=1024, height=1024, count=1, dtype="uint16", crs="EPSG:32750",
        transform=BOX.transform, nodata=0, tiled=True, blockxsize=256, blockysize=256, SPARSE_OK=True,
    ) as target:  # fmt: skip
        target.write(np.full((1, 256, 256), 7, np.uint16), window=((256, 512), (0, 256)))
    check_scene(scene(path), BOX, RED)
    red = observe_block(scene(path), BOX, RED)["red"]
    assert np.isfinite(red).sum() == 256 * 256
    assert np.unique(red[256:512, :256]).tolist() == [7]


def test_what_is_no_raster_or_may_not_be_opened_is_corrupt(tmp_path: Path) -> None:
    text = tmp_path / "error.tif"
    text.write_text("<html>503</html>")
    real = make_cog(tmp_path / "whole.tif")
    vrt = tmp_path / "view.tif"
    vrt.write_text(
        '<VRTDataset rasterXSize="1024" rasterYSize="1024"><SRS>EPSG:32750</SRS><VRTRasterBand dataType="UInt16" '
        f'band="1"><SimpleSource><SourceFilename>{real}</SourceFilename></SimpleSource></VRTRasterBand></VRTDataset>'
    )
    for href in (text, vrt, tmp_path / "nowhere.tif", f"/vsizip/{real}", "/vsicurl/http://127.0.0.1:9/a.tif"):
        with pytest.raises(CorruptAsset, match="S2A_CUT"):
            check_scene(scene(href), BOX, RED)


def test_a_file_that_was_replaced_is_read_anew(tmp_path: Path) -> None:
    path = make_cog(tmp_path / "whole.tif")
    before = observe_block(scene(path), BOX, RED)["red"]
    with rasterio.open(tmp_path / "new.tif", "w", **rasterio.open(path).profile) as target:
        target.write(np.full((1, 1024, 1024), 9, np.uint16))
    (tmp_path / "new.tif").replace(path)
    assert before.max() > 9
    assert observe_block(scene(path), BOX, RED)["red"].max() == 9


@pytest.mark.parametrize(
    ("side", "dtype", "profile"),
    [
        (100_000, "uint8", {"tiled": True}),
        (39_000, "float64", {"tiled": True, "BIGTIFF": "YES"}),
        (36_000, "uint8", {"tiled": True, "blockxsize": 36_000, "blockysize": 36_000}),
    ],
)
def test_a_header_that_claims_too_much_is_refused_in_little_memory(
    tmp_path: Path, side: int, dtype: str, profile: dict[str, Any]
) -> None:
    path = tmp_path / "big.tif"
    with rasterio.open(
        path, "w", driver="GTiff", width=side, height=side, count=1, dtype=dtype, crs="EPSG:32750", nodata=0,
        transform=BOX.transform, SPARSE_OK=True, compress="deflate", **profile,
    ):  # fmt: skip
        pass
    assert path.stat().st_size < 8 * 2**20
    process = psutil.Process()
    before = process.memory_info().rss
    for attempt in (check_scene, observe_block):
        with pytest.raises(OversizedAsset, match=f"claims {side} × {side} pixels"):
            attempt(scene(path), BOX, RED)
    assert process.memory_info().rss - before < 50 * 2**20


def test_a_file_without_crs_is_named(tmp_path: Path) -> None:
    path = tmp_path / "bare.tif"
    with rasterio.open(path, "w", driver="GTiff", width=8, height=8, count=1, dtype="uint8") as target:
        target.write(np.ones((1, 8, 8), np.uint8))
    with pytest.raises(GridMismatch, match=r"S2A_CUT: asset red .*no coordinate reference system"):
        check_scene(scene(path), BOX, RED)


@pytest.mark.parametrize("crs", ["EPSG:32650", "EPSG:32750", "EPSG:32651", "EPSG:32751", "EPSG:4326"])
def test_a_clearing_lands_within_a_pixel_across_the_equator_and_between_zones(tmp_path: Path, crs: str) -> None:
    """AOI in zone 50 south, astride the equator and 1 km west of the seam at 120° E; the file in any zone beside."""
    centre = point(119.99, 0.0, "EPSG:4326")
    middle = centre.to_crs("EPSG:32750").coords[0]
    aoi = GeoBox.from_bbox(
        (round(middle[0], -1) - 1000, 10_000_000 - 1000, round(middle[0], -1) + 1000, 10_000_000 + 1000),
        "EPSG:32750", resolution=10,
    )  # fmt: skip
    square = (119.990, -0.0012, 119.992, 0.0015)
    there = point(119.99, 0.0, "EPSG:4326").to_crs(crs).coords[0]
    step = 10 if crs != "EPSG:4326" else 10 / 111_320
    source = GeoBox((300, 300), Affine(step, 0, there[0] - 150 * step, 0, -step, there[1] + 150 * step), crs)
    values = np.full((300, 300), 3000, np.uint16)
    longitude, latitude = degrees(source)
    inside = (longitude >= square[0]) & (longitude <= square[2]) & (latitude >= square[1]) & (latitude <= square[3])
    values[inside] = 500
    path = tmp_path / "pattern.tif"
    with rasterio.open(
        path, "w", driver="GTiff", width=300, height=300, count=1, dtype="uint16", crs=crs,
        transform=source.transform, nodata=0,
    ) as target:  # fmt: skip
        target.write(values, 1)
    red = observe_block(scene(path), aoi, RED)["red"]
    assert np.isfinite(red).all()
    longitude, latitude = degrees(aoi)
    expected = (longitude >= square[0]) & (longitude <= square[2]) & (latitude >= square[1]) & (latitude <= square[3])
    found = red < 1750
    for axis in (0, 1):
        want, have = np.flatnonzero(expected.any(axis)), np.flatnonzero(found.any(axis))
        assert abs(want[0] - have[0]) <= 1
        assert abs(want[-1] - have[-1]) <= 1
    assert (expected != found).mean() < 0.004


def degrees(geobox: GeoBox) -> tuple[Any, Any]:
    """Longitude and latitude of pixel centres."""
    cols, rows = np.meshgrid(np.arange(geobox.shape.x) + 0.5, np.arange(geobox.shape.y) + 0.5)
    x, y = geobox.transform * (cols, rows)
    return Transformer.from_crs(str(geobox.crs), "EPSG:4326", always_xy=True).transform(x, y)
