"""Learn from out-of-fold scores how probable a match is, and where a list is cut.

Scores become probabilities first (`photosieve.decision.calibration`); the cut decides by these. The
rule has several members, from simple to complicated, and `photosieve.decision.selection` chooses
one. The result is a `Tuning`, which a sieve saves.
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
from photosieve.decision.objective import F1, Objective
from photosieve.decision.pairs import Pairs, search
from photosieve.decision.selection import (
    MEMBERS,
    SHIFTED,
    THRESHOLD,
    choose,
    judge,
    judge_shifts,
    simplest_within_noise,
    split_units,
)

LEAST_REPEATED = 10
"""With fewer held-out photos whose label was in training, nothing is learned from them."""

LEAST_NOES = 10
"""Where pairs are unknown and fewer others known to be wrong, nothing tells what a mistake is."""


USUAL_THRESHOLD = 0.3
"""Of the usual curve. The threshold with the best F1 is half of that F1 (Lipton, Elkan and
Naryanaswamy 2014, "Optimal thresholding of classifiers to maximize F1 measure")."""

USUAL = "usual threshold"
"""The member of the rule that stands for the usual curve and threshold."""


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

    @property
    def is_usual(self) -> bool:
        """Whether held-out scores said next to nothing: the figures are then chance."""
        return self.member == USUAL

    def to_dict(self) -> dict[str, Any]:
        """Return a form for JSON; undefined figures are null."""
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
        """Read the form that `to_dict` returns.

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
    objective: Objective = F1,
    *,
    known: NDArray[np.bool_] | None = None,
    usual: Calibration | None = None,
    hidden: HiddenWords | None = None,
    members: Sequence[str] = MEMBERS,
) -> Tuning:
    """Fit the calibration, and choose the rule's member and its numbers.

    Parameters
    ----------
    scores : array (photos, labels)
        Out-of-fold scores.
    relevant : array of bool (photos, labels)
    groups : sequence of str (photos,)
        The building of each photo. The cut is applied to each label in each building.
    labels : sequence of str (labels,)
    objective : Objective
    known : array of bool (photos, labels), optional
        Pairs whose relevance is known; the others count neither as right nor as wrong. By default
        all.
    usual : Calibration, optional
        Used with `USUAL_THRESHOLD` if the held-out scores say next to nothing: where nearly
        every label is in one building only, no model that was trained without that building knows
        it; and where next to no pair is known to be wrong, every cut looks right. Without a usual
        curve, all unknown pairs count as wrong then.
    hidden : HiddenWords, optional
        Material for the curve of words that are not labels.
    members : sequence of str
        Members of the rule to choose from, simplest first.
    """
    known = np.ones_like(relevant) if known is None else known
    silent = not known.all() and (known & ~relevant).sum() < LEAST_NOES
    if usual is not None and (silent or repeated(relevant, groups) < LEAST_REPEATED):
        if hidden is not None:
            usual = _fit_words(usual, hidden, objective, len(scores))
        return _as_usual(usual, scores, relevant, groups, labels, objective, known)
    if silent:
        known = np.ones_like(relevant)
    calibration = fit_labels(scores, relevant, (), known)
    table = Pairs.of(calibration.labels(scores, labels), relevant, groups, known)
    folds = split_units(table.units)
    # A monotone curve changes no choice of the other members, so it is not fitted again in folds.
    judged = {m: judge(table, m, objective, folds) for m in members if m != SHIFTED}
    if SHIFTED in members and len(set(groups)) > 1:
        judged[SHIFTED] = judge_shifts(scores, relevant, groups, labels, objective, folds, known)
    member = simplest_within_noise(judged, objective)
    if member == SHIFTED:
        calibration = fit_labels(scores, relevant, labels, known)
        table = Pairs.of(calibration.labels(scores, labels), relevant, groups, known)
    if hidden is not None:
        calibration = _fit_words(calibration, hidden, objective, len(scores))
    return Tuning(
        calibration=calibration,
        cut=choose(table, member, objective),
        objective=objective.name,
        member=member,
        figures=_figures(judged[member].sum(0), scores, relevant, known),
        candidates={name: float(objective.value(counts.sum(0))) for name, counts in judged.items()},
    )


def with_cut(
    tuning: Tuning,
    cut: Cut,
    name: str,
    scores: NDArray[np.floating[Any]],
    relevant: NDArray[np.bool_],
    groups: Sequence[str],
    labels: Sequence[str],
    known: NDArray[np.bool_] | None = None,
) -> Tuning:
    """Return a tuning with another cut, and with its figures on the given photos.

    Parameters
    ----------
    tuning : Tuning
    cut : Cut
    name : str
        Of the objective or guarantee that the cut was chosen for.
    scores : array (photos, labels)
    relevant : array of bool (photos, labels)
    groups : sequence of str (photos,)
    labels : sequence of str (labels,)
    known : array of bool (photos, labels), optional
        As for `tune`.
    """
    known = np.ones_like(relevant) if known is None else known
    values = tuning.calibration.labels(scores, labels)
    counts = Pairs.of(values, relevant, groups, known).counts(cut).sum(0)
    return replace(
        tuning,
        cut=cut,
        objective=name,
        member=THRESHOLD,
        figures=_figures(counts, values, relevant, known),
        candidates={},
    )


def repeated(relevant: NDArray[np.bool_], groups: Sequence[str]) -> int:
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
    objective: Objective,
    known: NDArray[np.bool_],
) -> Tuning:
    """Take the usual curve; the cut is searched only for an objective that is a bound."""
    table = Pairs.of(usual.labels(scores, labels), relevant, groups, known)
    even = Cut.threshold(USUAL_THRESHOLD)
    cut = search(table, THRESHOLD, objective) if ">=" in objective.name else even
    counts = table.counts(cut).sum(0)
    return Tuning(
        calibration=usual,
        cut=cut,
        objective=objective.name,
        member=USUAL if cut == even else THRESHOLD,
        figures=_figures(counts, scores, relevant, known),
        candidates={},
    )


def _figures(
    total: Counts,
    scores: Float64Array,
    relevant: NDArray[np.bool_],
    known: NDArray[np.bool_],
) -> dict[str, float]:
    """Return the figures of counts, (labels,), and of the ranking."""
    return {
        "precision": float(metrics.mean(total.precision)),
        "recall": float(metrics.mean(total.recall)),
        "f1": float(metrics.mean(total.f1)),
        "accuracy": float(total.sum().accuracy),
        "mean_average_precision": metrics.mean_average_precision(scores, relevant, known),
    }


def _fit_words(
    calibration: Calibration, hidden: HiddenWords, objective: Objective, photos: int
) -> Calibration:
    """Learn the curve and the threshold for words that are not labels."""
    fitted = fit_words(calibration, hidden)
    threshold = fitted.word_threshold
    if fitted != calibration:  # there was enough to learn from
        labels = ~hidden.general
        close = fitted.words(hidden.normal[labels], 1.0)
        threshold = objective.threshold(close, hidden.relevant[labels])
    return hold_back(fitted, hidden, threshold, photos)


def _plain(figures: Mapping[str, float]) -> dict[str, float | None]:
    return {name: metrics.defined(value) for name, value in figures.items()}
