"""Two sieves, before and after learning more, compared on photos that neither was trained on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

from photosieve.data.names import label_key
from photosieve.decision import metrics
from photosieve.decision.evaluation import Evaluation
from photosieve.decision.metrics import Interval, defined
from photosieve.sieve.judging import judged, scores_of
from photosieve.sieve.sieve import Sieve
from photosieve.training.features import Prepared

SAME_PHOTO = 0.9995
"""Least cosine of two embeddings of one photo: they differ by rounding only."""

DECIDING = "macro_f1"
"""Figure that the verdict is about."""

CHANCE = 0.05
"""Below this chance of a difference as large where there is none, a label's is clear."""

MOST_PHOTOS = 12
"""Photos that are named for each label, of those that got right and of those that got wrong."""

COMPARED = ("macro_f1", "macro_precision", "macro_recall", "accuracy")


@dataclass(frozen=True)
class Review:
    """Two sieves on the same photos and labels.

    Parameters
    ----------
    before, after : Evaluation
        On the labels that both know, or on all labels where the first knows none.
    new : Evaluation or None
        Of the second on the labels that the first does not know, if there are any.
    tested : bool
        Whether the photos are kept for testing; otherwise each was scored by a model that was not
        trained on its building.
    """

    before: Evaluation
    after: Evaluation
    new: Evaluation | None
    tested: bool

    def difference(self, figure: str) -> Interval:
        """After minus before, with a 95 % interval over the same draws of buildings for both."""
        draws = self.after.draws[figure] - self.before.draws[figure]
        value = self.after.totals[figure] - self.before.totals[figure]
        return metrics.percentile_interval(value, draws)

    @property
    def verdict(self) -> str:
        """The comparison in words: a difference counts if its interval has one sign."""
        change = self.difference(DECIDING)
        if change.low > 0:
            return "better"
        return "worse" if change.high < 0 else "no clear difference"

    def to_dict(self, name: Callable[[Path], str] = str) -> dict[str, Any]:
        """Return the figures, in all and by label, for JSON; what is undefined is null.

        Parameters
        ----------
        name : callable
            Names a photo.
        """
        figures = {}
        for figure in COMPARED:
            change = self.difference(figure)
            figures[figure] = {
                "before": defined(self.before.totals[figure]),
                "after": defined(self.after.totals[figure]),
                "difference": defined(change.value),
                "interval": [defined(change.low), defined(change.high)],
            }
        return {
            "tested": self.tested,
            "photos": len(self.after.photos),
            "buildings": len(self.after.buildings),
            "unknown": int(self.after.unknown.sum()),
            "verdict": self.verdict,
            "figures": figures,
            "labels": [self._label(column, name) for column in range(len(self.after.labels))],
            "new": []
            if self.new is None
            else [
                {"label": label, "after": defined(f1), "photos": int(photos)}
                for label, f1, photos in zip(
                    self.new.labels, self.new.per_label.f1, self.new.per_label.support, strict=True
                )
            ],
        }

    def _label(self, column: int, name: Callable[[Path], str]) -> dict[str, Any]:
        """Return the figures of a label, and the photos whose answer got right or wrong."""
        known = self.after.known[:, column]
        was, now = (
            (one.kept[:, column] == one.relevant[:, column]) for one in (self.before, self.after)
        )
        right, wrong = np.flatnonzero(known & now & ~was), np.flatnonzero(known & was & ~now)
        changed = len(right) + len(wrong)
        # McNemar's exact test: without a difference, an answer gets right as often as wrong.
        chance = float(binom.cdf(min(len(right), len(wrong)), changed, 0.5) * 2)
        clear = changed and chance < CHANCE
        return {
            "label": self.after.labels[column],
            "before": defined(self.before.per_label.f1[column]),
            "after": defined(self.after.per_label.f1[column]),
            "photos": int(self.after.per_label.support[column]),
            "verdict": ("better" if len(right) > len(wrong) else "worse") if clear else None,
            "right": [name(self.after.photos[row]) for row in right[:MOST_PHOTOS]],
            "wrong": [name(self.after.photos[row]) for row in wrong[:MOST_PHOTOS]],
            "changed": [len(right), len(wrong)],
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
        return _compared(before, after, test, None, None)
    old = scores_of(before.scorer, data.labels, before.scorer.embed_photos(data.photos))
    seen = _seen(before, data)
    columns = {label_key(label): column for column, label in enumerate(before.labels)}
    for column, label in enumerate(data.labels):
        if label_key(label) in columns and len(before.evidence.scores):
            held_out = before.evidence.scores[seen, columns[label_key(label)]]
            own = old[:, column]
            old[:, column] = np.where((seen < 0) | np.isnan(held_out), own, held_out)
    rows = np.flatnonzero(~np.isnan(after.evidence.scores).any(1))
    held = data.rows(rows)
    return _compared(before, after, held, old[rows], after.evidence.scores[rows])


def _compared(
    before: Sieve,
    after: Sieve,
    data: Prepared,
    old: NDArray[np.float64] | None,
    new: NDArray[np.float64] | None,
) -> Review:
    """Judge both on the labels that both know; `old` and `new` are scores of held-out photos."""
    known = set(map(label_key, before.labels))
    columns = np.arange(len(data.labels))
    both = np.array([label_key(label) in known for label in data.labels], bool)
    if not both.any():  # from no labels to some: words against labels
        both = ~both
    shared, added = columns[both], columns[~both]

    def of(sieve: Sieve, part: NDArray[np.intp], scores: NDArray[np.float64] | None) -> Evaluation:
        own = None if scores is None else scores[:, part]
        return judged(sieve.scorer, sieve.cut, data.columns(part), scores=own)

    return Review(
        of(before, shared, old),
        of(after, shared, new),
        of(after, added, new) if len(added) else None,
        tested=old is None,
    )


def _seen(sieve: Sieve, data: Prepared) -> NDArray[np.intp]:
    """Find each photo among the training photos of a sieve by its embedding: row, or -1."""
    if not sieve.labels:
        return np.full(len(data.photos), -1)
    trained = sieve.background[: len(sieve.evidence.scores)]
    likeness = sieve.encoder.head.project_photos(data.photos) @ trained.T
    return np.where(likeness.max(1) > SAME_PHOTO, likeness.argmax(1), -1)
