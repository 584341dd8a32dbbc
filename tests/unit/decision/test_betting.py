"""A mean loss that is too high seldom passes the test, and a low one nearly always."""

import numpy as np
import pytest

from photosieve.decision.betting import mean_is_below
from tests.unit.decision.chance import most_by_chance


@pytest.mark.simulation
@pytest.mark.parametrize("buildings", [25, 60, 200])
@pytest.mark.parametrize("most", [0.1, 0.3])
def test_a_mean_loss_that_is_too_high_seldom_passes(buildings: int, most: float) -> None:
    rng, draws = np.random.default_rng(0), 4000
    shape = (buildings, draws)
    kinds = {
        "all or nothing": (rng.random(shape) < most).astype(np.float64),
        "half or nothing": np.where(rng.random(shape) < 2 * most, 0.5, 0.0),
        "spread": rng.beta(4 * most, 4 * (1 - most), shape),
        "narrow": rng.beta(40 * most, 40 * (1 - most), shape),
    }
    passed = {name: mean_is_below(most, losses, 0.9).mean() for name, losses in kinds.items()}
    assert all(fraction <= most_by_chance(draws) for fraction in passed.values()), passed
    if buildings >= 60:  # it is sharp, too: most of the error that is allowed is used up
        assert passed["all or nothing"] > 0.06


def test_small_losses_pass_more_easily_than_rare_total_ones() -> None:
    rng, shape = np.random.default_rng(0), (60, 1000)
    narrow, total = rng.beta(2, 38, shape), rng.random(shape) < 0.05  # the same mean
    assert mean_is_below(0.1, narrow, 0.9).mean() > 0.98
    assert mean_is_below(0.1, total.astype(np.float64), 0.9).mean() < 0.6


@pytest.mark.parametrize("least", [0.5, 0.8, 0.9, 0.99])
@pytest.mark.parametrize("confidence", [0.5, 0.75, 0.9, 0.99])
def test_without_any_loss_it_passes_as_soon_as_that_is_possible(
    least: float, confidence: float
) -> None:
    needed = next(n for n in range(1, 1000) if least**n <= 1 - confidence + 1e-12)
    for buildings in (needed - 1, needed):
        passes = mean_is_below(1 - least, np.zeros((buildings, 1)), confidence)
        assert passes.tolist() == [buildings >= needed]


def test_total_losses_never_pass() -> None:
    assert not mean_is_below(0.1, np.ones((500, 1)), 0.9).any()


def test_one_total_loss_after_a_run_of_none_does_not_take_all() -> None:
    losses = np.zeros((60, 59))
    losses[np.arange(59), np.arange(59)] = 1.0  # in each place but the last
    assert mean_is_below(0.1, losses, 0.9).all()
