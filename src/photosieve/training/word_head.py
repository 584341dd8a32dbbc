"""A head for words that no label mentions: it takes over, through meaning, what a probe learned.

A probe corrects the scores of labels. A word that means nearly the same should be corrected alike,
one that means something else not at all. So the corrections are spread over all of text space by a
ridge regression from the texts of the labels, T, (labels, d), to their weights, W, (p, labels)::

    D = W (T T' + 1)^-1 T                                                              (p, d)

and a photo's vector becomes its pretrained one plus a share of ``(f - mean) @ D``, in standard
deviations of the pretrained scores. With centered texts a word that is far from all labels is at a
right angle to T, and keeps its scores. It is a closed form: training a head by gradients takes a
hundred times as long, and ranks words beside the labels worse.
"""

from __future__ import annotations

import numpy as np

from photosieve.encoders.head import LinearHead
from photosieve.encoders.protocol import Float32Array
from photosieve.training.probe import ProbeSettings, Problem

SHARES = (0.0, 0.35, 0.7)
"""How much of the correction words get: these are tried on hidden labels."""


def word_head(
    start: LinearHead,
    features: Float32Array,
    problem: Problem,
    weights: Float32Array,
    settings: ProbeSettings,
    share: float,
) -> LinearHead:
    """Return the pretrained head with a share of a probe's corrections.

    Parameters
    ----------
    start : LinearHead
        Pretrained.
    features : array (n, p)
        Of the training photos.
    problem : Problem
        Of these photos.
    weights : array (p, labels)
        The probe's.
    settings : ProbeSettings
        The probe's.
    share : float
    """
    if not share:
        return start
    score = problem.text_score
    texts = score.texts.astype(np.float64)
    spread = np.linalg.solve(texts @ texts.T + np.eye(len(texts)), texts)  # (labels, d)
    correction = weights @ spread / settings.text_weight  # (p, d), in standard deviations
    spoke = float(np.linalg.norm((features - start.photo_mean) @ start.photo, axis=1).mean())
    radius = float(np.sqrt(((features - problem.mean) ** 2).sum(1).mean()))
    by_text = start.photo / max(spoke * score.deviation, 1e-12)
    by_photo = share * correction / max(radius, 1e-12)
    photo = by_text + by_photo
    # The constant of both maps, as a mean of features: the smallest that gives it.
    constant = start.photo_mean @ by_text + problem.mean @ by_photo  # (d,)
    mean = photo @ np.linalg.lstsq(photo.T @ photo, constant, rcond=None)[0]
    return LinearHead(
        photo_mean=np.asarray(mean, np.float32),
        photo=np.asarray(photo, np.float32),
        text_mean=start.text_mean,
        text=start.text,
    )
