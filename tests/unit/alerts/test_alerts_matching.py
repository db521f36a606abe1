"""Matching as plain integers: who goes on, who merges, what is split off."""

from __future__ import annotations

import numpy as np

from enggang.alerts.matching import Matching, match


def matched(
    components: list[tuple[int, int, int]], alerts: int, large: list[bool], seniority: list[int] | None = None
) -> Matching:
    """`components`: (component, known alert or -1, how many pixels they share)."""
    table = np.array(components, dtype=np.int64).reshape(-1, 3)
    labels = np.repeat(table[:, 0], table[:, 2]).astype(np.int32)
    known = np.repeat(table[:, 1], table[:, 2])
    rank = np.array(seniority if seniority is not None else range(alerts))
    return match(labels, known, rank, np.array(large, dtype=bool))


def test_nothing_known_and_nothing_flagged() -> None:
    assert matched([], 0, []).owner.tolist() == []
    found = matched([(0, -1, 5)], 0, [True])
    assert (found.owner.tolist(), found.parent.tolist(), found.merged) == ([-1], [-1], {})


def test_most_shared_pixels_decide_then_size_then_the_first() -> None:
    assert matched([(0, 0, 3), (1, 0, 4), (0, -1, 9)], 1, [True, True]).owner.tolist() == [-1, 0]
    assert matched([(0, 0, 3), (1, 0, 3), (1, -1, 1)], 1, [True, True]).owner.tolist() == [-1, 0]
    assert matched([(0, 0, 3), (1, 0, 3)], 1, [True, True]).owner.tolist() == [0, -1]


def test_the_oldest_of_a_component_goes_on() -> None:
    found = matched([(0, 0, 9), (0, 1, 1), (0, 2, 5)], 3, [True], seniority=[2, 0, 1])
    assert found.owner.tolist() == [1]
    assert found.merged == {0: 1, 2: 1}


def test_the_remnant_of_a_merged_alert_goes_to_the_survivor() -> None:
    found = matched([(0, 0, 9), (0, 1, 8), (1, 1, 2)], 2, [True, False])
    assert found.merged == {1: 0}
    assert found.owner.tolist() == [0, 0]


def test_a_large_part_of_a_merged_alert_is_split_from_it() -> None:
    found = matched([(0, 0, 9), (0, 1, 8), (1, 1, 7)], 2, [True, True])
    assert found.merged == {1: 0}
    assert found.owner.tolist() == [0, -1]
    assert found.parent.tolist() == [-1, 1]


def test_a_loose_component_of_two_alerts_comes_from_the_one_with_most_of_it_then_the_oldest() -> None:
    pieces = [(0, 0, 20), (1, 1, 20)]
    assert matched([*pieces, (2, 0, 3), (2, 1, 4)], 2, [True] * 3).parent.tolist() == [-1, -1, 1]
    assert matched([*pieces, (2, 0, 4), (2, 1, 4)], 2, [True] * 3, [1, 0]).parent.tolist() == [-1, -1, 1]
