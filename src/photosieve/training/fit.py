"""The training loop: one head, from features to weights, read from top to bottom."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from photosieve.calibrate import AFFINITY, HiddenWords, average_background, background
from photosieve.encoders import Floats, Head
from photosieve.errors import TrainingError
from photosieve.progress import Progress, silent
from photosieve.training.losses import anchor_term, balanced_sigmoid, diagonal_softmax
from photosieve.training.parallel import run_all
from photosieve.training.recipes import Recipe
from photosieve.training.trunk import Prepared

HIDDEN_PARTS = 3
"""Parts that labels are split into, one of which each fold hides."""

GENERAL_WORDS = 100
"""How many general words are asked for in each fold."""

SCALAR_LEARNING_RATE = 1e-2
"""Of the scale and the bias, which have further to go than the maps."""


def fit(
    data: Prepared,
    start: Head,
    recipe: Recipe,
    *,
    seed: int = 0,
    progress: Progress = silent,
) -> Head:
    """Train a head.

    The same data, start, recipe and seed give the same head on the same machine.

    Parameters
    ----------
    data : Prepared
    start : Head
        The pretrained head: where training starts and where the anchors hold.
    recipe : Recipe
    seed : int
        Decides the order of batches and which of its views each photo shows first.
    progress : Progress
        Told of each epoch.

    Returns
    -------
    Head

    Raises
    ------
    TrainingError
        If the loss stops being a number, or the weights grow out of all bounds.
    """
    if recipe.epochs == 0 or not data.targets.any():  # nothing to do, or nothing to learn from
        return start
    generator = torch.Generator().manual_seed(seed)
    views = data.photos[:, None]
    if recipe.more_views:
        views = np.concatenate([views, data.more_views], axis=1)
    features = torch.from_numpy(views)  # (n, views, p)
    targets = torch.from_numpy(data.targets).float()  # (n, labels)
    texts = torch.from_numpy(data.texts)  # (labels, q)
    pairs = targets.nonzero()  # (pairs, 2): row, label
    positives = targets.sum(0)  # (labels,)

    student = start.student(trains_text=recipe.trains_text)
    log_scale = torch.tensor(float(np.log(recipe.scale)), requires_grad=True)
    bias = torch.tensor(-1.0, requires_grad=True)
    optimizer = torch.optim.AdamW(
        [
            {"params": student.parameters(), "lr": recipe.learning_rate},
            {"params": [log_scale, bias], "lr": SCALAR_LEARNING_RATE},
        ],
        fused=True,
        weight_decay=0.0,  # decay pulls to zero; what should hold the maps is their start
    )

    words = torch.from_numpy(_free_words_removed(data, start, recipe))  # (words, q)
    with torch.no_grad():
        labels, anchors = _unit(student.texts(texts)), _unit(student.texts(words))
        pretrained = _unit(student.photos(features)) @ anchors.T  # (n, views, words)

    # Each photo shows its views in turn, all equally often, and not all photos the same one.
    first_view = torch.randint(features.shape[1], (len(features),), generator=generator)  # (n,)
    items = len(pairs) if recipe.loss == "diagonal_softmax" else len(features)
    for epoch in range(recipe.epochs):
        for batch in _batches(items, recipe.batch_size, generator):
            rows = pairs[batch, 0] if recipe.loss == "diagonal_softmax" else batch
            view = (first_view[rows] + epoch) % features.shape[1]  # (batch,)
            photos = _unit(student.photos(features[rows, view]))  # (batch, d)
            if recipe.trains_text:
                labels, anchors = _unit(student.texts(texts)), _unit(student.texts(words))
            logits = log_scale.exp() * photos @ labels.T  # (batch, labels)
            if recipe.loss == "diagonal_softmax":
                loss = diagonal_softmax(logits[:, pairs[batch, 1]])  # (batch, batch)
            else:
                loss = balanced_sigmoid(logits + bias, targets[rows], positives, len(features))
            if len(words):
                scores = photos @ anchors.T  # (batch, words)
                loss = loss + recipe.anchor_weight * anchor_term(scores, pretrained[rows, view])
            if not torch.isfinite(loss):
                raise TrainingError(
                    f"the loss stopped being a number in epoch {epoch + 1}; "
                    f"lower the learning rate (now {recipe.learning_rate:g})"
                )
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        progress("training", epoch + 1, recipe.epochs)
    if not all(torch.isfinite(values.square().sum()) for values in student.parameters()):
        raise TrainingError(  # the length of an embedding would overflow
            "the weights grew out of all bounds; "
            f"lower the learning rate (now {recipe.learning_rate:g})"
        )
    return start.with_arrays(student.arrays())


def out_of_fold(
    data: Prepared,
    start: Head,
    recipe: Recipe,
    folds: Sequence[NDArray[np.intp]],
    *,
    seed: int = 0,
    progress: Progress = silent,
) -> NDArray[np.float64]:
    """Score each training photo by a head that was not trained on its fold.

    Parameters
    ----------
    folds : sequence of arrays of int
        Rows held out together; each row in exactly one of them.

    Returns
    -------
    array (n, labels)
    """
    everything = np.arange(len(data.photos))

    def score(held_out: NDArray[np.intp], progress: Progress) -> Floats:
        seen = data.rows(np.setdiff1d(everything, held_out))
        return data.rows(held_out).scores(fit(seen, start, recipe, seed=seed, progress=progress))

    jobs = [functools.partial(score, held_out) for held_out in folds]
    scores = np.full(data.targets.shape, np.nan)
    found = run_all(jobs, "scoring held-out buildings", progress)
    for held_out, rows in zip(folds, found, strict=True):
        scores[held_out] = rows
    return scores


def hidden_words(
    data: Prepared,
    start: Head,
    recipe: Recipe,
    folds: Sequence[NDArray[np.intp]],
    *,
    seed: int = 0,
    progress: Progress = silent,
) -> HiddenWords:
    """Score words that training did not see, on photos that it did not see.

    For each fold a head is trained without its photos and without a third of the labels, which are
    then asked for on those photos as a user asks for words that nobody labelled. General words that
    are not close to any label are asked for as well, taken to be on no photo.

    Parameters
    ----------
    folds : sequence of arrays of int
        Rows held out together, each fold of whole buildings where there are several.
    """
    order = np.random.default_rng(seed).permutation(len(data.labels))
    parts = min(HIDDEN_PARTS, len(order))

    def ask(number: int, progress: Progress) -> HiddenWords:
        hidden = np.sort(order[number % parts :: parts])
        shown = np.setdiff1d(order, hidden)
        held_out = folds[number]
        seen = data.rows(np.setdiff1d(np.arange(len(data.photos)), held_out))
        head = fit(seen.columns(shown), start, recipe, seed=seed, progress=progress)
        labels = head.project_texts(data.texts[shown])
        words = head.project_texts(data.words)
        remote = np.flatnonzero(_affinity(words, labels) <= AFFINITY)
        generator = np.random.default_rng((seed, number))
        remote = generator.choice(remote, min(GENERAL_WORDS, len(remote)), replace=False)
        asked = np.concatenate([head.project_texts(data.texts[hidden]), words[remote]])  # (k, d)
        photos = head.project_photos(data.photos[held_out])  # (m, d)
        behind = head.project_photos(seen.photos)
        average = average_background(behind, words)
        normal = [background(behind @ t, average).normalise(photos @ t) for t in asked]
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
    return HiddenWords.join(run_all(jobs, "asking for hidden labels", progress))


def _affinity(texts: Floats, labels: Floats) -> NDArray[np.float64]:
    """Cosine of each text, (n, d), to the nearest label, (labels, d)."""
    if not len(labels):
        return np.zeros(len(texts))
    return np.asarray((texts @ labels.T).max(1), np.float64)


def _free_words_removed(data: Prepared, start: Head, recipe: Recipe) -> Floats:
    """Features of the general words that are to be held: those not close to any label."""
    if not recipe.anchor_weight:
        return data.words[:0]
    cosines = start.project_texts(data.words) @ start.project_texts(data.texts).T
    held = cosines.max(1) <= recipe.anchor_free_cosine
    return np.asarray(data.words[held], np.float32)


def _batches(items: int, batch_size: int, generator: torch.Generator) -> Iterator[torch.Tensor]:
    """Shuffle, and cut into batches; a last one of fewer items is used too."""
    return iter(torch.split(torch.randperm(items, generator=generator), batch_size))


def _unit(vectors: torch.Tensor) -> torch.Tensor:
    return functional.normalize(vectors, dim=-1)
