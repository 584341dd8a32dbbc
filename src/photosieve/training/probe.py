"""The probe: a linear classifier of labels on features, which starts from the text score.

The log odds of label l for a photo with features f, before calibration, are::

    a * (cos(photo, text of l) - m) / s  +  w_l . phi(f)  +  b_l

The first term is the pretrained model's own opinion in its own units: m and s are the mean and the
standard deviation of these cosines over training photos and labels. The second term corrects it by
what the labeled photos show; phi(f) is f less its mean over the training photos, scaled to length
1. Weights are penalized, not offsets, so that a label with few photos stays close to its text. A
label that no photo has, or each, keeps the text score alone. The problem is convex, and takes
milliseconds (`photosieve.decision.logistic`).

Of the family of LP++ (Huang et al. 2024, arXiv:2404.02285) and CLAP (Silva-Rodriguez et al. 2024,
arXiv:2312.12730), which mix or penalize towards text in the same spirit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from photosieve.decision import logistic
from photosieve.decision.calibration import probability
from photosieve.encoders.head import fingerprint, unit
from photosieve.encoders.protocol import Float32Array


@dataclass(frozen=True)
class ProbeSettings:
    """The two numbers that decide a probe.

    Parameters
    ----------
    text_weight : float
        The weight a of the text score, in log odds for each standard deviation.
    penalty : float
        Of the squared weights (half of it), against a loss whose weights sum to 1 for each label.
    """

    text_weight: float = 1.0
    penalty: float = 0.01


CAREFUL = ProbeSettings(1.0, 3e-2)
"""Settings of the probe that judges what partial lists leave out."""

SETTINGS = tuple(
    ProbeSettings(text_weight, penalty)
    for text_weight, penalty in (
        (1.0, 1e-2), (1.0, 3e-3), (2.0, 3e-3), (1.0, 3e-2),
        (1.0, 1e-3), (2.0, 1e-3), (1.0, 3e-4), (2.0, 3e-4),
    )
)  # fmt: skip
"""Settings that are tried on held-out photos: the default first, those farthest from it last."""


RIDGE = 0.3
"""Of the regression by which words inherit from labels, whose texts have length 1. With 0.1,
synonyms gain as much, and hidden labels lose more."""

LEAST_TRUST = 0.5
"""Agreement with a word from which a label passes on what it learned; at 1 in full."""


@dataclass(frozen=True)
class Inherited:
    """The score of a word that takes over what labels learned, as a sum of known scores.

    Parameters
    ----------
    vector : array (d,)
        To be compared with photos.
    columns : array of int (k,)
        The labels that it inherits from.
    weights : array (k,)
        Of their scores.
    constant : float
    """

    vector: Float32Array
    columns: NDArray[np.intp]
    weights: Float32Array
    constant: float

    def scores(self, vectors: Float32Array, labels: Float32Array) -> Float32Array:
        """Return the scores of photos, (n,), by their vectors, (n, d), and label scores."""
        return self.scores_of(vectors, labels[:, self.columns])

    def scores_of(self, vectors: Float32Array, labels: Float32Array) -> Float32Array:
        """Return the same by the scores of the labels in `columns` alone, (n, k)."""
        own = vectors @ self.vector + labels @ self.weights
        return np.asarray(own + self.constant, np.float32)


@dataclass(frozen=True)
class Probe:
    """A fitted probe.

    Parameters
    ----------
    texts : array (labels, d)
        Unit vectors of the labels, times a / s.
    mean : array (p,)
        Of the features of the training photos.
    weights : array (p, labels)
    bias : array (labels,)
    """

    texts: Float32Array
    mean: Float32Array
    weights: Float32Array
    bias: Float32Array

    def scores(self, features: Float32Array, vectors: Float32Array) -> Float32Array:
        """Return the log odds before calibration, (n, labels).

        Parameters
        ----------
        features : array (n, p)
        vectors : array (n, d)
            Unit vectors of the same photos.
        """
        own = unit(features - self.mean) @ self.weights
        return np.asarray(vectors @ self.texts.T + own + self.bias, np.float32)

    def inherited(self, word: Float32Array, agreement: NDArray[np.float64]) -> Inherited | None:
        """Return the score of a word that is no label, or None where no label passes anything on.

        What the probe adds to the text score of a label, it adds to that of a word as far as their
        texts are alike: a ridge regression from the texts of labels to their corrections, applied
        to the word. The corrections are known, as the scores of labels less their text scores, so
        that no weights are needed.

        Parameters
        ----------
        word : array (d,)
            A unit vector.
        agreement : array (labels,)
            Of the word with each label about the training photos; see `Agreement`.
        """
        trust = np.clip((agreement - LEAST_TRUST) / (1 - LEAST_TRUST), 0.0, 1.0)
        columns = np.flatnonzero(trust)
        if not len(columns):
            return None
        share, texts = np.sqrt(trust[columns]), self.texts[columns].astype(np.float64)
        per_cosine = float(np.linalg.norm(texts[0]))
        texts = texts / per_cosine  # unit vectors
        gram = (texts * share[:, None]) @ (texts.T * share) + RIDGE * np.eye(len(columns))
        weights = share * np.linalg.solve(gram, share * (texts @ word))
        return Inherited(
            vector=np.asarray(word - weights @ texts, np.float32),
            columns=columns,
            weights=np.asarray(weights / per_cosine, np.float32),
            constant=-float(weights @ self.bias[columns]) / per_cosine,
        )

    def arrays(self) -> dict[str, Float32Array]:
        """Return all arrays by name."""
        return asdict(self)

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Float32Array]) -> Self:
        """Read the output of `arrays`."""
        return cls(**arrays)

    def fingerprint(self) -> str:
        """Hash of all numbers and shapes."""
        return fingerprint(self.arrays())


@dataclass(frozen=True)
class Problem:
    """Training photos and labels, in the form in which a probe is found fast.

    Parameters
    ----------
    texts : array (labels, d)
        Unit vectors of the labels.
    cosines : array (n, labels)
        Of photos and labels.
    mean : array (p,)
    photos : array (n, p)
        The features as the probe sees them: centered, of length 1.
    base : array (n, r)
        Weights of photos, whose sums are an orthonormal base of the space of the photos.
    places : array (n, r)
        The photos in that base, in which the weights of labels are found.
    targets : array of bool (n, labels)
    pair_weights : array (n, labels)
        Of each pair in the loss.
    """

    texts: Float32Array
    cosines: NDArray[np.float64]
    mean: Float32Array
    photos: Float32Array
    base: NDArray[np.float64]
    places: Float32Array
    targets: NDArray[np.bool_]
    pair_weights: NDArray[np.float64]

    @classmethod
    def of(
        cls,
        features: Float32Array,
        vectors: Float32Array,
        texts: Float32Array,
        targets: NDArray[np.bool_],
        known: NDArray[np.bool_],
        silent: NDArray[np.bool_],
    ) -> Problem:
        """Prepare the training photos.

        Parameters
        ----------
        features : array (n, p)
        vectors : array (n, d)
            Unit vectors of the photos by the pretrained encoder.
        texts : array (labels, d)
            Unit vectors of the labels.
        targets, known : array of bool (n, labels)
            Whether each photo has each label, and whether this is known.
        silent : array of bool (n, labels)
            Unknown pairs that a partial list leaves out. They count as negatives as far as a first,
            careful probe finds them improbable: a person who names some labels leaves out few that
            are obvious. Masking them instead leaves next to no negatives (Cole et al. 2021,
            arXiv:2106.09708, compare such assumptions).
        """
        mean = features.mean(0)
        photos = unit(features - mean)
        # The products of photos say all of it, and are much smaller than the features.
        wide = photos.astype(np.float64)
        squares, base = np.linalg.eigh(wide @ wide.T)
        spans = squares > 1e-12 * squares.max(initial=1e-24)
        sizes, base = np.sqrt(squares[spans]), base[:, spans]
        problem = cls(
            texts=texts,
            cosines=np.asarray(vectors @ texts.T, np.float64),
            mean=np.asarray(mean, np.float32),
            photos=photos,
            base=base / sizes,
            places=np.asarray(base * sizes, np.float32),
            targets=targets,
            pair_weights=balanced_weights(targets & known, (~targets & known) | silent),
        )
        if not silent.any():
            return problem
        doubt = probability(-problem.solve(CAREFUL).scores(features, vectors).astype(np.float64))
        negatives = np.where(silent, doubt, ~targets & known)
        return replace(problem, pair_weights=balanced_weights(targets & known, negatives))

    def solve(self, settings: ProbeSettings) -> Probe:
        """Find the probe with these settings."""
        return next(self.solve_all([settings]))

    def solve_all(self, settings: Iterable[ProbeSettings]) -> Iterator[Probe]:
        """Find the probe with each of several settings, from one to the next."""
        center, deviation = self.cosines.mean(), max(self.cosines.std(), 1e-6)
        found = None
        for one in settings:
            per_cosine = one.text_weight / deviation
            offsets = per_cosine * (self.cosines - center)  # (n, labels)
            found = logistic.fit(
                self.places, self.targets, self.pair_weights, one.penalty, offsets, found
            )
            weights = self.photos.T @ np.asarray(self.base @ found[:-1], np.float32)
            yield Probe(
                texts=np.asarray(per_cosine * self.texts, np.float32),
                mean=self.mean,
                weights=np.asarray(weights, np.float32),
                bias=np.asarray(found[-1] - per_cosine * center, np.float32),
            )


def balanced_weights(
    yes: NDArray[np.bool_], no: NDArray[np.bool_] | NDArray[np.float64]
) -> NDArray[np.float64]:
    """Weights of pairs, (n, labels): half for the positives of a label, half for its negatives.

    So a label on one photo in fifty is not drowned (King and Zeng 2001, "Logistic regression in
    rare events data"). Labels without positives or without negatives weigh 0: nothing can be
    learned of them.
    """
    weights = sum(half / np.maximum(2 * half.sum(0), 1e-12) for half in (yes, no))
    return np.asarray(weights * (yes.any(0) & no.any(0)))
