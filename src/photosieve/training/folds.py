"""Trainings that leave buildings out, to learn settings, calibration and cut from the rest."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import astuple, replace

import numpy as np
from numpy.typing import NDArray

from photosieve.decision.metrics import average_precisions, first_within_noise
from photosieve.decision.tuning import LEAST_REPEATED, repeated
from photosieve.encoders.protocol import Float32Array, Head
from photosieve.progress import Progress
from photosieve.training.features import Prepared
from photosieve.training.fit import fit, fit_as
from photosieve.training.held_out import HeldOut, best_f1, scores_by_mix
from photosieve.training.parallel import run_all
from photosieve.training.probe import SETTINGS, Probe, Problem
from photosieve.training.run import History, Run, probe_features

MIXES = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Shares of the trained weights that are tried; the rest are the pretrained ones."""


def out_of_fold(
    data: Prepared,
    start: Head,
    run: Run,
    folds: Sequence[NDArray[np.intp]],
) -> tuple[NDArray[np.float64], History]:
    """Score each training photo by a model that was not trained on its fold.

    That is the probe, where the recipe has one, and otherwise the head.

    Parameters
    ----------
    folds : sequence of arrays of int
        Rows held out together, each row in at most one of them.

    Returns
    -------
    scores : array (n, labels)
        NaN for photos that are in no fold.
    history : History
        How long to train, how far to go, and the settings of the probe; without losses.
    """
    history = History(run.recipe.epochs)
    if run.recipe.epochs or not run.recipe.probe:
        scores, history = _by_head(data, start, run, folds)
    if run.recipe.probe:
        return _by_probe(data, start, run, folds, history)
    return scores, history


def _by_head(
    data: Prepared, start: Head, run: Run, folds: Sequence[NDArray[np.intp]]
) -> tuple[NDArray[np.float64], History]:
    """Score photos by heads.

    If the recipe picks the epoch or the mix, this function chooses them: by the best macro F1 that
    one threshold for all labels reaches on the held-out photos, the same for all folds. The scores
    are then those at the chosen point, which makes them look a little better than they are: a few
    dozen choices against hundreds of decisions.
    """
    import torch  # noqa: F401  # before `run_all` limits its threads

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


def _by_probe(
    data: Prepared,
    start: Head,
    run: Run,
    folds: Sequence[NDArray[np.intp]],
    history: History,
) -> tuple[NDArray[np.float64], History]:
    """Score photos by probes, with the settings that rank them best.

    Of the settings that are as good as the best, to half a standard error, the one nearest to the
    default is taken: with few labels the best is a matter of chance. Where hardly any label is
    known from another building, no choice can be made, and the default settings are taken.
    """
    stage, side_by_side = "choosing the probe", not run.recipe.trains_blocks

    def pose(number: int, progress: Progress) -> tuple[Problem, Float32Array, Float32Array]:
        """Problem of one fold; features and vectors of its held-out photos."""
        seen = data.rows(np.setdiff1d(np.arange(len(data.photos)), folds[number]))
        name = f"probe-{number + 1}"
        head, _ = fit_as(history, seen, start, run.reporting(progress), name=name)
        photos = data.photos[folds[number]]
        vectors = head.project_photos(photos)
        return problem_of(seen, head, history), probe_features(photos, vectors, history), vectors

    jobs = [functools.partial(pose, number) for number in range(len(folds))]
    posed = run_all(jobs, stage, run.progress, side_by_side=side_by_side)
    held = np.sort(np.concatenate(folds))

    solving = [problem.solve_all(SETTINGS) for problem, *_ in posed]

    def next_scores() -> NDArray[np.float64]:
        """Scores of all held-out photos with the next settings, (n, labels)."""
        scores = np.full(data.targets.shape, np.nan)
        for rows, probes, (_, *held_out) in zip(folds, solving, posed, strict=True):
            scores[rows] = next(probes).scores(*held_out)
        return scores

    groups = [data.dataset.groups[row] for row in held]
    if repeated(data.targets[held], groups) < LEAST_REPEATED:
        return next_scores(), replace(history, probe=SETTINGS[0])
    found = []
    for number in range(1, len(SETTINGS) + 1):
        found.append(next_scores())
        run.progress(stage, number, len(SETTINGS))
    table = np.array(  # (settings, labels)
        [average_precisions(scores[held], data.targets[held], data.known[held]) for scores in found]
    )
    best = first_within_noise(table)
    means = np.nanmean(table, axis=1).tolist()
    tried = tuple((*astuple(one), mean) for one, mean in zip(SETTINGS, means, strict=True))
    return found[best], replace(history, probe=SETTINGS[best], tried=tried)


def probe_of(data: Prepared, head: Head, history: History) -> Probe | None:
    """Fit the probe of a recipe, above its trained head; None where it has none."""
    return problem_of(data, head, history).solve(history.probe) if history.probe else None


def problem_of(data: Prepared, head: Head, history: History) -> Problem:
    """Return the problem of a recipe's probe."""
    vectors = head.project_photos(data.photos)
    features = probe_features(data.photos, vectors, history)
    texts = head.project_texts(data.texts)
    return Problem.of(features, vectors, texts, data.targets, data.known, data.silent)
