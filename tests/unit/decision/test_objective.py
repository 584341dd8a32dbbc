"""Objectives: their names, bounds, and thresholds for single decisions."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from photosieve.decision.metrics import Counts
from photosieve.decision.objective import Objective
from photosieve.errors import UsageError


@pytest.mark.parametrize("name", ["f3", "f", "F1", "recall", "recall>0.9", "recall>=2", "f1 ", ""])
def test_an_objective_that_does_not_exist(name: str) -> None:
    with pytest.raises(UsageError, match=f'no objective "{name}"'):
        Objective(name)


@pytest.mark.parametrize("name", ["recall>=.9", "recall>=0.95", "precision>=1", "precision>=1.0"])
def test_bounds_may_be_written_in_several_ways(name: str) -> None:
    assert Objective(name).name == name


def test_a_bound_that_is_not_kept_is_said() -> None:
    figures = {"precision": 0.79, "recall": 0.9}
    assert "precision 0.9 was not reached" in Objective("precision>=0.9").missed(figures)
    assert Objective("recall>=0.9").missed(figures) == ""
    assert Objective("f1").missed(figures) == ""


@pytest.mark.parametrize(
    ("objective", "expected"), [("accuracy", 0.5), ("f1", 0.4), ("f2", 0.18), ("recall>=1", 0.35)]
)
def test_thresholds_on_single_decisions(objective: str, expected: float) -> None:
    """Of .9 right, .8 wrong, .6 right and .1 wrong, the best F1 is .8 and the best F2 .9091."""
    probabilities = np.array([0.9, 0.8, 0.6, 0.1])
    relevant = np.array([True, False, True, False])
    found = Objective(objective).threshold(probabilities, relevant)
    assert_allclose(found, expected, atol=0.002)


@pytest.mark.parametrize("least", ["0.2", "0.5", "0.8", "1"])
@pytest.mark.parametrize("kind", ["distinct", "equal", "neighbors"])
def test_what_is_above_the_threshold_reaches_the_bound(least: str, kind: str) -> None:
    """The rule is `>`: the last photo that is needed has to be above the threshold, not on it."""
    probabilities = {
        "distinct": np.array([0.9, 0.8, 0.7, 0.6, 0.5]),
        "equal": np.array([0.9, 0.5, 0.5, 0.5, 0.5]),
        "neighbors": 1 - np.arange(5) * 2.0**-53,
    }[kind]
    found = Objective(f"recall>={least}").threshold(probabilities, np.ones(5, bool))
    assert np.mean(probabilities > found) >= float(least)
    assert 0 < found < 1


@pytest.mark.parametrize("bound", ["recall", "precision"])
@pytest.mark.parametrize("seed", range(20))
def test_no_threshold_does_better(bound: str, seed: int) -> None:
    """On a coarse grid, where many probabilities are equal."""
    rng = np.random.default_rng(seed)
    probabilities = rng.integers(1, 9, 30) / 10
    relevant = rng.random(30) < probabilities
    relevant[0] = True
    objective = Objective(f"{bound}>=0.7")

    def value(threshold: float) -> float:
        return float(objective.value(Counts.of(probabilities > threshold, relevant)[None]))

    found = value(objective.threshold(probabilities, relevant))
    assert found == max(value(threshold) for threshold in np.arange(0.05, 1, 0.1))
