"""A pair that nobody judged is neither right nor wrong: no figure and no choice depends on it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal, assert_equal

from photosieve.decision.calibration import Calibration, fit_labels
from photosieve.decision.cut import Cut
from photosieve.decision.evaluation import Evaluation, evaluate
from photosieve.decision.guarantee import guarantee
from photosieve.decision.metrics import Counts
from photosieve.decision.objective import Objective
from photosieve.decision.pairs import Pairs, search
from photosieve.decision.selection import MEMBERS, SHIFTED
from photosieve.decision.tuning import USUAL_THRESHOLD, Tuning, tune, with_cut
from tests.unit.decision.brute_force import Mask, Scores, listings

USUAL = Calibration(5.0, -2.0)


def example(seed: int = 0, labels: int = 3) -> tuple[Scores, Mask, list[str], Mask]:
    """Listings of 60 buildings, and the pairs that are known, some of each building."""
    scores, relevant, groups = listings(seed, photos=240, labels=labels, buildings=60)
    known = np.random.default_rng(seed + 99).random(relevant.shape) < 0.7
    known[:60] = True
    return scores, relevant, groups, known


def tuned(scores: Scores, relevant: Mask, groups: list[str], known: Mask | None) -> Tuning:
    labels = [f"label {column}" for column in range(scores.shape[1])]
    members = ["threshold", "gate + floor", SHIFTED]
    return tune(scores, relevant, groups, labels, known=known, usual=USUAL, members=members)


def evaluated(scores: Scores, relevant: Mask, groups: list[str], known: Mask | None) -> Evaluation:
    return evaluate(
        scores,
        relevant,
        probabilities=Calibration(4.0, -2.0).labels(scores, ["x"] * scores.shape[1]),
        cut=Cut.threshold(0.5),
        photos=[Path(f"{row}.jpg") for row in range(len(scores))],
        groups=groups,
        labels=[f"label {column}" for column in range(scores.shape[1])],
        trained={},
        known=known,
    )


RESULTS: dict[str, Callable[[Scores, Mask, list[str], Mask | None], object]] = {
    "curve": lambda s, r, g, k: fit_labels(s, r, g[: s.shape[1]], k),
    "tuning": tuned,
    "other cut": lambda s, r, g, k: with_cut(
        Tuning(USUAL, Cut.threshold(0.5), "f1", "threshold", {}, {}),
        Cut.threshold(0.4), "f2", s, r, g, [f"{c}" for c in range(s.shape[1])], k,
    ),
    "evaluation": lambda s, r, g, k: evaluated(s, r, g, k).to_dict(),
    "recall": lambda s, r, g, k: guarantee(s, r, g, "recall>=0.5", known=k),
    "precision": lambda s, r, g, k: guarantee(s, r, g, "precision>=0.6", known=k),
}  # fmt: skip


@pytest.mark.parametrize("result", RESULTS.values(), ids=RESULTS)
def test_what_is_not_known_says_nothing(result: Any) -> None:
    scores, relevant, groups, known = example()
    found = result(scores, relevant & known, groups, known)
    assert_equal(result(scores, relevant | ~known, groups, known), found)
    assert result(scores, relevant, groups, None) != found
    assert_equal(
        result(scores, relevant, groups, np.ones_like(known)),
        result(scores, relevant, groups, None),
    )


def test_of_one_label_an_unknown_photo_is_as_if_it_were_not_there() -> None:
    scores, relevant, groups, known = example(labels=1)
    rows = known[:, 0]
    rest = scores[rows], relevant[rows], [groups[row] for row in np.flatnonzero(rows)]
    for name in ("recall", "precision"):
        assert RESULTS[name](scores, relevant, groups, known) == RESULTS[name](*rest, None)
    curve, alone = fit_labels(scores, relevant, ["x"], known), fit_labels(*rest[:2], ["x"])
    assert (curve.slope, curve.intercept) == (alone.slope, alone.intercept)
    assert_allclose(curve.shifts["x"], alone.shifts["x"], atol=1e-9)
    # Of the members, only the threshold is blind to the best photo of a list.
    one = tune(scores, relevant, groups, ["x"], known=known, members=["threshold"])
    assert one.cut == tune(*rest, ["x"], members=["threshold"]).cut
    with_unknown, without = evaluated(scores, relevant, groups, known), evaluated(*rest, None)
    assert_equal(with_unknown.counts.parts, without.counts.parts)
    assert_allclose(with_unknown.calibration_error, without.calibration_error)
    for name in ("macro_precision", "macro_f1", "accuracy", "mean_average_precision"):
        assert_allclose(with_unknown.totals[name], without.totals[name], err_msg=name)
        assert_allclose(with_unknown.draws[name], without.draws[name], err_msg=name)


@pytest.mark.parametrize("seed", range(3))
def test_the_cut_sees_the_whole_list_and_counts_what_is_known(seed: int) -> None:
    scores, relevant, groups, known = example(seed)
    table = Pairs.of(scores, relevant, groups, known)
    for cut in (Cut.threshold(0.4), Cut(0.6, 0.2), Cut(0.4, 0.3, 0.2), Cut(-9, -9, 0.1)):
        kept = cut.keep_by_group(scores, groups)
        expected = Counts.of(kept, relevant, 0, known)
        assert_equal(table.counts(cut).sum(0).parts, expected.parts)
    for member in MEMBERS[:-1]:
        best = search(table, member, Objective("f1"))
        kept = best.keep_by_group(scores, groups)
        value = Objective("f1").value(Counts.of(kept, relevant, 0, known))
        for other in (Cut.threshold(t) for t in np.arange(-0.5, 1.5, 0.05)):
            kept = other.keep_by_group(scores, groups)
            assert Objective("f1").value(Counts.of(kept, relevant, 0, known)) <= value + 0.01


def test_without_any_known_pair_no_cut_is_searched() -> None:
    scores, relevant, groups, known = example()
    table = Pairs.of(scores, relevant, groups, np.zeros_like(known))
    assert search(table, "gate + floor", Objective("f1")) == Cut.threshold(1.0)
    assert_array_equal(table.counts(Cut.threshold(0.0)).sum().parts, np.zeros(4))


def test_where_nothing_is_known_to_be_wrong_the_usual_threshold_is_taken() -> None:
    """With positives only, keeping everything looks perfect."""
    scores, relevant, groups, _ = example()
    tuning = tuned(scores, relevant, groups, relevant)
    assert (tuning.calibration, tuning.cut) == (USUAL, Cut.threshold(USUAL_THRESHOLD))
    assert tuned(scores, relevant, groups, None).calibration != USUAL
    labels = ["a", "b", "c"]
    without_usual = tune(scores, relevant, groups, labels, known=relevant)
    assert without_usual == tune(scores, relevant, groups, labels)


GROUPS = ("a", "a", "b", "b")
LISTS = np.array([[0.9], [0.2], [0.1], [0.1]])


def small(known: list[int], relevant: list[int], threshold: float = 0.5) -> Evaluation:
    return evaluate(
        LISTS,
        np.array(relevant, bool)[:, None],
        cut=Cut.threshold(threshold),
        photos=[Path(f"{row}.jpg") for row in range(4)],
        groups=GROUPS,
        labels=["sofa"],
        trained={},
        known=np.array(known, bool)[:, None],
    )


def test_none_is_right_only_where_no_photo_can_have_the_label() -> None:
    certain = small([1, 1, 1, 1], [1, 0, 0, 0]).empty
    assert (certain.asked, certain.right, certain.answerable, certain.wrong) == (1, 1, 1, 0)
    unsure = small([1, 1, 1, 0], [1, 0, 0, 0])
    assert (unsure.empty.asked, unsure.empty.answerable) == (0, 1)
    assert np.isnan(unsure.totals["empty_right"])
    assert_array_equal(unsure.unknown, [[0], [1]])


def test_an_answer_of_unknown_photos_is_not_none() -> None:
    found = small([0, 1, 1, 1], [0, 1, 0, 0])
    assert (found.empty.answerable, found.empty.wrong) == (1, 0)
    assert small([0, 1, 1, 1], [0, 1, 0, 0], threshold=2.0).empty.wrong == 1


def test_unknown_pairs_are_reported_where_there_are_any() -> None:
    found = small([0, 1, 1, 0], [0, 1, 0, 0])
    assert found.to_dict()["unknown"] == found.to_dict()["labels"]["sofa"]["unknown"] == 2
    assert "2 of 4 pairs" in found.summary()
    complete = small([1, 1, 1, 1], [0, 1, 0, 0])
    assert complete.to_dict()["unknown"] == 0
    assert "unknown" not in complete.summary()


def test_a_building_of_unknown_pairs_says_nothing_about_a_guarantee() -> None:
    scores, relevant, groups, known = example()
    known[[group == "house 0" for group in groups]] = False
    assert guarantee(scores, relevant, groups, "precision>=0.6", known=known).buildings == 59
