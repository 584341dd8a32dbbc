"""How good the answers of a method are: figures with intervals, for labels and for other words."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from photosieve.decision import metrics
from photosieve.decision.cut import NOTEBOOK_CUT, Cut
from photosieve.decision.evaluation import Evaluation, evaluate
from photosieve.decision.metrics import Interval
from photosieve.decision.objective import F1
from photosieve.decision.pairs import Pairs, search
from photosieve.decision.selection import THRESHOLD
from photosieve.sieve.sieve import Sieve
from photosieve.training.features import Prepared
from photosieve.training.recipes import DEFAULT, get_recipe
from photosieve.training.run import Run
from quality_sets import PhotoSet, Split

ZERO_SHOT = "zero-shot"
BY_HAND = "notebooks' loss, cut by hand"
NOTEBOOK = "notebooks' loss, learned cut"
BEFORE = "balanced, the default before"
PROBE = f"{DEFAULT}, the default"
RECIPES = {ZERO_SHOT: "zero-shot", NOTEBOOK: "notebook", BEFORE: "balanced", PROBE: DEFAULT}
"""Methods by recipe. `BY_HAND` is the recipe of `NOTEBOOK`, too."""

HEAD_FOLDS = 5
"""Where a head is trained. 10, as for the default, take twice as long."""

HIDDEN_PARTS = 3
DRAWS = 500
"""Of the bootstrap."""

TABLES = ("scores", "probabilities", "relevant", "known", "kept")
"""Fields of an `Evaluation` that are arrays (photos, labels)."""


@dataclass(frozen=True)
class Answers:
    """One method's answers in a set, an evaluation a seed: to labels, other words and far words."""

    labels: list[Evaluation]
    words: list[Evaluation]
    far: list[Evaluation]


@dataclass(frozen=True)
class Figure:
    """A figure's mean over seeds, with an interval over buildings, and its deviation over seeds."""

    interval: Interval
    deviation: float

    @property
    def value(self) -> float:
        """The mean over seeds."""
        return self.interval.value


Figures = Mapping[str, Figure]


def measure(
    photos: PhotoSet,
    methods: Sequence[str] = tuple(RECIPES),
    *,
    words: bool = True,
    head_folds: int = HEAD_FOLDS,
) -> dict[str, Answers]:
    """Train each method on each split and ask about the photos that it was not trained on.

    Parameters
    ----------
    photos : PhotoSet
    methods : sequence of str
        Of `RECIPES`.
    words : bool
        Whether to ask for other words than labels, too; it takes as long again.
    head_folds : int
        Parts that are held out in turn for the cut, where a head is trained.
    """
    found: dict[str, Answers] = {}
    for method in methods:
        cuts: dict[str, Cut | None] = {BY_HAND: NOTEBOOK_CUT} if method == NOTEBOOK else {}
        cuts[method] = None
        parts: dict[str, dict[int, list[tuple[Evaluation, ...]]]] = {name: {} for name in cuts}
        for split in photos.splits:
            print(f"{photos.title}: {method}, seed {split.seed}", file=sys.stderr)
            recipe = get_recipe(RECIPES[method])
            run = Run(recipe, split.seed, head_folds if recipe.epochs else None)
            for name, answers in _answers(photos, split, run, cuts, words).items():
                parts[name].setdefault(split.seed, []).append(answers)
        for name, by_seed in parts.items():
            seeds = [[pooled(kind) for kind in zip(*own, strict=True)] for own in by_seed.values()]
            kinds = [list(kind) for kind in zip(*seeds, strict=True)]
            found[name] = Answers(*kinds) if words else Answers(kinds[0], [], [])
    return found


def _answers(
    photos: PhotoSet, split: Split, run: Run, cuts: Mapping[str, Cut | None], words: bool
) -> dict[str, tuple[Evaluation, ...]]:
    """Answers to labels, words and far words, for each cut."""
    test = split.test

    def fitted(labels: NDArray[np.intp]) -> Sieve:
        train = split.train.columns(labels)
        return Sieve.fit_prepared(photos.encoder, train, run, words=words)

    # As in use, a label is one that some training photo has.
    seen = np.flatnonzero(split.train.targets.any(0))
    sieve = fitted(seen)
    every = {name: [ask_labels(sieve, test, seen, cut)] for name, cut in cuts.items()}
    if words:
        order = np.random.default_rng(split.seed).permutation(seen)
        hidden = [np.sort(order[part::HIDDEN_PARTS]) for part in range(HIDDEN_PARTS)]
        blind = [] if photos.words else [fitted(np.setdiff1d(seen, part)) for part in hidden]
        synonyms = np.array([test.labels.index(label) for label in photos.words.values()], int)
        for name, cut in cuts.items():
            if photos.words:
                own = ask(sieve, test, tuple(photos.words), synonyms, cut)
            else:
                asked = zip(blind, hidden, strict=True)
                own = beside([ask_labels(one, test, part, cut) for one, part in asked])
            every[name] += [own, ask(sieve, test, photos.far, None, cut)]
    return {name: tuple(answers) for name, answers in every.items()}


def ask_labels(
    sieve: Sieve, test: Prepared, columns: NDArray[np.intp], cut: Cut | None = None
) -> Evaluation:
    """Ask for some labels of the test, which the sieve was trained on or not; see `ask`."""
    return ask(sieve, test, [test.labels[column] for column in columns], columns, cut)


def ask(
    sieve: Sieve,
    test: Prepared,
    words: Sequence[str],
    columns: NDArray[np.intp] | None,
    cut: Cut | None = None,
) -> Evaluation:
    """Ask for labels or other words in every building.

    Parameters
    ----------
    sieve : Sieve
    test : Prepared
    words : sequence of str
    columns : array of int or None
        For each word the label of the test that is true of the same photos; None if no word is
        true of any.
    cut : Cut, optional
        A rule for plain scores, instead of calibration and cut.
    """
    if columns is None:
        relevant = np.zeros((len(test.photos), len(words)), bool)
        known = ~relevant
    else:
        relevant, known = test.targets[:, columns], test.known[:, columns]
    scorer, groups = sieve.scorer, test.dataset.groups
    photos = scorer.embed_photos(test.photos)
    readings = tuple(scorer.read_word(word) for word in words)
    if cut is None:  # as in use, photos are ranked by probability: labels decide about some words
        values = scorer.probabilities(readings, photos)
        rules = [scorer.cut((reading,), sieve.cut) for reading in readings]
    else:
        values = np.stack([scorer.scores(reading, photos) for reading in readings], 1).astype(float)
        rules = [cut] * len(words)
    kept = np.zeros_like(relevant)
    for rule in dict.fromkeys(rules):
        own = [number for number, other in enumerate(rules) if other == rule]
        kept[:, own] = rule.keep_by_group(values[:, own], groups)
    return evaluate(
        values, relevant, cut=cut or sieve.cut, photos=test.dataset.photos, groups=groups,
        labels=words, trained=sieve.labels, kept=kept, known=known,
    )  # fmt: skip


def pooled(folds: Sequence[Evaluation]) -> Evaluation:
    """Put the answers about different photos together.

    A label that a fold was not trained on is unknown there.
    """
    labels = tuple(dict.fromkeys(label for fold in folds for label in fold.labels))

    def wide(fold: Evaluation, name: str) -> NDArray[Any]:
        table = getattr(fold, name)
        out = np.zeros((len(table), len(labels)), table.dtype)
        out[:, [labels.index(label) for label in fold.labels]] = table
        return out

    tables = {name: np.concatenate([wide(fold, name) for fold in folds]) for name in TABLES}
    photos = tuple(photo for fold in folds for photo in fold.photos)
    groups = tuple(group for fold in folds for group in fold.groups)
    changed: dict[str, Any] = {**tables, "labels": labels, "photos": photos, "groups": groups}
    return replace(folds[0], **changed)


def beside(parts: Sequence[Evaluation]) -> Evaluation:
    """Put the answers to different words about the same photos together."""
    changed: dict[str, Any] = {
        name: np.concatenate([getattr(part, name) for part in parts], 1) for name in TABLES
    }
    changed["labels"] = tuple(label for part in parts for label in part.labels)
    return replace(parts[0], **changed)


def figures(seeds: Sequence[Evaluation], *, calibrated: bool = True) -> Figures:
    """Return all figures of answers, by name.

    Without calibration, there are no probabilities that could have an error.

    The intervals are by the bootstrap over the buildings of all seeds: a building that is drawn
    twice counts twice in each seed that was tested on it.
    """
    buildings = {name: None for own in seeds for name in own.buildings}
    place = {name: number for number, name in enumerate(buildings)}
    weights = metrics.bootstrap_weights(len(place), DRAWS, seed=0)
    drawn = [own.drawn_totals(weights[:, [place[name] for name in own.buildings]]) for own in seeds]
    found = {}
    for name in drawn[0]:
        values = [own.totals[name] for own in seeds]
        draws = metrics.mean([own[name] for own in drawn], 0)
        found[name] = _figure(values, draws)
    found["calibration_error"] = _figure(
        [own.calibration_error if calibrated else np.nan for own in seeds]
    )
    found["best_f1"] = _figure([best_f1(own) for own in seeds])
    return found


def _figure(values: Sequence[float], draws: Sequence[float] | NDArray[Any] = ()) -> Figure:
    interval = metrics.percentile_interval(float(metrics.mean(values)), draws)
    return Figure(interval, float(np.std(values)))


def best_f1(answers: Evaluation) -> float:
    """Macro F1 that the best threshold for all labels reaches, as if one had known the answers."""
    table = Pairs.of(answers.probabilities, answers.relevant, answers.groups, answers.known)
    return float(F1.value(table.counts(search(table, THRESHOLD, F1)).sum(0)))


def none_right(seeds: Sequence[Evaluation]) -> float:
    """Of the questions that no photo answers, the fraction that got "none"."""
    return float(metrics.mean([own.empty.right / max(own.empty.asked, 1) for own in seeds]))
