"""Few-shot accuracy on CLIP vectors, beside Tip-Adapter-F and LP++.

Photos of which exactly one label is known to be true and all others to be false make a task with
one label a photo, of the labels that have ten such photos or more. A few photos of each label are
to train on, as many for a method that chooses something, all others to test on. A method gives a
photo the label with its highest score.

Constants are those of the papers; nothing is tuned, on the test photos or others.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from photosieve.encoders.head import unit
from photosieve.encoders.protocol import Encoder, Float32Array
from photosieve.sieve.sieve import Sieve
from photosieve.training.features import Prepared, prepare
from photosieve.training.recipes import get_recipe
from photosieve.training.run import Run
from quality_sets import Flickr

LEAST_PHOTOS = 10
SHOTS = (1, 4)


@dataclass(frozen=True)
class Task:
    """Photos with one label each to train on, and others to find the label of.

    Parameters
    ----------
    encoder : Encoder
    train : Prepared
        Vectors of photos and texts have length 1.
    validation : Prepared
        As many other photos.
    test : array (m, d)
    """

    encoder: Encoder
    train: Prepared
    validation: Prepared
    test: Float32Array


Scores = NDArray[np.floating[Any]]
Accuracies = dict[tuple[str, int], list[tuple[float, float]]]
"""By method and shots, for each draw: top-1 accuracy, and the mean of the labels' own."""


def few_shot(photos: Flickr, draws: int) -> tuple[dict[str, int], Accuracies]:
    """Return how many photos each label has, and the accuracies of all methods."""
    everything = prepare(photos.encoder, photos.dataset, labels=photos.names)
    single = everything.known.all(1) & (everything.targets.sum(1) == 1)
    counts = everything.targets[single].sum(0)
    columns = np.flatnonzero(counts >= LEAST_PHOTOS)
    rows = np.flatnonzero(single & everything.targets[:, columns].any(1))
    data = everything.rows(rows).columns(columns)
    truth, labels = data.targets.argmax(1), range(len(columns))
    found: Accuracies = {}
    for shots in SHOTS:
        for draw in range(draws):
            rng = np.random.default_rng(draw)
            drawn = np.array(
                [rng.choice(np.flatnonzero(truth == label), 2 * shots, False) for label in labels]
            )
            rest = np.setdiff1d(np.arange(len(truth)), drawn)
            train, validation = (data.rows(half.ravel()) for half in np.hsplit(drawn, 2))
            task = Task(photos.encoder, train, validation, data.photos[rest])
            for name, method in METHODS.items():
                right = method(task).argmax(1) == truth[rest]
                own = np.mean([right[truth[rest] == label].mean() for label in labels])
                found.setdefault((name, shots), []).append((float(right.mean()), float(own)))
    return dict(zip(data.labels, counts[columns].tolist(), strict=True)), found


def zero_shot(task: Task) -> Scores:
    """Cosines, (m, labels)."""
    return task.test @ task.train.texts.T


def zero_shot_centered(task: Task) -> Scores:
    """Cosines of texts less the mean of general words, (m, labels)."""
    return task.test @ unit(task.train.texts - task.train.words.mean(0)).T


def probe(task: Task) -> Scores:
    """Log odds by the default recipe, (m, labels)."""
    return _probe(task, centers=True)


def probe_not_centered(task: Task) -> Scores:
    """The same with the text score as it is, (m, labels)."""
    return _probe(task, centers=False)


def _probe(task: Task, *, centers: bool) -> Scores:
    run = Run(replace(get_recipe(), centers=centers))
    sieve = Sieve.fit_prepared(task.encoder, task.train, run, words=False)
    return sieve.scorer.embed_photos(task.test).labels


def tip_adapter_f(task: Task) -> Scores:
    """Scores by Tip-Adapter-F (Zhang et al. 2022, arXiv:2207.09519), (m, labels).

    A cache of the training photos, whose keys are trained, is added to the logits of the text:
    residual ratio 1 and sharpness 5.5 as in the paper, 20 epochs of AdamW. As vectors are all there
    is of the photos, they are not augmented.
    """
    import torch

    alpha, beta, epochs = 1.0, 5.5, 20
    photos, texts = torch.from_numpy(task.train.photos), torch.from_numpy(task.train.texts)
    truth = torch.from_numpy(task.train.targets.astype(np.float32))  # (n, labels)
    keys = photos.clone().requires_grad_()

    def logits(given: torch.Tensor) -> torch.Tensor:
        return 100 * given @ texts.T + alpha * torch.exp(-beta * (1 - given @ keys.T)) @ truth

    optimizer = torch.optim.AdamW([keys], lr=1e-3, eps=1e-4)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    for _ in range(epochs):  # all photos are one batch
        loss = torch.nn.functional.cross_entropy(logits(photos), truth)
        (keys.grad,) = torch.autograd.grad(loss, [keys])
        optimizer.step()
        schedule.step()
    return np.asarray(logits(torch.from_numpy(task.test)).detach().numpy())


def lp_plus_plus(task: Task) -> Scores:
    """Scores by LP++ (Huang et al. 2024, arXiv:2404.02285), (m, labels).

    A linear classifier whose weights are a prototype plus a multiple of the text, both learned by
    steps whose sizes follow from the Lipschitz constants of the loss: 300 epochs, the multiples at
    every tenth, of which the last that is best on the validation photos counts. Start and steps are
    those of the authors' code.
    """
    epochs, momentum, every = 300, 0.9, 10
    validation, most, found = task.validation, -1.0, task.test @ task.train.texts.T
    photos, texts = task.train.photos.astype(float), task.train.texts.astype(float)
    truth, count = task.train.targets.astype(float), len(task.train.photos)
    cosines = photos @ texts.T  # (n, labels)
    weights = photos.T @ truth  # (d, labels): sums of the photos of a label
    multiples = np.full(len(texts), 250 * (truth * cosines).sum() / count)
    step = 4 * count / np.linalg.eigvalsh(photos @ photos.T)[-1]
    step_of_multiples = count / (4 * (cosines**2).sum(0).max())
    speed = np.zeros_like(weights)

    def errors() -> NDArray[np.float64]:
        logits = photos @ weights + multiples * cosines
        odds = np.exp(logits - logits.max(1, keepdims=True))
        return np.asarray((odds / odds.sum(1, keepdims=True) - truth) / count)

    def scores(given: Float32Array) -> NDArray[np.float64]:
        return np.asarray(given @ weights + multiples * (given @ texts.T))

    for epoch in range(1, epochs + 1):
        speed = momentum * speed + photos.T @ errors()
        weights = weights - step * speed
        if epoch % every == 0:
            multiples = multiples - step_of_multiples * (errors() * cosines).sum(0)
        right = scores(validation.photos).argmax(1) == validation.targets.argmax(1)
        if right.mean() >= most:
            most, found = float(right.mean()), scores(task.test)
    return found


METHODS: dict[str, Callable[[Task], Scores]] = {
    "zero-shot": zero_shot,
    "zero-shot, centered": zero_shot_centered,
    "Tip-Adapter-F": tip_adapter_f,
    "LP++": lp_plus_plus,
    "probe, the default": probe,
    "probe, texts not centered": probe_not_centered,
}
