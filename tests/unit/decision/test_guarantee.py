"""A guarantee holds as often as it says, and is worth something."""

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pytest
from numpy.typing import NDArray

from photosieve.decision import guarantee as module
from photosieve.decision.guarantee import Guarantee, guarantee, split_buildings
from photosieve.errors import GuaranteeError, SieveError, UsageError
from tests.unit.decision.chance import CONFIDENCE, most_by_chance

Float64Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

PHOTOS = 10  # in each building


@dataclass(frozen=True)
class Population:
    """Buildings to draw from with replacement, so that the true means are known exactly.

    Both arrays are (buildings, photos, labels). Scores are whole numbers, so a threshold means the
    same as the whole number at or below it.
    """

    scores: Float64Array
    relevant: Mask

    @classmethod
    def make(cls, building_effect: float, seed: int = 0) -> "Population":
        """Photos of a building share what it shows and how hard it is to recognize."""
        rng = np.random.default_rng(seed)
        buildings, photos, labels = 5000, PHOTOS, 3
        relevant = rng.random((buildings, photos, labels)) < rng.beta(
            0.3, 0.6, (buildings, 1, labels)
        )
        ease = building_effect * rng.normal(size=(buildings, 1, 1))
        scores = np.where(relevant, 2.5 + ease, 0.5 * ease)
        scores += rng.normal(scale=0.5, size=(buildings, 1, labels))
        scores += rng.normal(scale=0.3, size=(buildings, photos, labels))
        return cls(np.round(20 * scores), relevant)

    @property
    def of_photos(self) -> "Population":
        """The same photos, each as a building of its own."""
        labels = self.scores.shape[-1]
        return Population(self.scores.reshape(-1, 1, labels), self.relevant.reshape(-1, 1, labels))

    def loss(self, metric: str, threshold: float) -> float:
        """True mean loss over buildings."""
        kept, pairs = self.scores > threshold, (1, 2)
        if metric == "recall":
            support = self.relevant.sum(pairs)
            lost = (self.relevant & ~kept).sum(pairs)
            return float((lost[support > 0] / support[support > 0]).mean())
        wrong = (kept & ~self.relevant).sum(pairs)
        return float((wrong / np.maximum(kept.sum(pairs), 1)).mean())

    @cached_property
    def lowest(self) -> int:
        return int(self.scores.min()) - 1

    def losses(self, metric: str) -> Float64Array:
        """True mean loss at each whole number from `lowest` up."""
        return np.array(
            [self.loss(metric, at) for at in range(self.lowest, int(self.scores.max()) + 1)]
        )

    def guarantees(
        self, target: str, buildings: int, draws: int, unit: str = "building"
    ) -> tuple[list[Guarantee], Float64Array]:
        """Return guarantees after many draws of buildings each, and the true mean losses."""
        rng = np.random.default_rng(1)
        photos, labels = self.scores.shape[1:]
        groups = [str(number) for number in range(buildings * photos)]
        if unit == "building":
            groups = [groups[number // photos] for number in range(buildings * photos)]
        found = []
        for _ in range(draws):
            drawn = rng.integers(len(self.scores), size=buildings)
            scores, relevant = self.scores[drawn], self.relevant[drawn]
            found.append(
                guarantee(
                    scores.reshape(-1, labels),
                    relevant.reshape(-1, labels),
                    groups,
                    target,
                    CONFIDENCE,
                )
            )
        true = (self if unit == "building" else self.of_photos).losses(target.partition(">")[0])
        places = [max(math.floor(one.threshold) - self.lowest, 0) for one in found]
        return found, true[places]


HARD = Population.make(building_effect=1.2)
EASY = Population.make(building_effect=0.2)


def perfect(buildings: int) -> tuple[Float64Array, Mask, list[str]]:
    """One photo with its label and one without in each building, told apart without a mistake."""
    relevant = np.tile([[True], [False]], (buildings, 1))
    groups = [f"house {number}" for number in range(buildings) for _ in range(2)]
    return relevant.astype(np.float64), relevant, groups


# The guarantee, by simulation


@pytest.mark.simulation
@pytest.mark.parametrize("target", ["recall>=0.8", "precision>=0.8"])
def test_guarantees_are_kept(target: str) -> None:
    draws = 1000
    guarantees, true = HARD.guarantees(target, buildings=60, draws=draws)
    broken = float((true > 0.2 + 1e-9).mean())
    assert broken <= most_by_chance(draws)
    # Not by being timid: now and then one is broken, and what is given away is small.
    assert broken > 0.01
    observed = np.mean([1 - found.observed for found in guarantees])
    assert 0.1 < observed < 0.2
    assert 0.11 < true.mean() < 0.2
    assert all(found.buildings <= 60 for found in guarantees)


@pytest.mark.simulation
def test_photos_as_the_unit_would_break_guarantees() -> None:
    """The same method, told that each photo is a building: its guarantees mean nothing."""
    draws = 200
    _, true = HARD.guarantees("recall>=0.8", buildings=30, draws=draws, unit="photo")
    assert (true > 0.2).mean() > most_by_chance(draws) + 0.1


@pytest.mark.simulation
@pytest.mark.parametrize(
    ("target", "other"), [("recall>=0.9", "precision"), ("precision>=0.9", "recall")]
)
def test_guarantees_are_worth_something(target: str, other: str) -> None:
    guarantees, _ = EASY.guarantees(target, buildings=60, draws=50)
    lows = np.percentile(EASY.scores, [1, 99])
    for found in guarantees:
        assert lows[0] < found.threshold < lows[1]
        assert 1 - EASY.loss(other, found.threshold) > 0.88


# By hand


def test_recall_takes_the_strictest_threshold_and_precision_the_loosest() -> None:
    scores, relevant, groups = perfect(22)
    for target in ("recall>=0.9", "precision>=0.9"):
        found = guarantee(scores, relevant, groups, target)
        assert found == Guarantee(target[:-5], 0.9, 0.9, 0.5, 22, 1.0)


def test_buildings_are_bet_on_in_an_order_that_says_nothing_of_them() -> None:
    """Names may go with scores: "a" for the best, and so on."""
    scores = np.arange(40.0)[:, None]
    every = scores >= 0
    found = split_buildings(scores, every, [f"{n:02}" for n in range(40)], "recall", every)
    order = [float(right[0]) for right, _ in found]
    assert sorted(order) == scores[:, 0].tolist()
    assert abs(np.corrcoef(order, np.arange(40))[0, 1]) < 0.3


@pytest.mark.parametrize("at_once", [1, 2, 256])
def test_nothing_counts_after_the_first_failure(
    at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each building: a match, a mistake, ten matches. Precision falls to 1/2 and rises again."""
    monkeypatch.setattr(module, "THRESHOLDS_AT_ONCE", at_once)
    scores = np.tile([[3.0], [2.0], *[[1.0]] * 10], (40, 1))
    groups = [str(number // 12) for number in range(480)]
    assert guarantee(scores, scores != 2, groups, "precision>=0.8").threshold == 2.5


@pytest.mark.parametrize("target", ["recall>=0.9", "precision>=0.9"])
def test_the_observed_value_is_the_one_at_the_threshold(target: str) -> None:
    scores, relevant = HARD.scores[:200], HARD.relevant[:200]
    groups = [str(number // PHOTOS) for number in range(200 * PHOTOS)]
    found = guarantee(scores.reshape(-1, 3), relevant.reshape(-1, 3), groups, target)
    values = []
    for own, right in zip(scores, relevant, strict=True):
        kept, hits = own > found.threshold, (own > found.threshold) & right
        if target.startswith("precision"):
            values.append(hits.sum() / kept.sum() if kept.any() else 1.0)
        elif right.any():
            values.append(hits.sum() / right.sum())
    assert found.buildings == len(values)
    assert found.observed == pytest.approx(np.mean(values))
    assert 0.9 <= found.observed < 0.95


def test_the_order_of_photos_and_the_scale_of_scores_change_nothing() -> None:
    scores, relevant = HARD.scores[:60].reshape(-1, 3), HARD.relevant[:60].reshape(-1, 3)
    groups = np.array([str(number // PHOTOS) for number in range(60 * PHOTOS)])
    mixed = np.random.default_rng(3).permutation(60 * PHOTOS)
    for target in ("recall>=0.8", "precision>=0.8"):
        found = guarantee(scores, relevant, groups.tolist(), target)
        other = guarantee(scores[mixed], relevant[mixed], groups[mixed].tolist(), target)
        assert other == found
        scaled = guarantee(scores / 1024, relevant, groups.tolist(), target)
        assert scaled == replace(found, threshold=scaled.threshold)
        assert (scores / 1024 > scaled.threshold).tolist() == (scores > found.threshold).tolist()


def test_more_scores_than_are_tested_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    scores, relevant = HARD.scores[:60].reshape(-1, 3), HARD.relevant[:60].reshape(-1, 3)
    groups = [str(number // PHOTOS) for number in range(60 * PHOTOS)]
    whole = [guarantee(scores, relevant, groups, f"{m}>=0.8") for m in ("recall", "precision")]
    for size in (1, 7):
        monkeypatch.setattr(module, "THRESHOLDS_AT_ONCE", size)
        assert whole == [
            guarantee(scores, relevant, groups, f"{m}>=0.8") for m in ("recall", "precision")
        ]


def test_equal_scores_are_kept_or_lost_together() -> None:
    scores, relevant, groups = perfect(40)
    found = guarantee(np.full_like(scores, 3.0), relevant, groups, "recall>=0.9")
    assert (found.threshold < 3, found.observed) == (True, 1.0)
    found = guarantee(np.full_like(scores, 1e20), relevant, groups, "recall>=0.9")
    assert (found.threshold < 1e20, found.observed) == (True, 1.0)
    with pytest.raises(GuaranteeError, match=r"but 0\.4\d would be possible"):
        guarantee(np.full_like(scores, 3.0), relevant, groups, "precision>=0.9")


@pytest.mark.parametrize("low", [1.0, 1e20, -1e20, 1e-300])
def test_neighbors_among_floats_are_told_apart(low: float) -> None:
    right, relevant, groups = perfect(22)
    scores = np.where(right > 0, np.nextafter(low, np.inf), low)
    for metric in ("recall", "precision"):
        found = guarantee(scores, relevant, groups, f"{metric}>=0.9")
        assert ((scores > found.threshold) == relevant).all()


def test_buildings_without_a_match_say_nothing_about_recall() -> None:
    scores, relevant, groups = perfect(30)
    relevant[:16] = False  # the first 8 buildings
    assert guarantee(scores, relevant, groups, "recall>=0.9").buildings == 22
    relevant[:18] = False
    with pytest.raises(
        GuaranteeError, match=r"^21 buildings with a photo that matches are too few"
    ):
        guarantee(scores, relevant, groups, "recall>=0.9")
    with pytest.raises(GuaranteeError, match=r"^0 buildings with"):
        guarantee(scores, np.zeros_like(relevant), groups, "recall>=0.9")


# Refusals


@pytest.mark.parametrize(
    ("target", "confidence", "needed"),
    [("recall>=0.9", 0.9, 22), ("precision>=.9", 0.9, 22), ("recall>=0.8", 0.95, 14),
     ("precision>=0.99", 0.9, 230), ("recall>=0.5", 0.75, 2),
     ("recall>=0.9", 0.271, 3)],
)  # fmt: skip
def test_too_few_buildings(target: str, confidence: float, needed: int) -> None:
    assert guarantee(*perfect(needed), target, confidence).buildings == needed
    with pytest.raises(GuaranteeError, match=f"^{needed - 1} buildings .* which takes {needed} "):
        guarantee(*perfect(needed - 1), target, confidence)


def test_the_best_that_could_be_guaranteed_is_named() -> None:
    scores, relevant, groups = perfect(50)
    scores[:20] = 1 - scores[:20]  # in 10 of 50 buildings only the wrong photo is found
    with pytest.raises(GuaranteeError, match="after 50 buildings, but") as caught:
        guarantee(scores, relevant, groups, "precision>=0.9")
    best = float(str(caught.value).partition("but ")[2].split()[0])
    assert 0.6 < best < 0.8
    assert guarantee(scores, relevant, groups, f"precision>={best}").observed == pytest.approx(0.8)
    with pytest.raises(GuaranteeError, match=f"but {best:g} would"):
        guarantee(scores, relevant, groups, f"precision>={best + 0.01:.2f}")


def test_nothing_could_be_guaranteed() -> None:
    scores, relevant, groups = perfect(22)
    with pytest.raises(GuaranteeError, match="nor any other;"):
        guarantee(scores, np.zeros_like(relevant), groups, "precision>=0.9")


@pytest.mark.parametrize(
    "target",
    ["recall", "f1", "recall>=1", "recall>=0", "precision>=0.0", "recall>0.9", "recall>=90",
     "recall>=nan", "accuracy>=0.9", "recall>=0.", ""],
)  # fmt: skip
def test_a_target_that_makes_no_sense(target: str) -> None:
    with pytest.raises(UsageError, match="cannot be guaranteed"):
        guarantee(*perfect(30), target)


@pytest.mark.parametrize("confidence", [0.0, 1.0, -0.1, 90, math.nan])
def test_a_confidence_that_makes_no_sense(confidence: float) -> None:
    with pytest.raises(UsageError, match="confidence"):
        guarantee(*perfect(30), "recall>=0.9", confidence)


def test_arrays_that_do_not_fit() -> None:
    scores, relevant, groups = perfect(30)
    wrong: Iterable[tuple[Float64Array, Mask, list[str]]] = (
        (scores[:, 0], relevant[:, 0], groups),
        (scores, relevant[:-1], groups),
        (scores, relevant, groups[:-1]),
    )
    for arrays in wrong:
        with pytest.raises(UsageError, match="do not fit"):
            guarantee(*arrays, "recall>=0.9")
    for value in (math.nan, math.inf):
        scores[3] = value
        with pytest.raises(UsageError, match="not a finite number"):
            guarantee(scores, relevant, groups, "recall>=0.9")


# Its saved form and its words

MADE = Guarantee("recall", 0.9, 0.9, 0.231, 50, 0.951)


def test_what_is_saved_comes_back() -> None:
    assert Guarantee.from_dict(json.loads(json.dumps(MADE.to_dict()))) == MADE
    made = guarantee(*perfect(30), "precision>=0.9")
    assert Guarantee.from_dict(json.loads(json.dumps(made.to_dict()))) == made


@pytest.mark.parametrize(
    ("name", "value"),
    [("metric", "f1"), ("metric", None), ("least", 1.0), ("least", 0), ("least", "x"),
     ("confidence", 1), ("confidence", None), ("threshold", math.nan), ("threshold", math.inf),
     ("buildings", 0), ("buildings", math.inf), ("observed", 1.1), ("observed", -0.1),
     ("observed", math.nan), ("observed", [])],
)  # fmt: skip
def test_damaged_values(name: str, value: object) -> None:
    with pytest.raises(SieveError, match="guarantee is damaged"):
        Guarantee.from_dict({**MADE.to_dict(), name: value})
    with pytest.raises(SieveError, match="guarantee is damaged"):
        Guarantee.from_dict({key: kept for key, kept in MADE.to_dict().items() if key != name})


def test_the_guarantee_in_words() -> None:
    assert MADE.describe() == (
        "with 90 % confidence, mean recall over buildings like the 50 it was checked on is at "
        "least 0.9 (observed 0.951)"
    )
    precise = Guarantee("precision", 0.85, 0.975, 0.231, 50, 0.951).describe()
    assert precise.startswith("with 97.5 % confidence, mean precision, where no answer counts as 1")
