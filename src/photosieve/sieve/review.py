"""Two sieves, before and after learning more, compared on photos that neither was trained on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from photosieve.data.names import label_key
from photosieve.decision import metrics
from photosieve.decision.evaluation import Evaluation, evaluate
from photosieve.decision.metrics import Interval, defined
from photosieve.sieve.embedded import Embedded
from photosieve.sieve.sieve import Sieve
from photosieve.training.features import Prepared

SAME_PHOTO = 0.9995
"""Least cosine of two embeddings of one photo: they differ by rounding only."""

COMPARED = ("macro_f1", "macro_precision", "macro_recall", "accuracy")


@dataclass(frozen=True)
class Review:
    """Two sieves on the same photos and labels.

    Parameters
    ----------
    before, after : Evaluation
    tested : bool
        Whether the photos are kept for testing; otherwise each was scored by a model that was not
        trained on its building.
    """

    before: Evaluation
    after: Evaluation
    tested: bool

    def difference(self, figure: str) -> Interval:
        """After minus before, with a 95 % interval over the same draws of buildings for both."""
        draws = self.after.draws[figure] - self.before.draws[figure]
        value = self.after.totals[figure] - self.before.totals[figure]
        return metrics.percentile_interval(value, draws)

    def to_dict(self) -> dict[str, Any]:
        """Return the figures, in all and by label, for JSON; what is undefined is null."""
        by_label = zip(
            self.after.labels,
            self.before.per_label.f1.tolist(),
            self.after.per_label.f1.tolist(),
            self.after.per_label.support.tolist(),
            strict=True,
        )
        figures = {}
        for name in COMPARED:
            change = self.difference(name)
            figures[name] = {
                "before": defined(self.before.totals[name]),
                "after": defined(self.after.totals[name]),
                "difference": defined(change.value),
                "interval": [defined(change.low), defined(change.high)],
            }
        return {
            "tested": self.tested,
            "photos": len(self.after.photos),
            "buildings": len(self.after.buildings),
            "unknown": int(self.after.unknown.sum()),
            "figures": figures,
            "labels": [
                {
                    "label": label,
                    "before": defined(old),
                    "after": defined(new),
                    "photos": int(count),
                }
                for label, old, new, count in by_label
            ],
        }


def review(before: Sieve, after: Sieve, data: Prepared, test: Prepared | None) -> Review:
    """Evaluate two sieves that share a trunk.

    Parameters
    ----------
    before, after : Sieve
    data : Prepared
        The training photos of `after`.
    test : Prepared or None
        Photos that neither was trained on, with the labels of `after`. Without them the photos of
        `data` are taken, with their out-of-fold scores. `before` scores a photo itself if it was
        not trained on it.
    """
    if test is not None:
        old, new = (_evaluate(sieve, test, *_scores(sieve, test)) for sieve in (before, after))
        return Review(old, new, tested=True)
    photos, scores = _scores(before, data)
    seen = _seen(before, data)
    columns = {label_key(label): column for column, label in enumerate(before.labels)}
    for column, label in enumerate(data.labels):
        if label_key(label) in columns and len(before.evidence.scores):
            held_out = before.evidence.scores[seen, columns[label_key(label)]]
            own = scores[:, column]
            scores[:, column] = np.where((seen < 0) | np.isnan(held_out), own, held_out)
    rows = np.flatnonzero(~np.isnan(after.evidence.scores).any(1))
    held, embed = data.rows(rows), after.scorer.embed_photos
    return Review(
        _evaluate(before, held, photos.rows(rows), scores[rows]),
        _evaluate(after, held, embed(held.photos), after.evidence.scores[rows]),
        tested=False,
    )


def _seen(sieve: Sieve, data: Prepared) -> NDArray[np.intp]:
    """Find each photo among the training photos of a sieve by its embedding: row, or -1."""
    if not sieve.labels:
        return np.full(len(data.photos), -1)
    likeness = sieve.encoder.head.project_photos(data.photos) @ sieve.background.T
    return np.where(likeness.max(1) > SAME_PHOTO, likeness.argmax(1), -1)


def _scores(sieve: Sieve, data: Prepared) -> tuple[Embedded, NDArray[np.float64]]:
    """Embed photos; score them, (n, labels), for labels that may be other words to the sieve."""
    photos = sieve.scorer.embed_photos(data.photos)
    readings = [sieve.scorer.read_word(label) for label in data.labels]
    columns = [sieve.scorer.scores(reading, photos) for reading in readings]
    return photos, np.asarray(np.stack(columns, axis=1), np.float64)


def _evaluate(
    sieve: Sieve, data: Prepared, photos: Embedded, scores: NDArray[np.float64]
) -> Evaluation:
    """Evaluate a sieve on labels, some of which may be other words to it."""
    probabilities, kept = np.zeros(scores.shape), np.zeros(scores.shape, bool)
    groups, calibration = data.dataset.groups, sieve.tuning.calibration
    for column, label in enumerate(data.labels):
        reading = sieve.scorer.read_word(label)
        if reading.label is not None:  # its score may be one of a model that did not see the photo
            values = calibration.labels(scores[:, [column]], (reading.label,))[:, 0]
        else:
            values = sieve.scorer.probability(reading, photos)
        probabilities[:, column] = values
        rule = sieve.scorer.cut((reading,), sieve.cut)
        kept[:, column] = rule.keep_by_group(values[:, None], groups)[:, 0]
    return evaluate(
        scores,
        data.targets,
        probabilities=probabilities,
        cut=sieve.cut,
        kept=kept,
        photos=data.dataset.photos,
        groups=groups,
        labels=data.labels,
        trained=sieve.labels,
        known=data.known,
    )
