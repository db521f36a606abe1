"""The dataset catalogue: every entry holds, every kind opens, and a slip is named."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import odc.geo.xr
import pytest
import rasterio
import shapely
from affine import Affine
from odc.geo.geobox import GeoBox

from enggang.alerts.ledger import Ledger
from enggang.alerts.records import Alert, AlertEvent, AlertPixels, AlertStatus, EventKind, LedgerNight, Versions
from enggang.aoi import Aoi, load_aoi
from enggang.aoi_import import Origin, import_districts
from enggang.catalog import Catalog, Entry, open_catalog
from enggang.catalog_readers import READERS, SourceRecord
from enggang.errors import CatalogError, ConfigError, UnknownDataset
from enggang.files import write_json
from enggang.layout import Layout
from enggang.monitors.history import Change
from enggang.monitors.schema import BELIEF, StateIdentity, baseline_specs
from enggang.monitors.state import StateStore
from enggang.publish import layers
from enggang.publish.products import publish_night
from enggang.publish.release import NightRelease
from enggang.sources.registry import open_source
from enggang.sources.stac import parse_options
from enggang.types import AnyArray

NIGHTS = (date(2016, 3, 1), date(2016, 3, 2))
VERSIONS = Versions("riau-1", "s" * 8, "d" * 8, "0.1.0")
assert odc.geo.xr  # registers the .odc accessor of xarray


def alert(night: date) -> Alert:
    outline = shapely.box(102.6201, 0.8, 102.6221, 0.802)
    return Alert(
        id="riau-20160301-r1c2",
        aoi="riau",
        status=AlertStatus.CONFIRMED,
        first_seen=NIGHTS[0],
        first_disturbed=NIGHTS[0],
        flagged_on=NIGHTS[0],
        confirmed_on=night,
        last_changed=night,
        probability=0.97,
        sensors=("sar",),
        observations=3,
        area_ha=4.9,
        centroid=(102.6211, 0.801),
        geometry=outline,
        district=None,
        versions=VERSIONS,
    )


def state_arrays(shape: tuple[int, int], step: int) -> dict[str, AnyArray]:
    """Half forest, half confirmed; log-odds 3.00, never observed in the last row."""
    status = np.full(shape, 1, np.uint8)
    status[:, : shape[1] // 2] = 4
    log_odds = np.full(shape, 300, np.int16)
    log_odds[-1] = -32768
    day = np.full(shape, 425 + step, np.uint16)
    return {"status": status, "log_odds": log_odds, "first_disturbed": day, "flagged_on": day, "last_valid": day}


def publish(aoi: Aoi, layout: Layout, night: date, step: int) -> None:
    arrays = state_arrays((aoi.geobox.shape[0], aoi.geobox.shape[1]), step)
    at = datetime(night.year, night.month, night.day, tzinfo=UTC) + timedelta(hours=22)
    event = AlertEvent(f"{night}-e", alert(night).id, EventKind.GROWN, night, at, AlertStatus.CONFIRMED, 4.9, 0.97)
    known = (alert(night),)
    pixels = AlertPixels(np.array([2], np.int64), np.array([0], np.int32))
    Ledger(layout.ledger("riau", "riau-1")).write(LedgerNight(night, known, pixels, (event,)))
    publish_night(
        NightRelease(aoi, night, at, VERSIONS, known, (event,), lambda name, window: arrays[name][window]), layout
    )
    write_json(layout.run("riau", night), {"night": night.isoformat(), "scenes": {"applied": step, "failed": 0}})


def write_state(aoi: Aoi, layout: Layout) -> list[str]:
    """A state with belief and one baseline; the snapshots of its two commits that matter."""
    store = StateStore(layout.state("riau", "riau-1"))
    with store.writer("test", 60) as writer:
        identity = StateIdentity("riau", "riau-1", "c" * 64, aoi.geobox, 64)
        first = writer.create(identity, [*BELIEF, *baseline_specs("vh", 1, 1e-3)])
        change = Change("scene", scene_id="S1", acquired=datetime(2016, 3, 1, tzinfo=UTC), fingerprint="f")
        with writer.transaction(change) as transaction:
            window = (slice(0, 64), slice(0, 55))
            transaction.write("log_odds", window, np.full((64, 55), 250, np.int16))
        assert transaction.commit is not None
        return [first.snapshot, transaction.commit.snapshot]


@dataclass(frozen=True)
class Home:
    """A home folder with two published nights of `riau`, its state, ledger and runs."""

    catalog: Catalog
    layout: Layout
    aoi: Aoi
    snapshots: list[str]


@pytest.fixture(scope="module")
def home(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Home:
    layout = Layout(tmp_path_factory.mktemp("home"))
    aoi = load_aoi("riau", repository / "aoi")
    for step, night in enumerate(NIGHTS, 1):
        publish(aoi, layout, night, step)
    snapshots = write_state(aoi, layout)
    return Home(open_catalog(repository / "data_catalog.yaml", layout.home), layout, aoi, snapshots)


@pytest.fixture
def catalog(repository: Path, tmp_path: Path) -> Catalog:
    return open_catalog(repository / "data_catalog.yaml", tmp_path)


def test_the_latest_alerts_are_one_line_away(home: Home) -> None:
    alerts = home.catalog["alerts"].load(aoi="riau")
    assert list(alerts["id"]) == ["riau-20160301-r1c2"]
    assert alerts.loc[0, "confirmed_on"] == NIGHTS[1]
    assert alerts.crs.to_epsg() == 4326
    assert alerts.attrs["dataset"] == "alerts"


def test_a_past_night_is_one_word_more(home: Home) -> None:
    assert home.catalog["alerts"].load(aoi="riau", night=NIGHTS[0]).loc[0, "confirmed_on"] == NIGHTS[0]
    past = home.catalog["last_valid"].load(aoi="riau", night="2016-03-01")
    assert int(past[0, 0]) == 426
    assert int(home.catalog["last_valid"].load(aoi="riau")[0, 0]) == 427


def test_the_newest_revision_of_a_past_night_is_taken(repository: Path, tmp_path: Path) -> None:
    layout, aoi = Layout(tmp_path), load_aoi("riau", repository / "aoi")
    for step in (1, 2):
        publish(aoi, layout, NIGHTS[0], step)
    nights = layout.product("last_valid", "riau", NIGHTS[0]).parent
    (nights / "2016-03-01-r2").rename(nights / "2016-03-01-r10")
    (nights / "2016-03-01-r9").mkdir()
    catalog = open_catalog(repository / "data_catalog.yaml", tmp_path)
    assert int(catalog["last_valid"].load(aoi="riau", night=NIGHTS[0])[0, 0]) == 427


def test_the_only_area_and_monitor_need_no_naming(home: Home) -> None:
    assert len(home.catalog["alerts"].load()) == 1
    assert home.catalog["state"].load().sizes["longitude"] == 55


def test_every_layer_of_the_table_opens_lazily_on_the_grid(home: Home) -> None:
    for name in layers.LAYERS:
        array = home.catalog[name].load(aoi="riau")
        assert array.dims == ("latitude", "longitude")
        assert array.chunks is not None
        assert array.odc.geobox == home.aoi.geobox


def test_a_raster_is_masked_and_scaled_unless_asked_not_to(home: Home) -> None:
    probability = home.catalog["probability"].load(aoi="riau")
    assert probability.dtype == np.float32
    assert float(probability[0, 0]) == pytest.approx(95, abs=1)
    assert np.isnan(probability[-1]).all()
    raw = home.catalog["probability"].load(aoi="riau", masked=False)
    assert raw.dtype == np.uint8
    assert int(raw[-1, 0]) == 255


def test_a_large_raster_is_read_in_blocks_with_scale_offset_and_bands(tmp_path: Path) -> None:
    raw = np.arange(2 * 1500 * 1100, dtype=np.int32).reshape(2, 1500, 1100).astype(np.int16)
    raw[:, 1499, 1099] = -9999
    grid = {"transform": Affine(10, 0, 4e5, 0, -10, 9.9e6), "crs": "EPSG:32750"}
    with rasterio.open(
        tmp_path / "x.tif", "w", driver="GTiff", dtype="int16", count=2, height=1500, width=1100, nodata=-9999, **grid
    ) as target:
        target.write(raw)
        target.scales, target.offsets, target.units = (0.5, 0.5), (-3.0, -3.0), ("dB", "dB")
    array = one_entry(tmp_path, type="raster", href="{home}/x.tif")["x"].load()
    assert array.dims == ("band", "y", "x")
    assert array.chunks == ((2,), (1024, 476), (1024, 76))
    assert array.attrs["units"] == "dB"
    expected = raw * np.float32(0.5) - 3
    expected[raw == -9999] = np.nan
    assert np.array_equal(array.values, expected, equal_nan=True)
    assert array.odc.geobox == GeoBox((1500, 1100), grid["transform"], "EPSG:32750")


def test_the_state_opens_with_values_and_coordinates(home: Home) -> None:
    state = home.catalog["state"].load(aoi="riau", monitor="riau-1")
    assert float(state["log_odds"][0, 0]) == pytest.approx(2.5)
    assert np.isnan(state["log_odds"][100, 0])
    assert state["log_odds"].chunks is not None
    assert state.odc.geobox == home.aoi.geobox
    baseline = home.catalog["state"].load(aoi="riau", group="baseline/vh")
    assert baseline["coef"].dims == ("k", "latitude", "longitude")


def test_a_past_snapshot_of_the_state_opens(home: Home) -> None:
    before = home.catalog["state"].load(snapshot=home.snapshots[0])
    assert np.isnan(before["log_odds"]).all()
    assert home.catalog["state"].load().attrs["snapshot"] == home.snapshots[1]
    with pytest.raises(CatalogError, match="can't be read"):
        home.catalog["state"].load(snapshot="NOSUCHSNAPSHOT000000")
    with pytest.raises(CatalogError, match="can't be read"):
        home.catalog["state"].load(group="baseline/nbr")


def test_tables_gather_the_files_of_all_nights_in_order(home: Home) -> None:
    assert list(home.catalog["events"].load()["id"]) == ["2016-03-01-e", "2016-03-02-e"]
    runs = home.catalog["runs"].load()
    assert list(runs["night"]) == ["2016-03-01", "2016-03-02"]
    assert list(runs["scenes.applied"]) == [1, 2]


def test_nights_without_events_are_no_hindrance(home: Home, repository: Path, tmp_path: Path) -> None:
    ledger = Ledger(Layout(tmp_path).ledger("riau", "riau-1"))
    nothing = AlertPixels(np.zeros(0, np.int64), np.zeros(0, np.int32))
    ledger.write(LedgerNight(NIGHTS[0], (), nothing, ()))
    assert open_catalog(repository / "data_catalog.yaml", tmp_path)["events"].load().empty


def test_districts_open_from_their_layer(tmp_path: Path, repository: Path) -> None:
    source = tmp_path / "in.geojson"
    source.write_text(
        '{"type":"Feature","properties":{"n":"Paser"},"geometry":'
        '{"type":"Polygon","coordinates":[[[116,-1],[116.1,-1],[116.1,-0.9],[116,-1]]]}}'
    )
    import_districts(source, "n", Layout(tmp_path), Origin(datetime(2026, 1, 1, tzinfo=UTC)))
    assert list(open_catalog(repository / "data_catalog.yaml", tmp_path)["districts"].load()["name"]) == ["Paser"]


def test_sources_of_scenes_are_records_that_the_registry_opens(catalog: Catalog, shared_data: Path) -> None:
    record = catalog["earth-search"].load()
    assert record == SourceRecord(
        "earth-search", "https://earth-search.aws.element84.com/v1", {"collections": ["sentinel-2-l2a"]}
    )
    static = next((shared_data / "s2_stac_cogs").rglob("catalog.json"))
    local = one_entry(static.parent, type="stac", href="{home}/catalog.json")
    found = open_source("x", local).search(
        (-180, -90, 180, 90), datetime(2000, 1, 1, tzinfo=UTC), datetime(2030, 1, 1, tzinfo=UTC)
    )
    assert len(found.scenes) >= 5


def test_the_options_of_every_source_are_known_to_the_sources(catalog: Catalog) -> None:
    for dataset in catalog.values():
        if dataset.type == "stac":
            parse_options(dataset.options, dataset.name)


def test_every_area_has_its_source_in_the_catalogue(catalog: Catalog, repository: Path) -> None:
    for path in (repository / "aoi").glob("*.geojson"):
        source = load_aoi(path.stem, path.parent).properties.source
        assert catalog[source].type == "stac"


def test_every_published_layer_has_an_entry_and_the_other_way_round(catalog: Catalog) -> None:
    entries = {n: d.entry for n, d in catalog.items() if d.entry.role == "out" and d.type == "raster"}
    assert set(entries) == set(layers.LAYERS)
    for name, entry in entries.items():
        layer = layers.LAYERS[name]
        assert (entry.title_en, entry.title_id) == (layer.title_en, layer.title_id)
        assert entry.href.endswith(f"/layers/{name}")


def test_what_the_catalogue_promises_is_where_the_layout_puts_it(home: Home) -> None:
    layout = home.layout
    assert Path(home.catalog["state"].locate()) == layout.state("riau", "riau-1") / "repo"
    assert Path(home.catalog["runs"].locate()).parent == layout.run("riau", NIGHTS[0]).parent
    assert Path(home.catalog["districts"].locate()) == layout.boundaries()
    for name in ("demo", "riau", "santa_cruz"):
        assert Path(home.catalog[name].locate()) == layout.archive(name) / "catalog.json"
    assert Path(home.catalog["status"].locate(night="2016-03-01")).parent == layout.product("status", "riau", NIGHTS[0])


def test_the_catalogue_describes_itself(catalog: Catalog) -> None:
    table = catalog.describe()
    assert list(table.index) == list(catalog)
    assert set(table["type"]) <= set(READERS)
    assert "alerts" in catalog
    assert "alert" not in catalog
    assert catalog.get("alert") is None


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("alerts", {"aoi": "riua"}, "has no riua → did you mean riau"),
        ("alerts", {"aio": "riau"}, "alerts takes no aio → did you mean aoi"),
        ("alerts", {"aoi": "../../etc"}, "is not a name"),
        ("alerts", {"aoi": "riau", "night": "2016-02-30"}, "nothing at"),
        ("alerts", {"aoi": "riau", "night": "../x"}, "is not a name"),
        ("runs", {"night": "2016-03-01"}, "runs takes no night"),
        ("state", {"aoi": "demo"}, "needs monitor → give monitor=…; there is: none yet"),
        ("events", {"aoi": "riau", "monitor": "riau-2"}, "nothing at"),
        ("demo-truth", {}, "nothing at .* run the step"),
    ],
)
def test_what_cannot_be_opened_is_named_with_a_remedy(
    home: Home, name: str, values: dict[str, Any], message: str
) -> None:
    with pytest.raises(CatalogError, match=message):
        home.catalog[name].load(**values)


def test_before_the_first_night_the_remedy_is_to_run_one(catalog: Catalog) -> None:
    with pytest.raises(CatalogError, match=r"there is no .*latest\.json → run a night first"):
        catalog["alerts"].load(aoi="demo")


def test_damaged_files_are_catalogue_errors(tmp_path: Path) -> None:
    for kind, file in (("vector", "x.parquet"), ("vector", "x.gpkg"), ("raster", "x.tif"), ("table", "x.json")):
        (tmp_path / file).write_bytes(b"not this")
        with pytest.raises(CatalogError, match=f"dataset x: .*{file} can't be read"):
            one_entry(tmp_path, type=kind, href=f"{{home}}/{file}")["x"].load()


def test_an_unknown_dataset_names_the_nearest(catalog: Catalog) -> None:
    with pytest.raises(UnknownDataset, match="no dataset probabilty → did you mean probability"):
        catalog["probabilty"]


def one_entry(home: Path, **changes: str) -> Catalog:
    told = dict.fromkeys(("title_en", "title_id", "description", "licence", "provider", "schedule"), "x")
    return Catalog({"x": Entry.model_validate({"role": "in"} | told | changes)}, home)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("    licence: Apache", "    license: Apache", "demo: license: .*→ did you mean licence"),
        ("    type: zarr", "    type: zar", "state: type: .*'vector', 'raster', 'zarr'"),
        ("    role: out", "    role: output", "alerts: role"),
        ("/{aoi}/{monitor}/repo", "/{area}/{monitor}/repo", r"state: .*unknown placeholder \{area\}"),
        ("/alerts/{aoi}/{night}/", "/alerts/{aoi}/latest/", r"alerts: .*night_href has no \{night\}"),
        ("    grid: enggang_identity", "    options: {x: 1}", "state: .*options are for sources"),
        ("max_age_hours: 36", "max_age_hours: soon", "alerts: max_age_hours"),
        ("  cdse-stac:", "  earth-search:", "key earth-search is given twice"),
        ("  demo-truth:", "  demo truth:", "'demo truth' is no name"),
        ("    schedule: one commit a scene\n", "", "state: schedule: .*→ add schedule"),
        ("datasets:", "dataset:", "one mapping called datasets"),
        ("  alerts:", "  alerts: [", "is not sound YAML"),
    ],
)
def test_a_slip_in_the_file_names_file_entry_and_key(
    repository: Path, tmp_path: Path, old: str, new: str, message: str
) -> None:
    text = (repository / "data_catalog.yaml").read_text(encoding="utf-8")
    assert old in text
    path = tmp_path / "data_catalog.yaml"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ConfigError, match=message) as caught:
        open_catalog(path, tmp_path)
    assert str(path) in caught.value.what


def test_a_missing_catalogue_says_which_setting(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="ENGGANG_CATALOG"):
        open_catalog(tmp_path / "none.yaml", tmp_path)
