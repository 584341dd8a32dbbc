"""The objective of a cut: one number, macro-averaged over labels, that tuning maximizes.

It also says which threshold on probabilities is best for it in theory, if there is such a theory.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from photosieve.decision import metrics
from photosieve.decision.metrics import Counts, Float64Array
from photosieve.errors import UsageError

_F_SCORE = re.compile(r"f(1|2|0\.5)")
_BOUND = re.compile(r"(recall|precision)>=(0?\.\d+|1|1\.0)")


@dataclass(frozen=True)
class Objective:
    """A figure that a cut is tuned for, macro-averaged over labels.

    Parameters
    ----------
    name : str
        ``f1``, ``f2`` and ``f0.5`` are F scores. ``accuracy`` counts true negatives.
        ``recall>=0.9`` asks for the best precision among cuts with a recall of at least 0.9, and
        ``precision>=0.9`` for the best recall among cuts with such a precision.

    Raises
    ------
    UsageError
        If there is no such objective.
    """

    name: str

    def __post_init__(self) -> None:
        if not (_F_SCORE.fullmatch(self.name) or self.name == "accuracy" or self._bound):
            raise UsageError(
                f'there is no objective "{self.name}"; choose f1, f2, f0.5, accuracy, '
                "or a bound such as recall>=0.9 or precision>=0.9"
            )

    @property
    def _bound(self) -> tuple[str, float] | None:
        match = _BOUND.fullmatch(self.name)
        return (match[1], float(match[2])) if match else None

    def missed(self, figures: Mapping[str, float]) -> str:
        """Return a sentence if the figures do not reach the bound; else an empty text."""
        if not self._bound or figures[self._bound[0]] >= self._bound[1]:
            return ""
        name, least = self._bound
        return f"{name} {least:g} was not reached there; label more photos, or ask for less"

    def value(self, counts: Counts, axis: int = 0) -> Float64Array:
        """Return the macro value of counts; higher is better.

        For a bound, all cuts that reach it rank above all others: 1 + the other ratio. A value that
        is undefined for every label counts as 0.

        Parameters
        ----------
        counts : Counts
        axis : int
            The axis of labels, which is averaged away.
        """
        if self._bound:
            name, least = self._bound
            other = "precision" if name == "recall" else "recall"
            bounded = metrics.mean(getattr(counts, name), axis)
            value = np.where(
                bounded >= least, 1 + metrics.mean(getattr(counts, other), axis), bounded
            )
        elif self.name == "accuracy":
            value = metrics.mean(counts.accuracy, axis)
        else:
            value = metrics.mean(counts.f_beta(float(self.name[1:])), axis)
        return np.nan_to_num(value)

    def optimal_threshold(self, best: float) -> float | None:
        """Return the threshold on probabilities that is best in theory; None for a bound.

        For an F score it is F* / (1 + beta^2), where F* is the best F score that any threshold
        reaches (Lipton, Elkan and Naryanaswamy 2014, arXiv:1402.1892, theorem 1 for beta = 1). It
        varies much less between samples than the threshold at which F* was found. For the accuracy
        it is one half.

        Parameters
        ----------
        best : float
            The best value of the objective.
        """
        if self._bound:
            return None
        if self.name == "accuracy":
            return 0.5
        return min(max(best / (1 + float(self.name[1:]) ** 2), 0.01), 0.99)

    def threshold(self, probabilities: Float64Array, relevant: NDArray[np.bool_]) -> float:
        """Find the best threshold on the probabilities of single decisions.

        A cut keeps what is *above* its threshold, so the threshold lies halfway between the last
        probability that is kept and the next lower one. Equal probabilities share one decision.

        Parameters
        ----------
        probabilities : array (n,)
        relevant : array of bool (n,)
            Some of them True.
        """
        order = np.argsort(-probabilities, kind="stable")
        ranked = probabilities[order]
        last = np.flatnonzero(np.diff(ranked, append=-np.inf))  # of the photos that share a value
        tp = np.cumsum(relevant[order])[last].astype(np.float64)
        kept, positives = last + 1, tp[-1]
        counts = Counts(tp, kept - tp, positives - tp, len(order) - kept - positives + tp)
        values = self.value(counts[None])  # (steps,), as if it were a single label
        optimal = self.optimal_threshold(float(values.max()))
        if optimal is not None:
            return optimal
        step = int(values.argmax())
        lowest = float(ranked[last[step]])
        below = float(ranked[last[step + 1]]) if step + 1 < len(last) else 0.0
        middle = (lowest + below) / 2
        return middle if middle < lowest else below  # neighboring numbers have no middle


F1 = Objective("f1")
"""The default."""
