"""The training loop: one head, from features to weights, read from top to bottom."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from photosieve.encoders import Floats, Head
from photosieve.errors import TrainingError
from photosieve.progress import Progress, silent
from photosieve.training.losses import anchor_term, balanced_sigmoid, diagonal_softmax
from photosieve.training.recipes import Recipe
from photosieve.training.trunk import Prepared

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
        Decides the order of batches.
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
    features = torch.from_numpy(data.photos - start.photo_mean)  # (n, p)
    targets = torch.from_numpy(data.targets).float()  # (n, labels)
    texts = torch.from_numpy(data.texts - start.text_mean)  # (labels, q)
    pairs = targets.nonzero()  # (pairs, 2): row, label
    positives = targets.sum(0)  # (labels,)

    photo_map = torch.tensor(start.photo, requires_grad=True)  # (p, d)
    text_map = torch.tensor(start.text, requires_grad=recipe.trains_text)  # (q, d)
    log_scale = torch.tensor(float(np.log(recipe.scale)), requires_grad=True)
    bias = torch.tensor(-1.0, requires_grad=True)
    maps = [photo_map, text_map] if recipe.trains_text else [photo_map]
    optimizer = torch.optim.AdamW(
        [
            {"params": maps, "lr": recipe.learning_rate},
            {"params": [log_scale, bias], "lr": SCALAR_LEARNING_RATE},
        ],
        fused=True,
        weight_decay=0.0,  # decay pulls to zero; what should hold the maps is their start
    )

    words = torch.from_numpy(_free_words_removed(data, start, recipe))  # (words, q)
    with torch.no_grad():
        labels, anchors = _unit(texts @ text_map), _unit(words @ text_map)  # (labels|words, d)
        pretrained = _unit(features @ photo_map) @ anchors.T  # (n, words)

    items = len(pairs) if recipe.loss == "diagonal_softmax" else len(features)
    for epoch in range(recipe.epochs):
        for batch in _batches(items, recipe.batch_size, generator):
            rows = pairs[batch, 0] if recipe.loss == "diagonal_softmax" else batch
            photos = _unit(features[rows] @ photo_map)  # (batch, d)
            if recipe.trains_text:
                labels, anchors = _unit(texts @ text_map), _unit(words @ text_map)
            logits = log_scale.exp() * photos @ labels.T  # (batch, labels)
            if recipe.loss == "diagonal_softmax":
                loss = diagonal_softmax(logits[:, pairs[batch, 1]])  # (batch, batch)
            else:
                loss = balanced_sigmoid(logits + bias, targets[rows], positives, len(features))
            if len(words):
                scores = photos @ anchors.T  # (batch, words)
                loss = loss + recipe.anchor_weight * anchor_term(scores, pretrained[rows])
            if not torch.isfinite(loss):
                raise TrainingError(
                    f"the loss stopped being a number in epoch {epoch + 1}; "
                    f"lower the learning rate (now {recipe.learning_rate:g})"
                )
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        progress("training", epoch + 1, recipe.epochs)
    if not all(torch.isfinite(values.square().sum()) for values in maps):
        raise TrainingError(  # the length of an embedding would overflow
            "the weights grew out of all bounds; "
            f"lower the learning rate (now {recipe.learning_rate:g})"
        )
    return Head(
        photo_mean=start.photo_mean,
        photo=photo_map.detach().numpy(),
        text_mean=start.text_mean,
        text=text_map.detach().numpy(),
    )


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
    scores = np.full(data.targets.shape, np.nan)
    everything = np.arange(len(data.photos))
    for number, held_out in enumerate(folds):
        head = fit(data.rows(np.setdiff1d(everything, held_out)), start, recipe, seed=seed)
        scores[held_out] = data.rows(held_out).scores(head)
        progress("scoring held-out buildings", number + 1, len(folds))
    return scores


def _free_words_removed(data: Prepared, start: Head, recipe: Recipe) -> Floats:
    """Features of the general words that are to be held: those not close to any label, centred."""
    if not recipe.anchor_weight:
        return data.words[:0]
    cosines = start.project_texts(data.words) @ start.project_texts(data.texts).T
    held = cosines.max(1) <= recipe.anchor_free_cosine
    return np.asarray(data.words[held] - start.text_mean, np.float32)


def _batches(items: int, batch_size: int, generator: torch.Generator) -> Iterator[torch.Tensor]:
    """Shuffle, and cut into batches; a last one of fewer items is used too."""
    return iter(torch.split(torch.randperm(items, generator=generator), batch_size))


def _unit(vectors: torch.Tensor) -> torch.Tensor:
    return functional.normalize(vectors, dim=-1)
