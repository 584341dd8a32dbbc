"""Choose photos to label next: of buildings with few labels, and unlike what was seen before."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from photosieve.encoders.head import unit
from photosieve.encoders.protocol import Float32Array

MOST_LABELED = 1000
"""Labeled photos, the last ones, that candidates are compared with."""

SHRINKAGE = 0.1
"""Share of the mean variance that is added to the variance along each axis."""

_BLOCK = 64


def propose(
    vectors: Float32Array,
    groups: NDArray[np.intp],
    labeled: Float32Array,
    labeled_groups: NDArray[np.intp],
    count: int,
) -> list[int]:
    """Choose the most informative photos to label.

    Each next photo is one of a building with the fewest photos labeled or chosen so far: of these,
    the one farthest from all photos labeled or chosen before. That is farthest-first traversal
    (Gonzalez 1985), as in core-set selection (Sener and Savarese 2018, arXiv:1708.00489), balanced
    over buildings. The first of all is a typical photo.

    So the choice of many at once is that of one after the other. By `benchmarks/proposals.py`,
    knowing which photos the sieve doubts adds nothing, and whitened vectors are nearly as good as
    centered features, which would have to be read from the index.

    Parameters
    ----------
    vectors : array (n, d)
        Unit vectors of the candidates.
    groups : array of int (n,)
        The building of each.
    labeled : array (m, d)
        Unit vectors of the photos that have labels.
    labeled_groups : array of int (m,)
    count : int
        Most photos to choose.

    Returns
    -------
    list of int
        Rows of `vectors`, the most informative first.
    """
    if not len(vectors):
        return []
    labeled = labeled[-MOST_LABELED:]
    spread = whitened(np.concatenate([vectors, labeled]))
    candidates, known = spread[: len(vectors)], spread[len(vectors) :]
    seen = np.zeros(1 + max(groups.max(), labeled_groups.max(initial=0)), np.intp)
    np.add.at(seen, labeled_groups, 1)
    if len(known):
        nearest = np.full(len(candidates), -np.inf, np.float32)
        for start in range(0, len(known), _BLOCK):
            likeness = candidates @ known[start : start + _BLOCK].T
            np.maximum(nearest, likeness.max(1), out=nearest)
    else:  # the most typical photo first
        nearest = -(vectors @ vectors.mean(0))
    chosen: list[int] = []
    while len(chosen) < min(count, len(candidates)):
        left = np.isfinite(nearest)
        fewest = left & (seen[groups] == seen[groups[left]].min())
        row = int(np.where(fewest, nearest, np.inf).argmin())
        likeness = candidates @ candidates[row]
        nearest = likeness if not len(known) and not chosen else np.maximum(nearest, likeness)
        nearest[row] = np.inf
        seen[groups[row]] += 1
        chosen.append(row)
    return chosen


def whitened(vectors: Float32Array) -> Float32Array:
    """Return unit vectors from the mean of all, (n, d), with about the same variance on each axis.

    Otherwise the few directions in which most photos differ, such as inside and outside, would hide
    the rest. Shrunk to the mean variance, so that noise stays small.
    """
    centered = vectors - vectors.mean(0)
    variances, axes = np.linalg.eigh(centered.T @ centered / len(centered))
    floor = SHRINKAGE * variances.mean() + 1e-9
    return unit(centered @ (axes / np.sqrt(np.maximum(variances, 0) + floor)))
