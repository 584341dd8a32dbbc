"""The rule that cuts a ranked list: gate, floor and drop. Pure numpy.

The list is ranked by score, best first. Then

* the **gate** decides whether there is an answer at all: if the best score is below it, the
  result is empty, and otherwise the best photo is in it;
* the **floor** decides about every other photo: it stays only if its score exceeds the floor;
* the **drop** decides where the list ends: at the first photo whose score is lower than the one
  before it by more than this fraction.

One shared threshold is the member with gate = floor and no drop.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from photosieve.errors import SieveError, UsageError

Groups = Sequence[str] | NDArray[np.integer[Any]]
"""The group of each photo, by name or by number."""


@dataclass(frozen=True)
class Verdict:
    """The decision of a cut about one photo, and the number that decided."""

    kept: bool
    reason: str


@dataclass(frozen=True)
class Cut:
    """A rule that decides which photos of a ranked list are kept.

    Parameters
    ----------
    gate, floor : float
        In the unit of the lists: probabilities, or for comparison cosines.
    drop : float
        A fraction of 0 or more; with infinity no fall ends the list.

    Raises
    ------
    UsageError
        If a number is not a number, or the drop is negative.
    """

    gate: float
    floor: float
    drop: float = math.inf

    def __post_init__(self) -> None:
        if math.isnan(self.gate) or math.isnan(self.floor) or not self.drop >= 0:
            raise UsageError(
                f"a cut needs numbers and a drop of 0 or more, not gate {self.gate}, "
                f"floor {self.floor}, drop {self.drop}; correct the one that is off"
            )

    @classmethod
    def threshold(cls, value: float) -> Cut:
        """Return the cut with one threshold for all photos: gate = floor, no drop."""
        return cls(gate=value, floor=value)

    def keep(self, scores: ArrayLike) -> NDArray[np.bool_]:
        """Decide which photos of each query's list are in its result.

        Parameters
        ----------
        scores : array_like (..., photos)
            One list a row, in any order; of equal scores the first counts as the better. What is
            not a number (nan) comes last and is never kept.

        Returns
        -------
        array of bool (..., photos)
            In the order of `scores`.
        """
        scores = np.asarray(scores, np.float64)
        if scores.shape[-1] == 0:
            return np.zeros(scores.shape, bool)
        order = np.argsort(-scores, axis=-1, kind="stable")
        ranked = np.take_along_axis(scores, order, -1)  # (..., photos), best first
        stays = ranked > self.floor
        stays[..., 0] = True  # once the gate is passed, the best photo is never in doubt
        stays &= ranked[..., :1] >= self.gate
        stays &= np.maximum.accumulate(falls(ranked), axis=-1) <= self.drop
        kept = np.zeros(scores.shape, bool)
        np.put_along_axis(kept, order, stays, -1)
        return kept

    def keep_by_group(self, scores: ArrayLike, groups: Groups) -> NDArray[np.bool_]:
        """Apply the rule to each column of each group's rows as a list of its own.

        Parameters
        ----------
        scores : array_like (photos, queries)
        groups : sequence of str, or array of int (photos,)
            The building of each photo.

        Returns
        -------
        array of bool (photos, queries)
        """
        lists = np.asarray(scores, np.float64).T  # (queries, photos)
        if not lists.size:
            return np.zeros(lists.T.shape, bool)
        codes = _codes(groups)
        if math.isinf(self.drop) and (kept := self._keep_without_drop(lists, codes)) is not None:
            return kept.T
        kept = np.zeros(lists.shape, bool)
        # As `keep` does it, for all groups at once: they follow one another, each best first.
        order = np.lexsort((-lists, np.broadcast_to(codes, lists.shape)))
        ranked = np.take_along_axis(lists, order, -1)
        firsts = np.flatnonzero(np.diff(np.sort(codes), prepend=-1))
        first = np.repeat(firsts, np.diff([*firsts, len(codes)]))  # of the group of each photo
        fall = falls(ranked)
        fall[:, firsts] = 0
        ends = (fall > self.drop).cumsum(-1)
        stays = ranked > self.floor
        stays[:, firsts] = True
        stays &= (ranked[:, first] >= self.gate) & (ends == ends[:, first])
        np.put_along_axis(kept, order, stays, -1)
        return kept.T

    def _keep_without_drop(
        self, lists: NDArray[np.float64], codes: NDArray[np.intp]
    ) -> NDArray[np.bool_] | None:
        """Do `keep_by_group` without sorting; None where a best photo is not above the floor."""
        order = np.argsort(codes, kind="stable")
        starts = np.flatnonzero(np.diff(codes[order], prepend=-1))
        best = np.fmax.reduceat(lists[:, order], starts, axis=-1)  # (queries, groups)
        passes = best >= self.gate
        if (passes & (best <= self.floor)).any():
            return None
        return np.asarray((lists > self.floor) & passes[:, codes], bool)

    def explain(self, values: ArrayLike, groups: Groups) -> list[Verdict]:
        """Decide about one query's photos as `keep_by_group` does, with the reason for each.

        Parameters
        ----------
        values : array_like (photos,)
        groups : sequence of str, or array of int (photos,)

        Returns
        -------
        list of Verdict (photos,)
        """
        values = np.asarray(values, np.float64)
        kept = self.keep_by_group(values[:, None], groups)[:, 0]
        reasons = self.reasons(values, groups, np.arange(len(values)))
        return [Verdict(bool(k), r) for k, r in zip(kept, reasons, strict=True)]

    def reasons(
        self, values: NDArray[np.float64], groups: Groups, photos: NDArray[np.intp]
    ) -> list[str]:
        """Return the reasons for some of one query's photos, which are given by their places.

        Parameters
        ----------
        values : array (photos,)
            Of all photos, as for `explain`.
        groups : sequence of str, or array of int (photos,)
        photos : array of int (k,)

        Returns
        -------
        list of str (k,)
        """
        groups = np.asarray(groups)
        beside = np.flatnonzero(np.isin(groups, groups[photos]))  # other groups decide nothing here
        values, codes, photos = values[beside], _codes(groups[beside]), beside.searchsorted(photos)
        order = np.lexsort((-values, codes))  # group by group, each best first
        places = np.empty(len(order), np.intp)
        places[order] = np.arange(len(order))
        starts = np.searchsorted(codes[order], codes[photos])
        stops = np.searchsorted(codes[order], codes[photos], "right")
        return [
            self._reason(values[order[start:stop]], place - start)
            for place, start, stop in zip(
                places[photos].tolist(), starts.tolist(), stops.tolist(), strict=True
            )
        ]

    def _reason(self, ranked: NDArray[np.float64], place: int) -> str:
        """Return the reason for a photo of one list, which is best first."""
        value = ranked[place]
        if math.isnan(value):
            return "it has no score"
        if ranked[0] < self.gate:
            return f"the best here, {ranked[0]:.3f}, is below the gate {self.gate:.3f}"
        if math.isfinite(self.drop):
            fall = falls(ranked[: place + 1])
            for end in np.flatnonzero(fall > self.drop)[:1].tolist():
                return f"the list ends at a fall of {fall[end]:.0%} to {ranked[end]:.3f}"
        if value > self.floor:
            return f"above {self.floor:.3f}"
        if place == 0:
            return f"the best, and it reaches the gate {self.gate:.3f}"
        return f"not above {self.floor:.3f}"

    def describe(self) -> str:
        """Return the rule in words, for values that are probabilities."""
        if self.gate == self.floor:
            text = f"keep a photo when its probability is above {self.floor:.3f}"
        else:
            text = (
                f"answer only if the best probability is at least {self.gate:.3f}; "
                f"then keep photos above {self.floor:.3f}"
            )
        if math.isfinite(self.drop):
            text += f"; a list ends where it falls by more than {self.drop:.1%}"
        return text

    def to_dict(self) -> dict[str, float | None]:
        """Return a form for JSON; no drop is null."""
        drop = self.drop if math.isfinite(self.drop) else None
        return {"gate": self.gate, "floor": self.floor, "drop": drop}

    @classmethod
    def from_dict(cls, saved: dict[str, Any]) -> Cut:
        """Read the form that `to_dict` returns.

        Raises
        ------
        SieveError
            If a number is missing or is not a number.
        """
        try:
            drop = math.inf if saved["drop"] is None else float(saved["drop"])
            return cls(float(saved["gate"]), float(saved["floor"]), drop)
        except (KeyError, TypeError, ValueError, OverflowError, UsageError) as error:
            raise SieveError(f"the saved cut is damaged ({error!r}); train or tune again") from None


NOTEBOOK_CUT = Cut(gate=0.23, floor=0.22, drop=0.04)
"""The hand-picked numbers of the notebooks, for comparison."""


def rows_by_group(groups: Sequence[str]) -> dict[str, list[int]]:
    """Return the places of each group's photos; the groups are in order of first appearance."""
    rows: dict[str, list[int]] = {}
    for row, group in enumerate(groups):
        rows.setdefault(group, []).append(row)
    return rows


def _codes(groups: Groups) -> NDArray[np.intp]:
    """Number the groups of photos from 0 on."""
    return np.asarray(np.unique(np.asarray(groups), return_inverse=True)[1])


def falls(ranked: NDArray[np.float64]) -> NDArray[np.float64]:
    """Fraction by which each score is lower than the one before it; 0 for the first.

    The fraction is ``(previous - current) / |previous|``: the notebooks' formula for the positive
    scores they had, and still a fall, not a rise, below zero. A fall from zero, from infinity or to
    minus infinity is infinite, and so is one to what is not a number.

    Parameters
    ----------
    ranked : array (..., photos)
        Descending scores.

    Returns
    -------
    array (..., photos)
        Never negative.
    """
    previous, current = ranked[..., :-1], ranked[..., 1:]
    out = np.zeros(ranked.shape)
    fall = out[..., 1:]
    fall[previous != current] = np.inf
    finite = np.isfinite(previous) & np.isfinite(current) & (previous != 0)
    with np.errstate(invalid="ignore"):  # of the others the difference may be undefined
        np.divide(previous - current, np.abs(previous), out=fall, where=finite)
    return out
