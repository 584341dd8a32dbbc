"""The simplest member within the noise wins, as judged on held-out buildings."""

import numpy as np
import pytest
from scipy import stats

from photosieve.decision.metrics import Counts
from photosieve.decision.objective import Objective
from photosieve.decision.selection import MEMBERS, simplest_within_noise, split_units


@pytest.mark.simulation
@pytest.mark.parametrize("members", [2, 5])
@pytest.mark.parametrize("units", [4, 30])
def test_noise_is_as_in_a_paired_t_test(units: int, members: int) -> None:
    """Accuracy on 100 decisions a building: one-sided, corrected for so many others."""
    rng = np.random.default_rng(units)
    outcomes = set()
    for _ in range(100):
        right = rng.integers(60, 80, (2, units)).astype(np.float64)
        right[1] += rng.uniform(0, 8)
        nothing = np.zeros((units, 1))
        plain, better = (Counts(r[:, None], nothing, 100 - r[:, None], nothing) for r in right)
        judged = {name: plain for name in MEMBERS[:members]}
        judged[MEMBERS[members - 1]] = better
        found = stats.ttest_rel(right[1], right[0], alternative="greater").statistic
        bound = stats.t.ppf(1 - 0.05 / (members - 1), units - 1)
        if abs(found / bound - 1) > 0.1:  # the bootstrap has a noise of its own
            wins = simplest_within_noise(judged, Objective("accuracy")) != MEMBERS[0]
            assert wins == (found > bound)
            outcomes.add(wins)
    assert outcomes == {True, False}


def test_up_to_ten_buildings_are_judged_one_by_one() -> None:
    assert split_units(1) == []
    for units, expected in ((2, 2), (10, 10), (25, 10)):
        folds = np.array(split_units(units))
        assert folds.shape == (expected, units)
        assert (folds.sum(0) == 1).all()
        assert folds.sum(1).max() - folds.sum(1).min() <= 1
