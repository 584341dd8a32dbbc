"""Words linked to labels: a word that means what a label means is decided as that label is.

A word alone is decided by the pretrained model's score. Where it means the same as a label ("couch"
and "sofa"), the label's classifier knows more. Meaning is judged twice: the texts have to be near,
and the word's own scores have to tell the training photos of the label from the others.
"""

from __future__ import annotations

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


def link_weights(
    word: Float32Array,
    labels: Float32Array,
    nearness: Nearness,
    agreement: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return how far each label decides about a word, (labels,), at most 1 in all.

    Parameters
    ----------
    word : array (d,)
        A unit vector.
    labels : array (labels, d)
        Unit vectors.
    nearness : Nearness
    agreement : array (labels,)
        Of the word with each label about the training photos; see `Agreement`.
    """
    if not len(labels):
        return np.zeros(0)
    affinity = nearness.affinity(labels @ word)  # (labels,)
    best = affinity.max()
    close = np.clip((best - FAR) / (CLOSE - FAR), 0.0, 1.0)
    among = np.exp((affinity - best) / SPREAD)
    agreeing = np.clip((agreement - LEAST_AGREEMENT) / (1 - LEAST_AGREEMENT), 0.0, 1.0)
    return np.asarray(close * agreeing * among / among.sum())
