"""The search finds the best cut there is."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from photosieve.decision.cut import Cut
from photosieve.decision.objective import Objective
from photosieve.decision.pairs import Pairs, middle_of_best, search
from photosieve.decision.selection import MEMBERS, SHIFTED
from tests.unit.decision.brute_force import best_by_brute_force, listings, value


@pytest.mark.simulation
@pytest.mark.parametrize("objective", ["f1", "f0.5", "accuracy", "recall>=0.9", "precision>=0.8"])
@pytest.mark.parametrize("member", [member for member in MEMBERS if member != SHIFTED])
def test_the_search_finds_the_best_cut_of_each_member(member: str, objective: str) -> None:
    for seed in range(3):
        scores, relevant, groups = listings(seed, photos=6, labels=2, buildings=2)
        cut = search(Pairs.of(scores, relevant, groups), member, Objective(objective))
        assert_allclose(
            value(cut, scores, relevant, groups, objective),
            best_by_brute_force(scores, relevant, groups, member, objective),
        )


def test_of_equal_cuts_the_middle_one_is_taken() -> None:
    values = np.zeros((8, 9))
    values[2:6, 3:8] = 1.0  # an even number of rows: the middle of all cells would be at the edge
    assert middle_of_best(values) == (4, 5)
    assert middle_of_best(np.array([1.0, 0.0, 1.0, 1.0, 1.0, 0.5])) == (3,)


def test_thousands_of_photos() -> None:
    scores, relevant, groups = listings(0, photos=3000, labels=5, buildings=100)
    cut = search(Pairs.of(scores, relevant, groups), "threshold", Objective("f1"))
    # The value of the best threshold for two normal distributions .4 apart, by a fine grid.
    grid = [value(Cut.threshold(t), scores, relevant, groups, "f1") for t in np.arange(0, 1, 0.05)]
    assert value(cut, scores, relevant, groups, "f1") >= max(grid)
