"""Probabilities mean what they say, and remote words stay without an answer."""

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.linear_model import LogisticRegression

from photosieve.decision.calibration import (
    FALSE_ANSWERS,
    LEAST_HIDDEN,
    NEAR_QUANTILE,
    SHIFT_DEVIATION,
    Background,
    Calibration,
    HiddenWords,
    Nearness,
    average_background,
    background,
    fit_labels,
    fit_words,
    hold_back,
    joint_affinity,
)
from photosieve.errors import SieveError


def sigmoid(odds: Any) -> Any:
    return 1 / (1 + np.exp(-np.asarray(odds)))


def drawn(seed: int, photos: int = 2000, labels: int = 3) -> tuple[Any, Any]:
    """Scores whose true log odds are 15 * score - 3."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(0.1, 0.15, (photos, labels))
    return scores, rng.random(scores.shape) < sigmoid(15 * scores - 3)


# --- labels ---------------------------------------------------------------------------------------


def test_the_curve_finds_the_truth() -> None:
    found = fit_labels(*drawn(0))
    assert_allclose([found.slope, found.intercept], [15, -3], rtol=0.07)
    assert found.shifts == {}


def test_the_curve_is_that_of_the_library() -> None:
    scores, relevant = drawn(1, photos=60)
    found = fit_labels(scores, relevant)
    standard = (scores.reshape(-1, 1) - scores.mean()) / scores.std()
    model = LogisticRegression(C=10.0, tol=1e-10).fit(standard, relevant.ravel())
    expected = model.predict_proba(standard)[:, 1]
    assert_allclose(found.labels(scores, ["a", "b", "c"]).ravel(), expected, rtol=1e-6)


def test_a_shift_is_found_and_held_back_where_there_is_little() -> None:
    rng = np.random.default_rng(0)
    scores = rng.normal(0.1, 0.15, (4000, 3))
    odds = 15 * scores - 3 + np.array([0.8, -0.8, 0.0])
    relevant = rng.random(scores.shape) < sigmoid(odds)
    many = fit_labels(scores, relevant, ["a", "b", "c"])
    few = fit_labels(scores[:40], relevant[:40], ["a", "b", "c"])
    assert many.shifts["a"] - many.shifts["c"] == pytest.approx(0.8, abs=0.15)
    assert many.shifts["c"] - many.shifts["b"] == pytest.approx(0.8, abs=0.15)
    assert abs(few.shifts["a"]) < abs(many.shifts["a"])
    shifted = many.labels(scores[:1], ["a", "b", "c"])
    plain = replace(many, shifts={}).labels(scores[:1], ["a", "b", "c"])
    assert shifted[0, 0] > plain[0, 0]
    assert shifted[0, 1] < plain[0, 1]


def test_shifts_are_the_likeliest_ones() -> None:
    """At the top the slope is zero: of the log likelihood, and of the normal prior."""
    scores, relevant = drawn(2, photos=80)
    found = fit_labels(scores, relevant, ["a", "b", "c"])
    missed = (relevant - found.labels(scores, ["a", "b", "c"])).sum(0)
    assert_allclose(missed, np.array(list(found.shifts.values())) / SHIFT_DEVIATION**2, atol=1e-6)


def test_extreme_scores_have_probabilities() -> None:
    values = Calibration(1e4, 0.0).labels(np.array([[-1.0, 1.0]]), ["a", "b"])
    assert_allclose(values, [[0.0, 1.0]], atol=1e-12)


@pytest.mark.parametrize("answer", [True, False])
def test_labels_that_are_all_or_nothing(answer: bool) -> None:
    found = fit_labels(np.linspace(0, 1, 20).reshape(10, 2), np.full((10, 2), answer))
    values = found.labels(np.array([[0.5, 0.5]]), ["a", "b"])
    assert ((values > 0.9) == answer).all()


def test_a_better_score_is_never_less_likely() -> None:
    scores = np.linspace(0, 1, 50).reshape(-1, 1)
    found = fit_labels(scores, scores < 0.5)  # upside down
    assert (np.diff(found.labels(scores, ["a"])[:, 0]) > 0).all()


# --- words ----------------------------------------------------------------------------------------


def test_a_background_is_mean_and_deviation_drawn_to_the_average() -> None:
    scores = np.array([0.1, 0.3])
    own = background(scores, None)
    assert_allclose([own.mean, own.deviation], [0.2, 0.1])
    average = Background(0.0, 0.2)
    drawn_in = background(scores, average)  # 2 photos beside the worth of 10
    assert_allclose(drawn_in.mean, 0.2 / 6)
    assert_allclose(drawn_in.deviation, math.sqrt(0.01 / 6 + 0.04 * 5 / 6))
    assert_allclose(own.normalize(np.array([0.2, 0.4])), [0.0, 2.0], atol=1e-12)
    assert background(np.full(5, 0.3), None).deviation > 0


def test_the_average_background_is_over_words_and_photos() -> None:
    photos = np.array([[1.0, 0.0], [0.0, 1.0]])
    words = np.array([[1.0, 0.0], [0.6, 0.8]])
    found = average_background(photos, words)
    assert_allclose(found.mean, (1 + 0 + 0.6 + 0.8) / 4)
    assert_allclose(found.deviation, math.sqrt((0.25 + 0.01) / 2))


def test_one_background_photo_does_not_make_every_word_certain() -> None:
    """Of one photo, deviations over photos are 0; any score would be far from the mean then."""
    photo, words = np.array([[0.6, 0.8]]), np.array([[1.0, 0.0], [0.0, 1.0]])
    found = average_background(photo, words)
    assert_allclose([found.mean, found.deviation], [0.7, 0.1])


def hidden(seed: int = 0, positives: int = 200, general: int = 500) -> HiddenWords:
    """Words with 10 photos each; a positive stands out by 2.5 deviations, as in truth."""
    rng = np.random.default_rng(seed)
    right = np.zeros(2000, bool)
    right[rng.choice(2000, positives, replace=False)] = True
    questions = np.arange(200 + general)
    return HiddenWords(
        normal=np.concatenate([rng.normal(2.5 * right), rng.normal(size=10 * general)]),
        affinity=np.repeat(np.concatenate([np.zeros(200), rng.uniform(-5, 0, general)]), 10),
        relevant=np.concatenate([right, np.zeros(10 * general, bool)]),
        general=np.repeat(questions >= 200, 10),
        question=np.repeat(questions, 10),
    )


def test_the_curve_for_words_comes_from_hidden_labels_alone() -> None:
    found = fit_words(Calibration(1.0, 0.0), hidden())
    # Two normal distributions 2.5 apart, 1 positive in 10: log odds by Bayes' rule.
    assert_allclose(found.word_slope, 2.5, rtol=0.1)
    assert_allclose(found.word_intercept, -(2.5**2) / 2 + math.log(0.1 / 0.9), rtol=0.1)
    other = replace(hidden(), normal=np.where(hidden().general, 9.0, hidden().normal))
    assert fit_words(Calibration(1.0, 0.0), other) == found


def test_with_few_positives_the_default_stays() -> None:
    start = Calibration(1.0, 0.0)
    assert fit_words(start, hidden(positives=LEAST_HIDDEN - 1)) == start
    assert fit_words(start, hidden(positives=LEAST_HIDDEN)) != start


def test_general_words_stay_without_an_answer() -> None:
    words = hidden()
    found = hold_back(fit_words(Calibration(1.0, 0.0), words), words, 0.3, photos=10**6)
    kept = found.words(words.normal, words.affinity) > found.word_threshold

    def answered(calibration: Calibration) -> float:
        kept = calibration.words(words.normal, words.affinity) > calibration.word_threshold
        return float(kept[words.general].reshape(-1, 10).any(1).mean())

    assert found.word_threshold == 0.3
    assert FALSE_ANSWERS / 2 <= answered(found) <= FALSE_ANSWERS
    assert answered(replace(found, remoteness=found.remoteness / 2)) > FALSE_ANSWERS
    assert answered(replace(found, remoteness=0.0)) > 0.15
    # A word as close as the labels are to one another pays nothing.
    labels = ~words.general
    free = replace(found, remoteness=0.0)
    assert (kept[labels] == (free.words(words.normal[labels], 1.0) > 0.3)).all()


def test_without_general_words_nothing_is_held_back() -> None:
    words = hidden(general=0)
    assert hold_back(Calibration(1.0, 0.0), words, 0.3, photos=50).remoteness == 0.0


def test_general_words_that_get_no_answer_anyway_are_not_helped() -> None:
    words = hidden()
    silent = replace(words, normal=np.where(words.general, -9.0, words.normal))
    learned = hold_back(Calibration(1.0, 0.0), silent, 0.3, photos=10**6).remoteness
    assert_allclose(learned, 0.0, atol=1e-4)


def test_few_photos_say_little_about_remoteness() -> None:
    words = hidden()
    usual = fit_words(Calibration(1.0, 0.0, remoteness=0.5), words)
    none, ten, many = (hold_back(usual, words, 0.3, photos).remoteness for photos in (0, 10, 10**9))
    assert none == 0.5
    assert_allclose(ten, (0.5 + many) / 2)
    assert many > 0.6


def test_the_fewer_photos_are_labeled_the_more_all_photos_decide_about_nearness() -> None:
    to_labels, to_photos = np.array([1.0, -3.0]), np.array([-1.0, 1.0])
    assert_allclose(joint_affinity(to_labels, to_photos, 0), to_photos)
    assert_allclose(joint_affinity(to_labels, to_photos, 10), [0.0, -1.0])
    assert_allclose(joint_affinity(to_labels, to_photos, 10**9), to_labels, atol=1e-6)


def test_questions_of_several_folds_stay_apart() -> None:
    parts = [hidden(seed, general=20) for seed in range(3)]
    joined = HiddenWords.join(parts)
    assert len(np.unique(joined.question)) == sum(len(np.unique(p.question)) for p in parts)
    assert_allclose(joined.normal, np.concatenate([part.normal for part in parts]))


def test_the_more_remote_the_less_likely() -> None:
    found = Calibration(1.0, 0.0).words(np.full(4, 2.0), np.array([0.9, 0.0, -0.3, -1.0]))
    assert found[0] == found[1] > found[2] > found[3]


@pytest.mark.parametrize("affinity", [0.5, -2.0])
def test_the_score_of_a_word_is_the_one_with_these_log_odds(affinity: float) -> None:
    curve = Calibration(1.0, 0.0)
    score = curve.word_score(1.5, affinity)
    assert curve.words(np.array([score]), affinity) == pytest.approx(sigmoid(1.5))


# --- nearness -------------------------------------------------------------------------------------


def test_few_general_words_are_as_near_to_a_label_as_close_words_are() -> None:
    cosines = np.random.default_rng(0).normal(0.3, 0.1, 2000)
    units = Nearness.of(cosines)
    assert (units.affinity(cosines) > 0).mean() == pytest.approx(1 - NEAR_QUANTILE)
    assert units.affinity(cosines).std() == pytest.approx(1.0)
    assert_allclose(units.affinity([units.near, units.near + 2 * units.unit]), [0, 2], atol=1e-12)


@pytest.mark.parametrize(("scale", "shift"), [(0.2, 0.7), (3.0, -0.5)])
def test_affinity_does_not_depend_on_how_alike_the_texts_of_a_model_are(
    scale: float, shift: float
) -> None:
    cosines = np.random.default_rng(1).normal(0.1, 0.05, 500)
    other = scale * cosines + shift
    found, expected = Nearness.of(other).affinity(other), Nearness.of(cosines).affinity(cosines)
    assert_allclose(found, expected, atol=1e-9)


def test_without_general_words_or_between_equal_ones_affinity_is_defined() -> None:
    assert Nearness.of(np.zeros(0)).affinity(0.4) == 0.4
    assert np.isfinite(Nearness.of(np.full(9, 0.3)).affinity([0.2, 0.3, 0.4])).all()


# --- saving ---------------------------------------------------------------------------------------


def test_saved_and_read_again_it_is_the_same() -> None:
    found = Calibration(12.5, -2.0, {"sofa": 0.1}, 1.1, -2.2, 3.3, 0.4)
    assert Calibration.from_dict(json.loads(json.dumps(found.to_dict()))) == found


@pytest.mark.parametrize(
    "change",
    [{"slope": None}, {"slope": "x"}, {"shifts": [1]}, {"shifts": {"a": "b"}},
     {"remoteness": math.inf}, {"intercept": math.nan}, {"word_slope": 10**400}],
)  # fmt: skip
def test_a_damaged_one_is_refused(change: dict[str, Any]) -> None:
    saved = Calibration(1.0, 0.0).to_dict() | change
    with pytest.raises(SieveError, match="the saved calibration is damaged"):
        Calibration.from_dict(saved)
    with pytest.raises(SieveError, match="damaged"):
        Calibration.from_dict({k: v for k, v in saved.items() if k not in change})
