"""Judge a sieve: every label is asked in every building, and every answer is counted.

An `Evaluation` holds the decisions photo by photo, and computes all figures and their intervals.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from photosieve.decision import metrics
from photosieve.decision.cut import Cut, rows_by_group
from photosieve.decision.metrics import Counts, Interval, Reliability, defined, shown_number
from photosieve.errors import Skipped

DRAWS = 2000
"""Bootstrap draws behind each interval."""


@dataclass(frozen=True)
class EmptyAnswers:
    """How often "none" was the answer, over all questions: one label in one building each."""

    asked: int
    """Questions that, for certain, no photo of the building answers, so that "none" is right."""
    right: int
    """How many of these got the answer "none"."""
    answerable: int
    """Questions that some photo answers."""
    wrong: int
    """How many of these got the answer "none"."""


@dataclass(frozen=True)
class Evaluation:
    """The answers of a sieve, photo by photo, and the figures that follow from them.

    Parameters
    ----------
    photos : tuple of Path (photos,)
    groups : tuple of str (photos,)
        The building of each photo.
    labels : tuple of str (labels,)
        Each was asked in every building.
    scores : array (photos, labels)
        Cosines.
    probabilities : array (photos, labels)
        The numbers that the cut decides by.
    relevant : array of bool (photos, labels)
        Whether the photo has the label.
    known : array of bool (photos, labels)
        Whether this is known. An unknown pair counts neither as right nor as wrong.
    kept : array of bool (photos, labels)
        Whether the cut kept the photo in the list of a label in a building.
    trained : mapping
        Photos per label that training saw.
    cut : Cut
    skipped : tuple of Skipped
        Photos that could not be read; no figure includes them.
    """

    photos: tuple[Path, ...]
    groups: tuple[str, ...]
    labels: tuple[str, ...]
    scores: NDArray[np.float64]
    probabilities: NDArray[np.float64]
    relevant: NDArray[np.bool_]
    known: NDArray[np.bool_]
    kept: NDArray[np.bool_]
    trained: Mapping[str, int]
    cut: Cut
    skipped: tuple[Skipped, ...] = ()

    def __repr__(self) -> str:
        """Return one line, for notebooks; `summary` has the figures."""
        return f"<Evaluation of {len(self.photos)} photos: macro F1 {self.macro['f1']:.3f}>"

    @cached_property
    def buildings(self) -> tuple[str, ...]:
        """Names of the buildings, in order of first appearance."""
        return tuple(self._rows_of)

    @cached_property
    def counts(self) -> Counts:
        """Counts of shape (buildings, labels)."""
        rows = [self._rows(building) for building in self.buildings]
        return Counts.stack(
            [Counts.of(self.kept[r], self.relevant[r], 0, self.known[r]) for r in rows]
        )

    @cached_property
    def unknown(self) -> NDArray[np.float64]:
        """How many photos may have a label or not, (buildings, labels); no figure includes them."""
        return self._by_building(~self.known)

    @cached_property
    def per_label(self) -> Counts:
        """Counts of shape (labels,): a label's photos of all buildings together."""
        return self.counts.sum(0)

    @cached_property
    def per_building(self) -> Counts:
        """Counts of shape (buildings,): a building's labels together."""
        return self.counts.sum(1)

    @property
    def macro(self) -> dict[str, float]:
        """Mean over labels of precision, recall and F1, where each is defined."""
        return {
            name: float(metrics.mean(getattr(self.per_label, name)))
            for name in ("precision", "recall", "f1")
        }

    @property
    def micro(self) -> dict[str, float]:
        """Precision, recall and F1 of all decisions together."""
        total = self.counts.sum()
        return {name: float(getattr(total, name)) for name in ("precision", "recall", "f1")}

    @property
    def accuracy(self) -> float:
        """Fraction of all decisions that are right, true negatives included."""
        return float(self.counts.sum().accuracy)

    @cached_property
    def average_precision(self) -> NDArray[np.float64]:
        """Average precision of each label over all photos, (labels,); nan where none is right."""
        columns = zip(self.scores.T, self.relevant.T, self.known.T, strict=True)
        return np.array([metrics.average_precision(*column) for column in columns], np.float64)

    @property
    def mean_average_precision(self) -> float:
        """Mean of `average_precision` over the labels that some photo has."""
        return float(metrics.mean(self.average_precision))

    @cached_property
    def reliability(self) -> Reliability:
        """Whether the probabilities of all decisions together come true."""
        return Reliability.of(self.probabilities[self.known], self.relevant[self.known])

    @property
    def calibration_error(self) -> float:
        """Expected calibration error of all decisions together; 0 is best."""
        return self.reliability.error

    @cached_property
    def calibration_errors(self) -> NDArray[np.float64]:
        """Expected calibration error of each label over all photos, (labels,)."""
        columns = zip(self.probabilities.T, self.relevant.T, self.known.T, strict=True)
        return np.array(
            [Reliability.of(p[known], right[known]).error for p, right, known in columns],
            np.float64,
        )

    @cached_property
    def unanswerable(self) -> NDArray[np.bool_]:
        """Whether no photo of a building can have a label, (buildings, labels)."""
        return np.asarray((self.counts.support == 0) & (self.unknown == 0))

    @cached_property
    def _none_returned(self) -> NDArray[np.bool_]:
        return np.asarray(self._by_building(self.kept) == 0)

    @property
    def empty(self) -> EmptyAnswers:
        """How often "none" was right and how often wrong."""
        answerable = self.counts.support > 0
        return EmptyAnswers(
            asked=int(self.unanswerable.sum()),
            right=int((self.unanswerable & self._none_returned).sum()),
            answerable=int(answerable.sum()),
            wrong=int((answerable & self._none_returned).sum()),
        )

    @cached_property
    def draws(self) -> dict[str, NDArray[np.float64]]:
        """The totals over bootstrap draws of buildings, each an array (draws,).

        Keys: macro_precision, macro_recall, macro_f1, micro_f1, accuracy, empty_right (of the
        questions that no photo answers, the fraction that got "none") and mean_average_precision.
        A figure that only one building has a part in cannot vary over buildings: it is nan.
        """
        drawn = self.drawn_totals(metrics.bootstrap_weights(len(self.buildings), DRAWS, seed=0))
        counts = self.counts
        decided = counts.tp + counts.fp + counts.fn
        judged = decided + counts.tn
        parts = {  # (buildings, labels): not 0 where a building has a part in a figure
            "macro_precision": counts.returned,
            "macro_recall": counts.support,
            "macro_f1": decided,
            "micro_f1": decided,
            "accuracy": judged,
            "empty_right": self.unanswerable,
            "mean_average_precision": judged,
        }
        for name, values in drawn.items():
            if np.count_nonzero(parts[name].any(1)) < 2:
                values[:] = np.nan
        return drawn

    def drawn_totals(self, weights: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        """Return the totals with weights for buildings, each an array (draws,); keys as `draws`.

        Parameters
        ----------
        weights : array (draws, buildings)
            How often each building counts.
        """
        drawn = self.counts.drawn(weights)  # (draws, labels)
        total = drawn.sum(-1)
        asked = self.unanswerable
        right = (asked & self._none_returned).sum(1)  # (B,)
        number = {name: i for i, name in enumerate(self.buildings)}
        members = np.array([number[group] for group in self.groups], np.intp)
        return {
            "macro_precision": metrics.mean(drawn.precision, -1),
            "macro_recall": metrics.mean(drawn.recall, -1),
            "macro_f1": metrics.mean(drawn.f1, -1),
            "micro_f1": total.f1,
            "accuracy": total.accuracy,
            "empty_right": metrics.ratio(weights @ right, weights @ asked.sum(1)),
            "mean_average_precision": metrics.drawn_average_precision(
                self.scores, self.relevant, self.known, members, weights
            ),
        }

    @cached_property
    def totals(self) -> dict[str, float]:
        """The totals of `draws`, over the buildings as they are."""
        empty = self.empty
        return {
            **{f"macro_{name}": value for name, value in self.macro.items()},
            "micro_f1": self.micro["f1"],
            "accuracy": self.accuracy,
            "empty_right": float(metrics.ratio(empty.right, empty.asked)),
            "mean_average_precision": self.mean_average_precision,
        }

    @cached_property
    def intervals(self) -> dict[str, Interval]:
        """95 % intervals of the totals, by drawing buildings with replacement; keys as `draws`.

        The ends of a figure that rests on a single building are nan.
        """
        return {
            name: metrics.percentile_interval(self.totals[name], draws)
            for name, draws in self.draws.items()
        }

    def _by_building(self, pairs: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Count pairs, (photos, labels), in each building: (buildings, labels)."""
        counts = [pairs[self._rows(building)].sum(0) for building in self.buildings]
        return np.array(counts, np.float64).reshape(len(counts), len(self.labels))

    def _rows(self, building: str) -> list[int]:
        return self._rows_of[building]

    @cached_property
    def _rows_of(self) -> dict[str, list[int]]:
        """The photos of each building."""
        return rows_by_group(self.groups)

    def to_dict(self) -> dict[str, Any]:
        """Return every figure as plain numbers for JSON; undefined ones are None."""
        labels = {
            label: {
                **_count_dict(self.per_label[j]),
                "unknown": int(self.unknown[:, j].sum()),
                "average_precision": defined(self.average_precision[j]),
                "calibration_error": defined(self.calibration_errors[j]),
                "train": self.trained.get(label, 0),
            }
            for j, label in enumerate(self.labels)
        }
        buildings = {
            building: {
                **_count_dict(self.per_building[i]),
                "photos": len(self._rows(building)),
                "labels": {
                    label: _count_dict(self.counts[i, j]) for j, label in enumerate(self.labels)
                },
            }
            for i, building in enumerate(self.buildings)
        }
        return {
            "photos": len(self.photos),
            "unknown": int(self.unknown.sum()),
            "macro": {name: defined(value) for name, value in self.macro.items()},
            "micro": {name: defined(value) for name, value in self.micro.items()},
            "accuracy": defined(self.accuracy),
            "mean_average_precision": defined(self.mean_average_precision),
            "calibration_error": defined(self.calibration_error),
            "empty": asdict(self.empty),
            "intervals": {
                name: [defined(interval.low), defined(interval.high)]
                for name, interval in self.intervals.items()
            },
            "cut": self.cut.to_dict(),
            "labels": labels,
            "buildings": buildings,
            "skipped": [skip.to_dict() for skip in self.skipped],
        }

    def summary(self) -> str:
        """Return the main figures as a few lines of text."""
        empty, shown = self.empty, self.intervals
        lines = [
            f"{len(self.photos)} photos of {len(self.buildings)} "
            f"building{'s' if len(self.buildings) != 1 else ''}, "
            f"{len(self.labels)} labels asked in each",
            f"macro F1          {shown['macro_f1']}",
            f"macro precision   {shown['macro_precision']}",
            f"macro recall      {shown['macro_recall']}",
            f"mean av. prec.    {shown['mean_average_precision']}",
            f"accuracy with TN  {shown['accuracy']}",
            f"calibration error {shown_number(self.calibration_error)}",
            f'"none" was right  {empty.right} of {empty.asked} times that nothing matched',
            f'"none" was wrong  {empty.wrong} of {empty.answerable} times that something did',
        ]
        if not self.known.all():
            lines.append(
                f"unknown           {int(self.unknown.sum())} of {self.known.size} pairs of photo "
                "and label, left out"
            )
        if self.skipped:
            lines.append(f"skipped           {len(self.skipped)} photos that cannot be read")
        return "\n".join(lines)


def evaluate(
    scores: NDArray[np.floating[Any]],
    relevant: NDArray[np.bool_],
    *,
    probabilities: NDArray[np.float64] | None = None,
    cut: Cut,
    photos: Sequence[Path],
    groups: Sequence[str],
    labels: Sequence[str],
    trained: Mapping[str, int],
    kept: NDArray[np.bool_] | None = None,
    known: NDArray[np.bool_] | None = None,
    skipped: Sequence[Skipped] = (),
) -> Evaluation:
    """Apply a cut to every label's list in every building.

    Parameters
    ----------
    scores : array (photos, labels)
    relevant : array of bool (photos, labels)
    probabilities : array (photos, labels), optional
        The numbers that the cut decides by; by default the scores themselves.
    cut : Cut
    photos, groups : sequences (photos,)
    labels : sequence (labels,)
    trained : mapping
        Photos per label that training saw.
    kept : array of bool (photos, labels), optional
        The decisions, if labels have different cuts; by default those of `cut`.
    known : array of bool (photos, labels), optional
        Pairs whose relevance is known; the others count neither as right nor as wrong. By default
        all.
    skipped : sequence of Skipped
    """
    cosines = np.asarray(scores, np.float64)
    values = cosines if probabilities is None else probabilities
    return Evaluation(
        photos=tuple(photos),
        groups=tuple(groups),
        labels=tuple(labels),
        scores=cosines,
        probabilities=values,
        relevant=relevant,
        known=np.ones_like(relevant) if known is None else known,
        kept=cut.keep_by_group(values, groups) if kept is None else kept,
        trained=dict(trained),
        cut=cut,
        skipped=tuple(skipped),
    )


def _count_dict(counts: Counts) -> dict[str, float | int | None]:
    return {
        "tp": int(counts.tp),
        "fp": int(counts.fp),
        "fn": int(counts.fn),
        "tn": int(counts.tn),
        "returned": int(counts.returned),
        "test": int(counts.support),
        "precision": defined(counts.precision),
        "recall": defined(counts.recall),
        "f1": defined(counts.f1),
        "accuracy": defined(counts.accuracy),
    }
