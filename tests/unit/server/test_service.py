"""The doubt of a sieve is greatest at its cut."""

import numpy as np

from photosieve.decision.calibration import log_odds
from photosieve.server.library import Library
from photosieve.server.service import Service


def test_doubt_is_greatest_at_the_cut(shared: Library) -> None:
    view = shared.view()
    photos = view.snapshot.photos
    doubt = Service(shared).doubt(view, photos)
    assert doubt is not None
    labels, cut = tuple(view.sieve.labels), view.sieve.cut.floor
    probabilities = view.sieve.tuning.calibration.labels(photos.labels, labels)
    away = np.abs(log_odds(probabilities) - log_odds(cut)).min(1)
    assert doubt.argmax() == away.argmin()
    assert doubt.argmin() == away.argmax()
