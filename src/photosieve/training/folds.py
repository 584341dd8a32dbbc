"""Trainings that leave photos or labels out, to learn epoch, calibration and cut from the rest."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from photosieve.decision.calibration import AFFINITY, HiddenWords, average_background, background
from photosieve.encoders.protocol import Float32Array, Head
from photosieve.progress import Progress
from photosieve.training.features import Prepared
from photosieve.training.fit import fit, fit_as
from photosieve.training.held_out import HeldOut, best_f1, scores_by_mix
from photosieve.training.parallel import run_all
from photosieve.training.run import History, Run

HIDDEN_PARTS = 3
"""Parts that labels are split into, one of which each fold hides."""

GENERAL_WORDS = 100
"""How many general words are asked for in each fold."""

MIXES = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Shares of the trained weights that are tried; the rest are the pretrained ones."""


def out_of_fold(
    data: Prepared,
    start: Head,
    run: Run,
    folds: Sequence[NDArray[np.intp]],
) -> tuple[NDArray[np.float64], History]:
    """Score each training photo by a head that was not trained on its fold.

    If the recipe picks the epoch or the mix, this function chooses them: by the best macro F1 that
    one threshold for all labels reaches on the held-out photos, the same for all folds. The scores
    are then those at the chosen point, which makes them look a little better than they are: a few
    dozen choices against hundreds of decisions.

    Parameters
    ----------
    folds : sequence of arrays of int
        Rows held out together, each row in at most one of them.

    Returns
    -------
    scores : array (n, labels)
        NaN for photos that are in no fold.
    history : History
        How long to train, and how far to go; without losses.
    """
    recipe = run.recipe
    everything = np.arange(len(data.photos))
    mixes = MIXES if recipe.interpolates else (1.0,)

    def score(number: int, progress: Progress) -> NDArray[np.float64]:
        """Scores of one fold, (epochs, mixes, n, labels); of one epoch if there is no choice."""
        left_out = data.rows(folds[number])
        seen = data.rows(np.setdiff1d(everything, folds[number]))
        held_out = HeldOut(left_out, start, mixes) if recipe.picks_epoch else None
        name = f"fold-{number + 1}"
        head, _ = fit(seen, start, run.reporting(progress), name=name, held_out=held_out)
        if head is start:  # nothing was trained: there is nothing to choose from
            return np.asarray(left_out.scores(head), np.float64)[None, None]
        if held_out is not None:
            return np.array(held_out.scores)
        return np.array([scores_by_mix(left_out, start, head, mixes)])

    jobs = [functools.partial(score, number) for number in range(len(folds))]
    side_by_side = not recipe.trains_blocks
    parts = run_all(jobs, "scoring held-out buildings", run.progress, side_by_side=side_by_side)
    # A fold that stopped early stays as it was.
    epochs = max(len(part) for part in parts)
    table = np.full((epochs, max(part.shape[1] for part in parts), *data.targets.shape), np.nan)
    for rows, part in zip(folds, parts, strict=True):
        table[:, :, rows] = part[np.minimum(np.arange(epochs), len(part) - 1)]
    if table.shape[:2] == (1, 1):  # nothing to choose from
        return table[0, 0], History(recipe.epochs)
    held = np.sort(np.concatenate(folds))
    left_out = data.rows(held)
    f1 = np.array([[best_f1(scores[held], left_out) for scores in row] for row in table])
    # The first of equals: the fewest epochs and the smallest change.
    epoch, column = map(int, np.unravel_index(f1.argmax(), f1.shape))
    values = tuple(tuple(float(value) for value in row) for row in f1)
    epochs = epoch + 1 if recipe.picks_epoch else recipe.epochs
    return table[epoch, column], History(epochs, mixes[column], values)


def hidden_words(
    data: Prepared,
    start: Head,
    run: Run,
    folds: Sequence[NDArray[np.intp]],
    history: History,
) -> HiddenWords:
    """Score words that training did not see, on photos that it did not see.

    For each fold a head is trained without its photos and without a third of the labels, which are
    then asked for on those photos as a user asks for words that nobody labeled. General words that
    are not close to any label are asked for as well, taken to be on no photo.

    Parameters
    ----------
    folds : sequence of arrays of int
        Rows held out together, each fold of whole buildings where there are several.
    history : History
        How long to train, and how far to go.
    """
    order = np.random.default_rng(run.seed).permutation(len(data.labels))
    parts = min(HIDDEN_PARTS, len(order))

    def ask(number: int, progress: Progress) -> HiddenWords:
        hidden = np.sort(order[number % parts :: parts])
        shown = np.setdiff1d(order, hidden)
        held_out = folds[number]
        seen = data.rows(np.setdiff1d(np.arange(len(data.photos)), held_out))
        part, name = seen.columns(shown), f"hidden-{number + 1}"
        head, _ = fit_as(history, part, start, run.reporting(progress), name=name)
        labels = head.project_texts(data.texts[shown])
        words = head.project_texts(data.words)
        remote = np.flatnonzero(_affinity(words, labels) <= AFFINITY)
        generator = np.random.default_rng((run.seed, number))
        remote = generator.choice(remote, min(GENERAL_WORDS, len(remote)), replace=False)
        asked = np.concatenate([head.project_texts(data.texts[hidden]), words[remote]])  # (k, d)
        photos = head.project_photos(data.photos[held_out])  # (m, d)
        seen_photos = head.project_photos(seen.photos)
        average = average_background(seen_photos, words)
        normal = [background(seen_photos @ t, average).normalize(photos @ t) for t in asked]
        right = np.zeros((len(photos), len(asked)), bool)
        right[:, : len(hidden)] = data.targets[np.ix_(held_out, hidden)]
        known = np.ones_like(right)
        known[:, : len(hidden)] = data.known[np.ix_(held_out, hidden)]
        _, building = np.unique(np.array(data.dataset.groups)[held_out], return_inverse=True)
        word = np.arange(len(asked))
        counted = known.T.ravel()
        return HiddenWords(
            normal=np.array(normal).ravel()[counted],  # word by word
            affinity=np.repeat(_affinity(asked, labels), len(photos))[counted],
            relevant=right.T.ravel()[counted],
            general=np.repeat(word >= len(hidden), len(photos))[counted],
            question=(word[:, None] * (building.max() + 1) + building).ravel()[counted],
        )

    jobs = [functools.partial(ask, number) for number in range(len(folds))]
    side_by_side = not run.recipe.trains_blocks
    return HiddenWords.join(
        run_all(jobs, "asking for hidden labels", run.progress, side_by_side=side_by_side)
    )


def _affinity(texts: Float32Array, labels: Float32Array) -> NDArray[np.float64]:
    """Cosine of each text, (n, d), to the nearest label, (labels, d)."""
    if not len(labels):
        return np.zeros(len(texts))
    return np.asarray((texts @ labels.T).max(1), np.float64)
