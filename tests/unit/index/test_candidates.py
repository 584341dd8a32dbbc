"""Every photo that can be in the answer is a candidate."""

import numpy as np
import pytest

from photosieve.decision.cut import Cut
from photosieve.index.candidates import SLACK, candidates
from photosieve.index.index import Index
from photosieve.sieve.scorer import matches
from tests.library import QUERIES


@pytest.mark.long
@pytest.mark.parametrize("query", QUERIES)
def test_all_that_can_reach_the_cut_is_looked_at(index: Index, query: str) -> None:
    """Whichever of gate and floor is lower; and hardly anything else."""
    scorer, embedded = index.sieve.scorer, index.snapshot.photos
    readings = scorer.read(query)
    terms = tuple(reading.term for reading in readings)
    values = matches(terms, scorer.probabilities(readings, embedded))
    low, high = np.sort(values)[[10, 30]]
    for cut in (Cut(low, high), Cut(high, low), Cut(high, high)):
        found = candidates(embedded, scorer, readings, cut, rows=slice(None), extra=0)
        reached = np.flatnonzero(values >= min(cut.gate, cut.floor))
        assert set(reached.tolist()) <= set(found.tolist())
        close = values >= min(cut.gate, cut.floor) - SLACK
        assert len(found) <= close.sum() + 1
