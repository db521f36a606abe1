"""Accuracy figures on cases that can be counted by hand, the detector's interface, and the real Bolivian stack."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import orjson
import pytest
import rasterio
from affine import Affine
from odc.geo.geobox import GeoBox
from typer.testing import CliRunner

from enggang.cli import app
from enggang.errors import EvaluationError
from enggang.evaluate import detector
from enggang.evaluate.demo import score
from enggang.evaluate.scores import compare
from enggang.evaluate.stack import StackInput, evaluate_stack, stack_folders
from enggang.settings import load_settings
from enggang.simulate.truth import Truth
from enggang.types import PixelStatus, day_number

LAST = date(2026, 6, 30)


def truth_of(cleared: dict[tuple[int, int, int, int], date], size: int = 40) -> Truth:
    """Rectangles (top, left, height, width) of 10 m pixels, cleared on a date."""
    day = np.zeros((size, size), np.uint16)
    for (top, left, height, width), when in cleared.items():
        day[top : top + height, left : left + width] = day_number(when)
    nothing = np.zeros((size, size), np.uint8)
    geobox = GeoBox((size, size), Affine(10, 0, 453000, 0, -10, 9903000), "EPSG:32750")
    return Truth(geobox, day, nothing, np.ones((size, size), bool), nothing, date(2026, 1, 1))


def belief_of(confirmed: np.ndarray, flagged: date, confirmed_on: date) -> dict[str, np.ndarray]:
    days = {"flagged_on": flagged, "confirmed_on": confirmed_on}
    status = np.where(confirmed, PixelStatus.CONFIRMED, PixelStatus.FOREST).astype(np.uint8)
    return {"status": status} | {n: (confirmed * day_number(d)).astype(np.uint16) for n, d in days.items()}


def test_accuracy_counts_by_hand() -> None:
    found = np.array([[True, True, False, True]])
    loss = np.array([[True, False, True, True]])
    scored = np.array([[True, True, True, False]])
    result = compare(found, loss, scored)
    assert (result.n, result.loss, result.found, result.hit) == (3, 2, 2, 1)
    assert (result.users, result.producers, result.f1) == (0.5, 0.5, 0.5)


def test_accuracy_without_anything_found_is_zero_not_an_error() -> None:
    none = np.zeros((2, 2), bool)
    assert compare(none, none, ~none).f1 == 0.0


def test_maps_of_unequal_shape_are_refused() -> None:
    with pytest.raises(EvaluationError, match="can't be compared"):
        compare(np.zeros((2, 2), bool), np.zeros((2, 3), bool), np.zeros((2, 2), bool))


def test_demo_score_tells_true_alerts_from_false_ones_and_counts_days() -> None:
    truth = truth_of({(5, 5, 5, 5): date(2026, 2, 1), (20, 20, 6, 6): date(2026, 2, 1)})
    confirmed = np.zeros((40, 40), bool)
    confirmed[5:10, 5:10] = True  # one of the two clearings
    confirmed[30:34, 2:6] = True  # a false alarm of 0.16 ha
    confirmed[0, 39] = True  # below the least area: neither true nor false
    result = score(belief_of(confirmed, date(2026, 2, 8), date(2026, 2, 15)), truth, LAST)
    assert result.alerts == (2, 1)
    assert result.clearings == (2, 1)
    assert (result.days_to_flag, result.days_to_confirm) == (7.0, 14.0)
    assert (result.area.hit, result.area.loss, result.area.found) == (25, 61, 42)
    assert "user's accuracy 0.50" in "\n".join(result.lines())
    assert result.document()["pa"] == 0.5


def test_demo_score_asks_for_no_clearing_that_is_too_young() -> None:
    truth = truth_of({(5, 5, 5, 5): date(2026, 6, 20)})
    unseen = score(belief_of(np.zeros((40, 40), bool), LAST, LAST), truth, LAST)
    assert unseen.clearings == (0, 0)
    assert unseen.area.loss == 0
    seen = score(belief_of(truth.clearing_day > 0, date(2026, 6, 25), date(2026, 6, 28)), truth, LAST)
    assert seen.alerts == (1, 1)


def cube_with_break(break_at: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(5)
    dates = np.datetime64("2020-01-01") + np.arange(120) * np.timedelta64(10, "D")
    cube = (0.8 + 0.03 * rng.standard_normal((120, 12, 12))).astype(np.float32)
    cube[rng.random(cube.shape) < 0.4] = np.nan
    cube[break_at:, 3:8, 3:8] -= 0.4
    return dates, cube


def test_detector_finds_a_break_soon_after_it_and_nothing_elsewhere() -> None:
    dates, cube = cube_with_break(90)
    alarms = detector(dates, cube, 80)
    inside = alarms[3:8, 3:8]
    assert not np.isnat(inside).any()
    assert (inside >= dates[90]).all()
    assert np.median((inside - dates[90]).astype(int)) <= 40
    outside = np.ones((12, 12), bool)
    outside[3:8, 3:8] = False
    assert np.isnat(alarms[outside]).all()


def test_detector_is_causal() -> None:
    dates, cube = cube_with_break(90)
    whole = detector(dates, cube, 80)
    cut = detector(dates[:100], cube[:100], 80)
    early = ~np.isnat(whole) & (whole <= dates[99])
    assert np.array_equal(np.isnat(cut), ~early)
    assert np.array_equal(cut[early], whole[early])


def test_detector_leaves_a_pixel_without_history_alone() -> None:
    dates, cube = cube_with_break(90)
    cube[:80, 5, 5] = np.nan
    assert np.isnat(detector(dates, cube, 80)[5, 5])


@pytest.mark.parametrize(
    ("dates", "hist_end", "told"),
    [
        (np.arange(5).astype("datetime64[D]"), 2, "5 dates"),
        (np.arange(6).astype("datetime64[D]"), 0, "hist_end 0"),
        (np.arange(6)[::-1].astype("datetime64[D]"), 3, "not ascending"),
    ],
)
def test_detector_refuses_inputs_that_do_not_fit(dates: np.ndarray, hist_end: int, told: str) -> None:
    with pytest.raises(EvaluationError, match=told):
        detector(dates, np.zeros((6, 2, 2), np.float32), hist_end)


def write(path: Path, values: np.ndarray, dtype: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    grid = Affine(30, 0, 594555, 0, -30, 8003065)
    shape = {"height": values.shape[0], "width": values.shape[1], "count": 1}
    with rasterio.open(path, "w", driver="GTiff", crs="EPSG:32720", transform=grid, dtype=dtype, **shape) as out:
        out.write(values.astype(dtype), 1)
    return path


@pytest.fixture(scope="module")
def little_stack(tmp_path_factory: pytest.TempPathFactory) -> StackInput:
    """24 radar scenes of 20 × 20 pixels; a quarter is cleared in March 2016, another was lost in 2014."""
    folder = tmp_path_factory.mktemp("stack")
    rng = np.random.default_rng(3)
    days = np.datetime64("2015-06-01") + np.arange(34) * np.timedelta64(12, "D")
    for day in days:
        values = -8 + 0.5 * rng.standard_normal((20, 20))
        values[:10, :10] -= 4.0 * (day >= np.datetime64("2016-03-01"))
        write(folder / "vv" / f"{day}-s1vv.tif", values, "float32")
    reference = np.zeros((20, 20))
    reference[:10, :10], reference[10:, 10:] = 16, 14
    mask = np.zeros((20, 20))
    mask[:, :10] = 1
    return StackInput(
        {("sar", "vv"): folder / "vv"},
        write(folder / "loss.tif", reference, "uint8"),
        2016,
        date(2016, 2, 1),
        write(folder / "mask.tif", mask, "uint8"),
    )


def test_stack_is_scored_inside_the_mask_and_without_other_years(little_stack: StackInput) -> None:
    result = evaluate_stack(little_stack, load_settings({}))
    assert (result.accuracy.n, result.accuracy.loss) == (200, 100)
    assert result.accuracy.f1 >= 0.97
    assert result.median_flag_date is not None
    assert date(2016, 3, 1) <= result.median_flag_date <= date(2016, 4, 15)


def test_stack_command_prints_flat_json(little_stack: StackInput) -> None:
    given = ["--s1", str(little_stack.folders["sar", "vv"]), "--reference", str(little_stack.reference)]
    when = ["--reference-year", "2016", "--monitor-from", "2016-02-01", "--json"]
    result = CliRunner().invoke(app, ["evaluate", "stack", *given, *when])
    assert result.exit_code == 0, result.output
    keys = {"n", "loss", "ua", "pa", "f1", "median_flag_date", "median_confirm_date"}
    assert set(orjson.loads(result.stdout)) == keys


def test_a_mask_on_another_grid_is_refused(little_stack: StackInput, tmp_path: Path) -> None:
    mask = write(tmp_path / "mask.tif", np.ones((10, 10)), "uint8")
    given = StackInput(little_stack.folders, little_stack.reference, 2016, date(2016, 2, 1), mask)
    with pytest.raises(EvaluationError, match="another grid"):
        evaluate_stack(given, load_settings({}))


def test_an_unknown_band_names_those_that_are_known() -> None:
    with pytest.raises(EvaluationError, match=r"band 'hh' → bands of stacks: .*vv"):
        stack_folders("hh", Path("s1"), None)


@pytest.mark.slow
def test_bolivia_is_found_as_well_as_and_no_later_than_by_bayts(shared_data: Path) -> None:
    """R bayts on the whole scene: F1 .958, median flag 2016-01-18."""
    data = shared_data / "sar_optical_bayts"
    folders = stack_folders("vv,ndvi", data / "bolivia_s1_vv", data / "bolivia_landsat_ndvi")
    reference = data / "bolivia_reference" / "hansen_gfc_v17_lossyear_30m.tif"
    result = evaluate_stack(StackInput(folders, reference, 2016, date(2016, 1, 1)), load_settings({}))
    assert result.accuracy.f1 >= 0.95
    assert result.median_flag_date is not None
    assert result.median_flag_date <= date(2016, 1, 18)
