"""Random listings, and the best cut on them by brute force."""

import itertools
import math

import numpy as np
from numpy.typing import NDArray

from photosieve.decision.cut import Cut
from photosieve.decision.metrics import Counts

Scores = NDArray[np.float64]
Mask = NDArray[np.bool_]


def macro(values: Scores) -> float:
    """Mean of what is defined; 0 where nothing is."""
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else 0.0


def value(cut: Cut, scores: Scores, relevant: Mask, groups: list[str], objective: str) -> float:
    """What a cut is worth for an objective, from the answers that it really gives."""
    counts = Counts.of(cut.keep_by_group(scores, groups), relevant, axis=0)
    precision, recall = macro(counts.precision), macro(counts.recall)
    match objective:
        case "accuracy":
            return macro(counts.accuracy)
        case "recall>=0.9":
            return 1 + precision if recall >= 0.9 else recall
        case "precision>=0.8":
            return 1 + recall if precision >= 0.8 else precision
        case _:
            return macro(counts.f_beta(float(objective[1:])))


def best_by_brute_force(
    scores: Scores, relevant: Mask, groups: list[str], member: str, objective: str
) -> float:
    """The value of the best of all cuts that a member can make on these scores."""
    bounds = [-math.inf, *np.nextafter(np.unique(scores), math.inf).tolist()]
    drops = [math.inf]
    if "drop" in member:
        for name in set(groups):
            ranked = -np.sort(-scores[np.array(groups) == name], axis=0)
            drops += ((ranked[:-1] - ranked[1:]) / np.abs(ranked[:-1])).ravel().tolist()
    pairs = (
        itertools.product(bounds, bounds) if "gate" in member else zip(bounds, bounds, strict=True)
    )
    return max(
        value(Cut(gate, floor, drop), scores, relevant, groups, objective)
        for (gate, floor), drop in itertools.product(pairs, drops)
    )


def listings(seed: int, photos: int, labels: int, buildings: int) -> tuple[Scores, Mask, list[str]]:
    """Scores that know something of the labels, distinct from one another."""
    rng = np.random.default_rng(seed)
    relevant = rng.random((photos, labels)) < 0.4
    relevant[0] = True
    scores = rng.normal(0.3, 0.3, relevant.shape) + 0.4 * relevant
    return scores, relevant, [f"house {row % buildings}" for row in range(photos)]
