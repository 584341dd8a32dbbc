"""Trainings that leave something out: what epoch, calibration and cut are learned from."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from photosieve.decision.calibration import AFFINITY, HiddenWords, average_background, background
from photosieve.decision.objective import Objective
from photosieve.decision.pairs import Pairs, search
from photosieve.encoders.protocol import Float32Array, Head, Student
from photosieve.progress import Progress, silent
from photosieve.training.checkpoints import Checkpoints
from photosieve.training.features import Prepared
from photosieve.training.fit import fit
from photosieve.training.parallel import run_all
from photosieve.training.recipes import Recipe

HIDDEN_PARTS = 3
"""Parts that labels are split into, one of which each fold hides."""

GENERAL_WORDS = 100
"""How many general words are asked for in each fold."""

MIXES = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Shares of the trained weights that are tried; the rest are the pretrained ones."""

PATIENCE = 10
"""Epochs without a better result on its held-out photos after which a fold's training stops."""


@dataclass(frozen=True)
class Choice:
    """How long to train, and how far to go from the pretrained weights.

    Parameters
    ----------
    epochs : int
    mix : float
        Share of the trained weights in the result: 1 for the trained ones as they are.
    f1 : tuple of tuples of float (epochs, mixes)
        Out-of-fold macro F1 after each epoch, or after the last where the recipe does not pick one,
        for each of `MIXES`, or for 1 alone where it does not interpolate; empty where nothing was
        to be chosen.
    """

    epochs: int
    mix: float = 1.0
    f1: tuple[tuple[float, ...], ...] = ()

    def fit(
        self,
        data: Prepared,
        start: Head,
        recipe: Recipe,
        *,
        seed: int = 0,
        watch: Losses | None = None,
        checkpoints: Checkpoints | None = None,
        name: str = "final",
        progress: Progress = silent,
    ) -> Head:
        """Train as chosen; see `photosieve.training.fit.fit`."""
        head = fit(
            data,
            start,
            replace(recipe, epochs=self.epochs),
            seed=seed,
            watch=watch,
            checkpoint=checkpoints.of(name) if checkpoints else None,
            progress=progress,
        )
        return mixed(start, head, self.mix)


class Losses:
    """Notes the mean loss of each epoch."""

    def __init__(self) -> None:
        self.losses: list[float] = []

    def __call__(self, loss: float, student: Student) -> bool:  # noqa: ARG002
        """Take note."""
        self.losses.append(loss)
        return True

    def key(self) -> str:
        """Return nothing: it looks at the training alone."""
        return ""

    def state_dict(self) -> dict[str, Any]:
        """Return the losses."""
        return {"losses": self.losses}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take them back."""
        self.losses = list(state["losses"])


class HeldOut:
    """Scores held-out photos after each epoch, for each mix; stops when nothing gets better.

    Parameters
    ----------
    data : Prepared
        The held-out photos.
    start : Head
        Pretrained.
    mixes : sequence of float
    """

    def __init__(self, data: Prepared, start: Head, mixes: Sequence[float]) -> None:
        self.data, self.start, self.mixes = data, start, mixes
        self.scores: list[NDArray[np.float64]] = []  # epoch by epoch: (mixes, n, labels)
        self.best: list[float] = []

    def __call__(self, loss: float, student: Student) -> bool:  # noqa: ARG002
        """Score them."""
        trained = self.start.with_arrays(student.arrays())
        self.scores.append(_scores(self.data, self.start, trained, self.mixes))
        self.best.append(max(_best_f1(scores, self.data) for scores in self.scores[-1]))
        return len(self.best) - 1 - int(np.argmax(self.best)) < PATIENCE

    def key(self) -> str:
        """Hash of the held-out photos."""
        return self.data.fingerprint()

    def state_dict(self) -> dict[str, Any]:
        """Return all scores."""
        return {"scores": torch.from_numpy(np.array(self.scores)), "best": self.best}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take them back."""
        self.scores, self.best = list(state["scores"].numpy()), list(state["best"])


def mixed(start: Head, trained: Head, mix: float) -> Head:
    """Weights between two heads of one kind: 0 gives the first, 1 the second.

    Wortsman et al. (2022), "Robust fine-tuning of zero-shot models", arXiv:2109.01903.
    """
    if mix in (0.0, 1.0):
        return trained if mix else start
    before, after = start.arrays(), trained.arrays()
    return start.with_arrays({name: (1 - mix) * before[name] + mix * after[name] for name in after})


def out_of_fold(
    data: Prepared,
    start: Head,
    recipe: Recipe,
    folds: Sequence[NDArray[np.intp]],
    *,
    seed: int = 0,
    checkpoints: Checkpoints | None = None,
    progress: Progress = silent,
) -> tuple[NDArray[np.float64], Choice]:
    """Score each training photo by a head that was not trained on its fold.

    Where the recipe leaves it open how many epochs or how far from the pretrained weights, that is
    decided here: by the best macro F1 that one threshold for all labels reaches on the held-out
    photos, the same for all folds. The scores are then those at the chosen point, which makes them
    look a little better than they are: a few dozen choices against hundreds of decisions.

    Parameters
    ----------
    folds : sequence of arrays of int
        Rows held out together, each row in at most one of them.

    Returns
    -------
    scores : array (n, labels)
        NaN for photos that are in no fold.
    choice : Choice
    """
    everything = np.arange(len(data.photos))
    mixes = MIXES if recipe.interpolates else (1.0,)

    def score(number: int, progress: Progress) -> NDArray[np.float64]:
        """Scores of one fold, (epochs, mixes, n, labels); of one epoch if there is no choice."""
        left_out = data.rows(folds[number])
        seen = data.rows(np.setdiff1d(everything, folds[number]))
        watch = HeldOut(left_out, start, mixes) if recipe.picks_epoch else None
        head = fit(
            seen,
            start,
            recipe,
            seed=seed,
            watch=watch,
            checkpoint=checkpoints.of(f"fold-{number + 1}") if checkpoints else None,
            progress=progress,
        )
        if head is start:  # nothing was trained: there is nothing to choose from
            return np.asarray(left_out.scores(head), np.float64)[None, None]
        return np.array(watch.scores if watch else [_scores(left_out, start, head, mixes)])

    jobs = [functools.partial(score, number) for number in range(len(folds))]
    found = run_all(jobs, "scoring held-out buildings", progress, side_by_side=not recipe.opens)
    # A fold that stopped early stays as it was.
    epochs = max(len(part) for part in found)
    table = np.full((epochs, max(part.shape[1] for part in found), *data.targets.shape), np.nan)
    for rows, part in zip(folds, found, strict=True):
        table[:, :, rows] = part[np.minimum(np.arange(epochs), len(part) - 1)]
    if table.shape[:2] == (1, 1):  # nothing to choose from
        return table[0, 0], Choice(recipe.epochs)
    held = np.sort(np.concatenate(folds))
    left_out = data.rows(held)
    f1 = np.array([[_best_f1(scores[held], left_out) for scores in row] for row in table])
    # The first of equals: the fewest epochs and the smallest change.
    epoch, column = map(int, np.unravel_index(f1.argmax(), f1.shape))
    values = tuple(tuple(float(value) for value in row) for row in f1)
    epochs = epoch + 1 if recipe.picks_epoch else recipe.epochs
    return table[epoch, column], Choice(epochs, mixes[column], values)


def hidden_words(
    data: Prepared,
    start: Head,
    recipe: Recipe,
    folds: Sequence[NDArray[np.intp]],
    choice: Choice,
    *,
    seed: int = 0,
    checkpoints: Checkpoints | None = None,
    progress: Progress = silent,
) -> HiddenWords:
    """Score words that training did not see, on photos that it did not see.

    For each fold a head is trained without its photos and without a third of the labels, which are
    then asked for on those photos as a user asks for words that nobody labeled. General words that
    are not close to any label are asked for as well, taken to be on no photo.

    Parameters
    ----------
    folds : sequence of arrays of int
        Rows held out together, each fold of whole buildings where there are several.
    choice : Choice
        How long to train.
    """
    order = np.random.default_rng(seed).permutation(len(data.labels))
    parts = min(HIDDEN_PARTS, len(order))

    def ask(number: int, progress: Progress) -> HiddenWords:
        hidden = np.sort(order[number % parts :: parts])
        shown = np.setdiff1d(order, hidden)
        held_out = folds[number]
        seen = data.rows(np.setdiff1d(np.arange(len(data.photos)), held_out))
        head = choice.fit(
            seen.columns(shown),
            start,
            recipe,
            seed=seed,
            checkpoints=checkpoints,
            name=f"hidden-{number + 1}",
            progress=progress,
        )
        labels = head.project_texts(data.texts[shown])
        words = head.project_texts(data.words)
        remote = np.flatnonzero(_affinity(words, labels) <= AFFINITY)
        generator = np.random.default_rng((seed, number))
        remote = generator.choice(remote, min(GENERAL_WORDS, len(remote)), replace=False)
        asked = np.concatenate([head.project_texts(data.texts[hidden]), words[remote]])  # (k, d)
        photos = head.project_photos(data.photos[held_out])  # (m, d)
        behind = head.project_photos(seen.photos)
        average = average_background(behind, words)
        normal = [background(behind @ t, average).normalize(photos @ t) for t in asked]
        right = np.zeros((len(photos), len(asked)), bool)
        right[:, : len(hidden)] = data.targets[np.ix_(held_out, hidden)]
        _, building = np.unique(np.array(data.dataset.groups)[held_out], return_inverse=True)
        word = np.arange(len(asked))
        return HiddenWords(
            normal=np.array(normal).ravel(),  # (k * m,), word by word
            affinity=np.repeat(_affinity(asked, labels), len(photos)),
            relevant=right.T.ravel(),
            general=np.repeat(word >= len(hidden), len(photos)),
            question=(word[:, None] * (building.max() + 1) + building).ravel(),
        )

    jobs = [functools.partial(ask, number) for number in range(len(folds))]
    return HiddenWords.join(
        run_all(jobs, "asking for hidden labels", progress, side_by_side=not recipe.opens)
    )


def _scores(
    data: Prepared, start: Head, trained: Head, mixes: Sequence[float]
) -> NDArray[np.float64]:
    """Scores for each mix, (mixes, n, labels)."""
    return np.array([data.scores(mixed(start, trained, mix)) for mix in mixes], np.float64)


def _best_f1(scores: NDArray[np.float64], data: Prepared) -> float:
    """Macro F1 at the best threshold for all labels."""
    goal = Objective("f1")
    table = Pairs.of(scores, data.targets, data.dataset.groups)
    return float(goal.value(table.counts(search(table, "threshold", goal)).sum(0)))


def _affinity(texts: Float32Array, labels: Float32Array) -> NDArray[np.float64]:
    """Cosine of each text, (n, d), to the nearest label, (labels, d)."""
    if not len(labels):
        return np.zeros(len(texts))
    return np.asarray((texts @ labels.T).max(1), np.float64)
