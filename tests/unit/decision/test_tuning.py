"""The learned cut is the best one there is, and its figures are honest."""

import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from numpy.typing import NDArray

from photosieve.decision import selection
from photosieve.decision import tuning as tuning_module
from photosieve.decision.calibration import (
    Calibration,
    HiddenWords,
    fit_labels,
    fit_words,
    hold_back,
)
from photosieve.decision.cut import Cut
from photosieve.decision.metrics import Counts
from photosieve.decision.objective import Objective
from photosieve.decision.selection import MEMBERS, SHIFTED
from photosieve.decision.tuning import USUAL_THRESHOLD, Tuning
from tests.unit.decision.brute_force import (
    Mask,
    Scores,
    best_by_brute_force,
    listings,
    macro,
    value,
)


class AsTheyAre(Calibration):
    """Takes scores for probabilities, so that the search for a cut can be tested by itself."""

    def labels(self, scores: NDArray[np.floating[Any]], labels: Sequence[str]) -> Scores:
        assert scores.shape[1] == len(labels)
        return np.asarray(scores, np.float64)


@pytest.fixture(autouse=True)
def scores_as_they_are(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if "calibrated" not in request.fixturenames:
        for module in (tuning_module, selection):
            monkeypatch.setattr(module, "fit_labels", lambda *_: AsTheyAre(1.0, 0.0))


@pytest.fixture
def calibrated() -> None:
    """Leave the calibration in."""


def tune(
    scores: Scores,
    relevant: Mask,
    groups: list[str],
    objective: str = "f1",
    members: Sequence[str] = MEMBERS,
) -> Tuning:
    labels = [f"label {column}" for column in range(scores.shape[1])]
    return tuning_module.tune(
        scores, relevant, groups, labels, Objective(objective), members=members
    )


@pytest.mark.simulation
@pytest.mark.parametrize("objective", ["recall>=0.9", "precision>=0.9"])
@pytest.mark.parametrize("seed", range(10))
def test_a_bound_is_kept_where_it_can_be(objective: str, seed: int) -> None:
    """Everything returned has recall 1; the best photo of all, alone, is right by construction."""
    scores, relevant, groups = listings(seed, photos=40, labels=3, buildings=5)
    scores[0] = 9 + np.arange(3) / 10
    cut = tune(scores, relevant, groups, objective).cut
    counts = Counts.of(cut.keep_by_group(scores, groups), relevant, axis=0)
    assert macro(getattr(counts, objective[:-5])) >= 0.9
    assert 0 < counts.returned.sum() < relevant.size


def test_one_threshold_wins_where_it_is_enough() -> None:
    rng = np.random.default_rng(0)
    relevant = rng.random((60, 4)) < 0.3
    scores = np.where(relevant, rng.uniform(0.5, 0.9, (60, 4)), rng.uniform(0, 0.4, (60, 4)))
    tuning = tune(scores, relevant, [f"house {row // 6}" for row in range(60)])
    assert tuning.member == "threshold"
    assert tuning.cut == Cut.threshold(tuning.candidates["threshold"] / 2) == Cut.threshold(0.5)
    assert tuning.candidates["threshold"] > 0.95


def test_a_gain_that_may_be_chance_does_not_win() -> None:
    """The same normal distributions in every building: one threshold is all there is to find."""
    for seed in (9, 56):
        tuning = tune(*listings(seed, photos=40, labels=3, buildings=8))
        assert tuning.candidates["threshold + drop"] > tuning.candidates["threshold"]
        assert tuning.member == "threshold"


def test_a_drop_that_changes_nothing_is_left_out() -> None:
    scores = np.array([[0.9], [0.8], [0.2], [0.1]])
    assert tune(scores, scores > 0.5, ["a"] * 4, members=["threshold + drop"]).cut == Cut.threshold(
        0.5
    )


def test_the_drop_wins_where_lists_differ_in_level() -> None:
    """Each list has a cliff behind its right photos, at a height of its own."""
    rng = np.random.default_rng(0)
    level = rng.uniform(0.2, 1.0, (20, 1, 3))
    pattern = np.array([1.0, 0.95, 0.9, 0.5, 0.48, 0.46])[:, None]
    scores = (level * pattern * rng.uniform(0.98, 1.02, (20, 6, 3))).reshape(-1, 3)
    relevant = np.tile(pattern > 0.8, (20, 1, 3)).reshape(-1, 3)
    groups = np.repeat([f"house {number}" for number in range(20)], 6).tolist()
    tuning = tune(scores, relevant, groups)
    assert tuning.member == "threshold + drop"
    assert 0.1 < tuning.cut.drop < 0.42
    assert tuning.figures["f1"] > tuning.candidates["threshold"] + 0.1


def test_the_gate_wins_where_only_the_best_score_tells_whether_there_is_an_answer() -> None:
    rng = np.random.default_rng(0)
    answerable = np.arange(120).reshape(20, 6, 1) // 6 % 2 == np.array([0, 1, 0])
    with_answer = np.array([0.9, 0.3, 0.28, 0.1, 0.09, 0.08])[:, None]
    without = np.array([0.45, 0.4, 0.38, 0.35, 0.3, 0.28])[:, None]
    noise = rng.integers(0, 3, (20, 6, 3)) / 100
    scores = np.where(answerable, with_answer, without) + noise
    relevant = answerable & (with_answer > 0.2)
    groups = np.repeat([f"house {number}" for number in range(20)], 6).tolist()
    tuning = tune(scores.reshape(-1, 3), relevant.reshape(-1, 3), groups)
    assert tuning.member == "gate + floor"
    assert tuning.figures["f1"] == 1.0
    # In the middle between what has to be told apart, not just beside one of the two.
    assert_allclose(tuning.cut.gate, (0.47 + 0.90) / 2)
    assert_allclose(tuning.cut.floor, (0.12 + 0.28) / 2)


def test_figures_come_from_buildings_that_the_cut_was_not_searched_on() -> None:
    """The threshold of either building fails on the other; a search on both would get F1 .8."""
    scores = np.array([[0.8], [0.6], [0.4], [0.2]])
    relevant = np.array([[True], [False], [True], [False]])
    tuning = tune(scores, relevant, ["high", "high", "low", "low"], "recall>=1", ["threshold"])
    # From "low" (above .3) both photos of "high"; from "high" (above .7) none of "low".
    assert tuning.figures["precision"] == tuning.figures["recall"] == tuning.figures["f1"] == 0.5
    assert tuning.figures["accuracy"] == 0.5
    assert_allclose(value(tuning.cut, scores, relevant, ["a"] * 4, "f1"), 0.8)


def test_with_one_building_labels_are_held_out_instead() -> None:
    """Each label's own threshold would be perfect; the other label's is not."""
    scores = np.array([[0.8, 0.4], [0.6, 0.2]])
    relevant = np.array([[True, True], [False, False]])
    tuning = tune(scores, relevant, ["house", "house"], members=["threshold"])
    assert tuning.figures["recall"] == 0.5
    assert tuning.figures["accuracy"] == 0.5
    assert_allclose(tuning.candidates["threshold"], (2 / 3 + 0) / 2)


@pytest.mark.simulation
@pytest.mark.usefixtures("calibrated")
@pytest.mark.parametrize("objective", ["f1", "accuracy", "recall>=0.9", "precision>=0.9"])
@pytest.mark.parametrize(("photos", "buildings"), [(1, 1), (6, 1), (2, 2), (6, 3)])
@pytest.mark.parametrize("kind", ["random", "constant", "zero", "below zero"])
@pytest.mark.parametrize("labeled", ["all", "none", "first photo", "first label"])
def test_any_data_gives_a_cut_without_a_warning(
    objective: str, photos: int, buildings: int, kind: str, labeled: str
) -> None:
    rng = np.random.default_rng(photos)
    scores = {
        "random": rng.normal(size=(photos, 3)),
        "constant": np.full((photos, 3), 0.7),
        "zero": np.zeros((photos, 3)),
        "below zero": -rng.random((photos, 3)),
    }[kind]
    relevant = np.full((photos, 3), labeled == "all")
    if labeled == "first photo":
        relevant[0] = True
    if labeled == "first label":
        relevant[:, 0] = True
    groups = [f"house {row * buildings // photos}" for row in range(photos)]
    tuning = tune(scores, relevant, groups, objective)
    assert math.isfinite(tuning.cut.gate)
    assert math.isfinite(tuning.cut.floor)
    kept = tuning.cut.keep_by_group(tuning.calibration.labels(scores, ["a", "b", "c"]), groups)
    if labeled == "none":
        assert not kept.any()
        assert math.isnan(tuning.figures["recall"])
    if labeled == "all":
        assert kept.mean() >= (0.9 if objective == "recall>=0.9" else 1.0)
    json.dumps(tuning.to_dict(), allow_nan=False)


def test_the_order_of_photos_does_not_matter() -> None:
    scores, relevant, groups = listings(5, photos=30, labels=3, buildings=1)
    order = np.random.default_rng(0).permutation(30)
    assert tune(scores, relevant, groups) == tune(scores[order], relevant[order], groups)


@pytest.mark.usefixtures("calibrated")
def test_saved_and_read_again_it_is_the_same() -> None:
    tuning = tune(*listings(1, photos=12, labels=3, buildings=3))
    assert Tuning.from_dict(json.loads(json.dumps(tuning.to_dict(), allow_nan=False))) == tuning


def test_what_is_undefined_is_null_when_saved() -> None:
    tuning = tune(np.eye(3), np.zeros((3, 3), bool), ["a", "b", "c"])
    saved = tuning.to_dict()
    assert saved["figures"]["recall"] is None
    assert math.isnan(Tuning.from_dict(saved).figures["recall"])


@pytest.mark.usefixtures("calibrated")
def test_the_cut_is_on_probabilities() -> None:
    scores, relevant, groups = listings(1, photos=60, labels=3, buildings=6)
    tuning = tune(scores, relevant, groups, "recall>=0.9", ["threshold"])
    assert 0 < tuning.cut.floor < 1
    values = tuning.calibration.labels(scores, ["label 0", "label 1", "label 2"])
    # A monotone curve changes no decision of one threshold.
    best = best_by_brute_force(scores, relevant, groups, "threshold", "recall>=0.9")
    assert_allclose(value(tuning.cut, values, relevant, groups, "recall>=0.9"), best)


@pytest.mark.usefixtures("calibrated")
@pytest.mark.parametrize(("objective", "share"), [("f1", 1 / 2), ("f2", 1 / 5), ("f0.5", 4 / 5)])
def test_a_threshold_on_probabilities_follows_from_the_best_f_score(
    objective: str, share: float
) -> None:
    scores, relevant, groups = listings(2, photos=60, labels=3, buildings=6)
    best = best_by_brute_force(scores, relevant, groups, "threshold", objective)
    assert tune(scores, relevant, groups, objective, ["threshold"]).cut == Cut.threshold(
        best * share
    )
    assert tune(scores, relevant, groups, "accuracy", ["threshold"]).cut == Cut.threshold(0.5)


@pytest.mark.simulation
@pytest.mark.usefixtures("calibrated")
def test_with_many_photos_that_threshold_is_the_best() -> None:
    """Where probabilities mean what they say, as for normal scores, theory and search agree."""
    scores, relevant, groups = listings(0, photos=3000, labels=5, buildings=100)
    tuning = tune(scores, relevant, groups)
    values = tuning.calibration.labels(scores, [f"label {column}" for column in range(5)])
    best = best_by_brute_force(values[::20], relevant[::20], groups[::20], "threshold", "f1")
    assert value(tuning.cut, values[::20], relevant[::20], groups[::20], "f1") > best - 0.01


@pytest.mark.usefixtures("calibrated")
def test_shifts_win_where_labels_differ_in_level() -> None:
    """Half of the labels score .3 higher throughout, which 40 buildings show beyond doubt."""
    rng = np.random.default_rng(0)
    relevant = rng.random((240, 6)) < 0.4
    level = np.array([0.0, 0.3] * 3)
    scores = rng.normal(0, 0.06, relevant.shape) + 0.25 * relevant + level
    groups = [f"house {row // 6}" for row in range(240)]
    tuning = tune(scores, relevant, groups)
    assert tuning.member == SHIFTED
    assert tuning.candidates[SHIFTED] > tuning.candidates["threshold"] + 0.05
    assert tuning.calibration.shifts["label 0"] > 1 > -1 > tuning.calibration.shifts["label 1"]


@pytest.mark.usefixtures("calibrated")
def test_shifts_are_judged_on_buildings_that_they_were_not_fitted_on() -> None:
    scores, relevant, groups = listings(6, photos=24, labels=4, buildings=4)
    labels, house = [f"label {column}" for column in range(4)], np.arange(24) % 4
    kept = np.zeros_like(relevant)
    for out in range(4):
        seen = house != out
        curve = fit_labels(scores[seen], relevant[seen], labels)
        values = curve.labels(scores, labels)
        best = best_by_brute_force(
            values[seen], relevant[seen], list(np.array(groups)[seen]), "threshold", "f1"
        )
        kept[~seen] = values[~seen] > best / 2
    expected = macro(Counts.of(kept, relevant, axis=0).f1)
    assert tune(scores, relevant, groups).candidates[SHIFTED] == pytest.approx(expected)


RIGHT = np.repeat([True, False], [100, 900])


GENERAL = np.repeat([False, True], [1000, 2000])


@pytest.fixture
def hidden() -> HiddenWords:
    """Hidden labels on 1000 photos, and 200 general words on 10 photos each."""
    rng = np.random.default_rng(0)
    return HiddenWords(
        normal=np.concatenate([rng.normal(RIGHT * 2.5), rng.normal(size=2000)]),
        affinity=np.concatenate([np.full(1000, 0.1), rng.uniform(-5, -1, 2000)]),
        relevant=np.concatenate([RIGHT, np.zeros(2000, bool)]),
        general=GENERAL,
        question=np.arange(3000) // 10,
    )


@pytest.mark.usefixtures("calibrated")
@pytest.mark.parametrize("objective", ["f1", "recall>=0.9"])
def test_words_get_a_threshold_and_general_ones_no_answer(
    hidden: HiddenWords, objective: str
) -> None:
    scores, relevant, groups = listings(1, photos=60, labels=3, buildings=6)
    tuning = tuning_module.tune(
        scores, relevant, groups, ["a", "b", "c"], Objective(objective), hidden=hidden
    )
    found = tuning.calibration
    answers = found.words(hidden.normal, hidden.affinity) >= found.word_threshold
    answered = answers[GENERAL].reshape(-1, 10).any(1)
    assert answered.mean() <= 0.02
    kept = Counts.of(answers[~GENERAL], RIGHT)
    if objective == "f1":
        assert kept.f1 > 0.6
        curve = fit_words(fit_labels(scores, relevant), hidden)
        close = curve.words(hidden.normal[~GENERAL], 1.0)[:, None]
        best = best_by_brute_force(close, RIGHT[:, None], ["a"] * 1000, "threshold", "f1")
        assert found == hold_back(curve, hidden, best / 2, 60)
    else:
        assert kept.recall == pytest.approx(0.9)  # and no more, which would cost precision


@pytest.mark.usefixtures("calibrated")
def test_words_are_learned_beside_the_usual_curve_too(hidden: HiddenWords) -> None:
    scores, nothing = np.zeros((4, 1)), np.zeros((4, 1), bool)
    usual = Calibration(20.0, -4.0)
    tuning = tuning_module.tune(scores, nothing, list("aabb"), ["a"], usual=usual, hidden=hidden)
    assert (tuning.calibration.slope, tuning.calibration.intercept) == (20.0, -4.0)
    assert tuning.calibration.word_slope == fit_words(usual, hidden).word_slope != usual.word_slope


@pytest.mark.usefixtures("calibrated")
def test_another_cut_has_figures_of_its_own() -> None:
    scores, relevant, groups = listings(1, photos=60, labels=3, buildings=6)
    labels = ["a", "b", "c"]
    tuning = tuning_module.tune(scores, relevant, groups, labels)
    cut = Cut.threshold(0.9)
    other = tuning_module.with_cut(tuning, cut, "recall>=0.5", scores, relevant, groups, labels)
    values = tuning.calibration.labels(scores, labels)
    assert other.figures["f1"] == pytest.approx(value(cut, values, relevant, groups, "f1"))
    ranking = "mean_average_precision"  # the ranking stays as it is
    assert other.figures[ranking] == pytest.approx(tuning.figures[ranking])
    assert (other.cut, other.objective, other.candidates) == (cut, "recall>=0.5", {})


@pytest.mark.usefixtures("calibrated")
def test_where_held_out_scores_say_nothing_the_usual_curve_is_taken() -> None:
    """Each label is in one building only: no model that was tested on it had seen it."""
    usual = Calibration(20.0, -4.0)
    scores = np.random.default_rng(0).normal(0.1, 0.1, (12, 4))
    relevant = np.repeat(np.eye(4, dtype=bool), 3, axis=0)
    groups = [f"house {row // 3}" for row in range(12)]
    tuning = tuning_module.tune(scores, relevant, groups, list("abcd"), usual=usual)
    assert tuning.calibration == usual
    assert tuning.cut == Cut.threshold(USUAL_THRESHOLD)
    assert tuning.member == "usual threshold"
    bounded = tuning_module.tune(
        scores, relevant, groups, list("abcd"), Objective("recall>=0.9"), usual=usual
    )
    kept = bounded.cut.keep_by_group(usual.labels(scores, list("abcd")), groups)
    assert kept[relevant].mean() >= 0.9
    repeated = np.tile(relevant, (4, 1))  # the same labels in four more houses each
    other = [f"{group}/{copy}" for copy in range(4) for group in groups]
    learned = tuning_module.tune(
        np.tile(scores, (4, 1)), repeated, other, list("abcd"), usual=usual
    )
    assert learned.calibration != usual
