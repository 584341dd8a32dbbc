"""The one way in which a sieve is judged: for a report, a comparison, the page and the terminal."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from photosieve.data.names import label_key
from photosieve.decision.cut import Cut
from photosieve.decision.evaluation import Evaluation, evaluate
from photosieve.sieve.embedded import Embedded
from photosieve.sieve.scorer import Scorer
from photosieve.training.features import Prepared


def scores_of(scorer: Scorer, labels: Sequence[str], photos: Embedded) -> NDArray[np.float64]:
    """Scores of photos and labels, (n, labels), some of which may be other words to the sieve."""
    columns = {label_key(label): column for column, label in enumerate(scorer.labels)}
    scores = [
        photos.labels[:, columns[label_key(label)]]
        if label_key(label) in columns
        else scorer.scores(scorer.read_word(label), photos)
        for label in labels
    ]
    return np.asarray(np.stack(scores, axis=1), np.float64)


def judged(
    scorer: Scorer,
    learned: Cut,
    data: Prepared,
    *,
    scores: NDArray[np.float64] | None = None,
    cut: Cut | None = None,
) -> Evaluation:
    """Ask every label of a dataset in every building, and count every answer.

    Parameters
    ----------
    scorer : Scorer
    learned : Cut
        The rule for labels; other words have their own.
    data : Prepared
        With labels of the sieve or other words.
    scores : array (n, labels), optional
        Of labels, such as those of a model that has not seen the photos; by default the sieve's.
    cut : Cut, optional
        A rule for plain scores, instead of calibration and cut.
    """
    photos = scorer.embed_photos(data.photos)
    scores = scores_of(scorer, data.labels, photos) if scores is None else scores
    groups, known = data.dataset.groups, {label_key(label): label for label in scorer.labels}
    probabilities, kept = scores.copy(), np.zeros(scores.shape, bool)
    for column, label in enumerate(data.labels):
        own, rule = known.get(label_key(label)), cut or learned
        if cut is None and own is not None:
            column_scores = scores[:, [column]]
            probabilities[:, column] = scorer.calibration.labels(column_scores, (own,))[:, 0]
        elif cut is None:
            reading = scorer.read_word(label)
            probabilities[:, column] = scorer.probability(reading, photos)
            rule = scorer.cut((reading,), learned)
        kept[:, column] = rule.keep_by_group(probabilities[:, [column]], groups)[:, 0]
    return evaluate(
        scores,
        data.targets,
        probabilities=probabilities,
        cut=cut or learned,
        kept=kept,
        photos=data.dataset.photos,
        groups=groups,
        labels=data.labels,
        trained=scorer.record.labels,
        known=data.known,
        skipped=data.skipped,
    )
