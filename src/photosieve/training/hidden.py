"""Labels hidden from training and asked for as words: how words that nobody labeled are judged."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from photosieve.decision.calibration import HiddenWords, Nearness, average_background, background
from photosieve.decision.metrics import mean_average_precision
from photosieve.encoders.head import LinearHead
from photosieve.encoders.protocol import Float32Array, Head
from photosieve.progress import Progress
from photosieve.training.features import Prepared
from photosieve.training.fit import fit_as
from photosieve.training.folds import problem_of
from photosieve.training.parallel import run_all
from photosieve.training.recipe import Recipe
from photosieve.training.run import History, Run
from photosieve.training.word_head import SHARES, word_head

PARTS = 3
"""Parts that labels are split into, one of which each fold hides."""

GENERAL_WORDS = 100
"""How many general words are asked for in each fold."""

MOST_LOSS = 0.03
"""Mean average precision that hidden labels may lose for a larger share of the probe. Hidden labels
are neighbors of the shown ones with a meaning of their own, as "bed" is of "bedroom"; a word that
means the same as a label gains three times as much (see benchmarks/quality.py)."""


def hidden_words(
    data: Prepared,
    start: Head,
    run: Run,
    folds: Sequence[NDArray[np.intp]],
    history: History,
) -> tuple[HiddenWords, float]:
    """Score words that training did not see, on photos that it did not see.

    For each fold a model is trained without its photos and without a third of the labels, which are
    then asked for on those photos as a user asks for words that nobody labeled. General words that
    are not close to any label are asked for as well, taken to be on no photo.

    Parameters
    ----------
    folds : sequence of arrays of int
        Rows held out together, each fold of whole buildings where there are several.
    history : History
        How to train, as chosen before.

    Returns
    -------
    words : HiddenWords
    share : float
        How much of the probe words get: the largest share of `SHARES` with which hidden labels are
        ranked nearly as well as with the best.
    """
    order = np.random.default_rng(run.seed).permutation(len(data.labels))
    parts = min(PARTS, len(order))
    adapts = history.probe is not None and isinstance(start, LinearHead) and not run.recipe.epochs
    shares = SHARES if adapts else (0.0,)

    def ask(number: int, progress: Progress) -> list[_Asked]:
        hidden = np.sort(order[number % parts :: parts])
        held_out = data.rows(folds[number])
        seen = data.rows(np.setdiff1d(np.arange(len(data.photos)), folds[number]))
        part = seen.columns(np.setdiff1d(order, hidden))
        name = f"hidden-{number + 1}"
        head, _ = fit_as(history, part, start, run.reporting(progress), name=name)
        asked = []
        for adapted in heads_of_words(part, head, history, run.recipe, shares):
            general = np.random.default_rng((run.seed, number))
            asked.append(_ask(adapted, part, held_out.columns(hidden), hidden, general))
        return asked

    jobs = [functools.partial(ask, number) for number in range(len(folds))]
    side_by_side = not run.recipe.trains_blocks
    stage = "asking for hidden labels"
    by_fold = run_all(jobs, stage, run.progress, side_by_side=side_by_side)
    quality = []
    for column in range(len(shares)):
        scores = np.full(data.targets.shape, np.nan)
        for rows, asked in zip(folds, by_fold, strict=True):
            scores[np.ix_(rows, asked[column].hidden)] = asked[column].scores
        known = data.known & ~np.isnan(scores)
        relevant = data.targets & known
        quality.append(mean_average_precision(np.nan_to_num(scores), relevant, known))
    enough = np.nanmax([0.0, *quality]) - MOST_LOSS
    best = max((at for at, value in enumerate(quality) if value >= enough), default=0)
    return HiddenWords.join([asked[best].words for asked in by_fold]), shares[best]


def heads_of_words(
    data: Prepared, head: Head, history: History, recipe: Recipe, shares: Sequence[float]
) -> list[Head]:
    """Return heads for words that are no labels: the given one, with shares of its probe."""
    settings = history.probe
    if settings is None or not isinstance(head, LinearHead) or not any(shares):
        return [head for _ in shares]
    problem = problem_of(data, head, recipe)
    weights = problem.solve(settings).weights
    return [word_head(head, data.photos, problem, weights, settings, share) for share in shares]


class _Asked(NamedTuple):
    """The answers of one fold: scores, (m, hidden), of hidden labels, and all words in pairs."""

    hidden: NDArray[np.intp]
    scores: NDArray[np.float64]
    words: HiddenWords


def _ask(
    head: Head,
    seen: Prepared,
    held_out: Prepared,
    hidden: NDArray[np.intp],
    generator: np.random.Generator,
) -> _Asked:
    """Ask for hidden labels and for general words on held-out photos.

    Parameters
    ----------
    head : Head
        Of words.
    seen : Prepared
        What the model was trained on.
    held_out : Prepared
        Other photos, with the hidden labels.
    hidden : array of int
        The columns of these labels.
    generator : Generator
        Draws the general words.
    """
    labels, words = head.project_texts(seen.texts), head.project_texts(seen.words)
    to_labels = nearest(words, labels)
    units = Nearness.of(to_labels)
    remote = np.flatnonzero(units.affinity(to_labels) <= 0)
    remote = generator.choice(remote, min(GENERAL_WORDS, len(remote)), replace=False)
    asked = np.concatenate([head.project_texts(held_out.texts), words[remote]])  # (k, d)
    photos, seen_photos = head.project_photos(held_out.photos), head.project_photos(seen.photos)
    average = average_background(seen_photos, words)
    normal = np.array(
        [background(seen_photos @ text, average).normalize(photos @ text) for text in asked]
    )  # (k, m)
    general = np.arange(len(asked)) >= len(hidden)
    right, known = np.zeros(normal.shape, bool), np.ones(normal.shape, bool)
    right[~general], known[~general] = held_out.targets.T, held_out.known.T
    _, building = np.unique(held_out.dataset.groups, return_inverse=True)
    question = np.arange(len(asked))[:, None] * (building.max() + 1) + building
    affinity = np.broadcast_to(units.affinity(nearest(asked, labels))[:, None], normal.shape)
    return _Asked(
        hidden=hidden,
        scores=normal[~general].T,
        words=HiddenWords(
            normal=normal[known],
            affinity=affinity[known],
            relevant=right[known],
            general=np.broadcast_to(general[:, None], normal.shape)[known],
            question=question[known],
        ),
    )


def nearest(texts: Float32Array, labels: Float32Array) -> NDArray[np.float64]:
    """Cosine of each text, (n, d), to the nearest label, (labels, d); 0 without labels."""
    if not len(labels):
        return np.zeros(len(texts))
    return np.asarray((texts @ labels.T).max(1), np.float64)
