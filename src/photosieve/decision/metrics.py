"""Measure answers: counts, ratios, average precision, reliability, intervals. Pure numpy.

Terms are those of scikit-learn. A ratio whose denominator is zero is not a number (``nan``) here
and ``null`` in JSON; averages leave it out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Float64Array = NDArray[np.float64]


_BLOCK = 2**20
"""Weights of photos at a time, so that the memory of a bootstrap does not grow with the photos."""


def ratio(numerator: ArrayLike, denominator: ArrayLike) -> Float64Array:
    """Divide element by element; a division by zero gives nan, without a warning."""
    top, bottom = np.asarray(numerator, np.float64), np.asarray(denominator, np.float64)
    out = np.full(np.broadcast(top, bottom).shape, np.nan)
    np.divide(top, bottom, out=out, where=bottom != 0)
    return out


def defined(value: ArrayLike) -> float | None:
    """Return a number for JSON and tables; None if it is nan."""
    number = float(np.asarray(value))
    return None if np.isnan(number) else number


def shown_number(value: float) -> str:
    """Return a figure with three decimals for people; "n/a" if it is nan."""
    return "n/a" if np.isnan(value) else f"{value:.3f}"


@dataclass(frozen=True)
class Counts:
    """True and false positives and negatives, as arrays of one common shape.

    The caller chooses the shape: ``()`` for one query, ``(labels,)`` for a table,
    ``(draws, labels)`` for a bootstrap. Every ratio has the same shape.
    """

    tp: Float64Array
    fp: Float64Array
    fn: Float64Array
    tn: Float64Array

    @classmethod
    def of(
        cls, kept: ArrayLike, relevant: ArrayLike, axis: int = -1, known: ArrayLike = True
    ) -> Counts:
        """Count along `axis`, by whether photos were returned and whether they are right.

        Parameters
        ----------
        kept, relevant : array_like of bool, one shape
        axis : int
            The axis of photos, which is summed away.
        known : array_like of bool
            Of the same shape: where it is False, relevance is unknown, and nothing is counted.
        """
        kept, relevant = np.asarray(kept, bool), np.asarray(relevant, bool)
        pairs = (kept & relevant, kept & ~relevant, ~kept & relevant, ~kept & ~relevant)
        return cls(*((pair & known).sum(axis, dtype=np.float64) for pair in pairs))

    @classmethod
    def stack(cls, counts: Sequence[Counts]) -> Counts:
        """Put counts of one shape side by side, along a new first axis."""
        return cls(*(np.stack(parts) for parts in zip(*(c.parts for c in counts), strict=True)))

    @property
    def parts(self) -> tuple[Float64Array, Float64Array, Float64Array, Float64Array]:
        """The four arrays."""
        return self.tp, self.fp, self.fn, self.tn

    def sum(self, axis: int | None = None) -> Counts:
        """Add up along an axis (all of them by default): the micro average's counts."""
        return Counts(*(np.asarray(part.sum(axis)) for part in self.parts))

    def drawn(self, weights: Float64Array) -> Counts:
        """Add up along the first axis, (n, ...), by weights, (draws, n): (draws, ...)."""
        return Counts(*(weights @ part for part in self.parts))

    def __getitem__(self, key: Any) -> Counts:
        """Index or slice all four counts alike."""
        return Counts(*(np.asarray(part[key]) for part in self.parts))

    @property
    def returned(self) -> Float64Array:
        """How many photos were returned."""
        return self.tp + self.fp

    @property
    def support(self) -> Float64Array:
        """How many photos are right."""
        return self.tp + self.fn

    @property
    def precision(self) -> Float64Array:
        """Fraction of the returned photos that are right; nan when none was returned."""
        return ratio(self.tp, self.returned)

    @property
    def recall(self) -> Float64Array:
        """Fraction of the right photos that were returned; nan when none is right."""
        return ratio(self.tp, self.support)

    @property
    def f1(self) -> Float64Array:
        """Harmonic mean of precision and recall; nan when nothing is right and none returned."""
        return self.f_beta(1.0)

    def f_beta(self, beta: float) -> Float64Array:
        """Weighted harmonic mean: recall counts `beta` times as much as precision."""
        right = (1 + beta**2) * self.tp
        return ratio(right, right + self.fp + beta**2 * self.fn)

    @property
    def accuracy(self) -> Float64Array:
        """Fraction of all photos decided rightly. True negatives count, and usually dominate."""
        return ratio(self.tp + self.tn, self.tp + self.fp + self.fn + self.tn)


def mean(values: ArrayLike, axis: int | None = None) -> Float64Array:
    """Return the average of the values that are not nan; nan, without a warning, if all are."""
    values = np.asarray(values, np.float64)
    defined = ~np.isnan(values)
    return ratio(np.where(defined, values, 0.0).sum(axis), defined.sum(axis))


def average_precision(
    scores: ArrayLike, relevant: ArrayLike, weights: ArrayLike | None = None
) -> Float64Array:
    """Average precision of one ranked list: the area under its precision-recall steps.

    The definition of ``sklearn.metrics.average_precision_score``, equal scores taken together.

    Parameters
    ----------
    scores : array_like (photos,)
        Higher is better.
    relevant : array_like of bool (photos,)
    weights : array_like (..., photos), optional
        How often each photo counts: several rows of weights give several results in one go. One
        whose relevance is unknown counts 0 times.

    Returns
    -------
    array (...)
        Between 0 and 1; nan when no photo is relevant.
    """
    precision, recall, _ = precision_recall_curve(scores, relevant, weights)
    gained = np.diff(recall, axis=-1, prepend=0.0)
    # Before the first weighted photo precision is undefined and nothing is gained.
    area = np.where(gained == 0, 0.0, gained * precision).sum(-1)
    return np.asarray(area)


def average_precisions(
    scores: NDArray[np.floating[Any]], relevant: NDArray[np.bool_], known: NDArray[np.bool_]
) -> Float64Array:
    """`average_precision` of each label, (labels,); nan for labels that no photo has.

    Parameters
    ----------
    scores : array (photos, labels)
    relevant, known : array of bool (photos, labels)
    """
    columns = zip(scores.T, relevant.T, known.T, strict=True)
    return np.array([float(average_precision(*column)) for column in columns])


def mean_average_precision(
    scores: Float64Array, relevant: NDArray[np.bool_], known: NDArray[np.bool_]
) -> float:
    """Mean of `average_precisions`; labels that no photo has do not count."""
    return float(mean(average_precisions(scores, relevant, known)))


def drawn_average_precision(
    scores: Float64Array,
    relevant: NDArray[np.bool_],
    known: NDArray[np.bool_],
    members: NDArray[np.intp],
    weights: Float64Array,
) -> Float64Array:
    """Mean average precision with weights for groups of photos, (draws,), some draws at a time.

    Parameters
    ----------
    scores : array (photos, labels)
    relevant, known : array of bool (photos, labels)
    members : array of int (photos,)
        The group of each photo.
    weights : array (draws, groups)
    """
    step, columns = max(1, _BLOCK // max(len(scores), 1)), (scores.T, relevant.T, known.T)
    blocks = [np.zeros(0)]
    for start in range(0, len(weights), step):
        by_photo = weights[start : start + step, members]  # (draws, photos)
        found = [
            average_precision(own, right, by_photo * sure)
            for own, right, sure in zip(*columns, strict=True)
        ]
        blocks.append(mean(found, 0))
    return np.concatenate(blocks)


def first_within_noise(values: NDArray[np.float64]) -> int:
    """Return the first row whose mean over columns is the best, to half a standard error.

    The error is that of the differences to the best row, column by column. Breiman et al. (1984),
    "Classification and regression trees", section 3.4.3, take a whole one; on real photos that
    costs .012 of mean average precision.

    Parameters
    ----------
    values : array (options, columns)
        The preferred option first; columns of nan do not count.
    """
    values = values[:, ~np.isnan(values).any(0)]
    if not values.shape[1]:
        return 0
    lost = values[values.mean(1).argmax()] - values  # (options, columns)
    error = lost.std(1) / np.sqrt(values.shape[1])
    return int(np.flatnonzero(lost.mean(1) <= error / 2)[0])


def precision_recall_curve(
    scores: ArrayLike, relevant: ArrayLike, weights: ArrayLike | None = None
) -> tuple[Float64Array, Float64Array, Float64Array]:
    """Precision and recall at each distinct score, used as a threshold, from the highest down.

    Returns
    -------
    precision, recall : arrays (..., steps)
        Recall is nan throughout when no photo is relevant.
    thresholds : array (steps,)
    """
    scores, relevant = np.asarray(scores, np.float64), np.asarray(relevant, bool)
    count = np.ones(len(scores)) if weights is None else np.asarray(weights, np.float64)
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    steps = np.flatnonzero(np.diff(ranked, append=-np.inf))  # the last photo of each score
    found = (count * relevant)[..., order].cumsum(-1)
    returned = count[..., order].cumsum(-1)
    return (
        ratio(found[..., steps], returned[..., steps]),
        ratio(found[..., steps], found[..., -1:]),
        ranked[steps],
    )


@dataclass(frozen=True)
class Reliability:
    """Reliability of probabilities: decisions in bins, with the fraction that is relevant in each.

    Parameters
    ----------
    predicted : array (bins,)
        Mean probability in each bin; nan where the bin is empty.
    observed : array (bins,)
        Fraction in each bin that is relevant; nan where the bin is empty.
    counts : array (bins,)
        Decisions in each bin.
    """

    predicted: Float64Array
    observed: Float64Array
    counts: Float64Array

    @classmethod
    def of(cls, probabilities: ArrayLike, relevant: ArrayLike, bins: int = 10) -> Reliability:
        """Bin decisions by probability, in bins of equal width.

        Parameters
        ----------
        probabilities : array_like
            Between 0 and 1. A probability between two bins belongs to the upper one.
        relevant : array_like of bool, same shape
        bins : int
        """
        predicted = np.asarray(probabilities, np.float64).ravel()
        right = np.asarray(relevant, np.float64).ravel()
        number = np.minimum((predicted * bins).astype(np.intp), bins - 1)  # 1 is in the last bin
        counts = np.bincount(number, minlength=bins).astype(np.float64)
        return cls(
            predicted=ratio(np.bincount(number, predicted, bins), counts),
            observed=ratio(np.bincount(number, right, bins), counts),
            counts=counts,
        )

    @property
    def error(self) -> float:
        """Expected calibration error: how far the probabilities are off, on average.

        The gap between `predicted` and `observed`, averaged over bins, each weighted by its count
        (Naeini, Cooper and Hauskrecht, 2015; Guo et al., 2017, equation 3), here of the probability
        that a photo is relevant, not of the confidence in a chosen class. Between 0 and 1, 0 is
        best; nan when there is no decision.
        """
        gaps = np.where(self.counts > 0, np.abs(self.predicted - self.observed), 0.0)
        return float(ratio(self.counts @ gaps, self.counts.sum()))


@dataclass(frozen=True)
class Interval:
    """A central estimate with the ends of its interval, which are nan where there is none."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        """Print as `0.885 [0.861, 0.906]`; `0.885 [n/a]` where there is no interval."""
        ends = "n/a" if np.isnan(self.low) else f"{self.low:.3f}, {self.high:.3f}"
        return f"{shown_number(self.value)} [{ends}]"

    @property
    def ends(self) -> str:
        """Both ends in words, as `0.861 to 0.906`; "n/a" where there is no interval."""
        return "n/a" if np.isnan(self.low) else f"{self.low:.3f} to {self.high:.3f}"


def bootstrap_weights(groups: int, draws: int, seed: int) -> Float64Array:
    """Return how often each group is drawn when as many groups are drawn with replacement.

    Photos of one building resemble one another, so buildings are drawn and not photos (the cluster
    bootstrap: Davison and Hinkley, 1997, section 3.8).

    Returns
    -------
    array (draws, groups)
        Each row sums to `groups`.
    """
    rng = np.random.default_rng(seed)
    return rng.multinomial(groups, np.full(groups, 1 / groups), size=draws).astype(np.float64)


def percentile_interval(value: float, draws: ArrayLike) -> Interval:
    """Interval that holds the middle 95 % of the bootstrap's draws."""
    defined = np.asarray(draws, np.float64)
    defined = defined[~np.isnan(defined)]
    if not len(defined):
        return Interval(value, np.nan, np.nan)
    low, high = np.quantile(defined, [0.025, 0.975])
    return Interval(value, float(low), float(high))
