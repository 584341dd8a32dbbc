"""Find the photos that can be in an answer: all that reach the cut, and the best of the others.

Photos that are left out here are certainly not in the answer, so the exact rule has to look only at
these. In a scope, and in an index that is not too large, every vector is compared with the query.
Otherwise `photosieve.index.neighbors` gives more and more photos until they fall below the cut.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from photosieve.decision.cut import Cut
from photosieve.index.neighbors import Neighbors
from photosieve.sieve.embedded import Embedded
from photosieve.sieve.scorer import Reading, Scorer, matches

BLOCK_BYTES = 2**25
"""Vectors are compared so many bytes at a time, which bounds the memory."""

SLACK = 1e-5
"""Scores computed in another order of summation differ by less."""

Rows = NDArray[np.intp]
Values = Callable[[Rows | slice], NDArray[Any]]


def candidates(
    photos: Embedded,
    scorer: Scorer,
    readings: tuple[Reading, ...],
    cut: Cut,
    *,
    rows: Rows | slice,
    extra: int,
    neighbors: Neighbors | None = None,
) -> Rows:
    """Return a superset of the answer, with some of the best other photos.

    Photos that are missing in the answer only because of a minus are there, too.

    Parameters
    ----------
    photos : Embedded
    scorer : Scorer
    readings : tuple of Reading
    cut : Cut
        The rule for probabilities.
    rows : array of int or slice
        The rows to search.
    extra : int
        How many other photos.
    neighbors : Neighbors, optional
        To search instead of comparing all; for one positive term and all rows.

    Returns
    -------
    array of int (k,)
        Rows, in ascending order.
    """
    lowest = min(cut.gate, cut.floor)  # nothing below both is ever kept
    if len(readings) == 1 and not readings[0].links.any():
        # Probability grows with the score, so comparing scores is enough, and faster.
        reading = readings[0]
        bound = scorer.least_score(reading, lowest) - SLACK
        if neighbors is not None and reading.label is None and reading.inherited is None:
            near = neighbors.above(reading.vector, bound, extra)
            if near is not None:
                return np.sort(near)
        return _best(
            photos, lambda block: scorer.scores(reading, photos, block), bound, rows, extra
        )
    terms = tuple(reading.term for reading in readings)

    def probabilities(block: Rows | slice) -> NDArray[np.float64]:
        return matches(terms, scorer.probabilities(readings, photos, block))

    found = _best(photos, probabilities, lowest - SLACK, rows, extra)
    wanted = tuple(reading for reading in readings if not reading.term.negative)
    if len(wanted) == len(readings):
        return found
    without = candidates(photos, scorer, wanted, cut, rows=rows, extra=0, neighbors=neighbors)
    return np.union1d(found, without)


def _best(photos: Embedded, values: Values, bound: float, rows: Rows | slice, extra: int) -> Rows:
    """Return the rows whose value reaches the bound, and the best of the others."""
    kept: list[Rows] = []
    best = np.zeros(0), np.zeros(0, np.intp)  # of those below the bound
    extra = max(extra, 1)  # at least one, for the score of the closest photo that is left out
    for place, block in _blocks(photos, rows):
        scores = values(block)
        passing = scores >= bound
        kept.append(place[passing])
        limit = best[0].min() if len(best[0]) >= extra else -np.inf
        rest = np.flatnonzero(~passing & (scores > limit))
        others = np.concatenate([best[0], scores[rest]]), np.concatenate([best[1], place[rest]])
        if len(rest) > extra:  # sorted are only those that can be among the best
            chosen = others[0] >= np.partition(others[0], -extra)[-extra]
            others = others[0][chosen], others[1][chosen]
        order = np.argsort(-others[0], kind="stable")[:extra]
        best = others[0][order], others[1][order]
    return np.sort(np.concatenate([*kept, best[1]]))


def _blocks(photos: Embedded, rows: Rows | slice) -> Iterator[tuple[Rows, Rows | slice]]:
    """Give the rows in blocks: as numbers, and in the form that reads them fastest."""
    step = max(1, BLOCK_BYTES // (4 * max(1, photos.vectors.shape[1])))
    if isinstance(rows, slice):
        start, stop, _ = rows.indices(len(photos))
        for first in range(start, stop, step):
            last = min(first + step, stop)
            yield np.arange(first, last), slice(first, last)
    else:
        for first in range(0, len(rows), step):
            part = rows[first : first + step]
            yield part, part
