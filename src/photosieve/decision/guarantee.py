"""Guarantee a recall or a precision with a stated confidence. Pure numpy.

Tuning finds a cut that did well on held-out buildings. This module finds a threshold that, with a
confidence such as 90 %, also does well on future buildings. The unit is the building: photos of one
resemble one another, so a building gives one loss between 0 and 1, however many photos it has. The
guarantee is about the mean loss over buildings from the same source as the labeled ones; a single
building can do worse.

A threshold passes when the hypothesis "its mean loss is too high" is rejected (learn then test:
Angelopoulos et al., 2021, arXiv:2110.01052); `photosieve.decision.betting` has the test. MAPIE's
risk control is not used because it has no notion of buildings.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from photosieve.decision.betting import mean_is_below
from photosieve.decision.metrics import Float64Array
from photosieve.errors import GuaranteeError, SieveError, UsageError

BuildingScores = tuple[Float64Array, Float64Array]
"""Ascending scores of one building's (photo, label) pairs: the relevant ones and the others."""

_TARGET = re.compile(r"(recall|precision)>=(0?\.\d*[1-9]\d*)")
THRESHOLDS_AT_ONCE = 256
"""Thresholds that are tested together, which bounds the memory."""


@dataclass(frozen=True)
class Guarantee:
    """A threshold and its guarantee.

    Parameters
    ----------
    metric : str
        ``recall`` or ``precision``.
    least : float
        The guaranteed mean of the metric over buildings.
    confidence : float
        The probability, before the labeled buildings were drawn, that the guarantee would hold.
    threshold : float
        A photo is kept when its score is above it.
    buildings : int
        How many buildings were checked.
    observed : float
        Mean of the metric over them at the threshold.

    Raises
    ------
    UsageError
        If a value makes no sense.
    """

    metric: str
    least: float
    confidence: float
    threshold: float
    buildings: int
    observed: float

    def __post_init__(self) -> None:
        fractions = 0 < self.least < 1 and 0 < self.confidence < 1 and 0 <= self.observed <= 1
        known = self.metric in ("recall", "precision")
        if not (known and fractions and math.isfinite(self.threshold) and self.buildings > 0):
            raise UsageError(f"{self} makes no sense; correct the value that is off")

    def describe(self) -> str:
        """Return the guarantee as text, with the buildings that it is about."""
        empty = ", where no answer counts as 1," if self.metric == "precision" else ""
        return (
            f"with {_percent(self.confidence)} confidence, mean {self.metric}{empty} over "
            f"buildings like the {self.buildings} it was checked on is at least {self.least:g} "
            f"(observed {self.observed:.3f})"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return a form for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, saved: dict[str, Any]) -> Guarantee:
        """Read the form that `to_dict` returns.

        Raises
        ------
        SieveError
            If a value is missing or makes no sense.
        """
        try:
            return cls(
                metric=str(saved["metric"]),
                least=float(saved["least"]),
                confidence=float(saved["confidence"]),
                threshold=float(saved["threshold"]),
                buildings=int(saved["buildings"]),
                observed=float(saved["observed"]),
            )
        except (KeyError, TypeError, ValueError, OverflowError, UsageError) as error:
            raise SieveError(f"the saved guarantee is damaged ({error!r}); make it again") from None


def guarantee(
    scores: ArrayLike,
    relevant: ArrayLike,
    groups: Sequence[str],
    target: str,
    confidence: float = 0.9,
    known: ArrayLike | None = None,
) -> Guarantee:
    """Find the threshold for which the target can be guaranteed.

    The loss of a building is, for recall, the fraction of its relevant (photo, label) pairs that
    are not kept; a building without any says nothing about recall and is left out. For precision
    it is the fraction of its kept pairs that are wrong, and 0 when none is kept: look at the recall
    too, since a threshold that keeps next to nothing is precise in this sense. Pairs that are not
    known have no part in a loss, so the guarantee is about pairs like the known ones.

    For recall the strictest threshold that passes is taken, for precision the loosest. The
    confidence holds for one target. It does not hold if several targets are tried until one passes.

    Parameters
    ----------
    scores : array_like (photos, labels)
        Of photos that the model was not trained on, on any scale; higher is better.
    relevant : array_like of bool (photos, labels)
    groups : sequence of str (photos,)
        The building of each photo.
    target : str
        Such as ``recall>=0.9`` or ``precision>=0.8``.
    confidence : float
        Between 0 and 1.
    known : array_like of bool (photos, labels), optional
        Pairs whose relevance is known; by default all.

    Raises
    ------
    UsageError
        If the target, the confidence or the arrays make no sense.
    GuaranteeError
        If the buildings are too few, or no threshold allows the guarantee.
    """
    match = _TARGET.fullmatch(target)
    if not match:
        raise UsageError(
            f'"{target}" cannot be guaranteed; ask for a recall or precision between 0 and 1, '
            "such as recall>=0.9"
        )
    if not 0 < confidence < 1:
        raise UsageError(f"a confidence of {confidence} makes no sense; give one such as 0.9")
    metric, least = match[1], float(match[2])
    scores, relevant = np.asarray(scores, np.float64), np.asarray(relevant, bool)
    if scores.ndim != 2 or relevant.shape != scores.shape or len(groups) != len(scores):
        raise UsageError(
            f"scores {scores.shape}, relevance {relevant.shape} and {len(groups)} groups do not "
            "fit; give one row and one group a photo and one column a label"
        )
    if not np.isfinite(scores).all():
        raise UsageError("a score is not a finite number; leave its photo out")

    counted = np.ones_like(relevant) if known is None else np.asarray(known, bool)
    buildings = split_buildings(scores, relevant, groups, metric, counted)
    asked = f"a {metric} of at least {least:g} with {_percent(confidence)} confidence"
    # If the mean loss were too high, n buildings could still be without any loss with a probability
    # of up to least ** n. This must not exceed 1 - confidence.
    needed = math.ceil(math.log(1 - confidence) / math.log(least) - 1e-9)
    if len(buildings) < needed:
        kind = "buildings with a photo that matches" if metric == "recall" else "buildings"
        raise GuaranteeError(
            f"{len(buildings)} {kind} are too few to guarantee {asked}, which takes {needed} "
            "even without a single mistake; label more buildings, or ask for less"
        )
    search = functools.partial(
        _search,
        buildings,
        _thresholds(scores[counted], relevant[counted], metric),
        metric,
        confidence,
    )
    threshold = search(least)
    if threshold is None:
        lower = (step / 100 for step in range(math.ceil(least * 100 - 1e-9) - 1, 0, -1))
        best = next((value for value in lower if search(value) is not None), None)
        raise GuaranteeError(
            f"no threshold can guarantee {asked} after {len(buildings)} buildings, "
            f"{'nor any other' if best is None else f'but {best:g} would be possible'}; "
            "label more buildings, improve the model, or ask for less"
        )
    observed = 1 - float(_losses(buildings, np.array([threshold]), metric).mean())
    return Guarantee(metric, least, confidence, threshold, len(buildings), observed)


def _percent(fraction: float) -> str:
    return f"{100 * fraction:g} %"


def split_buildings(
    scores: Float64Array,
    relevant: NDArray[np.bool_],
    groups: Sequence[str],
    metric: str,
    known: NDArray[np.bool_],
) -> list[BuildingScores]:
    """Return the known scores of each building that counts, in an order independent of them."""
    names, member = np.unique(np.asarray(groups), return_inverse=True)
    buildings: list[BuildingScores] = []
    for number in np.random.default_rng(0).permutation(len(names)):
        own, right, sure = (part[member == number] for part in (scores, relevant, known))
        buildings.append((np.sort(own[right & sure]), np.sort(own[~right & sure])))
    return [
        (right, wrong)
        for right, wrong in buildings
        if len(right) or (metric == "precision" and len(wrong))
    ]


def _thresholds(scores: Float64Array, relevant: NDArray[np.bool_], metric: str) -> Float64Array:
    """Return all thresholds between which a loss changes, in the order of the tests.

    Each lies halfway between a score and the next lower one: equal scores are kept together.
    """
    distinct = np.unique(scores)
    lower = np.append(distinct[:1] - np.maximum(1, np.abs(distinct[:1])), distinct[:-1])
    middle = lower + (distinct - lower) / 2
    middle = np.where(middle < distinct, middle, lower)  # neighbors among floats have no middle
    if metric == "precision":
        return middle[::-1]
    return middle[np.isin(distinct, scores[relevant])]


def _losses(
    buildings: Sequence[BuildingScores], thresholds: Float64Array, metric: str
) -> Float64Array:
    """Return the loss of each building at each threshold, (buildings, thresholds)."""
    out = np.empty((len(buildings), len(thresholds)))
    for row, pairs in zip(out, buildings, strict=True):
        right, wrong = (len(p) - np.searchsorted(p, thresholds, side="right") for p in pairs)
        if metric == "recall":
            row[:] = 1 - right / len(pairs[0])
        else:
            row[:] = wrong / np.maximum(right + wrong, 1)
    return out


def _search(
    buildings: Sequence[BuildingScores],
    thresholds: Float64Array,
    metric: str,
    confidence: float,
    least: float,
) -> float | None:
    """Test thresholds in turn up to the first that fails; return the last that passed.

    Such a sequence needs no correction for the number of tests. Recall starts at a threshold that
    keeps all photos, and precision at one that keeps none, so both start without a loss. The tests
    cover every real number: one test decides for a whole interval in which no loss changes. So a
    guarantee is false only if one fixed number passed wrongly, the first in the sequence whose true
    mean loss is too high, which is improbable. A grid of scores would skip this number, and a start
    that depends on the scores could lie behind it.
    """
    passed = None
    for start in range(0, len(thresholds), THRESHOLDS_AT_ONCE):
        part = thresholds[start : start + THRESHOLDS_AT_ONCE]
        passes = mean_is_below(1 - least, _losses(buildings, part, metric), confidence)
        good = int(np.logical_and.accumulate(passes).sum())
        if good:
            passed = float(part[good - 1])
        if good < len(part):
            break
    return passed
