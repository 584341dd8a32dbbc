"""The cut is the rule of the notebooks, fast and for any scores."""

import json
import math
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from numpy.typing import NDArray

from photosieve.decision.cut import NOTEBOOK_CUT, Cut, falls
from photosieve.errors import SieveError, UsageError

LISTS = 4000


def kept_slowly(scores: list[float], gate: float, floor: float, drop: float) -> set[int]:
    """The rule, photo by photo, as the notebooks have it."""
    ranked = sorted(range(len(scores)), key=lambda i: (-scores[i], i))
    kept: set[int] = set()
    for place, photo in enumerate(ranked):
        score = scores[photo]
        if place == 0:
            if score < gate:
                return set()
            kept.add(photo)
            continue
        before = scores[ranked[place - 1]]
        fell = before > score if before == 0 else (before - score) / abs(before) > drop
        if fell and not math.isinf(drop):
            return kept
        if score > floor:
            kept.add(photo)
    return kept


def random_lists() -> Iterator[tuple[Cut, list[float]]]:
    """Cuts with lists of 0 to 8 scores; a coarse grid makes ties, zeros and exact hits common."""
    rng = np.random.default_rng(0)
    for number in range(LISTS):
        scores = rng.uniform(-0.4, 1.0, rng.integers(0, 9))
        gate, floor = rng.uniform(-0.4, 1.0, 2)
        drop = rng.choice([0.0, 0.04, 0.3, 0.5, 1.0, 2.0, math.inf])
        if number % 2:
            scores, gate, floor = scores.round(1), gate.round(1), floor.round(1)
        yield Cut(float(gate), float(floor), float(drop)), scores.tolist()


def photos(mask: NDArray[np.bool_]) -> set[int]:
    return set(np.flatnonzero(mask).tolist())


def test_keeps_what_the_slow_rule_keeps() -> None:
    answers = 0
    for cut, scores in random_lists():
        kept = photos(cut.keep(scores))
        assert kept == kept_slowly(scores, cut.gate, cut.floor, cut.drop), (cut, scores)
        answers += bool(kept)
    assert LISTS * 0.3 < answers < LISTS * 0.9  # neither branch is untested


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([], set()),
        ([0.23], {0}),  # the gate is reached at equality
        ([0.2299], set()),
        ([0.30, 0.22], {0}),  # the floor is not
        ([0.23, 0.2291, 0.2201, 0.2199], {0, 1, 2}),
        ([0.40, 0.39, 0.30, 0.295], {0, 1}),  # the list ends at the fall, whatever follows
        ([0.30, 0.40, 0.39], {1, 2}),
        ([0.25, 0.25, 0.25], {0, 1, 2}),
    ],
)
def test_the_notebooks_numbers_by_hand(scores: list[float], expected: set[int]) -> None:
    assert photos(NOTEBOOK_CUT.keep(scores)) == expected


def test_the_best_photo_stays_even_below_the_floor() -> None:
    assert photos(Cut(gate=0.1, floor=0.5).keep([0.3, 0.2])) == {0}


def test_of_equal_scores_the_first_is_the_best() -> None:
    assert photos(Cut(gate=0.3, floor=0.3).keep([0.1, 0.3, 0.3])) == {1}


def test_falls_below_and_at_zero() -> None:
    assert_array_equal(falls(np.array([0.5, 0.25, 0.0, -0.5])), [0.0, 0.5, 1.0, math.inf])
    assert_array_equal(falls(np.array([-0.5, -0.5, -0.75])), [0.0, 0.0, 0.5])
    assert_array_equal(falls(np.array([0.0, 0.0])), [0.0, 0.0])
    assert falls(np.zeros((3, 0))).shape == (3, 0)


def test_many_lists_at_once_are_cut_like_one_by_one() -> None:
    rng = np.random.default_rng(1)
    scores = rng.uniform(-0.2, 1, (5, 6, 7)).round(1)
    cut = Cut(gate=0.6, floor=0.3, drop=0.4)
    kept = cut.keep(scores)
    assert kept.shape == scores.shape
    for place in np.ndindex(5, 6):
        assert_array_equal(kept[place], cut.keep(scores[place]))
    assert cut.keep(np.zeros((4, 0))).shape == (4, 0)


def test_the_order_of_photos_does_not_matter() -> None:
    rng = np.random.default_rng(2)
    for _ in range(200):
        scores, order = rng.uniform(0, 1, 9), rng.permutation(9)
        cut = Cut(gate=rng.uniform(0, 0.6), floor=rng.uniform(0, 0.6), drop=0.3)
        assert_array_equal(cut.keep(scores)[order], cut.keep(scores[order]))


def test_each_building_has_lists_of_its_own() -> None:
    rng = np.random.default_rng(3)
    scores = rng.uniform(0, 1, (12, 4)).round(1)
    scores[3, 1] = math.nan
    groups = [f"house {number}" for number in rng.integers(0, 4, 12)]
    for cut in (
        Cut(gate=0.7, floor=0.2, drop=0.3),
        Cut(gate=0.7, floor=0.2),
        Cut.threshold(0.55),
        Cut.threshold(0.5),  # some list has no score above it: the best photo alone is in
        Cut(gate=0.2, floor=0.8),
    ):
        kept = cut.keep_by_group(scores, groups)
        for name in set(groups):
            rows = [row for row, group in enumerate(groups) if group == name]
            for label in range(4):
                assert_array_equal(kept[rows, label], cut.keep(scores[rows, label]))
    cut = Cut(gate=0.7, floor=0.2, drop=0.3)
    assert not np.array_equal(cut.keep_by_group(scores, groups), cut.keep(scores.T).T)
    assert cut.keep_by_group(np.zeros((0, 3)), []).shape == (0, 3)


def test_a_threshold_keeps_what_is_above_it() -> None:
    rng = np.random.default_rng(4)
    scores = rng.normal(size=(50, 8))
    assert_array_equal(Cut.threshold(0.25).keep(scores), scores > 0.25)


@pytest.mark.parametrize("cut", [NOTEBOOK_CUT, Cut.threshold(-0.1), Cut(1 / 3, 0.1, 0.0)])
def test_saved_and_read_again_it_is_the_same(cut: Cut) -> None:
    text = json.dumps(cut.to_dict(), allow_nan=False)
    assert Cut.from_dict(json.loads(text)) == cut


@pytest.mark.parametrize(
    "saved",
    [
        {},
        {"gate": 0.2, "floor": 0.2},
        {"gate": None, "floor": 0.2, "drop": None},
        {"gate": "high", "floor": 0.2, "drop": None},
        {"gate": 0.2, "floor": [0.2], "drop": None},
        {"gate": 0.2, "floor": 0.2, "drop": -1},
        {"gate": math.nan, "floor": 0.2, "drop": None},
        {"gate": 10**400, "floor": 0.2, "drop": None},
    ],
)
def test_a_damaged_one_is_refused(saved: dict[str, Any]) -> None:
    with pytest.raises(SieveError, match="the saved cut is damaged"):
        Cut.from_dict(saved)


@pytest.mark.parametrize(
    "numbers",
    [(math.nan, 0, 0), (0, math.nan, 0), (0, 0, math.nan), (0, 0, -0.01), (0, 0, -math.inf)],
)
def test_numbers_that_make_no_sense(numbers: tuple[float, float, float]) -> None:
    with pytest.raises(UsageError, match=re.escape(f"gate {numbers[0]}, floor {numbers[1]}")):
        Cut(*numbers)


@pytest.mark.parametrize(
    ("cut", "words"),
    [
        (Cut.threshold(0.25), "keep a photo when its probability is above 0.250"),
        (
            NOTEBOOK_CUT,
            "answer only if the best probability is at least 0.230; then keep photos above 0.220; "
            "a list ends where it falls by more than 4.0%",
        ),
    ],
)
def test_it_says_what_it_does(cut: Cut, words: str) -> None:
    assert cut.describe() == words


@pytest.mark.parametrize("seed", range(40))
def test_explanations_agree_with_the_answer(seed: int) -> None:
    """Every second one on a coarse grid, where numbers of the cut are hit exactly."""
    rng = np.random.default_rng(seed)
    floor, gate = np.sort(rng.uniform(0, 1, 2))
    values = rng.uniform(0, 1, 12)
    if seed % 2:
        floor, gate, values = floor.round(1), gate.round(1), values.round(1)
    cut = Cut(gate, floor, rng.choice([0.1, 0.5, math.inf]))
    groups = ["a", "b", "c"] * 4
    verdicts = cut.explain(values, groups)
    assert [v.kept for v in verdicts] == cut.keep_by_group(values[:, None], groups)[:, 0].tolist()
    some = np.array([10, 1, 7])
    assert cut.reasons(values, groups, some) == [verdicts[place].reason for place in some]
    for value, group, verdict in zip(values, groups, verdicts, strict=True):
        best = max(v for v, g in zip(values, groups, strict=True) if g == group)
        match verdict.reason.split(",")[0].split()[0], verdict.kept:
            case "above", kept:
                assert kept
                assert value > cut.floor
            case "not", kept:
                assert not kept
                assert value <= cut.floor
            case "the", True:
                assert value == best
                assert value <= cut.floor
            case "the", False if "gate" in verdict.reason:
                assert best < cut.gate
            case _:
                assert "the list ends at a fall of" in verdict.reason
                assert value < best


@pytest.mark.parametrize("cut", [Cut(0.5, 0.4), Cut(0.5, 0.4, 0.1), Cut(-math.inf, -math.inf)])
def test_no_score_is_no_match(cut: Cut) -> None:
    """What is not a number is never kept, and no reason says that it reached something."""
    values = [math.nan, 0.9, math.nan, math.nan, math.inf, -math.inf, -math.inf, math.inf]
    verdicts = cut.explain(values, ["a", "a", "b", "c", "d", "d", "d", "d"])
    assert [v.kept for v in verdicts] == cut.keep_by_group(
        np.array(values)[:, None], ["a", "a", "b", "c", "d", "d", "d", "d"]
    )[:, 0].tolist()
    for value, verdict in zip(values, verdicts, strict=True):
        if math.isnan(value):
            assert (verdict.kept, verdict.reason) == (False, "it has no score")
    assert [v.kept for v in verdicts] == [False, True, False, False, True, False, False, True]


def test_explanations_name_the_number_that_decided() -> None:
    cut = Cut(gate=0.5, floor=0.6, drop=0.4)
    reasons = [v.reason for v in cut.explain([0.9, 0.85, 0.5, 0.4], ["a"] * 4)]
    assert reasons == ["above 0.600"] * 2 + ["the list ends at a fall of 41% to 0.500"] * 2
    assert (
        cut.explain([0.55, 0.54], ["a"] * 2)[0].reason == "the best, and it reaches the gate 0.500"
    )
    assert cut.explain([0.55, 0.54], ["a"] * 2)[1].reason == "not above 0.600"
    assert cut.explain([0.4, 0.3], ["a"] * 2)[1].reason == (
        "the best here, 0.400, is below the gate 0.500"
    )
    assert cut.explain([], []) == []
