"""The doubt of a sieve is greatest at its cut."""

import numpy as np

from photosieve.server.library import Library
from photosieve.server.service import Service


def test_doubt_is_greatest_at_the_cut(shared: Library) -> None:
    view = shared.view()
    vectors = np.asarray(view.snapshot.vectors)
    doubt = Service(shared).doubt(view, vectors)
    assert doubt is not None
    labels, cut = tuple(view.sieve.labels), view.sieve.cut.floor
    scores = vectors @ view.sieve.scorer.embed(labels).T
    away = np.abs(view.sieve.tuning.calibration.labels(scores, labels) - cut).min(1)
    assert doubt.argmax() == away.argmin()
    assert doubt.argmin() == away.argmax()
