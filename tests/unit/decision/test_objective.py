"""Objectives: their names, bounds, and thresholds for single decisions."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

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
    ("objective", "expected"), [("accuracy", 0.5), ("f1", 0.4), ("f2", 0.18), ("recall>=1", 0.6)]
)
def test_thresholds_on_single_decisions(objective: str, expected: float) -> None:
    """Of .9 right, .8 wrong, .6 right and .1 wrong, the best F1 is .8 and the best F2 .9091."""
    probabilities = np.array([0.9, 0.8, 0.6, 0.1])
    relevant = np.array([True, False, True, False])
    found = Objective(objective).threshold(probabilities, relevant)
    assert_allclose(found, expected, atol=0.002)
