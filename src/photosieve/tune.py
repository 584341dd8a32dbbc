"""Learn a cut from out-of-fold scores. Pure numpy.

The rule has four members, from simple to complicated: one threshold; the same with a drop; a gate
and a floor; all three numbers. Each is searched over the values where the result can change, for
the objective that the user wants. What a member is really worth is measured by nested
cross-validation: its numbers are searched on all buildings but some, and judged on those. The
simplest member that is within the noise of the best one wins, because a rule with more numbers
always looks better on the scores that it was searched on.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from photosieve import metrics
from photosieve.cut import Cut, falls
from photosieve.errors import UsageError
from photosieve.metrics import Counts, Floats

MEMBERS = ("threshold", "threshold + drop", "gate + floor", "gate + floor + drop")
"""The rule's members, simplest first."""

MOST_VALUES = {"threshold": 4096, "gate": 48, "floor": 48, "drop": 24}
"""How many values of each number are tried; more distinct ones are thinned out evenly by rank."""

FOLDS = 10
"""Most parts of the nested cross-validation."""


@dataclass(frozen=True)
class Objective:
    """What a cut is tuned for, macro-averaged over labels.

    ``f1``, ``f2`` and ``f0.5`` are F scores; ``accuracy`` counts true negatives;
    ``recall>=0.9`` is the best precision among cuts whose recall is at least 0.9, and
    ``precision>=0.9`` the best recall among cuts whose precision is.
    """

    name: str

    def __post_init__(self) -> None:
        if not (_F_SCORE.fullmatch(self.name) or self.name == "accuracy" or self._bound):
            raise UsageError(
                f'there is no objective "{self.name}"; choose f1, f2, f0.5, accuracy, '
                "or a bound such as recall>=0.9 or precision>=0.9"
            )

    @property
    def _bound(self) -> tuple[str, float] | None:
        match = _BOUND.fullmatch(self.name)
        return (match[1], float(match[2])) if match else None

    def value(self, counts: Counts, axis: int = 0) -> Floats:
        """Macro value, higher is better, of counts whose `axis` is that of labels.

        For a bound, cuts that keep it rank above all that do not: 1 + the other ratio. What is
        undefined for every label is worth nothing: 0.
        """
        if self._bound:
            name, least = self._bound
            other = "precision" if name == "recall" else "recall"
            bounded = metrics.mean(getattr(counts, name), axis)
            value = np.where(
                bounded >= least, 1 + metrics.mean(getattr(counts, other), axis), bounded
            )
        elif self.name == "accuracy":
            value = metrics.mean(counts.accuracy, axis)
        else:
            value = metrics.mean(counts.f_beta(float(self.name[1:])), axis)
        return np.nan_to_num(value)


_F_SCORE = re.compile(r"f(1|2|0\.5)")
_BOUND = re.compile(r"(recall|precision)>=(0?\.\d+|1|1\.0)")


@dataclass(frozen=True)
class Tuning:
    """A learned cut and the evidence for it.

    Parameters
    ----------
    cut : Cut
    objective : str
    member : str
        Which member of the rule won.
    figures : mapping
        Macro precision, recall and F1, accuracy and mean average precision out of fold. The cut
        was not searched on the buildings that it is judged on, where there are two or more.
    candidates : mapping
        For each member the objective's value, judged in the same way.
    """

    cut: Cut
    objective: str
    member: str
    figures: Mapping[str, float]
    candidates: Mapping[str, float]

    def to_dict(self) -> dict[str, Any]:
        """Return a form for JSON; what is undefined is null."""
        return {
            "cut": self.cut.to_dict(),
            "objective": self.objective,
            "member": self.member,
            "figures": _plain(self.figures),
            "candidates": _plain(self.candidates),
        }

    @classmethod
    def from_dict(cls, saved: dict[str, Any]) -> Tuning:
        """Read what `to_dict` wrote.

        Raises
        ------
        SieveError, KeyError, TypeError, ValueError
            If it is damaged.
        """
        figures, candidates = (
            {name: math.nan if value is None else float(value) for name, value in part.items()}
            for part in (saved["figures"], saved["candidates"])
        )
        cut = Cut.from_dict(saved["cut"])
        return cls(cut, str(saved["objective"]), str(saved["member"]), figures, candidates)


def tune(
    scores: NDArray[np.float64],
    relevant: NDArray[np.bool_],
    groups: Sequence[str],
    objective: str = "f1",
) -> Tuning:
    """Choose the rule's member and its numbers.

    Parameters
    ----------
    scores : array (photos, labels)
        Out-of-fold scores.
    relevant : array of bool (photos, labels)
    groups : sequence of str (photos,)
        The building of each photo: a list that the cut is applied to is one label in one building.
    objective : str
        See `Objective`.

    Raises
    ------
    UsageError
        If the objective does not exist.
    """
    goal = Objective(objective)
    table = _Table.of(scores, relevant, groups)
    folds = _folds(table.units)
    judged = {member: _judge(table, member, goal, folds) for member in MEMBERS}
    member = _simplest_within_noise(judged, goal)
    total = judged[member].sum(0)  # (labels,)
    columns = zip(scores.T, relevant.T, strict=True)
    return Tuning(
        cut=_search(table, member, goal),
        objective=objective,
        member=member,
        figures={
            "precision": float(metrics.mean(total.precision)),
            "recall": float(metrics.mean(total.recall)),
            "f1": float(metrics.mean(total.f1)),
            "accuracy": float(total.sum().accuracy),
            "mean_average_precision": float(
                metrics.mean([float(metrics.average_precision(*column)) for column in columns])
            ),
        },
        candidates={name: float(goal.value(counts.sum(0))) for name, counts in judged.items()},
    )


@dataclass(frozen=True)
class _Table:
    """All (photo, label) pairs of all lists, flat, with what the rule looks at.

    A pair is kept when its list's best score reaches the gate, its own score exceeds the floor (or
    it is the best), and no fall up to it in its list exceeds the drop. Arrays are (pairs,).
    """

    labels: int
    units: int
    score: Floats
    best: Floats
    is_best: NDArray[np.bool_]
    deepest_fall: Floats
    relevant: NDArray[np.bool_]
    label: NDArray[np.intp]
    unit: NDArray[np.intp]
    """What is held out together: the building or, if there is only one, the label."""

    @classmethod
    def of(
        cls,
        scores: NDArray[np.float64],
        relevant: NDArray[np.bool_],
        groups: Sequence[str],
    ) -> _Table:
        names, buildings = np.array(groups), tuple(dict.fromkeys(groups))
        parts = []
        labels = np.arange(scores.shape[1])
        for number, name in enumerate(buildings):
            rows = np.flatnonzero(names == name)
            order = np.argsort(-scores[rows], axis=0, kind="stable")  # (n, labels)
            ranked = np.take_along_axis(scores[rows], order, 0)
            rank = np.broadcast_to(np.arange(len(rows))[:, None], ranked.shape)
            parts.append(
                (
                    ranked,
                    np.broadcast_to(ranked[:1], ranked.shape),
                    rank == 0,
                    np.maximum.accumulate(falls(ranked.T).T, axis=0),
                    np.take_along_axis(relevant[rows], order, 0),
                    np.broadcast_to(labels, ranked.shape),
                    np.broadcast_to(labels if len(buildings) == 1 else number, ranked.shape),
                )
            )
        flat: list[Any] = [np.concatenate([part[i].ravel() for part in parts]) for i in range(7)]
        units = len(labels) if len(buildings) == 1 else len(buildings)
        return cls(len(labels), units, *flat)

    def among(self, chosen: NDArray[np.bool_]) -> _Table:
        """Return only the pairs of some units, (units,) of bool."""
        pairs = chosen[self.unit]
        arrays: list[Any] = [
            self.score, self.best, self.is_best, self.deepest_fall,
            self.relevant, self.label, self.unit,
        ]  # fmt: skip
        return _Table(self.labels, self.units, *(array[pairs] for array in arrays))

    def counts(self, cut: Cut) -> Counts:
        """Count per unit and label, (units, labels)."""
        kept = (self.best >= cut.gate) & (self.is_best | (self.score > cut.floor))
        kept &= self.deepest_fall <= cut.drop
        cell = self.unit * self.labels + self.label

        def count(which: NDArray[np.bool_]) -> Floats:
            flat = np.bincount(cell[which], minlength=self.units * self.labels)
            return flat.reshape(self.units, self.labels).astype(np.float64)

        right = self.relevant
        return Counts(
            count(kept & right), count(kept & ~right), count(~kept & right), count(~kept & ~right)
        )


def _search(table: _Table, member: str, goal: Objective) -> Cut:
    """Try every combination of a member's numbers and return the best.

    Among equals the middle of the widest plateau is taken, number by number, as far as possible
    from where the result gets worse; of equal drops the loosest.
    """
    lowered = "drop" in member
    drops = _midpoints(table.deepest_fall, MOST_VALUES["drop"])[:-1] if lowered else np.array([])
    drops = np.append(drops[drops > 0], math.inf)
    joint = "gate" not in member
    gates = _midpoints(
        table.score if joint else table.best, MOST_VALUES["threshold" if joint else "gate"]
    )
    if not table.relevant.any():  # no photo matches any label, which "none" says
        return Cut.threshold(float(gates[-1]))
    floors = gates if joint else _midpoints(table.score, MOST_VALUES["floor"])
    found: list[tuple[float, Cut]] = []
    for drop in drops:
        open_pairs = table.deepest_fall <= drop
        if joint:
            counts = _counts_over(table, open_pairs, (gates,), (table.score,))
        else:
            own = np.where(table.is_best, math.inf, table.score)
            counts = _counts_over(table, open_pairs, (gates, floors), (table.best, own))
        values = goal.value(counts)  # (gates,) or (gates, floors)
        index = _middle_of_best(values)
        gate, floor = gates[index[0]], floors[index[-1]]
        found.append((float(values[index]), Cut(float(gate), float(floor), float(drop))))
    best = max(value for value, _ in found)
    return [cut for value, cut in found if value >= best - 1e-12][-1]  # the loosest drop of equals


def _counts_over(
    table: _Table,
    open_pairs: NDArray[np.bool_],
    bounds: Sequence[Floats],
    values: Sequence[Floats],
) -> Counts:
    """Count per label for every combination of bounds.

    Parameters
    ----------
    open_pairs : array of bool (pairs,)
        Pairs that are kept if they pass all bounds.
    bounds : sequence of ascending arrays (k,)
    values : sequence of arrays (pairs,)
        A pair passes ``bounds[i][j]`` when ``values[i]`` exceeds it.

    Returns
    -------
    Counts
        Of shape (labels, k) for one bound or (labels, k, l) for two.
    """
    shape = (table.labels, *(len(bound) + 1 for bound in bounds))
    passed = [np.searchsorted(b, v, side="left") for b, v in zip(bounds, values, strict=True)]
    cell = np.ravel_multi_index((table.label, *passed), shape)

    def count(which: NDArray[np.bool_]) -> Floats:
        table_ = np.bincount(cell[which], minlength=math.prod(shape)).reshape(shape)
        for axis in range(1, len(shape)):  # a pair that passes bound j passes all lower ones
            table_ = np.flip(np.flip(table_, axis).cumsum(axis), axis)
        return table_[(slice(None), *[slice(1, None)] * len(bounds))].astype(np.float64)

    tp, fp = count(open_pairs & table.relevant), count(open_pairs & ~table.relevant)
    ones = [1] * len(bounds)
    support = np.bincount(table.label[table.relevant], minlength=table.labels).reshape(-1, *ones)
    total = np.bincount(table.label, minlength=table.labels).reshape(-1, *ones)
    return Counts(tp, fp, support - tp, total - support - fp)


def _middle_of_best(values: Floats) -> tuple[int, ...]:
    """Index of a best value: axis by axis the middle of the longest run in which there is one."""
    best = values >= values.max() - 1e-12
    index: list[int] = []
    while best.ndim:
        places = np.flatnonzero(best.reshape(len(best), -1).any(1))
        runs = np.split(places, np.flatnonzero(np.diff(places) > 1) + 1)
        longest = max(runs, key=len)
        index.append(int(longest[len(longest) // 2]))
        best = best[index[-1]]
    return tuple(index)


def _midpoints(values: Floats, most: int) -> Floats:
    """Ascending bounds between neighbouring distinct values, and one below and one above all."""
    distinct = np.unique(values[np.isfinite(values)])
    bounds = np.concatenate(
        [distinct[:1] - 1, (distinct[1:] + distinct[:-1]) / 2, distinct[-1:] + 1]
    )
    if len(bounds) > most:
        bounds = bounds[np.linspace(0, len(bounds) - 1, most).round().astype(int)]
    return bounds


def _folds(units: int) -> list[NDArray[np.bool_]]:
    """Masks of held-out units, (units,); none for a single one."""
    if units < 2:
        return []
    parts = np.array_split(np.arange(units), min(units, FOLDS))
    return [np.isin(np.arange(units), part) for part in parts]


def _judge(
    table: _Table, member: str, goal: Objective, folds: Sequence[NDArray[np.bool_]]
) -> Counts:
    """Count what a member does on units that its numbers were not searched on.

    Returns
    -------
    Counts
        Of shape (units, labels).
    """
    if not folds:
        return table.counts(_search(table, member, goal))
    parts = [
        table.among(held_out).counts(_search(table.among(~held_out), member, goal))
        for held_out in folds
    ]
    return Counts(*(np.sum([getattr(p, n) for p in parts], 0) for n in ("tp", "fp", "fn", "tn")))


def _simplest_within_noise(judged: Mapping[str, Counts], goal: Objective) -> str:
    """Pick the first member whose value is within one standard error of the best.

    The error is that of the difference between the two over bootstrap draws of units (the one
    standard error rule of Breiman et al., 1984, section 3.4.3). With one unit the figures are not
    honest, and the simplest member is taken.
    """
    simplest = MEMBERS[0]
    units = len(judged[simplest].tp)
    if units < 2:
        return simplest
    values = {member: float(goal.value(counts.sum(0))) for member, counts in judged.items()}
    best = max(values, key=lambda member: values[member])
    weights = metrics.bootstrap_weights(units, draws=1000, seed=0)  # (draws, units)

    def draws(member: str) -> Floats:
        counts = judged[member]
        drawn = Counts(*(weights @ part for part in (counts.tp, counts.fp, counts.fn, counts.tn)))
        return goal.value(drawn, axis=-1)

    for member in MEMBERS:
        error = float(np.std(draws(best) - draws(member)))
        if values[member] >= values[best] - error:
            return member
    return best


def _plain(figures: Mapping[str, float]) -> dict[str, float | None]:
    return {name: None if math.isnan(value) else value for name, value in figures.items()}
