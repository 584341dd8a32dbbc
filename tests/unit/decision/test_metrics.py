"""Figures agree with scikit-learn's, and what is undefined stays undefined."""

from math import isnan, nan

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import metrics as sklearn

from photosieve.decision.metrics import (
    Counts,
    Interval,
    Reliability,
    average_precision,
    bootstrap_weights,
    defined,
    mean,
    percentile_interval,
    precision_recall_curve,
)

SEEDS = range(20)


@pytest.mark.parametrize("seed", SEEDS)
def test_ratios_are_those_of_scikit_learn(seed: int) -> None:
    rng = np.random.default_rng(seed)
    kept, relevant = rng.random((2, 12, 7)) < rng.uniform(0, 0.6, (2, 1, 7))
    counts = Counts.of(kept, relevant, axis=0)
    for beta in (0.5, 1.0, 2.0):
        precision, recall, f_beta, support = sklearn.precision_recall_fscore_support(
            relevant, kept, beta=beta, average=None, zero_division=nan
        )
        assert_allclose(counts.precision, precision)
        assert_allclose(counts.recall, recall)
        assert_allclose(counts.f_beta(beta), f_beta)
        assert_array_equal(counts.support, support)
    assert_allclose(counts.f1, counts.f_beta(1.0))
    accuracy = [sklearn.accuracy_score(*pair) for pair in zip(relevant.T, kept.T, strict=True)]
    assert_allclose(counts.accuracy, accuracy)
    micro = sklearn.precision_recall_fscore_support(
        relevant, kept, average="micro", zero_division=nan
    )
    total = counts.sum()
    assert_allclose([total.precision, total.recall, total.f1], micro[:3])


def test_counts_keep_the_shape_of_their_caller() -> None:
    rng = np.random.default_rng(0)
    kept, relevant = rng.random((2, 3, 4, 5)) < 0.5
    counts = Counts.of(kept, relevant)
    assert counts.tp.shape == counts.f1.shape == counts.accuracy.shape == (3, 4)
    assert_array_equal(counts.tp + counts.fp + counts.fn + counts.tn, np.full((3, 4), 5))
    assert_array_equal(counts.returned, kept.sum(-1))
    single = Counts.of(kept[1, 2], relevant[1, 2])
    assert counts[1, 2] == single
    assert_array_equal(counts[:, 0].fn, counts.fn[:, 0])
    assert_array_equal(counts.sum(0).tn, counts.tn.sum(0))


@pytest.mark.parametrize(
    ("kept", "relevant", "precision", "recall", "f1"),
    [
        ([0, 0], [0, 0], nan, nan, nan),
        ([1, 0], [0, 0], 0.0, nan, 0.0),
        ([0, 0], [0, 1], nan, 0.0, 0.0),
        ([1, 0], [0, 1], 0.0, 0.0, 0.0),
        ([1, 1], [1, 1], 1.0, 1.0, 1.0),
    ],
)
def test_zero_by_zero_is_undefined(
    kept: list[int], relevant: list[int], precision: float, recall: float, f1: float
) -> None:
    counts = Counts.of(kept, relevant)
    assert_array_equal([counts.precision, counts.recall, counts.f1], [precision, recall, f1])


def test_accuracy_of_nothing_is_undefined() -> None:
    assert isnan(Counts.of([], []).accuracy)


def test_what_is_undefined_is_none() -> None:
    assert [defined(np.array(nan)), defined(np.float64(0.25)), defined(0)] == [None, 0.25, 0.0]


def test_counts_of_several_and_of_draws() -> None:
    rng = np.random.default_rng(0)
    several = [Counts.of(*(rng.random((2, 4, 9)) < 0.5)) for _ in range(3)]
    stacked = Counts.stack(several)
    assert stacked.fn.shape == (3, 4)
    for row, counts in enumerate(several):
        assert_array_equal(stacked[row].parts, counts.parts)
    drawn = stacked.drawn(np.array([[2.0, 0.0, 1.0]]))
    assert_array_equal(drawn.fp, [2 * several[0].fp + several[2].fp])
    assert_array_equal(drawn.tn, [2 * several[0].tn + several[2].tn])


def test_mean_leaves_out_what_is_undefined() -> None:
    table = [[1.0, nan], [0.0, nan], [nan, nan]]
    assert mean(table) == 0.5
    assert_array_equal(mean(table, axis=0), [0.5, nan])
    assert_array_equal(mean(table, axis=1), [1.0, 0.0, nan])
    assert isnan(mean([]))


@pytest.mark.long
@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", SEEDS)
def test_average_precision_is_that_of_scikit_learn(seed: int, ties: bool) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=15)
    if ties:
        scores = scores.round()
    relevant = rng.random(15) < 0.4
    relevant[0] = True
    weights = rng.integers(0, 4, (6, 15)).astype(float)
    weights[:, 0] += 1  # each draw has a relevant photo
    assert_allclose(
        average_precision(scores, relevant), sklearn.average_precision_score(relevant, scores)
    )
    expected = [
        sklearn.average_precision_score(relevant, scores, sample_weight=row) for row in weights
    ]
    assert_allclose(average_precision(scores, relevant, weights), expected)


def test_average_precision_by_hand() -> None:
    assert_allclose(average_precision([0.9, 0.8, 0.7, 0.6], [1, 0, 1, 0]), (1 + 2 / 3) / 2)
    # Equal scores have no order: whichever photo comes first, both are found at once.
    assert average_precision([0.5, 0.5], [1, 0]) == average_precision([0.5, 0.5], [0, 1]) == 0.5


def test_average_precision_without_a_relevant_photo_is_undefined() -> None:
    assert isnan(average_precision([0.2, 0.1], [0, 0]))
    assert_array_equal(average_precision([0.2, 0.1], [1, 0], [[1, 1], [0, 1]]), [1.0, nan])


@pytest.mark.parametrize("seed", SEEDS)
def test_curve_is_that_of_scikit_learn(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores, relevant = rng.normal(size=12).round(1), rng.random(12) < 0.5
    relevant[3] = True
    weights = rng.integers(1, 4, 12)
    for weight in (None, weights):
        precision, recall, thresholds = precision_recall_curve(scores, relevant, weight)
        theirs = sklearn.precision_recall_curve(relevant, scores, sample_weight=weight)
        # Theirs runs from the lowest threshold up and ends in a point without a threshold.
        assert_allclose(precision, theirs[0][-2::-1])
        assert_allclose(recall, theirs[1][-2::-1])
        assert_allclose(thresholds, theirs[2][::-1])


def test_interval_prints_with_its_ends() -> None:
    assert str(Interval(0.8849, 0.8611, 0.9056)) == "0.885 [0.861, 0.906]"


def test_bootstrap_draws_as_many_groups_as_there_are() -> None:
    weights = bootstrap_weights(7, 5000, seed=3)
    assert weights.shape == (5000, 7)
    assert_array_equal(weights.sum(1), np.full(5000, 7))
    assert_allclose(weights.mean(0), np.ones(7), atol=0.06)  # 4.5 standard errors
    assert_array_equal(weights, bootstrap_weights(7, 5000, seed=3))
    assert not np.array_equal(weights, bootstrap_weights(7, 5000, seed=4))


def test_interval_holds_the_middle_of_the_draws() -> None:
    interval = percentile_interval(50.0, [nan, *range(201)])
    assert interval.value == 50.0
    assert_allclose([interval.low, interval.high], [5.0, 195.0])
    empty = percentile_interval(nan, [nan, nan])
    assert isnan(empty.low)
    assert isnan(empty.high)


def test_interval_covers_the_truth_as_often_as_it_says() -> None:
    """400 worlds of 40 buildings whose recall is known; the interval may miss it in 1 of 20."""
    rng = np.random.default_rng(0)
    weights = bootstrap_weights(40, 400, seed=1)
    covered = 0
    for _ in range(400):
        support = rng.integers(1, 6, 40)
        # Photos of one building resemble one another: its own recall varies around the mean .7.
        found = rng.binomial(support, rng.beta(7, 3, 40))
        interval = percentile_interval(0.7, (weights @ found) / (weights @ support))
        covered += interval.low <= 0.7 <= interval.high
    assert 0.91 <= covered / 400 <= 0.98


def test_reliability_by_hand() -> None:
    found = Reliability.of([[0.1, 0.2, 0.4], [0.6, 0.8, 1.0]], [[0, 0, 1], [1, 1, 0]], bins=2)
    assert_array_equal(found.counts, [3, 3])
    assert_allclose(found.predicted, [0.7 / 3, 0.8])
    assert_allclose(found.observed, [1 / 3, 2 / 3])
    assert found.error == pytest.approx((0.3 / 3 + 0.4 / 3) / 2)


def test_reliability_of_the_ends_and_of_empty_bins() -> None:
    found = Reliability.of([0.0, 0.5, 1.0], [False, True, True])
    assert_array_equal(found.counts, [1, 0, 0, 0, 0, 1, 0, 0, 0, 1])
    assert isnan(found.predicted[1])
    assert isnan(found.observed[1])
    assert found.error == pytest.approx(0.5 / 3)
    assert Reliability.of([0.0, 1.0], [False, True]).error == 0.0
    assert Reliability.of([0.0, 1.0], [True, False]).error == 1.0


def test_reliability_of_nothing_is_undefined() -> None:
    assert isnan(Reliability.of([], []).error)


@pytest.mark.parametrize("seed", SEEDS)
def test_calibration_error_is_the_mean_gap_of_a_decision(seed: int) -> None:
    """Decision by decision: how far its bin's mean probability is from its bin's outcome."""
    rng = np.random.default_rng(seed)
    probabilities = rng.beta(0.4, 1.0, 60)
    relevant = rng.random(60) < probabilities**2
    gaps = []
    for probability in probabilities:
        low = next(k for k in reversed(range(10)) if k / 10 <= probability)
        together = [n for n, p in enumerate(probabilities) if low / 10 <= p < (low + 1) / 10]
        gaps.append(abs(sum(probabilities[together]) - sum(relevant[together])) / len(together))
    assert Reliability.of(probabilities, relevant).error == pytest.approx(sum(gaps) / 60)


def test_probabilities_that_are_true_have_a_small_error() -> None:
    rng = np.random.default_rng(0)
    probabilities = rng.random(100_000)
    relevant = rng.random(100_000) < probabilities
    assert Reliability.of(probabilities, relevant).error < 0.01
    assert Reliability.of(probabilities**2, relevant).error == pytest.approx(1 / 6, abs=0.01)
