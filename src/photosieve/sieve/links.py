"""Words linked to labels: a word that means what a label means is decided as that label is.

A word alone is decided by the pretrained model's score. Where it means the same as a label ("couch"
and "sofa"), the label's classifier knows more. Meaning is judged twice. The texts have to be near.
That is not enough: "bath" is as near to "bedroom" as "couch" is to "sofa", and two labels can be
near because they exclude each other. So the word's own scores have to tell the training photos of
the label from the others, nearly as well as the text of the label itself does.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from photosieve.decision.calibration import Nearness
from photosieve.encoders.protocol import Float32Array

FAR, CLOSE = -0.5, 1.0
"""Affinity from which a word is linked, and from which it is linked in full; see `Nearness`."""

SPREAD = 0.35
"""Of a word over several labels: affinities that differ by this are e times as different."""

LEAST_AGREEMENT = 0.7
"""Of word and label about the training photos, from which they are linked; at 1 in full."""

LEAST_SEPARATION = 0.1
"""Labels that their own text tells apart less well than this are judged as if it were this."""


@dataclass(frozen=True)
class Links:
    """What words are linked to.

    Parameters
    ----------
    labels : array (labels, d)
        Unit vectors.
    nearness : Nearness
    photos : array (n, d)
        Unit vectors of the training photos.
    contrast : array (n, labels)
        Weights with which ranks of photos become the separation of a label.
    """

    labels: Float32Array
    nearness: Nearness
    photos: Float32Array
    contrast: NDArray[np.float64]

    @classmethod
    def of(
        cls,
        labels: Float32Array,
        nearness: Nearness,
        photos: Float32Array,
        verdicts: NDArray[np.int8],
    ) -> Links:
        """Take what is known of the training photos: 1 for yes, 0 for no, -1 for unknown."""
        yes, no = verdicts == 1, verdicts == 0
        both = yes.any(0) & no.any(0)
        mean_yes, mean_no = (part / np.maximum(part.sum(0), 1) for part in (yes, no))
        return cls(labels, nearness, photos, (mean_yes - mean_no) * both / max(len(photos), 1))

    def weights(self, word: Float32Array) -> NDArray[np.float64]:
        """Return how far each label decides about a word, (labels,), at most 1 in all.

        Parameters
        ----------
        word : array (d,)
            A unit vector.
        """
        if not len(self.labels) or not self.contrast.any():
            return np.zeros(len(self.labels))
        affinity = self.nearness.affinity(self.labels @ word)  # (labels,)
        best = affinity.max()
        close = np.clip((best - FAR) / (CLOSE - FAR), 0.0, 1.0)
        if not close:
            return np.zeros(len(self.labels))
        among = np.exp((affinity - best) / SPREAD)
        agreement = self._separations(word) / np.maximum(self._own, LEAST_SEPARATION)
        agreeing = np.clip((agreement - LEAST_AGREEMENT) / (1 - LEAST_AGREEMENT), 0.0, 1.0)
        return np.asarray(close * agreeing * among / among.sum())

    @functools.cached_property
    def _own(self) -> NDArray[np.float64]:
        """How well each label's own text tells its photos apart, (labels,)."""
        columns = enumerate(self.labels)
        return np.array([self._separations(text)[column] for column, text in columns])

    def _separations(self, text: Float32Array) -> NDArray[np.float64]:
        """How well a text's scores tell the photos of each label apart, (labels,): AUC - 0.5."""
        ranks = np.argsort(np.argsort(self.photos @ text))
        return np.asarray(ranks @ self.contrast)


def verdicts(targets: NDArray[np.bool_], known: NDArray[np.bool_]) -> NDArray[np.int8]:
    """Put yes, no and unknown into one array: 1, 0 and -1."""
    return np.where(known, targets, -1).astype(np.int8)
