"""One training run: the settings that decide it, and its history."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from photosieve.data.dataset import Dataset
from photosieve.encoders.protocol import Float32Array
from photosieve.progress import Progress, silent
from photosieve.training.probe import Probe, ProbeSettings
from photosieve.training.recipe import Recipe
from photosieve.training.recipes import get_recipe

if TYPE_CHECKING:  # it brings torch, which only training needs
    from photosieve.training.checkpoints import Checkpoints


@dataclass(frozen=True)
class Run:
    """The settings of a run; data and pretrained encoder decide the rest.

    Parameters
    ----------
    recipe : Recipe
    seed : int
        Decides the folds, the order of batches and which of its views each photo shows first.
    folds : int, optional
        How many times a part of the buildings is held out; by default each building once, at most
        ten times. 1 holds out a third of them, once.
    checkpoints : Checkpoints, optional
        Where the state of each training is kept, to resume from.
    progress : Progress
    """

    recipe: Recipe = field(default_factory=get_recipe)
    seed: int = 0
    folds: int | None = None
    checkpoints: Checkpoints | None = None
    progress: Progress = silent

    def split(self, dataset: Dataset) -> list[NDArray[np.intp]]:
        """Return the rows that are held out together, fold by fold."""
        once = self.folds == 1
        return dataset.folds(3 if once else self.folds, seed=self.seed)[: 1 if once else None]

    def reporting(self, progress: Progress) -> Run:
        """Return the same run with another `Progress`."""
        return replace(self, progress=progress)

    def lasting(self, epochs: int) -> Run:
        """Return the same run with another number of epochs."""
        return replace(self, recipe=replace(self.recipe, epochs=epochs))


@dataclass(frozen=True)
class History:
    """How long a run trained, how far it went, and why.

    Parameters
    ----------
    epochs : int
    mix : float
        Share of the trained weights in the result; the rest are the pretrained ones.
    held_out_f1 : tuple of tuples of float (epochs, mixes)
        Out-of-fold macro F1 after each epoch, or after the last where the recipe does not pick one,
        for each of `photosieve.training.folds.MIXES`, or for 1 alone where it does not interpolate.
        Empty where there was no choice.
    losses : tuple of float (epochs,)
        Mean loss of each epoch of the final training.
    probe : ProbeSettings or None
        Those of the probe, where the recipe has one.
    tried : tuple of (float, float, float)
        Text weight and penalty of each probe that was tried, and its out-of-fold mean average
        precision. Empty where there was no choice.
    """

    epochs: int
    mix: float = 1.0
    held_out_f1: tuple[tuple[float, ...], ...] = ()
    losses: tuple[float, ...] = ()
    probe: ProbeSettings | None = None
    tried: tuple[tuple[float, float, float], ...] = ()

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> History:
        """Read the output of `dataclasses.asdict`."""
        return cls(
            epochs=int(saved["epochs"]),
            mix=float(saved["mix"]),
            held_out_f1=tuple(tuple(map(float, row)) for row in saved["held_out_f1"]),
            losses=tuple(map(float, saved["losses"])),
            tried=tuple((float(a), float(b), float(c)) for a, b, c in saved.get("tried", ())),
            probe=ProbeSettings(**probe) if (probe := saved.get("probe")) else None,
        )


def probe_features(features: Float32Array, vectors: Float32Array, history: History) -> Float32Array:
    """Return what a probe sees of photos: the vectors of a trained head, or the features."""
    return vectors if history.epochs else features


def probe_scores(
    probe: Probe | None, features: Float32Array, vectors: Float32Array, history: History
) -> Float32Array | None:
    """Return the scores of labels by a probe, (n, labels); None where the recipe has none."""
    if probe is None:
        return None
    return probe.scores(probe_features(features, vectors, history), vectors)
