"""Few-shot accuracy on CLIP vectors, beside Tip-Adapter-F and LP++.

Photos of which exactly one label is known to be true and all others to be false make a task with
one label a photo, of the labels that have ten such photos or more. A few photos of each label are
to train on, all others to test on. A method gives a photo the label with its highest score.

Constants are those of the papers; nothing is tuned, on the test photos or others.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from photosieve.encoders.head import unit
from photosieve.encoders.protocol import Float32Array
from photosieve.encoders.words import word_features
from photosieve.sieve.sieve import Sieve
from photosieve.training.features import prepare
from photosieve.training.recipes import get_recipe
from photosieve.training.run import Run
from quality_sets import Flickr

LEAST_PHOTOS = 10
SHOTS = (1, 4)


@dataclass(frozen=True)
class Task:
    """Photos with one label each, and the labels' texts; all vectors have length 1.

    Parameters
    ----------
    photos : array (n, d)
    labels : array of int (n,)
    texts : array (labels, d)
    """

    photos: Float32Array
    labels: NDArray[np.intp]
    texts: Float32Array


Accuracies = dict[tuple[str, int], list[tuple[float, float]]]
"""Top-1 accuracy by method and shots: for each draw over photos, and the mean of labels' own."""


def few_shot(photos: Flickr, draws: int) -> tuple[dict[str, int], Accuracies]:
    """Return how many photos each label has, and the accuracies."""
    everything = prepare(photos.encoder, photos.dataset, labels=photos.names)
    single = everything.known.all(1) & (everything.targets.sum(1) == 1)
    counts = everything.targets[single].sum(0)
    columns = np.flatnonzero(counts >= LEAST_PHOTOS)
    rows = np.flatnonzero(single & everything.targets[:, columns].any(1))
    data = everything.rows(rows).columns(columns)
    truth = data.targets.argmax(1)
    center = word_features(photos.encoder).mean(0)
    found: Accuracies = {}
    for shots in SHOTS:
        for draw in range(draws):
            rng = np.random.default_rng(draw)
            labels = range(len(columns))
            chosen = np.concatenate(
                [rng.choice(np.flatnonzero(truth == k), shots, replace=False) for k in labels]
            )
            rest = np.setdiff1d(np.arange(len(truth)), chosen)
            task, test = Task(data.photos[chosen], truth[chosen], data.texts), data.photos[rest]

            def probe(
                centers: bool, chosen: NDArray[np.intp] = chosen, test: Float32Array = test
            ) -> Float32Array:
                run = Run(replace(get_recipe(), centers=centers))
                sieve = Sieve.fit_prepared(photos.encoder, data.rows(chosen), run, words=False)
                return sieve.scorer.embed_photos(test).labels

            methods: dict[str, Callable[[], NDArray[np.floating]]] = {
                "zero-shot": lambda test=test: test @ data.texts.T,
                "zero-shot, centered": lambda test=test: test @ unit(data.texts - center).T,
                "Tip-Adapter-F": lambda task=task, test=test: tip_adapter_f(task, test),
                "LP++": lambda task=task, test=test: lp_plus_plus(task, test),
                "probe, the default": lambda probe=probe: probe(True),
                "probe, texts not centered": lambda probe=probe: probe(False),
            }
            for name, scores in methods.items():
                right = scores().argmax(1) == truth[rest]
                own = np.mean([right[truth[rest] == k].mean() for k in labels])
                found.setdefault((name, shots), []).append((float(right.mean()), float(own)))
    counted = zip(data.labels, counts[columns].tolist(), strict=True)
    return dict(counted), found


def tip_adapter_f(task: Task, test: Float32Array) -> Float32Array:
    """Scores by Tip-Adapter-F (Zhang et al. 2022, arXiv:2207.09519), (m, labels).

    A cache of the training photos, whose keys are trained, is added to the logits of the text:
    residual ratio 1 and sharpness 5.5 as in the paper, 20 epochs of AdamW. As vectors are all there
    is of the photos, they are not augmented.
    """
    import torch

    alpha, beta, epochs = 1.0, 5.5, 20
    photos, labels, texts = map(torch.from_numpy, (task.photos, task.labels, task.texts))
    values = torch.nn.functional.one_hot(labels).float()  # (n, labels)
    keys = photos.clone().requires_grad_()

    def logits(given: torch.Tensor) -> torch.Tensor:
        cached = torch.exp(-beta * (1 - given @ keys.T)) @ values
        return 100 * given @ texts.T + alpha * cached

    optimizer = torch.optim.AdamW([keys], lr=1e-3, eps=1e-4)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    for _ in range(epochs):  # all photos are one batch
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(logits(photos), labels).backward()
        optimizer.step()
        schedule.step()
    return np.asarray(logits(torch.from_numpy(test)).detach().numpy())


def lp_plus_plus(task: Task, test: Float32Array) -> NDArray[np.float64]:
    """Scores by LP++ (Huang et al. 2024, arXiv:2404.02285), (m, labels).

    A linear classifier whose weights are a prototype plus a multiple of the text, both learned by
    steps whose sizes follow from the Lipschitz constants of the loss: 300 epochs, the multiples at
    every tenth. Start and steps are those of the authors' code; without photos for validation, the
    last epoch counts.
    """
    epochs, momentum, every = 300, 0.9, 10
    photos, texts = task.photos.astype(float), task.texts.astype(float)
    truth = np.eye(len(texts))[task.labels]  # (n, labels)
    texts_of_photos = photos @ texts.T
    weights = photos.T @ truth  # (d, labels): sums of the photos of a label
    multiples = np.full(len(texts), 250 * (truth * texts_of_photos).sum() / len(photos))
    step = 4 * len(photos) / np.linalg.eigvalsh(photos @ photos.T)[-1]
    step_of_multiples = len(photos) / (4 * (texts_of_photos**2).sum(0).max())
    speed = np.zeros_like(weights)

    def errors() -> NDArray[np.float64]:
        logits = photos @ weights + multiples * texts_of_photos
        odds = np.exp(logits - logits.max(1, keepdims=True))
        return np.asarray((odds / odds.sum(1, keepdims=True) - truth) / len(photos))

    for epoch in range(1, epochs + 1):
        speed = momentum * speed + photos.T @ errors()
        weights = weights - step * speed
        if epoch % every == 0:
            multiples = multiples - step_of_multiples * (errors() * texts_of_photos).sum(0)
    return np.asarray(test @ weights + multiples * (test @ texts.T))
