"""Search for the best cut: all (photo, label) pairs in flat arrays, counted for many cuts at once.

A list is the photos of one building, ranked for one label. The cut is applied to the whole list, so
photos whose relevance is unknown have their place in it, but only known pairs are counted.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from photosieve.decision.cut import Cut, falls, rows_by_group
from photosieve.decision.metrics import Counts, Float64Array
from photosieve.decision.objective import Objective

MOST_VALUES = {"threshold": 4096, "gate": 48, "floor": 48, "drop": 24}
"""How many values of each number are tried; more distinct ones are thinned out evenly by rank."""


@dataclass(frozen=True)
class Pairs:
    """The known pairs of all lists, with the numbers that a cut compares.

    A pair is kept when its list's best score reaches the gate, its own score exceeds the floor (or
    it is the best), and no fall up to it in its list exceeds the drop. Arrays are (pairs,).

    Parameters
    ----------
    labels, units : int
        How many there are.
    score : array
    best : array
        The best score in the pair's list.
    is_best : array of bool
    deepest_fall : array
        The largest fall in the pair's list up to the pair; see `photosieve.decision.cut.falls`.
    relevant : array of bool
    label : array of int
    unit : array of int
        The building or, if there is only one, the label. Units are held out as a whole.
    """

    labels: int
    units: int
    score: Float64Array
    best: Float64Array
    is_best: NDArray[np.bool_]
    deepest_fall: Float64Array
    relevant: NDArray[np.bool_]
    label: NDArray[np.intp]
    unit: NDArray[np.intp]

    @classmethod
    def of(
        cls,
        scores: NDArray[np.float64],
        relevant: NDArray[np.bool_],
        groups: Sequence[str],
        known: NDArray[np.bool_] | None = None,
    ) -> Pairs:
        """Flatten values, (photos, labels), list by list; pairs that are not known are left out."""
        known = np.ones_like(relevant) if known is None else known
        buildings = rows_by_group(groups)
        parts, counted = [], []
        labels = np.arange(scores.shape[1])
        for number, rows in enumerate(buildings.values()):
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
            counted.append(np.take_along_axis(known[rows], order, 0).ravel())
        among = np.concatenate(counted)
        flat: list[Any] = [
            np.concatenate([part[i].ravel() for part in parts])[among] for i in range(7)
        ]
        units = len(labels) if len(buildings) == 1 else len(buildings)
        return cls(len(labels), units, *flat)

    def among(self, chosen: NDArray[np.bool_]) -> Pairs:
        """Return only the pairs of some units, given as a mask (units,)."""
        pairs = chosen[self.unit]
        arrays: list[Any] = [
            self.score, self.best, self.is_best, self.deepest_fall,
            self.relevant, self.label, self.unit,
        ]  # fmt: skip
        return Pairs(self.labels, self.units, *(array[pairs] for array in arrays))

    def counts(self, cut: Cut) -> Counts:
        """Count per unit and label, (units, labels)."""
        kept = (self.best >= cut.gate) & (self.is_best | (self.score > cut.floor))
        kept &= self.deepest_fall <= cut.drop
        cell = self.unit * self.labels + self.label

        def count(which: NDArray[np.bool_]) -> Float64Array:
            flat = np.bincount(cell[which], minlength=self.units * self.labels)
            return flat.reshape(self.units, self.labels).astype(np.float64)

        right = self.relevant
        return Counts(
            count(kept & right), count(kept & ~right), count(~kept & right), count(~kept & ~right)
        )


def search(pairs: Pairs, member: str, objective: Objective) -> Cut:
    """Try every combination of a member's numbers and return the best cut.

    Of equally good values the middle of the widest plateau is taken, number by number, as far as
    possible from worse values; of equally good drops the loosest.

    Parameters
    ----------
    pairs : Pairs
    member : str
        See `photosieve.decision.selection.MEMBERS`.
    objective : Objective
    """
    lowered = "drop" in member
    drops = _midpoints(pairs.deepest_fall, MOST_VALUES["drop"])[:-1] if lowered else np.array([])
    drops = np.append(drops[drops > 0], math.inf)
    joint = "gate" not in member
    gates = (
        _midpoints(pairs.score, MOST_VALUES["threshold"], pairs.relevant)
        if joint
        else _midpoints(pairs.best, MOST_VALUES["gate"])
    )
    if not pairs.relevant.any():  # no photo has any label: keep none
        return Cut.threshold(float(gates[-1]) if len(gates) else 1.0)
    floors = gates if joint else _midpoints(pairs.score, MOST_VALUES["floor"])
    own = np.where(pairs.is_best, math.inf, pairs.score)
    values = ((gates, pairs.score),) if joint else ((gates, pairs.best), (floors, own))
    tried: list[tuple[float, Cut]] = []
    for drop, counts in zip(drops, _counts_over(pairs, drops, values), strict=True):
        reached = objective.value(counts)  # (gates,) or (gates, floors)
        index = middle_of_best(reached)
        gate, floor = gates[index[0]], floors[index[-1]]
        tried.append((float(reached[index]), Cut(float(gate), float(floor), float(drop))))
    best = max(value for value, _ in tried)
    return [cut for value, cut in tried if value >= best - 1e-12][-1]  # the loosest drop of equals


def _counts_over(
    pairs: Pairs,
    drops: Float64Array,
    values: Sequence[tuple[Float64Array, Float64Array]],
) -> Iterator[Counts]:
    """Count per label for every combination of bounds, drop by drop.

    Parameters
    ----------
    drops : ascending array
    values : sequence of (ascending array (k,), array (pairs,))
        Bounds, and values of the pairs: a pair passes ``bounds[j]`` when its value exceeds it.

    Yields
    ------
    Counts
        Of shape (labels, k) for one sequence of bounds or (labels, k, l) for two.
    """
    shape = (pairs.labels, *(len(bounds) + 1 for bounds, _ in values))
    passed = [np.searchsorted(bounds, own, side="left") for bounds, own in values]
    cell = np.ravel_multi_index((pairs.label, *passed), shape)
    opened_by = np.searchsorted(drops, pairs.deepest_fall, side="left")  # the first drop that does
    ones = [1] * len(values)
    support = np.bincount(pairs.label[pairs.relevant], minlength=pairs.labels).reshape(-1, *ones)
    total = np.bincount(pairs.label, minlength=pairs.labels).reshape(-1, *ones)
    right, wrong = np.zeros(shape), np.zeros(shape)
    for number in range(len(drops)):
        new = opened_by == number
        for counted, which in ((right, pairs.relevant), (wrong, ~pairs.relevant)):
            np.add.at(counted.reshape(-1), cell[new & which], 1)
        tp, fp = (_passing(counted) for counted in (right, wrong))
        yield Counts(tp, fp, support - tp, total - support - fp)


def _passing(counted: Float64Array) -> Float64Array:
    """Sum over later cells: a pair that passes a bound passes all lower ones."""
    for axis in range(1, counted.ndim):
        counted = np.flip(np.flip(counted, axis).cumsum(axis), axis)
    return counted[(slice(None), *[slice(1, None)] * (counted.ndim - 1))]


def middle_of_best(values: Float64Array) -> tuple[int, ...]:
    """Return the index of a best value: the middle of the longest run of them, axis by axis."""
    best = values >= values.max() - 1e-12
    index: list[int] = []
    while best.ndim:
        places = np.flatnonzero(best.reshape(len(best), -1).any(1))
        runs = np.split(places, np.flatnonzero(np.diff(places) > 1) + 1)
        longest = max(runs, key=len)
        index.append(int(longest[len(longest) // 2]))
        best = best[index[-1]]
    return tuple(index)


def _midpoints(
    values: Float64Array, most: int, relevant: NDArray[np.bool_] | None = None
) -> Float64Array:
    """Return ascending bounds between neighboring distinct values, and one below and above all.

    Of more than `most`, those just below a relevant pair are taken, if it is said which are: a
    bound just below a wrong one lets that in, and nothing that is right.
    """
    distinct = np.unique(values[np.isfinite(values)])
    bounds = np.concatenate(
        [distinct[:1] - 1, (distinct[1:] + distinct[:-1]) / 2, distinct[-1:] + 1]
    )
    if len(bounds) > most and relevant is not None:
        bounds = np.append(bounds[np.isin(distinct, values[relevant]).nonzero()], bounds[-1])
    if len(bounds) > most:
        bounds = bounds[np.linspace(0, len(bounds) - 1, most).round().astype(int)]
    return bounds
