"""The photos that an answer can hold: all that reach the cut, and the next best.

What is left out here is certainly not in the answer, so that the exact rule has to look at these
alone. In a scope, and while it is fast enough over everything, every vector is compared. Beyond
that `photosieve.index.neighbors` is asked for more and more until they fall below the cut.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from photosieve.decision.cut import Cut
from photosieve.encoders.protocol import Float32Array
from photosieve.index.neighbors import Neighbors
from photosieve.sieve.scorer import Reading, Scorer, matches

BLOCK = 2**25
"""Vectors are compared so many bytes at a time: what is not in the answer does not stay."""

SLACK = 1e-5
"""Scores computed in another order of summation differ by less."""

Rows = NDArray[np.intp]
Values = Callable[[Float32Array], NDArray[Any]]


def candidates(
    vectors: Float32Array,
    scorer: Scorer,
    readings: tuple[Reading, ...],
    cut: Cut,
    *,
    rows: Rows | slice,
    beside: int,
    neighbors: Neighbors | None = None,
) -> Rows:
    """Return a superset of the answer, with so many of the best photos beside it.

    Parameters
    ----------
    vectors : array (n, d)
    scorer : Scorer
    readings : tuple of Reading
    cut : Cut
        The rule for probabilities.
    rows : array of int or slice
        Where to look.
    beside : int
    neighbors : Neighbors, optional
        To ask instead of comparing all; for one positive term and all rows.

    Returns
    -------
    array of int (k,)
        Rows, in ascending order.
    """
    lowest = min(cut.gate, cut.floor)  # nothing below both is ever kept
    if len(readings) == 1:
        # Probability grows with the score, so that scores will do: no curve for every photo.
        reading = readings[0]
        bound = scorer.least_score(reading, lowest) - SLACK
        if neighbors is not None:
            found = neighbors.above(reading.vector, bound, beside)
            if found is not None:
                return np.sort(found)
        return _best(vectors, lambda block: block @ reading.vector, bound, rows, beside)
    terms = tuple(reading.term for reading in readings)

    def probabilities(block: Float32Array) -> NDArray[np.float64]:
        return matches(terms, scorer.probabilities(readings, block))

    return _best(vectors, probabilities, lowest - SLACK, rows, beside)


def _best(
    vectors: Float32Array, values: Values, bound: float, rows: Rows | slice, beside: int
) -> Rows:
    """Rows whose value reaches the bound, and the best of the others."""
    kept: list[Rows] = []
    best = np.zeros(0), np.zeros(0, np.intp)  # of those below the bound
    beside = max(beside, 1)  # one more says how near the next photo was
    for place, block in _blocks(vectors, rows):
        found = values(block)
        passing = found >= bound
        kept.append(place[passing])
        limit = best[0].min() if len(best[0]) >= beside else -np.inf
        rest = np.flatnonzero(~passing & (found > limit))
        others = np.concatenate([best[0], found[rest]]), np.concatenate([best[1], place[rest]])
        order = np.argsort(-others[0], kind="stable")[:beside]
        best = others[0][order], others[1][order]
    return np.sort(np.concatenate([*kept, best[1]]))


def _blocks(vectors: Float32Array, rows: Rows | slice) -> Iterator[tuple[Rows, Float32Array]]:
    step = max(1, BLOCK // (4 * max(1, vectors.shape[1])))
    if isinstance(rows, slice):
        start, stop, _ = rows.indices(len(vectors))
        for first in range(start, stop, step):
            last = min(first + step, stop)
            yield np.arange(first, last), vectors[first:last]
    else:
        for first in range(0, len(rows), step):
            part = rows[first : first + step]
            yield part, vectors[part]
