"""The layer table: what each layer says of a pixel, that colours can be told apart, and that the docs are true."""

from __future__ import annotations

from datetime import date
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from enggang.errors import PublishError
from enggang.publish.colours import CIVIDIS, Classes, colourise, palette, rgb
from enggang.publish.layer_docs import layers_markdown
from enggang.publish.layers import LAYERS, layer
from enggang.types import PixelStatus, day_number

NIGHT = date(2026, 11, 24)

# Machado, Oliveira, Fernandes 2009, severity 1.0, on linear RGB.
BLINDNESS = {
    "normal": np.eye(3),
    "protan": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deutan": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritan": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}


def _state(name: str, values: list[int], status: list[int]) -> dict[str, np.ndarray]:
    dtype = np.int16 if name == "log_odds" else np.uint16
    return {name: np.array([values], dtype=dtype), "status": np.array([status], dtype=np.uint8)}


def _lab(colour: str, seen_by: str) -> np.ndarray:
    linear = np.array(rgb(colour)) / 255
    linear = np.where(linear <= 0.04045, linear / 12.92, ((linear + 0.055) / 1.055) ** 2.4)
    linear = (BLINDNESS[seen_by] @ linear).clip(0, 1)
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]) @ linear
    f = np.cbrt(xyz / np.array([0.9505, 1.0, 1.089]))
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@given(st.integers(-32767, 32767))
def test_probability_is_the_logistic_of_the_log_odds(packed: int) -> None:
    percent = int(LAYERS["probability"].derive(_state("log_odds", [packed], [PixelStatus.FOREST]))[0, 0])
    assert 0 <= percent <= 100
    assert percent == pytest.approx(100 / (1 + np.exp(np.float64(-packed / 100))), abs=0.51)


@pytest.mark.parametrize("status", [PixelStatus.UNKNOWN, PixelStatus.NONFOREST, PixelStatus.OUTSIDE])
def test_probability_is_silent_where_there_is_no_belief(status: PixelStatus) -> None:
    derive = LAYERS["probability"].derive
    assert derive(_state("log_odds", [300], [status]))[0, 0] == 255
    assert derive(_state("log_odds", [-32768], [PixelStatus.FOREST]))[0, 0] == 255


def test_last_valid_tells_never_observed_from_outside() -> None:
    state = _state("last_valid", [0, 0, 4345], [PixelStatus.UNKNOWN, PixelStatus.OUTSIDE, PixelStatus.FOREST])
    assert LAYERS["last_valid"].derive(state).tolist() == [[0, 65535, 4345]]
    assert LAYERS["last_valid"].nodata == 65535


def test_date_conf_is_the_gfw_code_of_disturbed_pixels_alone() -> None:
    state = _state("flagged_on", [4340] * 6, [2, 3, 4, 1, 5, 255])
    assert LAYERS["date_conf"].derive(state).tolist() == [[24340, 34340, 44340, 0, 0, 0]]


def test_date_conf_refuses_a_day_that_would_spill_into_the_confidence() -> None:
    with pytest.raises(PublishError, match="2042"):
        LAYERS["date_conf"].derive(_state("flagged_on", [10000], [2]))
    undisturbed = LAYERS["date_conf"].derive(_state("flagged_on", [10000], [1]))
    assert undisturbed.tolist() == [[0]]


@given(st.lists(st.sampled_from(list(PixelStatus)), min_size=1, max_size=30), st.integers(1, 9999))
def test_layers_agree_on_which_pixels_are_disturbed(statuses: list[PixelStatus], day: int) -> None:
    size = len(statuses)
    state = {
        **_state("flagged_on", [day] * size, [int(s) for s in statuses]),
        "first_disturbed": np.full((1, size), day, np.uint16),
    }
    disturbed = [s in (PixelStatus.FLAGGED, PixelStatus.PROVISIONAL, PixelStatus.CONFIRMED) for s in statuses]
    assert (LAYERS["first_disturbed"].derive(state)[0] > 0).tolist() == disturbed
    assert (LAYERS["date_conf"].derive(state)[0] > 0).tolist() == disturbed


def test_every_status_has_a_colour_and_labels_in_both_languages() -> None:
    colours = LAYERS["status"].colours
    assert isinstance(colours, Classes)
    assert {e.value for e in colours.entries} == set(PixelStatus) - {PixelStatus.OUTSIDE}
    assert all(e.label_en and e.label_id and e.label_en != e.label_id for e in colours.entries)
    assert {e.value for e in colours.entries if e.hatched} == {PixelStatus.UNKNOWN}


@pytest.mark.parametrize("seen_by", BLINDNESS)
def test_alert_statuses_can_be_told_apart_and_from_forest(seen_by: str) -> None:
    colours = LAYERS["status"].colours
    assert isinstance(colours, Classes)
    shown = {e.value: _lab(e.colour, seen_by) for e in colours.entries if not e.hatched}
    for one, other in combinations((1, 2, 3, 4), 2):
        assert np.linalg.norm(shown[one] - shown[other]) > 20, (one, other)


@pytest.mark.parametrize("seen_by", BLINDNESS)
def test_ramps_get_brighter_all_the_way(seen_by: str) -> None:
    lightness = [_lab(colour, seen_by)[0] for colour in CIVIDIS]
    assert all(b - a > 8 for a, b in pairwise(lightness))


def test_colourise_paints_classes_hatching_and_age() -> None:
    status = LAYERS["status"]
    values = np.array([[1, 255]], dtype=np.uint8)
    assert colourise(values, status.colours, 255, 0).tolist() == [[[220, 234, 217, 255], [0, 0, 0, 0]]]
    unseen = colourise(np.zeros((12, 12), np.uint8), status.colours, 255, 0)
    assert len(np.unique(unseen.reshape(-1, 4), axis=0)) == 2

    last_valid = LAYERS["last_valid"]
    number = day_number(NIGHT)
    days = np.array([[number, number - 60, number - 500]], dtype=np.uint16)
    today, old, older = colourise(days, last_valid.colours, last_valid.nodata, number)[0, :, :3].tolist()
    assert today == list(rgb(CIVIDIS[-1]))
    assert old == older == list(rgb(CIVIDIS[0]))


def test_palette_has_an_entry_for_each_class() -> None:
    colours = LAYERS["status"].colours
    assert isinstance(colours, Classes)
    assert palette(colours)[4] == (0x5B, 0x1A, 0x8B, 255)


def test_an_unknown_layer_is_named_with_the_nearest_one() -> None:
    with pytest.raises(PublishError, match=r"no layer probabilty → did you mean probability\?"):
        layer("probabilty")


def test_docs_of_layers_are_what_the_table_says(repository: Path) -> None:
    assert (repository / "docs" / "layers.md").read_text(encoding="utf-8") == layers_markdown()
