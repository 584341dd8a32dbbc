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

    def keep_by_group(self, scores: ArrayLike, groups: Sequence[str]) -> NDArray[np.bool_]:
        """Apply the rule to each column of each group's rows as a list of its own.

        Parameters
        ----------
        scores : array_like (photos, queries)
        groups : sequence of str (photos,)
            The building of each photo.

        Returns
        -------
        array of bool (photos, queries)
        """
        scores, names = np.asarray(scores, np.float64), np.asarray(groups)
        kept = np.zeros(scores.shape, bool)
        for name in dict.fromkeys(groups):
            rows = np.flatnonzero(names == name)
            kept[rows] = self.keep(scores[rows].T).T
        return kept

    def explain(self, values: ArrayLike, groups: Sequence[str]) -> list[Verdict]:
        """Decide about one query's photos as `keep_by_group` does, with the reason for each.

        Parameters
        ----------
        values : array_like (photos,)
        groups : sequence of str (photos,)

        Returns
        -------
        list of Verdict (photos,)
        """
        values, names = np.asarray(values, np.float64), np.asarray(groups)
        kept = self.keep_by_group(values[:, None], groups)[:, 0]
        reasons = np.empty(len(values), object)
        for name in dict.fromkeys(groups):
            rows = np.flatnonzero(names == name)
            rows = rows[np.argsort(-values[rows], kind="stable")]
            reasons[rows] = self._reasons(values[rows])
        return [Verdict(bool(k), str(r)) for k, r in zip(kept, reasons, strict=True)]

    def _reasons(self, ranked: NDArray[np.float64]) -> list[str]:
        """Return the reason for each photo of one list, best first."""
        reasons, ended = [], ""
        if ranked[0] < self.gate:
            ended = f"the best here, {ranked[0]:.3f}, is below the gate {self.gate:.3f}"
        for place, (value, fall) in enumerate(zip(ranked, falls(ranked), strict=True)):
            if not ended and fall > self.drop:
                ended = f"the list ends at a fall of {fall:.0%} to {value:.3f}"
            if math.isnan(value):
                reasons.append("it has no score")
            elif ended:
                reasons.append(ended)
            elif value > self.floor:
                reasons.append(f"above {self.floor:.3f}")
            elif place == 0:
                reasons.append(f"the best, and it reaches the gate {self.gate:.3f}")
            else:
                reasons.append(f"not above {self.floor:.3f}")
        return reasons

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
