"""What calibration and cut are learned from: scores by models that had not seen the photo."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from photosieve.calibrate import Calibration, HiddenWords
from photosieve.encoders import Head
from photosieve.labels import Dataset
from photosieve.progress import Progress, silent
from photosieve.training.recipes import Recipe
from photosieve.training.trunk import Prepared
from photosieve.tune import Tuning, tune


@dataclass(frozen=True)
class Evidence:
    """Out-of-fold scores of the training photos.

    Parameters
    ----------
    scores : array (photos, labels)
    relevant : array of bool (photos, labels)
        The labels at the time.
    groups : tuple of str (photos,)
    names : tuple of str (photos,)
        Path of each photo inside the training folder, to recognise the same photos again.
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
        words: bool = True,
        progress: Progress = silent,
    ) -> Evidence:
        """Train without each building in turn, and score what was left out.

        Parameters
        ----------
        data : Prepared
        start : Head
            Pretrained.
        recipe : Recipe
        seed : int
        words : bool
            Whether to hide labels too, which takes as long again.
        progress : Progress
        """
        from photosieve.training.fit import hidden_words, out_of_fold

        # A single photo cannot be held out: its own score is all there is.
        folds = data.dataset.folds(seed=seed)
        scores, hidden = data.scores(start).astype(np.float64), None
        if folds:
            scores = out_of_fold(data, start, recipe, folds, seed=seed, progress=progress)
        if folds and words:
            hidden = hidden_words(data, start, recipe, folds, seed=seed, progress=progress)
        return cls(
            scores=scores,
            relevant=data.targets,
            groups=data.dataset.groups,
            names=_names(data.dataset),
            usual=_usual(recipe),
            hidden=hidden,
        )

    def relabelled(self, dataset: Dataset, labels: Sequence[str]) -> Evidence | None:
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
        """Learn calibration and cut; see `photosieve.tune.tune`."""
        return tune(
            self.scores,
            self.relevant,
            self.groups,
            labels,
            objective,
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


def _usual(recipe: Recipe) -> Calibration | None:
    if not recipe.usual_slope:
        return None
    return Calibration(recipe.usual_slope, recipe.usual_intercept)


def _names(dataset: Dataset) -> tuple[str, ...]:
    return tuple(
        f"{group}/{path.name}" for group, path in zip(dataset.groups, dataset.photos, strict=True)
    )
