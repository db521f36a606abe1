"""Blocks of observations, checked against plain rasterio and against maths done by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dask
import numpy as np
import pytest
import rasterio
from affine import Affine
from odc.geo.geobox import GeoBox
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT

from enggang.cube import check_scene, observe_block, open_cube
from enggang.cube.enlarge import enlarge
from enggang.cube.indices import INDICES
from enggang.cube.masks import OUTSIDE, unclear_classes
from enggang.cube.reader import read_band, read_classes, read_values
from enggang.errors import ConfigError, GridMismatch, MissingBand, SceneError
from enggang.sources.registry import open_source
from enggang.types import Asset, MaskRule, ObservationSpec, Scene, Sensor

ORIGIN = (500_000.0, 9_900_000.0)
WHEN = datetime(2026, 1, 2, 2, 20, tzinfo=UTC)


def grid(height: int = 40, width: int = 50, metres: float = 10, crs: str = "EPSG:32750") -> GeoBox:
    return GeoBox((height, width), Affine(metres, 0, ORIGIN[0], 0, -metres, ORIGIN[1]), crs)


def write(path: Path, values: Any, geobox: GeoBox, nodata: float | None = 0, **profile: Any) -> Path:
    values = np.asarray(values)
    stack = values if values.ndim == 3 else values[None]
    with rasterio.open(
        path, "w", driver="GTiff", width=stack.shape[2], height=stack.shape[1], count=stack.shape[0],
        dtype=stack.dtype, crs=str(geobox.crs), transform=geobox.transform, nodata=nodata, **profile,
    ) as target:  # fmt: skip
        target.write(stack)
    return path


def scene(*assets: Asset, sensor: Sensor = "optical", when: datetime = WHEN) -> Scene:
    named = {a.band: a for a in assets}
    return Scene(f"scene-{when:%d}", "test", when, sensor, named, (110, -5, 120, 5), "fingerprint")


def reflectance(path: Path, band: str, **changes: Any) -> Asset:
    return Asset(str(path), band, **{"scale": 1e-4, "offset": -0.1, "nodata": 0.0, "unit": "reflectance"} | changes)


def numbers(shape: tuple[int, int], low: int = 1200, high: int = 6000, seed: int = 1) -> Any:
    return np.random.default_rng(seed).integers(low, high, shape).astype(np.uint16)


@pytest.fixture
def optical(tmp_path: Path) -> Scene:
    """nir and swir22 on a 10 m grid, scl at 20 m."""
    nir, swir = numbers((40, 50)), numbers((40, 50), seed=2)
    nir[3, 4] = 0
    scl = np.full((20, 25), 4, np.uint8)
    scl[5, 6] = 9
    a = reflectance(write(tmp_path / "nir.tif", nir, grid()), "nir")
    b = reflectance(write(tmp_path / "swir22.tif", swir, grid()), "swir22")
    c = Asset(str(write(tmp_path / "scl.tif", scl, grid(20, 25, 20))), "scl", nodata=0, unit="class")
    return scene(a, b, c)


def plain(scene: Scene, band: str) -> Any:
    asset = scene.assets[band]
    with rasterio.open(asset.href) as source:
        raw = source.read(asset.index)
    values = raw.astype(np.float32) * np.float32(asset.scale) + np.float32(asset.offset)
    return np.where(raw == asset.nodata, np.float32(np.nan), values)


def test_an_index_is_that_of_the_formula(optical: Scene) -> None:
    nir, swir = plain(optical, "nir"), plain(optical, "swir22")
    nbr = observe_block(optical, grid(), [ObservationSpec("nbr")])["nbr"]
    assert nbr.dtype == np.float32
    np.testing.assert_array_equal(nbr, (nir - swir) / (nir + swir))
    assert np.argwhere(np.isnan(nbr)).tolist() == [[3, 4]]


def test_cloud_grows_by_the_rule_and_a_rule_without_dilation_does_not(optical: Scene) -> None:
    wide = observe_block(optical, grid(), [ObservationSpec("nbr", MaskRule(dilate=2))])["nbr"]
    tight = observe_block(optical, grid(), [ObservationSpec("nbr", MaskRule())])["nbr"]
    rows, cols = np.nonzero(np.isnan(tight[:, 6:]))
    assert (rows.min(), rows.max(), cols.min() + 6, cols.max() + 6) == (10, 11, 12, 13)
    rows, cols = np.nonzero(np.isnan(wide[:, 6:]))
    assert (rows.min(), rows.max(), cols.min() + 6, cols.max() + 6) == (8, 13, 10, 15)
    assert len(rows) == 36


def test_bright_blue_is_not_clear_and_a_scene_without_blue_is_not_tested(optical: Scene, tmp_path: Path) -> None:
    rule = ObservationSpec("nbr", MaskRule(blue_max=0.12))
    values = np.full((40, 50), 1500, np.uint16)
    values[20, 30] = 3300
    blue = reflectance(write(tmp_path / "blue.tif", values, grid()), "blue")
    with_blue = scene(*optical.assets.values(), blue)
    lost = np.isnan(observe_block(with_blue, grid(), [rule])["nbr"]) & ~np.isnan(
        observe_block(optical, grid(), [rule])["nbr"]
    )
    assert np.argwhere(lost).tolist() == [[20, 30]]


def test_a_band_named_as_the_measure_goes_first(optical: Scene, tmp_path: Path) -> None:
    nbr = write(tmp_path / "nbr.tif", np.full((40, 50), 0.25, np.float32), grid(), nodata=-9999)
    stated = scene(*optical.assets.values(), Asset(str(nbr), "nbr"))
    assert np.unique(observe_block(stated, grid(), [ObservationSpec("nbr")])["nbr"]).tolist() == [0.25]


def test_negative_reflectance_gives_no_index_beyond_one() -> None:
    bands = [np.array([[0.3, -0.01, 0.02, 0.0, 0.0]], np.float32), np.array([[-0.02, 0.3, 0.02, 0.4, 0.0]], np.float32)]
    out = INDICES["ndvi"].function(*bands)
    np.testing.assert_array_equal(out, np.array([[np.nan, np.nan, 0, -1, np.nan]], np.float32))


@pytest.mark.parametrize("name", sorted(INDICES))
def test_every_index_names_its_source_and_passes_nan_on(name: str) -> None:
    index = INDICES[name]
    assert index.source
    for hole in range(len(index.bands)):
        bands = [np.full((1, 2), 0.4 - 0.1 * n, np.float32) for n in range(len(index.bands))]
        bands[hole][0, 0] = np.nan
        assert np.isnan(index.function(*bands)).tolist() == [[True, False]]


def test_power_and_amplitude_become_decibel(tmp_path: Path) -> None:
    power = np.array([[0.01, 0.1, 0.0, -1.0]], np.float32)
    box = grid(1, 4)
    for unit, values in (("power", power), ("amplitude", np.sqrt(np.abs(power)))):
        path = write(tmp_path / f"{unit}.tif", values, box, nodata=-1)
        vh = observe_block(scene(Asset(str(path), "vh", unit=unit), sensor="sar"), box, [ObservationSpec("vh")])["vh"]
        np.testing.assert_allclose(vh[0, :2], [-20, -10], rtol=1e-6)
        assert np.isnan(vh[0, 2])
    with pytest.raises(SceneError, match="unit 'kelvin'"):
        observe_block(scene(Asset(str(path), "vh", unit="kelvin"), sensor="sar"), box, [ObservationSpec("vh")])


def test_speckle_is_averaged_in_power_over_valid_pixels(tmp_path: Path) -> None:
    db = np.full((5, 5), -10, np.float32)
    db[2, 2], db[0, 0] = -20, -9999
    path = write(tmp_path / "vh.tif", db, grid(5, 5), nodata=-9999)
    radar = scene(Asset(str(path), "vh", unit="dB"), sensor="sar")
    vh = observe_block(radar, grid(5, 5), [ObservationSpec("vh", speckle_window=3)])["vh"]
    np.testing.assert_allclose(vh[2, 2], 10 * np.log10((8 * 0.1 + 0.01) / 9), rtol=1e-6)
    np.testing.assert_allclose(vh[1, 1], 10 * np.log10((7 * 0.1 + 0.01) / 8), rtol=1e-6)
    assert np.isnan(vh[0, 0])
    assert vh[4, 4] == pytest.approx(-10)
    with pytest.raises(ConfigError, match="speckle_window"):
        observe_block(radar, grid(5, 5), [ObservationSpec("vh", speckle_window=4)])


def test_what_lies_outside_the_scene_is_nan(optical: Scene) -> None:
    wide = grid().pad(7)
    nbr = observe_block(optical, wide, [ObservationSpec("nbr", MaskRule(dilate=2))])["nbr"]
    whole = observe_block(optical, grid(), [ObservationSpec("nbr", MaskRule(dilate=2))])["nbr"]
    np.testing.assert_array_equal(nbr[7:-7, 7:-7], whole)
    assert np.isnan(nbr).sum() == nbr.size - whole.size + np.isnan(whole).sum()
    far = GeoBox((8, 8), Affine(10, 0, 700_000, 0, -10, 9_000_000), "EPSG:32750")
    assert np.isnan(observe_block(optical, far, [ObservationSpec("nbr")])["nbr"]).all()


def test_twenty_metre_bands_are_enlarged_as_gdal_does_it(tmp_path: Path) -> None:
    coarse, fine = grid(30, 40, 20), grid(60, 80)
    path = write(tmp_path / "swir22.tif", numbers((30, 40)), coarse)
    ours = read_values(scene(reflectance(path, "swir22")), "swir22", fine)
    with (
        rasterio.open(path) as source,
        WarpedVRT(source, crs="EPSG:32750", transform=fine.transform, width=80, height=60, dtype="float32",
                  resampling=Resampling.bilinear) as view,
    ):  # fmt: skip
        np.testing.assert_allclose(ours, view.read(1) * 1e-4 - 0.1, atol=2e-7)


def test_enlarging_neither_spreads_nor_shrinks_nodata() -> None:
    values = np.ones((6, 7), np.float32)
    values[2, 3] = np.nan
    out = enlarge(values, 3)
    assert out.shape == (12, 15)
    assert np.argwhere(np.isnan(out)).tolist() == [[r, c] for r in (3, 4, 5) for c in (6, 7, 8)]
    assert np.unique(out[~np.isnan(out)]).tolist() == [1.0]


def test_nodata_does_not_bleed_through_a_warp(tmp_path: Path) -> None:
    values = np.full((60, 60), 3000, np.uint16)
    values[20:40, 20:40] = 0
    path = write(tmp_path / "red.tif", values, grid(60, 60))
    shifted = GeoBox((55, 55), Affine(10, 0, ORIGIN[0] + 13, 0, -10, ORIGIN[1] - 17), "EPSG:32750")
    red = read_values(scene(reflectance(path, "red")), "red", shifted)
    assert np.unique(red[~np.isnan(red)]).tolist() == pytest.approx([0.2])
    assert np.isnan(red).sum() == 400


def test_a_finer_file_is_averaged(tmp_path: Path) -> None:
    values = numbers((40, 40))
    path = write(tmp_path / "red.tif", values, grid(40, 40, 10))
    red = read_values(scene(reflectance(path, "red")), "red", grid(10, 10, 40))
    mean = values.reshape(10, 4, 10, 4).mean(axis=(1, 3)) * 1e-4 - 0.1
    np.testing.assert_allclose(red, mean, atol=1e-6)


def test_classes_are_never_mixed(tmp_path: Path) -> None:
    scl = np.random.default_rng(3).choice([4, 9], (30, 30)).astype(np.uint8)
    path = write(tmp_path / "scl.tif", scl, grid(30, 30, 20), nodata=0)
    one = scene(Asset(str(path), "scl", unit="class"))
    np.testing.assert_array_equal(read_classes(one, "scl", grid(60, 60)), scl.repeat(2, 0).repeat(2, 1))
    other = GeoBox((50, 50), Affine(10, 0, ORIGIN[0] + 33, 0, -10, ORIGIN[1] - 41), "EPSG:32750")
    assert set(np.unique(read_classes(one, "scl", other))) == {4, 9}
    beyond = GeoBox((50, 50), Affine(10, 0, ORIGIN[0] - 203, 0, -10, ORIGIN[1] - 41), "EPSG:32750")
    assert set(np.unique(read_classes(one, "scl", beyond))) == {4, 9, OUTSIDE}


def test_what_is_outside_the_file_does_not_grow() -> None:
    classes = np.full((9, 9), 4, np.uint8)
    classes[:3] = OUTSIDE
    clear = ~unclear_classes(classes, MaskRule(dilate=2))
    assert clear.shape == (5, 5)
    assert not clear[0].any()
    assert clear[1:].all()
    classes[:3] = 0
    assert unclear_classes(classes, MaskRule(dilate=2))[:3].all()


def test_nodata_of_the_file_of_the_item_and_of_a_mask(tmp_path: Path) -> None:
    values = np.array([[1, 2, 3, 65535]], np.uint16)
    box = grid(1, 4)
    path = write(tmp_path / "a.tif", values, box, nodata=2)
    own = read_values(scene(Asset(str(path), "red")), "red", box)
    assert np.isnan(own).tolist() == [[False, True, False, False]]
    stated = read_values(scene(Asset(str(path), "red", nodata=65535)), "red", box)
    assert np.isnan(stated).tolist() == [[False, False, False, True]]
    beyond = read_values(scene(Asset(str(path), "red", nodata=-9999)), "red", box)
    assert not np.isnan(beyond).any()
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
        path = write(tmp_path / "b.tif", values, box, nodata=None)
        with rasterio.open(path, "r+") as target:
            target.write_mask(np.array([[255, 255, 0, 255]], np.uint8))
    masked = read_values(scene(Asset(str(path), "red")), "red", box)
    assert np.isnan(masked).tolist() == [[False, False, True, False]]


def test_each_band_is_read_once(optical: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []

    def counting(scene: Scene, band: str, geobox: GeoBox) -> Any:
        read.append(band)
        return read_band(scene, band, geobox)

    monkeypatch.setattr("enggang.cube.observe.read_band", counting)
    rule = MaskRule()
    observe_block(optical, grid(), [ObservationSpec("nbr", rule), ObservationSpec("nir", rule)])
    assert sorted(read) == ["nir", "swir22"]


def test_an_overcast_block_is_nan_and_its_bands_are_not_read(optical: Scene, tmp_path: Path) -> None:
    cloud = np.full((20, 25), 4, np.uint8)
    cloud[:10] = 9
    asset = Asset(str(write(tmp_path / "cloud.tif", cloud, grid(20, 25, 20))), "scl", nodata=0, unit="class")
    gone = {band: replace(optical.assets[band], href=str(tmp_path / "gone.tif")) for band in ("nir", "swir22")}
    overcast = replace(optical, assets={**gone, "scl": asset})
    spec = ObservationSpec("nbr", MaskRule())
    assert np.isnan(observe_block(overcast, grid()[0:20], [spec])["nbr"]).all()
    with pytest.raises(SceneError, match=r"gone\.tif"):
        observe_block(overcast, grid()[0:21], [spec])


def test_missing_bands_and_other_places_are_named(optical: Scene) -> None:
    with pytest.raises(MissingBand, match=r"no band red; it has nir, scl, swir22"):
        check_scene(optical, grid(), [ObservationSpec("ndvi")])
    with pytest.raises(MissingBand, match=r"no band vh"):
        observe_block(optical, grid(), [ObservationSpec("vh")])
    far = GeoBox((8, 8), Affine(10, 0, 700_000, 0, -10, 9_000_000), "EPSG:32750")
    with pytest.raises(GridMismatch, match=r"asset nir \(EPSG:32750, x 500000.*doesn't meet the AOI.*x 700000"):
        check_scene(optical, far, [ObservationSpec("nbr")])
    check_scene(optical, grid(), [ObservationSpec("nbr", MaskRule(dilate=2))])


def test_a_cube_is_lazy_sorted_and_equal_to_its_blocks(optical: Scene, tmp_path: Path) -> None:
    later = scene(*optical.assets.values(), when=WHEN + timedelta(days=5))
    specs = [ObservationSpec("nbr", MaskRule(dilate=2)), ObservationSpec("nir")]
    cube = open_cube([later, optical], grid(), specs, block=16)
    assert cube.nbr.dims == ("time", "y", "x")
    assert cube.nbr.dtype == np.float32
    assert cube.nbr.data.chunksize == (1, 16, 16)
    assert cube.scene.values.tolist() == [optical.id, later.id]
    assert cube.time.values[0] == np.datetime64("2026-01-02T02:20:00", "ns")
    assert cube.odc.geobox == grid()
    whole = observe_block(optical, grid(), specs)
    for measure, values in whole.items():
        np.testing.assert_array_equal(cube[measure].isel(time=1).values, values)
    with dask.config.set(scheduler="threads", num_workers=2):
        np.testing.assert_array_equal(cube.nir.isel(time=0).values, whole["nir"])


def test_a_cube_of_no_scenes_is_empty() -> None:
    cube = open_cube([], grid(), [ObservationSpec("nbr")])
    assert cube.nbr.shape == (0, 40, 50)
    assert cube.nbr.compute().size == 0


def test_real_scenes_have_the_radiometry_of_the_files(shared_data: Path) -> None:
    source = open_source(str(shared_data / "s2_stac_cogs" / "mapchete_eo"))
    found = source.search((-180, -90, 180, 90), datetime(2023, 8, 1, tzinfo=UTC), datetime(2023, 9, 1, tzinfo=UTC))
    box = GeoBox((915, 915), Affine(120, 0, 499_980, 0, -120, 5_100_000), "EPSG:32633")
    specs = [ObservationSpec(b) for b in ("blue", "green", "red", "nir")] + [ObservationSpec("ndvi")]
    for one in (found.scenes[0], found.scenes[-1]):
        check_scene(one, box, specs)
        block = observe_block(one, box, specs)
        for band in ("blue", "green", "red", "nir"):
            np.testing.assert_array_equal(block[band], plain(one, band))
        forest = read_classes(one, "scl", box) == 4
        assert np.nanmedian(block["red"][forest]) < 0.1
        assert np.nanmean(block["red"][forest] < 0) < 0.001


def test_a_real_stack_reads_as_it_is(shared_data: Path) -> None:
    path = sorted((shared_data / "sar_optical_bayts" / "riau_s1_vh").glob("*.tif"))[5]
    with rasterio.open(path) as source:
        box, raw = GeoBox(source.shape, source.transform, str(source.crs)), source.read(1)
    one = scene(Asset(str(path), "vh", nodata=-3.4e38, unit="dB"), sensor="sar")
    np.testing.assert_array_equal(
        observe_block(one, box, [ObservationSpec("vh")])["vh"], np.where(raw < -1e38, np.nan, raw)
    )
