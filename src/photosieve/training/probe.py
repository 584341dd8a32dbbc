"""The probe: a linear classifier of labels on features, which starts from the text score.

The log odds of label l for a photo with features f, before calibration, are::

    a * (cos(photo, text of l) - m) / s  +  w_l . phi(f)  +  b_l

The first term is the pretrained model's own opinion in its own units: m and s are the mean and the
standard deviation of these cosines over training photos and labels. The second term corrects it by
what the labeled photos show; phi(f) is f less its mean over the training photos, scaled to length
1. Weights are penalized, not offsets, so that a label with few photos stays close to its text. A
label that no photo has, or each, keeps the text score alone. The problem is convex, and takes milliseconds.

Of the family of LP++ (Huang et al. 2024, arXiv:2404.02285) and CLAP (Silva-Rodriguez et al. 2024,
arXiv:2312.12730), which mix or penalize towards text in the same spirit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from photosieve.encoders.head import fingerprint, unit
from photosieve.encoders.protocol import Float32Array, Head

SILENCE = 0.3
"""Weight of a pair that a partial list leaves out, as a negative, against a known negative."""

ITERATIONS = 60
"""Of L-BFGS; more change nothing that can be measured."""


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


PENALTIES = (3e-2, 1e-2, 3e-3, 1e-3, 3e-4)
TEXT_WEIGHTS = (2.0, 1.0)
"""Values that are tried on held-out photos, those that stay closest to the text first."""


@dataclass(frozen=True)
class TextScore:
    """The pretrained model's scores of the labels, in standard deviations.

    Parameters
    ----------
    texts : array (labels, d)
        Unit vectors of the labels by the pretrained encoder.
    mean, deviation : float
        Of the cosines of training photos and labels.
    """

    texts: Float32Array
    mean: float
    deviation: float

    @classmethod
    def of(cls, photos: Float32Array, texts: Float32Array) -> TextScore:
        """Take mean and deviation from unit vectors of training photos, (n, d)."""
        cosines = photos @ texts.T
        return cls(texts, float(cosines.mean()), max(float(cosines.std()), 1e-6))

    def __call__(self, photos: Float32Array) -> NDArray[np.float64]:
        """Return the scores of unit vectors of photos, (n, d): (n, labels)."""
        return np.asarray((photos @ self.texts.T - self.mean) / self.deviation, np.float64)


@dataclass(frozen=True)
class Probe:
    """A fitted probe.

    Parameters
    ----------
    photo_mean : array (p,)
    photo : array (p, d)
        The pretrained map of photos: their unit vectors are those of ``(f - photo_mean) @ photo``.
        Of width 0 where the features are the unit vectors themselves.
    texts : array (labels, d)
        Vectors of the labels, times a / s.
    mean : array (p,)
        Of the features of the training photos.
    weights : array (p, labels)
    bias : array (labels,)
    """

    photo_mean: Float32Array
    photo: Float32Array
    texts: Float32Array
    mean: Float32Array
    weights: Float32Array
    bias: Float32Array

    @property
    def on_vectors(self) -> bool:
        """Whether its features are the unit vectors of a trained head."""
        return not self.photo.size

    def scores(self, features: Float32Array) -> Float32Array:
        """Return the log odds before calibration, (n, labels), of features, (n, p)."""
        photos = features
        if not self.on_vectors:
            photos = unit((features - self.photo_mean) @ self.photo)
        own = unit(features - self.mean) @ self.weights
        return np.asarray(photos @ self.texts.T + own + self.bias, np.float32)

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


def fit_probe(
    features: Float32Array,
    start: Head | None,
    texts: Float32Array,
    targets: NDArray[np.bool_],
    known: NDArray[np.bool_],
    silent: NDArray[np.bool_],
    settings: ProbeSettings,
) -> Probe:
    """Fit a probe.

    Positives and negatives of a label carry half of its weight each, so that a label on one photo
    in fifty is not drowned (King and Zeng 2001, "Logistic regression in rare events data").

    Parameters
    ----------
    features : array (n, p)
        Of the training photos.
    start : LinearHead or None
        The pretrained head; None where the features are unit vectors of photos already.
    texts : array (labels, d)
        Unit vectors of the labels.
    targets : array of bool (n, labels)
    known : array of bool (n, labels)
        Whether each of them is known; unknown pairs teach nothing.
    silent : array of bool (n, labels)
        Pairs that a partial list leaves out; see `SILENCE`.
    settings : ProbeSettings

    Returns
    -------
    Probe
    """
    return Problem.of(features, start, texts, targets, known, silent).solve(settings)


@dataclass(frozen=True)
class Problem:
    """Training photos and labels, in the form in which a probe is found fast.

    Parameters
    ----------
    photo_mean, photo : array (p,), array (p, d)
        See `Probe`.
    text_score : TextScore
    standing : array (n, labels)
        The text scores.
    mean : array (p,)
    rows : array (r, p)
        An orthonormal base of what the photos span, and so of the weights.
    places : array (n, r)
        The photos in that base.
    targets : array of bool (n, labels)
    pair_weights : array (n, labels)
        Of each pair in the loss.
    """

    photo_mean: Float32Array
    photo: Float32Array
    text_score: TextScore
    standing: NDArray[np.float64]
    mean: Float32Array
    rows: NDArray[np.float64]
    places: NDArray[np.float64]
    targets: NDArray[np.bool_]
    pair_weights: NDArray[np.float64]

    @classmethod
    def of(
        cls,
        features: Float32Array,
        start: Head | None,
        texts: Float32Array,
        targets: NDArray[np.bool_],
        known: NDArray[np.bool_],
        silent: NDArray[np.bool_],
    ) -> Problem:
        """Prepare; parameters as for `fit_probe`."""
        if start is None:
            width = features.shape[1]
            photo_mean, photo = np.zeros(width, np.float32), np.zeros((width, 0), np.float32)
            photos = features
        else:
            arrays = start.arrays()
            photo_mean, photo = arrays["photo_mean"], arrays["photo"]
            photos = start.project_photos(features)
        text_score = TextScore.of(photos, texts)
        mean = features.mean(0)
        places, sizes, rows = np.linalg.svd(
            unit(features - mean).astype(np.float64), full_matrices=False
        )
        rank = int((sizes > 1e-6 * sizes.max(initial=1e-12)).sum())
        return cls(
            photo_mean=photo_mean,
            photo=photo,
            text_score=text_score,
            standing=text_score(photos),
            mean=np.asarray(mean, np.float32),
            rows=rows[:rank],
            places=places[:, :rank] * sizes[:rank],
            targets=targets,
            pair_weights=balanced_weights(targets, known, silent),
        )

    def solve(self, settings: ProbeSettings) -> Probe:
        """Find the probe with these settings."""
        from scipy.optimize import minimize

        places, weights, labels = self.places, self.pair_weights, self.targets.shape[1]
        rank = places.shape[1]
        sign = np.where(self.targets, 1.0, -1.0)
        offset = settings.text_weight * self.standing  # (n, labels)

        def loss(values: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
            inner = values.reshape(rank + 1, labels)
            w, b = inner[:rank], inner[rank]
            margins = sign * (offset + places @ w + b)  # (n, labels)
            slope = -weights * sign * _sigmoid(-margins)
            total = float((weights * np.logaddexp(0, -margins)).sum())
            total += settings.penalty / 2 * float((w * w).sum())
            gradient = np.vstack([places.T @ slope + settings.penalty * w, slope.sum(0)])
            return total, gradient.ravel()

        found = minimize(
            loss, np.zeros((rank + 1) * labels), jac=True, method="L-BFGS-B",
            options={"maxiter": ITERATIONS},
        ).x.reshape(rank + 1, labels)  # fmt: skip
        score = self.text_score
        per_cosine = settings.text_weight / score.deviation
        return Probe(
            photo_mean=self.photo_mean,
            photo=self.photo,
            texts=np.asarray(per_cosine * score.texts, np.float32),
            mean=self.mean,
            weights=np.asarray(self.rows.T @ found[:rank], np.float32),
            bias=np.asarray(found[rank] - per_cosine * score.mean, np.float32),
        )


def balanced_weights(
    targets: NDArray[np.bool_], known: NDArray[np.bool_], silent: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Weights of pairs, (n, labels): half for the positives of a label, half for its negatives.

    Unknown pairs weigh 0, or little where a list is silent about them. Labels without positives or
    without negatives weigh 0: nothing can be learned of them.
    """
    yes = (targets & known).astype(np.float64)
    no = (~targets & known) + SILENCE * silent
    weights = sum(half / np.maximum(2 * half.sum(0), 1e-12) for half in (yes, no))
    return np.asarray(weights * (yes.any(0) & no.any(0)))


def _sigmoid(odds: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(0.5 * (1 + np.tanh(odds / 2)))
