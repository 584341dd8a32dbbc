"""Learn from out-of-fold scores what a score means and where a list is cut.

Scores become probabilities first (`photosieve.decision.calibration`); the cut looks at those. Its
rule has several members, from simple to complicated: one threshold; the same with a drop; a gate
and a floor; all three numbers; one threshold after a shift for each label. A threshold follows from
the best value that the objective reaches (`Objective.optimal_threshold`); the other numbers are
searched over all values where the result can change. What a member is really worth is measured by
nested cross-validation: its numbers are chosen on all buildings but some, and judged on those. The
simplest member that is within the noise of the best one wins, because a rule with more numbers
always looks better on the scores that they were chosen on.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from photosieve.decision import metrics
from photosieve.decision.calibration import (
    Calibration,
    HiddenWords,
    fit_labels,
    fit_words,
    hold_back,
)
from photosieve.decision.cut import Cut
from photosieve.decision.metrics import Counts, Float64Array
from photosieve.decision.objective import Objective
from photosieve.decision.pairs import Pairs, search

THRESHOLD = "threshold"
SHIFTED = "threshold + shift per label"

MEMBERS = (THRESHOLD, "threshold + drop", "gate + floor", "gate + floor + drop", SHIFTED)
"""The rule's members, simplest first."""

LEAST_REPEATED = 10
"""Held-out photos with a label that training saw which it takes to learn from them."""

FOLDS = 10
"""Most parts of the nested cross-validation."""


@dataclass(frozen=True)
class Tuning:
    """A learned calibration and cut, and the evidence for them.

    Parameters
    ----------
    calibration : Calibration
    cut : Cut
        Of probabilities.
    objective : str
    member : str
        Which member of the rule won.
    figures : mapping
        Macro precision, recall and F1, accuracy and mean average precision out of fold. The cut
        was not searched on the buildings that it is judged on, where there are two or more.
    candidates : mapping
        For each member the objective's value, judged in the same way.
    """

    calibration: Calibration
    cut: Cut
    objective: str
    member: str
    figures: Mapping[str, float]
    candidates: Mapping[str, float]

    def to_dict(self) -> dict[str, Any]:
        """Return a form for JSON; what is undefined is null."""
        return {
            "calibration": self.calibration.to_dict(),
            "cut": self.cut.to_dict(),
            "objective": self.objective,
            "member": self.member,
            "figures": _plain(self.figures),
            "candidates": _plain(self.candidates),
        }

    @classmethod
    def from_dict(cls, saved: dict[str, Any]) -> Tuning:
        """Read what `to_dict` wrote.

        Raises
        ------
        SieveError, KeyError, TypeError, ValueError
            If it is damaged.
        """
        figures, candidates = (
            {name: math.nan if value is None else float(value) for name, value in part.items()}
            for part in (saved["figures"], saved["candidates"])
        )
        return cls(
            Calibration.from_dict(saved["calibration"]),
            Cut.from_dict(saved["cut"]),
            str(saved["objective"]),
            str(saved["member"]),
            figures,
            candidates,
        )


def tune(
    scores: NDArray[np.float64],
    relevant: NDArray[np.bool_],
    groups: Sequence[str],
    labels: Sequence[str],
    objective: str = "f1",
    *,
    usual: Calibration | None = None,
    hidden: HiddenWords | None = None,
) -> Tuning:
    """Fit the calibration, and choose the rule's member and its numbers.

    Parameters
    ----------
    scores : array (photos, labels)
        Out-of-fold scores.
    relevant : array of bool (photos, labels)
    groups : sequence of str (photos,)
        The building of each photo: a list that the cut is applied to is one label in one building.
    labels : sequence of str (labels,)
    objective : str
        See `photosieve.decision.objective.Objective`.
    usual : Calibration, optional
        Taken, with the even odds as threshold, where held-out scores hardly say anything: where
        nearly every label is in one building only, no model that was trained without that building
        knows it.
    hidden : HiddenWords, optional
        What the map for words that are no labels is learned from.

    Raises
    ------
    UsageError
        If the objective does not exist.
    """
    goal = Objective(objective)
    if usual is not None and _repeated(relevant, groups) < LEAST_REPEATED:
        if hidden is not None:
            usual = _fit_words(usual, hidden, goal)
        return _as_usual(usual, scores, relevant, groups, labels, goal)
    calibration = fit_labels(scores, relevant)
    table = Pairs.of(calibration.labels(scores, labels), relevant, groups)
    folds = _folds(table.units)
    # A monotone map leaves the choices of every other member as they are: it needs no folds.
    judged = {m: _judge(table, m, goal, folds) for m in MEMBERS if m != SHIFTED}
    if SHIFTED in MEMBERS and len(set(groups)) > 1:
        judged[SHIFTED] = _judge_shifts(scores, relevant, groups, labels, goal, folds)
    member = _simplest_within_noise(judged, goal)
    if member == SHIFTED:
        calibration = fit_labels(scores, relevant, labels)
        table = Pairs.of(calibration.labels(scores, labels), relevant, groups)
    if hidden is not None:
        calibration = _fit_words(calibration, hidden, goal)
    return Tuning(
        calibration=calibration,
        cut=choose(table, member, goal),
        objective=objective,
        member=member,
        figures=_figures(judged[member].sum(0), scores, relevant),
        candidates={name: float(goal.value(counts.sum(0))) for name, counts in judged.items()},
    )


def choose(table: Pairs, member: str, goal: Objective) -> Cut:
    """Choose a member's numbers for a table of probabilities."""
    cut = search(table, member, goal)
    if member not in (THRESHOLD, SHIFTED) or len(np.unique(table.relevant)) < 2:
        return cut
    optimal = goal.optimal_threshold(float(goal.value(table.counts(cut).sum(0))))
    return cut if optimal is None else Cut.threshold(optimal)


def with_cut(
    tuning: Tuning,
    cut: Cut,
    name: str,
    scores: NDArray[np.floating[Any]],
    relevant: NDArray[np.bool_],
    groups: Sequence[str],
    labels: Sequence[str],
) -> Tuning:
    """Take another cut on the same probabilities, with the figures that it has on given photos.

    Parameters
    ----------
    tuning : Tuning
    cut : Cut
    name : str
        What it was chosen for.
    scores : array (photos, labels)
    relevant : array of bool (photos, labels)
    groups : sequence of str (photos,)
    labels : sequence of str (labels,)
    """
    values = tuning.calibration.labels(scores, labels)
    counts = Pairs.of(values, relevant, groups).counts(cut).sum(0)
    return replace(
        tuning,
        cut=cut,
        objective=name,
        member=THRESHOLD,
        figures=_figures(counts, values, relevant),
        candidates={},
    )


def _repeated(relevant: NDArray[np.bool_], groups: Sequence[str]) -> int:
    """Count labeled photos whose label is also in another building (or photo, of just one)."""
    units = np.array(groups) if len(set(groups)) > 1 else np.arange(len(groups))
    elsewhere = [
        relevant[row] & relevant[units != units[row]].any(0) for row in range(len(relevant))
    ]
    return int(np.sum(elsewhere))


def _as_usual(
    usual: Calibration,
    scores: Float64Array,
    relevant: NDArray[np.bool_],
    groups: Sequence[str],
    labels: Sequence[str],
    goal: Objective,
) -> Tuning:
    """Take the usual curve; of the cut only what a bound asks for is searched."""
    table = Pairs.of(usual.labels(scores, labels), relevant, groups)
    even = Cut.threshold(0.5)
    cut = search(table, THRESHOLD, goal) if ">=" in goal.name else even
    counts = table.counts(cut).sum(0)
    return Tuning(
        calibration=usual,
        cut=cut,
        objective=goal.name,
        member="usual threshold" if cut == even else THRESHOLD,
        figures=_figures(counts, scores, relevant),
        candidates={},
    )


def _figures(total: Counts, scores: Float64Array, relevant: NDArray[np.bool_]) -> dict[str, float]:
    """Macro and micro figures of counts, (labels,)."""
    columns = zip(scores.T, relevant.T, strict=True)
    return {
        "precision": float(metrics.mean(total.precision)),
        "recall": float(metrics.mean(total.recall)),
        "f1": float(metrics.mean(total.f1)),
        "accuracy": float(total.sum().accuracy),
        "mean_average_precision": float(
            metrics.mean([float(metrics.average_precision(*column)) for column in columns])
        ),
    }


def _fit_words(calibration: Calibration, hidden: HiddenWords, goal: Objective) -> Calibration:
    """Learn the map for words that are no labels, and from which probability on they match."""
    fitted = fit_words(calibration, hidden)
    threshold = fitted.word_threshold
    if fitted != calibration:  # there was enough to learn from
        labels = ~hidden.general
        close = fitted.words(hidden.normal[labels], 1.0)
        threshold = goal.threshold(close, hidden.relevant[labels])
    return hold_back(fitted, hidden, threshold)


def _folds(units: int) -> list[NDArray[np.bool_]]:
    """Masks of held-out units, (units,); none for a single one."""
    if units < 2:
        return []
    parts = np.array_split(np.arange(units), min(units, FOLDS))
    return [np.isin(np.arange(units), part) for part in parts]


def _judge(
    table: Pairs, member: str, goal: Objective, folds: Sequence[NDArray[np.bool_]]
) -> Counts:
    """Count what a member does on units that its numbers were not searched on.

    Returns
    -------
    Counts
        Of shape (units, labels).
    """
    if not folds:
        return table.counts(choose(table, member, goal))
    parts = [
        table.among(held_out).counts(choose(table.among(~held_out), member, goal))
        for held_out in folds
    ]
    return Counts.stack(parts).sum(0)


def _judge_shifts(
    scores: Float64Array,
    relevant: NDArray[np.bool_],
    groups: Sequence[str],
    labels: Sequence[str],
    goal: Objective,
    folds: Sequence[NDArray[np.bool_]],
) -> Counts:
    """Do what `_judge` does for the shifted member, whose shifts must not see held-out units."""
    names = list(dict.fromkeys(groups))
    unit = np.array([names.index(group) for group in groups])
    parts = []
    for held_out in folds:
        seen = ~held_out[unit]
        calibration = fit_labels(scores[seen], relevant[seen], labels)
        table = Pairs.of(calibration.labels(scores, labels), relevant, groups)
        parts.append(table.among(held_out).counts(choose(table.among(~held_out), SHIFTED, goal)))
    return Counts.stack(parts).sum(0)


def _simplest_within_noise(judged: Mapping[str, Counts], goal: Objective) -> str:
    """Pick the first member that the best one does not beat with 95 % confidence.

    The error of the difference between two is taken over bootstrap draws of units, and held
    against Student's t, because a handful of buildings tells little about its own noise, with
    Bonferroni's correction, because the best is the best of several. With one unit the figures are
    not honest, and the simplest member is taken.
    """
    from scipy.special import stdtrit

    simplest = MEMBERS[0]
    units = len(judged[simplest].tp)
    if units < 2:
        return simplest
    values = {member: float(goal.value(counts.sum(0))) for member, counts in judged.items()}
    best = max(values, key=lambda member: values[member])
    # Draws of n units out of n show sqrt((n - 1) / n) of the deviation.
    confidence = 1 - 0.05 / max(len(judged) - 1, 1)
    noise = float(stdtrit(units - 1, confidence)) * math.sqrt(units / (units - 1))
    weights = metrics.bootstrap_weights(units, draws=1000, seed=0)  # (draws, units)

    def draws(member: str) -> Float64Array:
        return goal.value(judged[member].drawn(weights), axis=-1)

    for member in judged:
        error = float(np.std(draws(best) - draws(member)))
        if values[member] >= values[best] - noise * error:
            return member
    return best


def _plain(figures: Mapping[str, float]) -> dict[str, float | None]:
    return {name: metrics.defined(value) for name, value in figures.items()}
