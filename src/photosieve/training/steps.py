"""The steps of a training: the items that each sees, their embeddings, the loss, its gradients."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.nn import functional

from photosieve.decision.calibration import average_background
from photosieve.encoders.head import LinearHead
from photosieve.encoders.protocol import Float32Array, Head, Student
from photosieve.training import losses
from photosieve.training.batches import distinct, shuffled
from photosieve.training.features import Prepared
from photosieve.training.recipe import OF_PAIRS, Recipe

SCALAR_LEARNING_RATE = 1e-2
"""Of the scale and the bias, which have further to go than the weights."""

ANCHORS_A_STEP = 64
"""General words that are held in a step where the text tower itself is trained."""

Projection = Callable[[torch.Tensor], torch.Tensor]
Selection = slice | torch.Tensor


class Units(NamedTuple):
    """The size of things in an encoder, which a recipe with `own_units` counts in.

    Parameters
    ----------
    mean, score : float
        Mean and standard deviation of the scores of general words over the training photos.
    weight : float
        Change of a weight that moves a photo's vector by about its own size, over the weights that
        it is a sum of.
    """

    mean: float = 0.0
    score: float = 1.0
    weight: float = 1.0

    @classmethod
    def of(cls, data: Prepared, start: Head, recipe: Recipe) -> Units:
        """Measure a pretrained head on the training photos; all 1 where the recipe does not ask."""
        if not recipe.own_units or not len(data.words):
            return cls()
        photos = start.project_photos(data.photos)
        scores = average_background(photos, start.project_texts(data.words))
        weight = 1.0
        if isinstance(start, LinearHead):
            given = data.photos - start.photo_mean
            size = float(np.sqrt(np.mean((given @ start.photo) ** 2)))
            weight = size / max(float(np.abs(given).sum(1).mean()), 1e-12)
        return cls(scores.mean, scores.deviation, weight)


class Steps:
    """All that a training works with and changes, step by step.

    Parameters
    ----------
    data : Prepared
    start : Head
        Pretrained: the anchors hold words where it scores them.
    recipe : Recipe
    student : Student
        The copy of the head that is trained.
    seed : int
    """

    def __init__(
        self,
        data: Prepared,
        start: Head,
        recipe: Recipe,
        student: Student,
        seed: int,
    ) -> None:
        self.data, self.recipe, self.student = data, recipe, student
        self.generator = torch.Generator().manual_seed(seed)
        self.device = student.parameters()[0].device
        self.views = 1 + data.more_views.shape[1] * recipe.more_views
        self.targets = torch.from_numpy(data.targets).float()  # (n, labels)
        self.pairs = self.targets.nonzero()  # (pairs, 2): row, label
        self.weights = losses.balanced_weights(  # (n, labels)
            self.targets,
            torch.from_numpy(data.known).float(),
            torch.from_numpy(data.silent).float(),
        )
        self.texts = torch.from_numpy(data.texts).to(self.device)  # (labels, q)
        held = _held_words(data, start, recipe)  # (words, q)
        units = Units.of(data, start, recipe)
        self.anchor_weight = recipe.anchor_weight / units.score**2
        scale = recipe.scale / units.score
        self.log_scale = torch.tensor(math.log(scale), device=self.device)
        self.log_scale.requires_grad_(recipe.learns_scale)
        self.bias = torch.tensor(-1.0 - scale * units.mean, device=self.device, requires_grad=True)
        scalars = [self.log_scale, self.bias] if recipe.learns_scale else [self.bias]
        self.trained = [*student.parameters(), *scalars]
        self.optimizer = torch.optim.AdamW(
            [
                # Decay pulls to zero; the anchors hold the weights where they came from.
                {"params": student.parameters(), "weight_decay": recipe.weight_decay},
                {"params": scalars, "lr": SCALAR_LEARNING_RATE, "weight_decay": 0.0},
            ],
            lr=recipe.learning_rate * units.weight,
            fused=self.device.type != "mps",
        )
        self.plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(
            self.optimizer, factor=0.1, patience=5
        )

        self.words = torch.from_numpy(held).to(self.device)
        anchors = start.project_texts(held)
        if not recipe.trains_text:
            anchors = _condensed(anchors)
        seen = [data.photos, *(data.more_views[:, v] for v in range(self.views - 1))]
        self.pretrained = torch.from_numpy(  # (views, n, words)
            np.stack([start.project_photos(view) @ anchors.T for view in seen])
            if len(held)
            else np.zeros((self.views, len(data.photos), 0), np.float32)
        )
        if not recipe.trains_text:
            self.anchors = torch.from_numpy(anchors).to(self.device)
            with torch.no_grad():
                self.labels = student.texts(self.texts)
        # Each photo shows its views in turn, all equally often, and not all photos the same one.
        size = (len(data.photos),)
        self.first_view = torch.randint(self.views, size, generator=self.generator)

    def state_dict(self) -> dict[str, Any]:
        """Return all that changes during a training, for a checkpoint."""
        return {
            "weights": [tensor.detach() for tensor in self.trained],
            "optimizer": self.optimizer.state_dict(),
            "plateau": self.plateau.state_dict(),
            "generator": self.generator.get_state(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the output of `state_dict`."""
        with torch.no_grad():
            for tensor, value in zip(self.trained, state["weights"], strict=True):
                tensor.copy_(value)
        self.optimizer.load_state_dict(state["optimizer"])
        self.plateau.load_state_dict(state["plateau"])
        self.generator.set_state(state["generator"])

    def batches(self) -> Iterator[torch.Tensor]:
        """Items of one epoch: rows of the table of pairs, or photos."""
        size = self.recipe.batch_size
        if self.recipe.loss not in OF_PAIRS:
            return shuffled(len(self.data.photos), size, self.generator)
        if self.recipe.distinct:
            return distinct(self.pairs, self.targets, size, self.generator)
        return shuffled(len(self.pairs), size, self.generator)

    def backward(self, batch: torch.Tensor, epoch: int) -> float:
        """Add the gradients of one batch to the weights; return its loss.

        Where blocks are trained, no more than `micro_batch` photos or texts go through a tower at
        once: all are embedded without gradients, the loss says how each embedding should move, and
        each part is then embedded again to pass that on (Gao et al. 2021, arXiv:2101.06983). The
        gradients are those of the whole batch, for any loss.
        """
        recipe = self.recipe
        of_pairs = recipe.loss in OF_PAIRS
        rows = self.pairs[batch, 0] if of_pairs else batch
        columns: Selection = slice(None)
        place: Selection = slice(None)
        if of_pairs:  # only the labels of this batch are embedded, each once
            columns, place = _unique(self.pairs[batch, 1])
        view = (self.first_view[rows] + epoch) % self.views  # (batch,)
        held: Selection = slice(None)
        inputs: list[tuple[Projection, torch.Tensor]] = [
            (self.student.photos, self._photos(rows, view))
        ]
        if recipe.trains_text:
            if recipe.trains_blocks:
                order = torch.randperm(len(self.words), generator=self.generator)
                held = order[:ANCHORS_A_STEP]
            inputs += [(self.student.texts, self.texts[columns])]
            inputs += [(self.student.texts, self.words[held])] if len(self.words) else []

        def loss_of(embedded: list[torch.Tensor]) -> torch.Tensor:
            photos = embedded[0]  # (batch, d), of any length, as all of these
            labels = embedded[1] if recipe.trains_text else self.labels[columns]
            targets, weights = (part[rows].to(self.device) for part in (self.targets, self.weights))
            loss = self._loss(photos, labels, targets, weights, place)
            if len(self.words):
                words = _unit(embedded[2]) if recipe.trains_text else self.anchors
                scores = _unit(photos) @ words.T  # (batch, words)
                before = self.pretrained[view, rows][:, held].to(self.device)
                loss = loss + self.anchor_weight * losses.anchor_term(scores, before)
            return loss

        size = recipe.micro_batch
        if not recipe.trains_blocks or max(len(features) for _, features in inputs) <= size:
            loss = loss_of([embed(features) for embed, features in inputs])
            loss.backward()  # type: ignore[no-untyped-call]
            return float(loss.detach())
        parts = [(embed, torch.split(features, size)) for embed, features in inputs]
        with torch.no_grad():
            embedded = [torch.cat([embed(chunk) for chunk in chunks]) for embed, chunks in parts]
        loss = loss_of([vectors.requires_grad_() for vectors in embedded])
        loss.backward()  # type: ignore[no-untyped-call]
        for vectors, (embed, chunks) in zip(embedded, parts, strict=True):
            if vectors.grad is not None:
                for chunk, gradient in zip(chunks, torch.split(vectors.grad, size), strict=True):
                    embed(chunk).backward(gradient)  # type: ignore[no-untyped-call]
        return float(loss.detach())

    def _loss(
        self,
        photos: torch.Tensor,
        labels: torch.Tensor,
        targets: torch.Tensor,
        weights: torch.Tensor,
        place: Selection,
    ) -> torch.Tensor:
        """The recipe's loss of photos, (batch, d), and texts, (labels, d), of any length.

        For losses of pairs `place`, (batch,), says which of the texts belongs to each photo;
        otherwise the texts are all labels, and `targets`, (batch, labels), says it. Only the
        balanced sigmoid knows unknown pairs, by `weights`, (batch, labels); all others know
        positives only.
        """
        recipe = self.recipe
        if recipe.normalizes:
            photos, labels = _unit(photos), _unit(labels)
        scores = photos @ labels.T  # (batch, labels)
        logits = self.log_scale.exp() * scores
        match recipe.loss:
            case "balanced_sigmoid":
                return losses.balanced_sigmoid(logits + self.bias, targets, weights)
            case "multi_positive_softmax":
                return losses.multi_positive_softmax(logits, targets)
            case "diagonal_softmax":
                return losses.diagonal_softmax(logits[:, place])  # (batch, batch)
            case "margin_of_pairs":
                return losses.margin(scores[:, place].diagonal(), recipe.margin)
            case "margin_to_mean":
                means = _unit(targets @ labels)  # (batch, d)
                cosines = (photos * means).sum(1)[targets.any(1)]
                return losses.margin(cosines, recipe.margin) if len(cosines) else scores.sum() * 0

    def _photos(self, rows: torch.Tensor, view: torch.Tensor) -> torch.Tensor:
        """Features of photos, each in one of its views, (batch, p)."""
        features = self.data.photos[rows.numpy()]
        other = np.flatnonzero(view.numpy())
        if len(other):
            features[other] = self.data.more_views[rows.numpy()[other], view.numpy()[other] - 1]
        return torch.from_numpy(features).to(self.device)


def _held_words(data: Prepared, start: Head, recipe: Recipe) -> Float32Array:
    """Features of the general words that are to be held: those not close to any label."""
    if not recipe.anchor_weight:
        return data.words[:0]
    cosines = (start.project_texts(data.words) @ start.project_texts(data.texts).T).max(1)
    held = cosines <= np.quantile(cosines, recipe.anchor_quantile)
    return np.asarray(data.words[held], np.float32)


def _condensed(anchors: Float32Array) -> Float32Array:
    """Return no more than d vectors whose mean squared product with any vector is the same.

    The anchor term knows no more of fixed words, (words, d), than this mean, which is decided by
    the matrix of their products. A root of it has d rows, where there are a thousand words.
    """
    count, width = anchors.shape
    if count <= width:
        return anchors
    wide = anchors.astype(np.float64)
    squares, axes = np.linalg.eigh(wide.T @ wide * (width / count))
    return np.asarray((axes * np.sqrt(np.maximum(squares, 0))).T, np.float32)


def _unique(values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Distinct values, ascending, and where each value stands among them."""
    distinct_values: tuple[torch.Tensor, torch.Tensor]
    distinct_values = torch.unique(values, return_inverse=True)
    return distinct_values


def _unit(vectors: torch.Tensor) -> torch.Tensor:
    return functional.normalize(vectors, dim=-1)
