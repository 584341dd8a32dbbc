"""The rows of a leaderboard: one method each, with its figures over several trainings."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from photosieve.decision import metrics
from photosieve.decision.evaluation import Evaluation
from photosieve.decision.metrics import Interval, defined

LEADERBOARD_FIGURES = ("macro_f1", "mean_average_precision", "accuracy", "empty_right")


@dataclass(frozen=True)
class ComparisonRow:
    """One method's figures over seeds, with intervals over buildings.

    Parameters
    ----------
    name, note : str
        Its name and a description.
    caveat : str
        A known fault of the method; empty without one.
    macro_f1, mean_average_precision, accuracy : Interval
    empty_right : Interval
        Of the questions that no photo answers, the fraction that got "none".
    seed_deviation : float
        Standard deviation of macro F1 over seeds.
    label_f1 : mapping of str to float
        F1 of each label; nan if no photo has it and none was returned.
    """

    name: str
    note: str
    caveat: str
    macro_f1: Interval
    mean_average_precision: Interval
    accuracy: Interval
    empty_right: Interval
    seed_deviation: float
    label_f1: Mapping[str, float]

    @classmethod
    def over_seeds(
        cls, name: str, note: str, caveat: str, evaluations: Sequence[Evaluation]
    ) -> ComparisonRow:
        """Average one method's evaluations, one per seed, all on the same buildings."""

        def interval(key: str) -> Interval:
            values = [evaluation.totals[key] for evaluation in evaluations]
            draws = np.mean([evaluation.draws[key] for evaluation in evaluations], axis=0)
            return metrics.percentile_interval(float(np.mean(values)), draws)

        of_labels = metrics.mean([e.per_label.f1 for e in evaluations], 0)  # (labels,)
        return cls(
            name=name,
            note=note,
            caveat=caveat,
            **{figure: interval(figure) for figure in LEADERBOARD_FIGURES},
            seed_deviation=float(np.std([e.totals["macro_f1"] for e in evaluations])),
            label_f1=dict(zip(evaluations[0].labels, of_labels.tolist(), strict=True)),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain numbers for JSON; undefined ones are None."""
        intervals = {figure: getattr(self, figure) for figure in LEADERBOARD_FIGURES}
        return {
            "name": self.name,
            "note": self.note,
            "caveat": self.caveat,
            **{
                figure: {end: defined(number) for end, number in vars(interval).items()}
                for figure, interval in intervals.items()
            },
            "seed_deviation": defined(self.seed_deviation),
            "label_f1": {label: defined(value) for label, value in self.label_f1.items()},
        }


def best_first(rows: Sequence[ComparisonRow]) -> tuple[ComparisonRow, ...]:
    """Sort by macro F1; equal ones stay in their order, undefined ones come last."""
    return tuple(
        sorted(rows, key=lambda row: (math.isnan(row.macro_f1.value), -row.macro_f1.value))
    )
