"""Turn a cosine into a probability that means the same for every query.

*Labels* are words that training saw. Their curve is learned from out-of-fold scores: one logistic
curve for all labels (Platt 1999, "Probabilistic outputs for support vector machines"), and on
request a shift for each label, which is smaller for labels with few photos.

Other *words* have no scores to learn from. Their scores are first made comparable between words, as
deviations from the word's mean over background photos (cohort normalization, as in speaker
verification; Auckenthaler, Carey and Lloyd-Thomas 2000). One logistic curve for all words is
learned from labels that were hidden from training. A word that is remote in meaning from the labels
and from the photos as a whole needs a higher score. How much higher is set by general words, which
hardly any photo shows: nearly all of them must stay without an answer.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from photosieve.decision import logistic
from photosieve.decision.metrics import Float64Array
from photosieve.errors import SieveError

NEAR_QUANTILE = 0.95
"""A word nearer to a label than this fraction of the general words is close to it, and its log odds
stay as they are."""

PRIOR_PHOTOS = 10
"""Photos that a first guess is worth: the average over all words as the background of a word, the
affinity to the photos as that to the labels, and the usual remoteness as the learned one."""

SHIFT_DEVIATION = 0.5
"""Prior standard deviation of a label's shift, in units of log odds."""

FALSE_ANSWERS = 0.01
"""Fraction of the questions with a general word in a building that may get an answer."""

MODESTY = 0.5
"""Log odds that a label on one photo is lowered by; with two photos by half of it, and so on. On
real listings this lifts macro and micro F1 by .007; on CLIP vectors it costs .02 of macro F1, and
the precision of such labels rises from .56 to .62."""

ENOUGH_PHOTOS = 10
"""Labels with so many photos are not lowered."""

LEAST = 1e-12
"""Log odds are those of a probability between this and 1 minus this."""

RIDGE = 0.1
"""Of the curves: keeps their slopes finite where scores tell right from wrong without a mistake."""

LEAST_HIDDEN = 30
"""With fewer positives, the curve for words is not fitted, and the default is used."""


@dataclass(frozen=True)
class Background:
    """Scores of one word over the background photos, as a normal distribution.

    Parameters
    ----------
    mean, deviation : float
    """

    mean: float
    deviation: float

    def normalize(self, scores: NDArray[np.floating[Any]]) -> Float64Array:
        """Return scores as deviations from the mean, in the same shape."""
        return np.asarray((scores - self.mean) / self.deviation, np.float64)


@dataclass(frozen=True)
class Nearness:
    """The units in which a word's cosine to something is judged: those of general words.

    The cosine is that to the nearest label, or the mean of those to the background photos.

    Parameters
    ----------
    near : float
        Cosine from which a word is close.
    unit : float
        Standard deviation of the cosines of general words.
    """

    near: float
    unit: float

    @classmethod
    def of(cls, cosines: NDArray[np.floating[Any]]) -> Nearness:
        """Take the units from the cosines of general words, (words,)."""
        if not len(cosines):
            return cls(0.0, 1.0)
        near = float(np.quantile(cosines, NEAR_QUANTILE))
        return cls(near, max(float(cosines.std()), 1e-3))

    def affinity(self, cosines: Any) -> Float64Array:
        """Return how far cosines are above `near`, in units; for most words below 0."""
        return np.asarray((np.asarray(cosines, np.float64) - self.near) / self.unit)


def joint_affinity(to_labels: Any, to_photos: Any, labeled: int) -> Float64Array:
    """Return how near words are to the labels and to the background photos as a whole.

    The few labels of a few photos say little about what a user may ask for. The photos say more:
    "kitchen" is near to photos of homes before anyone labels one, and "submarine" is not.

    Parameters
    ----------
    to_labels, to_photos : float or array (words,)
        Affinities, each in its own `Nearness`.
    labeled : int
        How many photos the labels come from. With none, the photos alone decide.
    """
    return np.asarray(_drawn(to_labels, to_photos, labeled), np.float64)


def background(scores: NDArray[np.floating[Any]], average: Background | None) -> Background:
    """Describe a word's background.

    Parameters
    ----------
    scores : array (photos,)
        Of the word over the background photos.
    average : Background, optional
        Of all words together; with few photos, the result lies close to it.
    """
    mean, variance = float(scores.mean()), float(scores.var())
    if average is not None:
        mean = _drawn(mean, average.mean, len(scores))
        variance = _drawn(variance, average.deviation**2, len(scores))
    return Background(mean, max(math.sqrt(variance), 1e-3))


def average_background(
    photos: NDArray[np.floating[Any]], words: NDArray[np.floating[Any]]
) -> Background:
    """Average the backgrounds of many words.

    Parameters
    ----------
    photos : array (photos, d)
        Embeddings of the background photos.
    words : array (words, d)
        Embeddings of general words.
    """
    scores = np.asarray(photos @ words.T, np.float64)  # (photos, words)
    # One photo alone shows no deviation; its scores for all words have one of the right size.
    variance = scores.var(0).mean() if len(scores) > 1 else scores.var()
    return Background(float(scores.mean()), max(math.sqrt(variance), 1e-3))


@dataclass(frozen=True)
class HiddenWords:
    """Scores of labels that were hidden from training, and of general words, on held-out photos.

    All arrays are (n,): one (photo, word) pair each.

    Parameters
    ----------
    normal : array
        Scores in deviations from the word's background.
    affinity : array
        Of the word to the labels that were not hidden and to the photos; see `joint_affinity`.
    relevant : array of bool
    general : array of bool
        Whether it is a general word, taken to be on no photo.
    question : array of int
        Pairs of one word in one building share a number.
    """

    normal: Float64Array
    affinity: Float64Array
    relevant: NDArray[np.bool_]
    general: NDArray[np.bool_]
    question: NDArray[np.intp]

    @classmethod
    def join(cls, parts: Sequence[HiddenWords]) -> HiddenWords:
        """Join several into one, with different numbers for their questions."""
        starts = np.cumsum([0, *(int(part.question.max(initial=-1)) + 1 for part in parts)])
        columns = {f.name: [getattr(part, f.name) for part in parts] for f in fields(cls)}
        columns["question"] = [
            part.question + start for part, start in zip(parts, starts, strict=False)
        ]
        return cls(**{name: np.concatenate(column) for name, column in columns.items()})


@dataclass(frozen=True)
class Calibration:
    """The curves that turn scores into probabilities.

    Parameters
    ----------
    slope, intercept : float
        Of the curve for labels: log odds = slope * score + intercept.
    shifts : mapping
        Added to the log odds of single labels; usually empty.
    word_slope, word_intercept : float
        Of the curve for other words: of normalized scores.
    remoteness : float
        Subtracted from the log odds of a word for each unit by which its affinity is below 0; see
        `Nearness`.
    word_threshold : float
        Photos with at least this probability match a word that is not a label.
    """

    slope: float
    intercept: float
    shifts: Mapping[str, float] = field(default_factory=dict)
    # Good values on listings and houses alike, for training sets that are too small to learn them.
    word_slope: float = 1.2
    word_intercept: float = -2.0
    remoteness: float = 1.5
    word_threshold: float = 0.3

    def labels(self, scores: NDArray[np.floating[Any]], labels: Sequence[str]) -> Float64Array:
        """Return the probabilities of labels, (photos, labels), from scores of that shape."""
        return probability(self.label_odds(scores, labels))

    def label_odds(self, scores: NDArray[np.floating[Any]], labels: Sequence[str]) -> Float64Array:
        """Return the log odds of labels, (photos, labels), from scores of that shape."""
        shifts = np.array([self.shifts.get(label, 0.0) for label in labels])
        odds = self.slope * np.asarray(scores, np.float64) + (self.intercept + shifts)
        return np.asarray(odds, np.float64)

    def label_score(self, odds: float, label: str) -> float:
        """Return the score of a label that has these log odds."""
        return (odds - self.intercept - self.shifts.get(label, 0.0)) / self.slope

    def word_score(self, odds: float, affinity: Any) -> float:
        """Return the normalized score of another word that has these log odds."""
        penalty = float(self.remoteness * _distance(affinity))
        return (odds + penalty - self.word_intercept) / self.word_slope

    def words(self, normal: NDArray[np.floating[Any]], affinity: Any) -> Float64Array:
        """Return the probabilities of other words, from normalized scores and affinities."""
        return probability(self.word_odds(normal, affinity))

    def word_odds(self, normal: NDArray[np.floating[Any]], affinity: Any) -> Float64Array:
        """Return the log odds of other words, from normalized scores and affinities."""
        penalty = self.remoteness * _distance(affinity)
        return np.asarray(self.word_slope * normal + (self.word_intercept - penalty), np.float64)

    def to_dict(self) -> dict[str, Any]:
        """Return a form for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> Calibration:
        """Read the form that `to_dict` returns.

        Raises
        ------
        SieveError
            If a number is missing or is not a number.
        """
        try:
            shifts = {str(label): float(shift) for label, shift in saved["shifts"].items()}
            numbers = {f.name: float(saved[f.name]) for f in fields(cls) if f.name != "shifts"}
            if not np.isfinite([*shifts.values(), *numbers.values()]).all():
                raise ValueError("a number is not finite")
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise SieveError(f"the saved calibration is damaged ({error!r}); train again") from None
        return cls(shifts=shifts, **numbers)


def fit_labels(
    scores: NDArray[np.floating[Any]],
    relevant: NDArray[np.bool_],
    labels: Sequence[str] = (),
    known: NDArray[np.bool_] | None = None,
) -> Calibration:
    """Fit the curve for labels, and a shift for each label that is named.

    Parameters
    ----------
    scores : array (photos, columns)
        Out-of-fold scores.
    relevant : array of bool (photos, columns)
    labels : sequence of str (columns,), optional
        Names of the columns, if shifts are to be fitted.
    known : array of bool (photos, columns), optional
        Pairs to fit to; by default all.
    """
    known = np.ones_like(relevant) if known is None else known
    slope, intercept = _logistic(scores[known][:, None], relevant[known])
    shifts = {}
    if labels:
        odds = slope * np.asarray(scores, np.float64) + intercept
        shifts = dict(zip(labels, _shifts(odds, relevant, known).tolist(), strict=True))
    return Calibration(slope, intercept, shifts)


def modest(
    calibration: Calibration, labels: Sequence[str], positives: NDArray[np.integer[Any]]
) -> Calibration:
    """Lower the log odds of labels that few photos have: they need more evidence.

    The curve is learned of all labels together, most of which have more photos to show what they
    mean. A label on one photo is often found wherever that photo's scene is.

    Parameters
    ----------
    calibration : Calibration
    labels : sequence of str (labels,)
    positives : array of int (labels,)
        Training photos that have each label.
    """
    lowered = {
        label: calibration.shifts.get(label, 0.0) - MODESTY / max(int(count), 1)
        for label, count in zip(labels, positives, strict=True)
        if count < ENOUGH_PHOTOS
    }
    return replace(calibration, shifts={**calibration.shifts, **lowered})


def fit_words(calibration: Calibration, hidden: HiddenWords) -> Calibration:
    """Fit the curve for words that are not labels; the default stays if there is too little."""
    labels = ~hidden.general
    if hidden.relevant.sum() < LEAST_HIDDEN or hidden.relevant[labels].all():
        return calibration
    slope, intercept = _logistic(hidden.normal[labels][:, None], hidden.relevant[labels])
    return replace(calibration, word_slope=slope, word_intercept=intercept)


def hold_back(
    calibration: Calibration, hidden: HiddenWords, threshold: float, photos: int
) -> Calibration:
    """Set the threshold for words and the remoteness.

    The remoteness is the smallest with which at most `FALSE_ANSWERS` of the questions with a
    general word get an answer. With few labeled photos, it lies close to that of the calibration:
    the extremes of a few photos are chance.
    """
    usual = calibration.remoteness
    calibration = replace(calibration, word_threshold=threshold, remoteness=0.0)
    if not hidden.general.any():
        return calibration
    questions, number = np.unique(hidden.question[hidden.general], return_inverse=True)
    odds = calibration.word_slope * hidden.normal[hidden.general] + calibration.word_intercept
    best = np.full(len(questions), -np.inf)
    np.maximum.at(best, number, odds)
    distance = np.zeros(len(questions))
    distance[number] = _distance(hidden.affinity[hidden.general])
    # The remoteness with which each question stays without an answer.
    needed = (best - math.log(threshold / (1 - threshold))) / np.maximum(distance, 1e-3)
    learned = float(np.quantile(np.maximum(needed, 0.0), 1 - FALSE_ANSWERS))
    return replace(calibration, remoteness=_drawn(learned, usual, photos))


def _drawn(own: Any, usual: Any, photos: int) -> Any:
    """Draw what some photos say towards what is usual, which is worth `PRIOR_PHOTOS` photos."""
    weight = photos / (photos + PRIOR_PHOTOS)
    return weight * own + (1 - weight) * usual


def _distance(affinity: Any) -> Any:
    return np.maximum(-np.asarray(affinity, np.float64), 0.0)


def _logistic(
    features: NDArray[np.floating[Any]], relevant: NDArray[np.bool_]
) -> tuple[float, float]:
    """Fit a logistic regression of one feature; return its weight, positive, and intercept."""
    if relevant.all() or not relevant.any():  # with one class only the rate can be learned
        rate = (relevant.sum() + 1) / (len(relevant) + 2)
        return 1.0, math.log(rate / (1 - rate))
    mean, deviation = features.mean(), max(features.std(), 1e-6)
    normal = np.asarray((features - mean) / deviation, np.float64)
    share = np.full((len(relevant), 1), 1 / len(relevant))
    slope, intercept = logistic.fit(normal, relevant[:, None], share, RIDGE / len(relevant))[:, 0]
    # A higher score must never mean less probable, so a slope that is not positive is replaced.
    weight = max(float(slope) / deviation, 1e-3)
    return weight, float(intercept - weight * mean)


def _shifts(
    odds: Float64Array, relevant: NDArray[np.bool_], known: NDArray[np.bool_]
) -> Float64Array:
    """Find each column's most likely shift of its log odds, (columns,), under a normal prior."""
    shift = np.zeros(odds.shape[1])
    for _ in range(20):  # Newton's method; the prior keeps the curvature away from zero
        expected = probability(odds + shift)
        slope = (known * (relevant - expected)).sum(0) - shift / SHIFT_DEVIATION**2
        curvature = (known * expected * (1 - expected)).sum(0) + 1 / SHIFT_DEVIATION**2
        shift = shift + np.clip(slope / curvature, -1, 1)
    return shift


def log_odds(probabilities: Any) -> Float64Array:
    """Log odds of probabilities, bounded for 0 and 1."""
    certain = np.clip(np.asarray(probabilities, np.float64), LEAST, 1 - LEAST)
    return np.asarray(np.log(certain / (1 - certain)))


def bounded(odds: NDArray[np.floating[Any]]) -> Float64Array:
    """Return log odds as `log_odds` gives them for their probabilities."""
    most = math.log((1 - LEAST) / LEAST)
    return np.asarray(np.clip(odds, -most, most), np.float64)


def probability(odds: NDArray[np.floating[Any]]) -> Float64Array:
    """Probabilities of log odds."""
    return np.asarray(1 / (1 + np.exp(-np.clip(odds, -700, 700))), np.float64)
