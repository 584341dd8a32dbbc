"""Which photos to label next: those near the cut, and unlike each other."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from photosieve.encoders.protocol import Float32Array

SHORT_LIST = 20
"""Photos near the cut for each proposal, from which the most different are taken."""


def propose(
    vectors: Float32Array,
    seen: Float32Array,
    count: int,
    doubt: NDArray[np.float64] | None = None,
) -> list[int]:
    """Choose photos whose labels would teach most.

    Where a model can say what it doubts, the photos nearest to a cut make a short list: uncertainty
    sampling (Lewis and Gale 1994, "A sequential algorithm for training text classifiers"). From it,
    or from all, each next photo is the one farthest from all that were chosen or labeled before:
    farthest-first traversal (Gonzalez 1985), as in core-set selection (Sener and Savarese 2018,
    arXiv:1708.00489).

    Parameters
    ----------
    vectors : array (n, d)
        Unit vectors of the photos in question.
    seen : array (m, d)
        Unit vectors of the photos that have labels.
    count : int
        How many to choose, at most.
    doubt : array (n,), optional
        How near each photo is to a cut, larger is nearer.

    Returns
    -------
    list of int
        Rows of `vectors`, the most useful first.
    """
    among = np.arange(len(vectors))
    if doubt is not None:
        among = np.argsort(-doubt, kind="stable")[: SHORT_LIST * count]
    candidates = vectors[among]
    if not len(candidates):
        return []
    if len(seen):
        nearest = np.max([candidates @ vector for vector in seen[-1000:]], axis=0)
    else:  # the most typical photo first
        nearest = -(candidates @ candidates.mean(0))
    chosen: list[int] = []
    for _ in range(min(count, len(candidates))):
        row = int(nearest.argmin())
        chosen.append(int(among[row]))
        likeness = candidates @ candidates[row]
        nearest = likeness if not len(seen) and len(chosen) == 1 else np.maximum(nearest, likeness)
        nearest[row] = np.inf
    return chosen
