"""Promise a recall or a precision with stated confidence. Pure numpy.

`tune` finds a cut that did well on held-out buildings. Here a threshold is found of which it can be
promised, with a confidence such as 90 %, that it also does well on buildings to come. The unit is
the building: photos of one resemble one another, so a building gives one loss between 0 and 1,
however many photos it has. The promise is about the mean loss over buildings that come from where
the labeled ones came from; a single building can do worse.

A threshold passes when the hypothesis "its mean loss is too high" is rejected (learn then test:
Angelopoulos et al., 2021, arXiv:2110.01052). The test is a game of betting (Waudby-Smith and
Ramdas, 2023, arXiv:2010.09686) whose stakes aim at the capital that is needed after the last
building (Voracek and Orabona, 2025, arXiv:2505.22422). In simulations it passed more often than the
Hoeffding-Bentkus test, by far, which takes every loss to be all or nothing. MAPIE's risk control is
not used because it has no notion of buildings.
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

from photosieve.decision.metrics import Float64Array
from photosieve.errors import GuaranteeError, SieveError, UsageError

Building = tuple[Float64Array, Float64Array]
"""Ascending scores of one building's (photo, label) pairs: the relevant ones and the others."""

_WISH = re.compile(r"(recall|precision)>=(0?\.\d*[1-9]\d*)")
_AT_ONCE = 256  # thresholds tested together, which bounds memory


@dataclass(frozen=True)
class Guarantee:
    """A threshold and what is promised of it.

    Parameters
    ----------
    metric : str
        ``recall`` or ``precision``.
    least : float
        The promised mean of the metric over buildings.
    confidence : float
        How probable it was, before the labeled buildings were drawn, that the promise would hold.
    threshold : float
        A photo is kept when its score is above it.
    buildings : int
        How many buildings were looked at.
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
        """Say what is promised, and of what."""
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
        """Read what `to_dict` wrote.

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
    wanted: str,
    confidence: float = 0.9,
) -> Guarantee:
    """Find the threshold of which the wish can be promised.

    The loss of a building is, for recall, the fraction of its relevant (photo, label) pairs that
    are not kept; a building without any says nothing about recall and is left out. For precision
    it is the fraction of its kept pairs that are wrong, and 0 when none is kept: look at the recall
    too, for a threshold that keeps next to nothing is precise in this sense.

    For recall the strictest threshold that passes is taken, for precision the loosest. The promise
    is for one wish: who tries several until one is granted chooses with hindsight.

    Parameters
    ----------
    scores : array_like (photos, labels)
        Of photos that the model was not trained on, on any scale; higher is better.
    relevant : array_like of bool (photos, labels)
    groups : sequence of str (photos,)
        The building of each photo.
    wanted : str
        Such as ``recall>=0.9`` or ``precision>=0.8``.
    confidence : float
        Between 0 and 1.

    Raises
    ------
    UsageError
        If the wish, the confidence or the arrays make no sense.
    GuaranteeError
        If the buildings are too few, or no threshold allows the promise.
    """
    match = _WISH.fullmatch(wanted)
    if not match:
        raise UsageError(
            f'"{wanted}" cannot be promised; ask for a recall or precision between 0 and 1, '
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

    buildings = _buildings(scores, relevant, groups, metric)
    promise = f"{metric} of at least {least:g} with {_percent(confidence)} confidence"
    # Were the mean loss too high, n buildings could still be without any loss with a probability
    # of up to least ** n. That has to be 1 - confidence or less.
    needed = math.ceil(math.log(1 - confidence) / math.log(least) - 1e-9)
    if len(buildings) < needed:
        kind = "buildings with a photo that matches" if metric == "recall" else "buildings"
        raise GuaranteeError(
            f"{len(buildings)} {kind} are too few to promise a {promise}, which takes {needed} "
            "even without a single mistake; label more buildings, or ask for less"
        )
    search = functools.partial(
        _search, buildings, _thresholds(scores, relevant, metric), metric, confidence
    )
    threshold = search(least)
    if threshold is None:
        lower = (step / 100 for step in range(math.ceil(least * 100 - 1e-9) - 1, 0, -1))
        best = next((value for value in lower if search(value) is not None), None)
        raise GuaranteeError(
            f"no threshold allows to promise a {promise} after {len(buildings)} buildings, "
            f"{'nor any other' if best is None else f'but {best:g} would be possible'}; "
            "label more buildings, improve the model, or ask for less"
        )
    observed = 1 - float(_losses(buildings, np.array([threshold]), metric).mean())
    return Guarantee(metric, least, confidence, threshold, len(buildings), observed)


def _percent(fraction: float) -> str:
    return f"{100 * fraction:g} %"


def _buildings(
    scores: Float64Array, relevant: NDArray[np.bool_], groups: Sequence[str], metric: str
) -> list[Building]:
    """Scores of each building that counts, in an order that has nothing to do with them."""
    names, member = np.unique(np.asarray(groups), return_inverse=True)
    found: list[Building] = []
    for building in np.random.default_rng(0).permutation(len(names)):
        own, right = scores[member == building], relevant[member == building]
        found.append((np.sort(own[right]), np.sort(own[~right])))
    return [building for building in found if metric == "precision" or len(building[0])]


def _thresholds(scores: Float64Array, relevant: NDArray[np.bool_], metric: str) -> Float64Array:
    """All thresholds between which a loss changes, in the order in which they are tested.

    Each lies halfway between a score and the next lower one: equal scores are kept together.
    """
    distinct = np.unique(scores)
    lower = np.append(distinct[:1] - np.maximum(1, np.abs(distinct[:1])), distinct[:-1])
    middle = lower + (distinct - lower) / 2
    middle = np.where(middle < distinct, middle, lower)  # neighbors among floats have no middle
    if metric == "precision":
        return middle[::-1]
    return middle[np.isin(distinct, scores[relevant])]


def _losses(buildings: Sequence[Building], thresholds: Float64Array, metric: str) -> Float64Array:
    """Loss of each building at each threshold: (buildings, thresholds)."""
    out = np.empty((len(buildings), len(thresholds)))
    for row, pairs in zip(out, buildings, strict=True):
        right, wrong = (len(p) - np.searchsorted(p, thresholds, side="right") for p in pairs)
        if metric == "recall":
            row[:] = 1 - right / len(pairs[0])
        else:
            row[:] = wrong / np.maximum(right + wrong, 1)
    return out


def _search(
    buildings: Sequence[Building],
    thresholds: Float64Array,
    metric: str,
    confidence: float,
    least: float,
) -> float | None:
    """Test thresholds in turn up to the first that fails; return the last that passed.

    Such a sequence needs no correction for the number of tests. Recall starts where everything is
    kept and precision where nothing is, so either begins without a loss. What is tested is every
    real number: one test decides for a whole stretch on which no loss changes. So a false promise
    always means that one fixed number passed wrongly, the first in the sequence whose true mean
    loss is too high, and that is improbable. Thinning the scores to a grid would skip this number,
    and a start that depends on the scores could lie behind it.
    """
    passed = None
    for start in range(0, len(thresholds), _AT_ONCE):
        part = thresholds[start : start + _AT_ONCE]
        passes = _is_below(1 - least, _losses(buildings, part, metric), confidence)
        good = int(np.logical_and.accumulate(passes).sum())
        if good:
            passed = float(part[good - 1])
        if good < len(part):
            break
    return passed


def _is_below(most: float, losses: Float64Array, confidence: float) -> NDArray[np.bool_]:
    """Reject, for each column by itself, that the mean loss is `most` or more.

    Beginning with a capital of 1, bet on every building that its loss is below `most`. If the mean
    is not, the capital does not grow on average, whatever the bets, as long as each depends only on
    buildings that came before; then it ever reaches 1 / (1 - confidence) with a probability of at
    most 1 - confidence (Ville's inequality). Good bets only make it more probable otherwise.

    Parameters
    ----------
    losses : array (buildings, thresholds)
        Between 0 and 1.

    Returns
    -------
    array of bool (thresholds,)
    """
    needed = np.full(losses.shape[1], -math.log(1 - confidence))  # growth of the log capital
    # Bets begin as if some all-or-nothing losses had been seen; else a run of zeros at the start
    # would make them so bold that the first total loss ruins.
    imagined = 3
    squares = np.full(losses.shape[1], imagined * most * (1 - most))
    for past, loss in enumerate(losses):
        each = needed / (len(losses) - past)  # growth needed from each building to come
        bet = np.sqrt(2 * each / (squares / (imagined + past)))  # best if gains are small
        bet /= 1 + bet / 3  # but they are not: as in Bernstein's inequality
        with np.errstate(over="ignore"):
            enough = np.expm1(each) / most  # suffices if no loss is to come, and less would not
        bet = np.minimum(np.maximum(bet, enough), 1 / (1 - most))  # no debts
        growth = np.log(np.maximum(1 + bet * (most - loss), 1e-300))
        needed = np.maximum(needed - growth, 0)
        needed[needed < 1e-9] = 0  # reached, but for rounding: from here on the bet is 0
        squares += (most - loss) ** 2
    return np.asarray(needed == 0)
