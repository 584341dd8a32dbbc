"""Guess labels that the sieve in use does not know, from the photos labeled so far."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from photosieve.encoders.protocol import Float32Array
from photosieve.training.probe import ProbeSettings, Problem, balanced_weights

DEVIATIONS = 1.25
"""Standard deviations above the mean from which on a word is guessed. On real listings, at 1 the F1
is the same and people have to correct a third more guesses; from 1.5 on it falls."""

MOST_EXAMPLES = 500
"""Labeled photos that a guess learns from; more take longer than a request should."""


def guess(
    labeled: Float32Array,
    targets: NDArray[np.bool_],
    known: NDArray[np.bool_],
    texts: Float32Array,
    photos: Float32Array,
) -> Float32Array:
    """Guess labels by a small probe with the usual settings, in milliseconds.

    From the first labeled photo on this is better than the words of the labels alone, and from a
    dozen on better than the labels of the most similar photo; see `benchmarks/proposals.py`.

    Parameters
    ----------
    labeled : array (m, d)
        Unit vectors of the labeled photos.
    targets : array of bool (m, labels)
        Whether each has each label.
    known : array of bool (m, labels)
        Whether this is known.
    texts : array (labels, d)
        Unit vectors of the labels.
    photos : array (n, d)
        Unit vectors of the photos to guess about.

    Returns
    -------
    array (n, labels)
        Log odds: above 0 where a photo is guessed to have a label.
    """
    if len(labeled) > MOST_EXAMPLES:  # drawn by their weight, so that rare labels keep theirs
        shares = balanced_weights(targets & known, ~targets & known).sum(1) + 1e-9
        draw = np.random.default_rng(0).choice
        some = draw(len(labeled), MOST_EXAMPLES, replace=False, p=shares / shares.sum())
        labeled, targets, known = labeled[some], targets[some], known[some]
    problem = Problem.of(labeled, labeled, texts, targets, known, np.zeros_like(known))
    return problem.solve(ProbeSettings()).scores(photos, photos)


def guess_by_words(
    texts: Float32Array, collection: Float32Array, photos: Float32Array
) -> NDArray[np.bool_]:
    """Guess labels that no photo has yet by their words alone.

    A photo has a label if its cosine to the word is far enough above the mean of the collection, in
    standard deviations, so that no constant of one model is used. On real listings this reaches a
    micro F1 of .36, and the cut of an untrained sieve .29; see `benchmarks/proposals.py`.

    Parameters
    ----------
    texts : array (labels, d)
        Unit vectors of the labels.
    collection : array (m, d)
        Unit vectors of photos of the collection.
    photos : array (n, d)
        Unit vectors of the photos to guess about.

    Returns
    -------
    array of bool (n, labels)
    """
    usual = collection @ texts.T
    return np.asarray(photos @ texts.T > usual.mean(0) + DEVIATIONS * usual.std(0))
