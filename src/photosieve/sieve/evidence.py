"""What calibration and cut are learned from: scores by models that had not seen the photo."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from photosieve.data.dataset import Dataset
from photosieve.decision.calibration import Calibration, HiddenWords
from photosieve.decision.objective import Objective
from photosieve.decision.tuning import Tuning, tune
from photosieve.encoders import load_encoder
from photosieve.encoders.protocol import Encoder, Head
from photosieve.progress import Progress, silent
from photosieve.training.features import Prepared, prepare
from photosieve.training.recipes import Recipe

if TYPE_CHECKING:  # they bring torch, which only training needs
    from photosieve.training.checkpoints import Checkpoints
    from photosieve.training.held_out import Choice


@dataclass(frozen=True)
class Evidence:
    """Out-of-fold scores of the training photos.

    Parameters
    ----------
    scores : array (photos, labels)
        NaN for photos that were not held out.
    relevant : array of bool (photos, labels)
        The labels at the time.
    groups : tuple of str (photos,)
    names : tuple of str (photos,)
        Path of each photo inside the training folder, to recognize the same photos again.
    usual : Calibration or None
        The recipe's usual curve, for when there is too little to learn one from.
    hidden : HiddenWords or None
        Scores of labels that were hidden from training and of general words, if they were taken.
    """

    scores: NDArray[np.float64]
    relevant: NDArray[np.bool_]
    groups: tuple[str, ...]
    names: tuple[str, ...]
    usual: Calibration | None
    hidden: HiddenWords | None

    @classmethod
    def collect(
        cls,
        data: Prepared,
        start: Head,
        recipe: Recipe,
        *,
        seed: int = 0,
        folds: int | None = None,
        words: bool = True,
        checkpoints: Checkpoints | None = None,
        progress: Progress = silent,
    ) -> tuple[Evidence, Choice]:
        """Train without each building in turn, and score what was left out.

        Parameters
        ----------
        data : Prepared
        start : Head
            Pretrained.
        recipe : Recipe
        seed : int
        folds : int, optional
            How many; 1 holds out a third of the buildings and leaves it at that.
        words : bool
            Whether to hide labels too, which takes as long again.
        checkpoints : Checkpoints, optional
            Where the trainings go on from.
        progress : Progress

        Returns
        -------
        evidence : Evidence
        choice : Choice
            How long to train.
        """
        from photosieve.training.held_out import Choice, hidden_words, out_of_fold

        # A single photo cannot be held out: its own score is all there is.
        scores, hidden = data.scores(start).astype(np.float64), None
        choice = Choice(recipe.epochs)
        once = folds == 1
        parts = data.dataset.folds(3 if once else folds, seed=seed)[: 1 if once else None]
        if parts:
            scores, choice = out_of_fold(
                data, start, recipe, parts, seed=seed, checkpoints=checkpoints, progress=progress
            )
        if parts and words:
            hidden = hidden_words(
                data,
                start,
                recipe,
                parts,
                choice,
                seed=seed,
                checkpoints=checkpoints,
                progress=progress,
            )
        evidence = cls(
            scores=scores,
            relevant=data.targets,
            groups=data.dataset.groups,
            names=_names(data.dataset),
            usual=_usual(recipe),
            hidden=hidden,
        )
        return evidence, choice

    def held_out(self) -> tuple[NDArray[np.float64], NDArray[np.bool_], tuple[str, ...]]:
        """Return scores, labels and groups of the photos that were held out."""
        rows = np.flatnonzero(~np.isnan(self.scores).any(1))
        return self.scores[rows], self.relevant[rows], tuple(self.groups[row] for row in rows)

    @property
    def buildings(self) -> tuple[int, int]:
        """How many there are, and how many of them were held out."""
        return len(set(self.groups)), len(set(self.held_out()[2]))

    def seen(self, photos: Sequence[Path]) -> int:
        """Count photos that are called as photos of the training are, folder and file."""
        known = {tuple(name.split("/")[-2:]) for name in self.names}
        return sum((photo.parent.name, photo.name) in known for photo in photos)

    def relabeled(self, dataset: Dataset, labels: Sequence[str]) -> Evidence | None:
        """Return the same with a dataset's labels; None if these are not the same photos."""
        names = _names(dataset)
        if sorted(self.names) != sorted(names):
            return None
        order = {name: row for row, name in enumerate(self.names)}
        rows = [order[name] for name in names]
        return replace(
            self,
            scores=self.scores[rows],
            relevant=dataset.matrix(labels),
            groups=dataset.groups,
            names=names,
        )

    def tune(self, labels: Sequence[str], objective: str) -> Tuning:
        """Learn calibration and cut; see `photosieve.decision.tuning.tune`."""
        return tune(
            *self.held_out(),
            labels,
            Objective(objective),
            usual=self.usual,
            hidden=self.hidden,
        )

    def tables(self) -> dict[str, Mapping[str, NDArray[Any]]]:
        """Return the arrays in two tables, for saving."""
        return {
            "out_of_fold": {"scores": self.scores, "relevant": self.relevant},
            "hidden_words": vars(self.hidden) if self.hidden else {},
        }

    @classmethod
    def from_tables(
        cls,
        tables: Mapping[str, Mapping[str, NDArray[Any]]],
        recipe: Recipe,
        groups: Sequence[str],
        names: Sequence[str],
    ) -> Evidence:
        """Put together what `tables` and a description hold."""
        held_out, hidden = tables["out_of_fold"], tables["hidden_words"]
        return cls(
            held_out["scores"],
            held_out["relevant"],
            tuple(groups),
            tuple(names),
            _usual(recipe),
            HiddenWords(**hidden) if hidden else None,
        )


def opened(encoder: Encoder, recipe: Recipe) -> Encoder:
    """Open an encoder as far as a recipe trains it."""
    if not recipe.opens:
        return encoder
    return encoder.opened(recipe.blocks, recipe.lora_rank, trains_text=recipe.trains_text)


def collect_anew(
    encoder: str,
    recipe: Recipe,
    dataset: Dataset,
    labels: Sequence[str],
    *,
    seed: int,
    max_pixels: int,
    progress: Progress = silent,
) -> Evidence:
    """Collect evidence on photos from the start: load the encoder, read the photos, train."""
    start = opened(load_encoder(encoder), recipe)
    data = prepare(
        start,
        dataset,
        labels=labels,
        more_views=recipe.more_views,
        max_pixels=max_pixels,
        progress=progress,
    )
    return Evidence.collect(data, start.head, recipe, seed=seed, progress=progress)[0]


@dataclass(frozen=True)
class History:
    """How a training went.

    Parameters
    ----------
    losses : tuple of float (epochs,)
        Mean loss of each epoch of the final training.
    held_out_f1 : tuple of tuples of float (epochs, mixes)
        What the choice of epoch and mix was made from; see `photosieve.training.held_out.Choice`.
    epochs : int
        How many were chosen.
    mix : float
        Share of the trained weights in the result.
    """

    losses: tuple[float, ...]
    held_out_f1: tuple[tuple[float, ...], ...]
    epochs: int
    mix: float

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> History:
        """Read what `dataclasses.asdict` wrote."""
        return cls(
            losses=tuple(map(float, saved["losses"])),
            held_out_f1=tuple(tuple(map(float, row)) for row in saved["held_out_f1"]),
            epochs=int(saved["epochs"]),
            mix=float(saved["mix"]),
        )


@dataclass(frozen=True)
class Learned:
    """What came of training: the head, the evidence for the cut, and how it went."""

    head: Head
    evidence: Evidence
    history: History


def learn(
    data: Prepared,
    start: Head,
    recipe: Recipe,
    *,
    seed: int = 0,
    folds: int | None = None,
    words: bool = True,
    checkpoints: Checkpoints | None = None,
    progress: Progress = silent,
) -> Learned:
    """Collect the evidence, then train on everything; parameters as in `Evidence.collect`."""
    from photosieve.training.held_out import Losses
    from photosieve.training.parallel import one_thread_each

    evidence, choice = Evidence.collect(
        data,
        start,
        recipe,
        seed=seed,
        folds=folds,
        words=words,
        checkpoints=checkpoints,
        progress=progress,
    )
    watch = Losses()
    with nullcontext() if recipe.opens else one_thread_each():
        head = choice.fit(
            data,
            start,
            recipe,
            seed=seed,
            watch=watch,
            checkpoints=checkpoints,
            progress=progress,
        )
    history = History(tuple(watch.losses), choice.f1, choice.epochs, choice.mix)
    return Learned(head, evidence, history)


def _usual(recipe: Recipe) -> Calibration | None:
    if not recipe.usual_slope:
        return None
    return Calibration(recipe.usual_slope, recipe.usual_intercept)


def _names(dataset: Dataset) -> tuple[str, ...]:
    return tuple(
        f"{group}/{path.name}" for group, path in zip(dataset.groups, dataset.photos, strict=True)
    )
