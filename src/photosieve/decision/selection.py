"""Choose how complicated the rule of the cut may be, by nested cross-validation.

The rule has several members, from simple to complicated: one threshold; the same with a drop; a
gate and a floor; all three numbers; one threshold after a shift for each label. A threshold follows
from the best value that the objective reaches (`Objective.optimal_threshold`); the other numbers
are searched over all values where the result can change. To measure a member, its numbers are
chosen on some buildings and judged on the others. The simplest member that is within the noise
of the best one wins, because a rule with more numbers always looks better on the scores that its
numbers were chosen on.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from photosieve.decision import metrics
from photosieve.decision.calibration import fit_labels
from photosieve.decision.cut import Cut
from photosieve.decision.metrics import Counts, Float64Array
from photosieve.decision.objective import Objective
from photosieve.decision.pairs import Pairs, search

THRESHOLD = "threshold"
SHIFTED = "threshold + shift per label"

MEMBERS = (THRESHOLD, "threshold + drop", "gate + floor", "gate + floor + drop", SHIFTED)
"""The rule's members, simplest first."""

FOLDS = 10
"""The most folds of the nested cross-validation."""


def choose(table: Pairs, member: str, objective: Objective) -> Cut:
    """Choose a member's numbers for a table of probabilities.

    Thresholds follow from theory where there is one, see `Objective.optimal_threshold`.
    """
    cut = search(table, member, objective)
    if member not in (THRESHOLD, SHIFTED) or len(np.unique(table.relevant)) < 2:
        return cut
    optimal = objective.optimal_threshold(float(objective.value(table.counts(cut).sum(0))))
    return cut if optimal is None else Cut.threshold(optimal)


def split_units(units: int) -> list[NDArray[np.bool_]]:
    """Split units into folds: masks of held-out units, (units,); none for a single one."""
    if units < 2:
        return []
    parts = np.array_split(np.arange(units), min(units, FOLDS))
    return [np.isin(np.arange(units), part) for part in parts]


def judge(
    table: Pairs, member: str, objective: Objective, folds: Sequence[NDArray[np.bool_]]
) -> Counts:
    """Count the decisions of a member on units that its numbers were not searched on.

    Returns
    -------
    Counts
        Of shape (units, labels).
    """
    if not folds:
        return table.counts(choose(table, member, objective))
    parts = [
        table.among(held_out).counts(choose(table.among(~held_out), member, objective))
        for held_out in folds
    ]
    return Counts.stack(parts).sum(0)


def judge_shifts(
    scores: Float64Array,
    relevant: NDArray[np.bool_],
    groups: Sequence[str],
    labels: Sequence[str],
    objective: Objective,
    folds: Sequence[NDArray[np.bool_]],
    known: NDArray[np.bool_],
) -> Counts:
    """Like `judge`, for the member with shifts, which are fitted without the held-out units."""
    names = list(dict.fromkeys(groups))
    unit = np.array([names.index(group) for group in groups])
    parts = []
    for held_out in folds:
        seen = ~held_out[unit]
        calibration = fit_labels(scores[seen], relevant[seen], labels, known[seen])
        table = Pairs.of(calibration.labels(scores, labels), relevant, groups, known)
        parts.append(
            table.among(held_out).counts(choose(table.among(~held_out), SHIFTED, objective))
        )
    return Counts.stack(parts).sum(0)


def simplest_within_noise(judged: Mapping[str, Counts], objective: Objective) -> str:
    """Return the first member that the best one does not beat with 95 % confidence.

    The error of a difference is its deviation over bootstrap draws of units. It is compared with
    Student's t, as a few buildings say little about their own noise, with Bonferroni's correction,
    as the best one is the best of several. With one unit nothing can be held out, and the simplest
    member is taken.

    Parameters
    ----------
    judged : mapping
        Counts of shape (units, labels) by member, simplest first.
    objective : Objective
    """
    from scipy.special import stdtrit

    simplest = next(iter(judged))
    units = len(judged[simplest].tp)
    if units < 2:
        return simplest
    values = {member: float(objective.value(counts.sum(0))) for member, counts in judged.items()}
    best = max(values, key=lambda member: values[member])
    # Draws of n units out of n show sqrt((n - 1) / n) of the deviation.
    confidence = 1 - 0.05 / max(len(judged) - 1, 1)
    noise = float(stdtrit(units - 1, confidence)) * math.sqrt(units / (units - 1))
    weights = metrics.bootstrap_weights(units, draws=1000, seed=0)  # (draws, units)

    def draws(member: str) -> Float64Array:
        return objective.value(judged[member].drawn(weights), axis=-1)

    for member in judged:
        error = float(np.std(draws(best) - draws(member)))
        if values[member] >= values[best] - noise * error:
            return member
    return best
