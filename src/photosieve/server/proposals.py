"""Choose photos to label next: near the cut, and unlike each other."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from photosieve.encoders.protocol import Float32Array

SHORT_LIST = 20
"""Photos near the cut for each proposal, from which the most different are taken."""


def propose(
    vectors: Float32Array,
    labeled: Float32Array,
    count: int,
    doubt: NDArray[np.float64] | None = None,
) -> list[int]:
    """Choose the most informative photos to label.

    With `doubt`, the photos closest to a cut are a short list: uncertainty sampling (Lewis and Gale
    1994, "A sequential algorithm for training text classifiers"). From the short list, or from all
    photos, each next photo is the one farthest from those chosen or labeled before: farthest-first
    traversal (Gonzalez 1985), as in core-set selection (Sener and Savarese 2018,
    arXiv:1708.00489).

    Parameters
    ----------
    vectors : array (n, d)
        Unit vectors of the candidates.
    labeled : array (m, d)
        Unit vectors of the photos that have labels.
    count : int
        Most photos to choose.
    doubt : array (n,), optional
        Closeness of each photo to a cut; larger is closer.

    Returns
    -------
    list of int
        Rows of `vectors`, the most informative first.
    """
    among = np.arange(len(vectors))
    if doubt is not None:
        among = np.argsort(-doubt, kind="stable")[: SHORT_LIST * count]
    candidates = vectors[among]
    if not len(candidates):
        return []
    if len(labeled):
        nearest = np.max([candidates @ vector for vector in labeled[-1000:]], axis=0)
    else:  # the most typical photo first
        nearest = -(candidates @ candidates.mean(0))
    chosen: list[int] = []
    for _ in range(min(count, len(candidates))):
        row = int(nearest.argmin())
        chosen.append(int(among[row]))
        likeness = candidates @ candidates[row]
        nearest = (
            likeness if not len(labeled) and len(chosen) == 1 else np.maximum(nearest, likeness)
        )
        nearest[row] = np.inf
    return chosen
