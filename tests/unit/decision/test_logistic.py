"""Many regressions at once are those that a library finds one by one."""

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.linear_model import LogisticRegression

from photosieve.decision import logistic

PENALTY = 0.01


def drawn(photos: int = 60, width: int = 8, labels: int = 5) -> tuple[Any, Any, Any]:
    """Features, targets of rare and common labels, and weights of sum 1."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(photos, width))
    odds = features @ rng.normal(size=(width, labels)) - np.arange(labels)
    targets = odds + rng.logistic(size=odds.shape) > 0
    weights = rng.uniform(0.5, 1.5, odds.shape)
    return features, targets, weights / weights.sum(0)


def test_they_are_those_of_the_library() -> None:
    features, targets, weights = drawn()
    found = logistic.fit(features, targets, weights, PENALTY)
    for column, (right, share) in enumerate(zip(targets.T, weights.T, strict=True)):
        model = LogisticRegression(C=1 / PENALTY, tol=1e-10, max_iter=1000)
        model.fit(features, right, sample_weight=share)
        expected = [*model.coef_[0], *model.intercept_]
        assert_allclose(found[:, column], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("penalty", [1e-4, 3e-2])
def test_with_offsets_nothing_pulls_at_the_result(penalty: float) -> None:
    """The loss is convex: where its gradient is 0 is the one best place."""
    features, targets, weights = drawn()
    offsets = np.random.default_rng(1).normal(0, 3, targets.shape)
    found = logistic.fit(features, targets, weights, penalty, offsets)
    odds = features @ found[:-1] + found[-1] + offsets
    slope = weights * (1 / (1 + np.exp(-odds)) - targets)
    assert_allclose(features.T @ slope + penalty * found[:-1], 0, atol=1e-6)
    assert_allclose(slope.sum(0), 0, atol=1e-6)


def test_the_start_changes_nothing_but_the_way() -> None:
    features, targets, weights = drawn()
    found = logistic.fit(features, targets, weights, PENALTY)
    for start in (found, found + 5, -3 * found):
        again = logistic.fit(features, targets, weights, PENALTY, start=start)
        assert_allclose(again, found, atol=1e-5)


def test_single_precision_is_enough() -> None:
    features, targets, weights = drawn()
    found = logistic.fit(features, targets, weights, PENALTY)
    small = logistic.fit(features.astype(np.float32), targets, weights, PENALTY)
    assert small.dtype == np.float32
    assert_allclose(small, found, atol=3e-3)


def test_it_takes_few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where scores tell right from wrong without a mistake, and steps have to be halved."""
    features, _, weights = drawn()
    targets = features[:, :5] > 1
    offsets = np.where(targets, -8.0, 8.0)  # the start is as wrong as can be
    found = logistic.fit(features, targets, weights, 1e-3, offsets)
    monkeypatch.setattr(logistic, "STEPS", 15)
    assert_allclose(logistic.fit(features, targets, weights, 1e-3, offsets), found, atol=1e-3)


def test_a_label_without_weights_stays_where_it_was() -> None:
    features, targets, weights = drawn()
    weights[:, 2] = 0
    found = logistic.fit(features, targets, weights, PENALTY)
    assert_array_equal(found[:, 2], 0)
    assert np.isfinite(found).all()


def test_numbers_that_are_none_end_it() -> None:
    features, targets, weights = drawn()
    features[3] = np.nan
    with np.errstate(invalid="ignore"):
        assert_array_equal(logistic.fit(features, targets, weights, PENALTY), 0)
