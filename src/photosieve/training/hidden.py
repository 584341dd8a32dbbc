"""Labels hidden from training and asked for as words: how words that nobody labeled are judged."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from photosieve.decision.calibration import HiddenWords, Nearness, average_background, background
from photosieve.encoders.protocol import Float32Array, Head
from photosieve.progress import Progress
from photosieve.training.features import Prepared
from photosieve.training.fit import fit_as
from photosieve.training.parallel import run_all
from photosieve.training.run import History, Run

PARTS = 3
"""Parts that labels are split into, one of which each fold hides."""

GENERAL_WORDS = 100
"""How many general words are asked for in each fold."""


def hidden_words(
    data: Prepared,
    start: Head,
    run: Run,
    folds: Sequence[NDArray[np.intp]],
    history: History,
) -> HiddenWords:
    """Score words that training did not see, on photos that it did not see.

    For each fold the head is trained without its photos and without a third of the labels, which
    are then asked for on those photos as a user asks for words that nobody labeled. General words
    that are not close to any label are asked for as well, taken to be on no photo.

    Parameters
    ----------
    folds : sequence of arrays of int
        Rows held out together, each fold of whole buildings where there are several.
    history : History
        How to train, as chosen before.
    """
    order = np.random.default_rng(run.seed).permutation(len(data.labels))
    parts = min(PARTS, len(order))

    def ask(number: int, progress: Progress) -> HiddenWords:
        hidden = np.sort(order[number % parts :: parts])
        held_out = data.rows(folds[number]).columns(hidden)
        seen = data.rows(np.setdiff1d(np.arange(len(data.photos)), folds[number]))
        part = seen.columns(np.setdiff1d(order, hidden))
        name = f"hidden-{number + 1}"
        head, _ = fit_as(history, part, start, run.reporting(progress), name=name)
        return _ask(head, part, held_out, np.random.default_rng((run.seed, number)))

    jobs = [functools.partial(ask, number) for number in range(len(folds))]
    side_by_side = not run.recipe.trains_blocks
    return HiddenWords.join(
        run_all(jobs, "asking for hidden labels", run.progress, side_by_side=side_by_side)
    )


def _ask(
    head: Head,
    seen: Prepared,
    held_out: Prepared,
    generator: np.random.Generator,
) -> HiddenWords:
    """Ask for hidden labels and for general words on held-out photos.

    Parameters
    ----------
    head : Head
        Of words.
    seen : Prepared
        What the model was trained on.
    held_out : Prepared
        Other photos, with the hidden labels.
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
    general = np.arange(len(asked)) >= len(held_out.labels)
    right, known = np.zeros(normal.shape, bool), np.ones(normal.shape, bool)
    right[~general], known[~general] = held_out.targets.T, held_out.known.T
    _, building = np.unique(held_out.dataset.groups, return_inverse=True)
    question = np.arange(len(asked))[:, None] * (building.max() + 1) + building
    affinity = np.broadcast_to(units.affinity(nearest(asked, labels))[:, None], normal.shape)
    return HiddenWords(
        normal=normal[known],
        affinity=affinity[known],
        relevant=right[known],
        general=np.broadcast_to(general[:, None], normal.shape)[known],
        question=question[known],
    )


def nearest(texts: Float32Array, labels: Float32Array) -> NDArray[np.float64]:
    """Cosine of each text, (n, d), to the nearest label, (labels, d); 0 without labels."""
    if not len(labels):
        return np.zeros(len(texts))
    return np.asarray((texts @ labels.T).max(1), np.float64)
