"""Out-of-fold scores, from which calibration and cut are learned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from photosieve.data.dataset import Dataset
from photosieve.data.names import nfc
from photosieve.data.notes import LEAST_BUILDINGS, LEAST_PHOTOS
from photosieve.decision.calibration import Calibration, HiddenWords, average_background
from photosieve.decision.objective import Objective
from photosieve.decision.tuning import Tuning, tune
from photosieve.encoders.protocol import Head
from photosieve.errors import counted
from photosieve.training.features import Prepared
from photosieve.training.probe import ProbeSettings
from photosieve.training.recipe import Recipe
from photosieve.training.run import History, Run


class HeldOutScores(NamedTuple):
    """Scores of the photos that were held out, and what is known of them; see `Evidence`."""

    scores: NDArray[np.float64]
    relevant: NDArray[np.bool_]
    groups: tuple[str, ...]
    known: NDArray[np.bool_]


@dataclass(frozen=True)
class Evidence:
    """Out-of-fold scores of the training photos.

    Parameters
    ----------
    scores : array (photos, labels)
        NaN for photos that were not held out.
    relevant : array of bool (photos, labels)
        The labels when the scores were taken.
    known : array of bool (photos, labels)
        Whether each of them was known.
    groups : tuple of str (photos,)
    names : tuple of str (photos,)
        Building and file name of each photo, to recognize the same photos again.
    usual : Calibration or None
        The recipe's usual curve, for when there is too little to learn one from.
    hidden : HiddenWords or None
        Scores of labels that were hidden from training and of general words, if they were taken.
    """

    scores: NDArray[np.float64]
    relevant: NDArray[np.bool_]
    known: NDArray[np.bool_]
    groups: tuple[str, ...]
    names: tuple[str, ...]
    usual: Calibration | None
    hidden: HiddenWords | None

    @classmethod
    def collect(
        cls, data: Prepared, start: Head, run: Run, *, words: bool = True
    ) -> tuple[Evidence, History]:
        """Train without each building in turn, and score the photos that were left out.

        Parameters
        ----------
        data : Prepared
        start : Head
            Pretrained.
        run : Run
        words : bool
            Whether to hide labels too, which takes as long again.

        Returns
        -------
        evidence : Evidence
        history : History
            How long to train, and how far to go.
        """
        from photosieve.training.folds import out_of_fold, probe_of
        from photosieve.training.hidden import hidden_words

        hidden, history = None, History(run.recipe.epochs)
        if run.recipe.probe:
            history = replace(history, probe=ProbeSettings())
        folds = run.split(data.dataset)
        if folds:
            scores, history = out_of_fold(data, start, run, folds)
            if words:
                hidden = hidden_words(data, start, run, folds, history)
        else:  # a single photo cannot be held out: its own score is all there is
            vectors = start.project_photos(data.photos)
            probe = probe_of(data, start, replace(history, epochs=0))
            own = probe.scores(data.photos, vectors) if probe else data.scores(start)
            scores = own.astype(np.float64)
        evidence = cls(
            scores=scores,
            relevant=data.targets,
            known=data.known,
            groups=data.dataset.groups,
            names=_names(data.dataset),
            usual=_usual(data, start, run.recipe),
            hidden=hidden,
        )
        return evidence, history

    def held_out(self) -> HeldOutScores:
        """Return scores, labels and groups of the photos that were held out."""
        rows = np.flatnonzero(~np.isnan(self.scores).any(1))
        groups = tuple(self.groups[row] for row in rows)
        return HeldOutScores(self.scores[rows], self.relevant[rows], groups, self.known[rows])

    @property
    def buildings(self) -> tuple[int, int]:
        """How many there are, and how many of them were held out."""
        return len(set(self.groups)), len(set(self.held_out().groups))

    @property
    def unknown(self) -> int:
        """How many pairs of photo and label are unknown."""
        return int((~self.known).sum())

    def seen(self, photos: Sequence[Path]) -> int:
        """Count photos that share folder and file name with photos of the training."""
        known = {tuple(nfc(name).split("/")[-2:]) for name in self.names}
        return sum((nfc(photo.parent.name), nfc(photo.name)) in known for photo in photos)

    def relabeled(self, dataset: Dataset, labels: Sequence[str]) -> Evidence | None:
        """Return the same scores with the labels of a dataset; None if its photos are others."""
        names = _names(dataset)
        order = {nfc(name): row for row, name in enumerate(self.names)}
        if sorted(map(nfc, self.names)) != sorted(names):
            return None
        rows = [order[name] for name in names]
        return replace(
            self,
            scores=self.scores[rows],
            relevant=dataset.matrix(labels),
            known=dataset.known(labels),
            groups=dataset.groups,
            names=names,
        )

    def tune(self, labels: Sequence[str], objective: str) -> Tuning:
        """Learn calibration and cut; see `photosieve.decision.tuning.tune`."""
        scores, relevant, groups, known = self.held_out()
        return tune(
            scores,
            relevant,
            groups,
            labels,
            Objective(objective),
            known=known,
            usual=self.usual,
            hidden=self.hidden,
        )

    def doubtful(self, labels: Sequence[str]) -> dict[str, str]:
        """Return the labels whose answers cannot be trusted, each with the reason and a remedy."""
        several = len(set(self.groups)) > 1
        found = {}
        for label, column in zip(labels, (self.relevant & self.known).T, strict=True):
            photos = int(column.sum())
            buildings = len({self.groups[row] for row in np.flatnonzero(column)})
            if photos < LEAST_PHOTOS or (several and buildings < LEAST_BUILDINGS):
                where = f" of {counted(buildings, 'building')}" if several else ""
                more = f", in {LEAST_BUILDINGS} or more buildings" if several else ""
                found[label] = (
                    f'"{label}" is on {counted(photos, "photo")}{where}, too few to trust its '
                    f"answers: label it on {LEAST_PHOTOS} or more{more}"
                )
        return found

    def tables(self) -> dict[str, Mapping[str, NDArray[Any]]]:
        """Return the arrays in two tables, for saving."""
        return {
            "out_of_fold": {
                "scores": self.scores,
                "relevant": self.relevant,
                "known": self.known,
            },
            "hidden_words": asdict(self.hidden) if self.hidden else {},
        }

    @classmethod
    def from_tables(
        cls,
        tables: Mapping[str, Mapping[str, NDArray[Any]]],
        recipe: Recipe,
        groups: Sequence[str],
        names: Sequence[str],
        usual: Sequence[float] | None = None,
    ) -> Evidence:
        """Read the output of `tables`, with the rest from the description."""
        if usual is None and recipe.usual_slope:  # in 0.1, the curve was the same for all encoders
            usual = recipe.usual_slope, recipe.usual_intercept
        held_out, hidden = tables["out_of_fold"], tables["hidden_words"]
        relevant = held_out["relevant"]
        return cls(
            held_out["scores"],
            relevant,
            held_out.get("known", np.ones_like(relevant)),  # in 0.1, all pairs were known
            tuple(groups),
            tuple(names),
            Calibration(float(usual[0]), float(usual[1])) if usual else None,
            HiddenWords(**hidden) if hidden else None,
        )


def _usual(data: Prepared, start: Head, recipe: Recipe) -> Calibration | None:
    """Return the recipe's usual curve, for scores of this encoder."""
    if not recipe.usual_slope:
        return None
    usual = Calibration(recipe.usual_slope, recipe.usual_intercept)
    if recipe.probe:
        return usual
    scores = average_background(start.project_photos(data.photos), start.project_texts(data.words))
    slope = usual.slope / scores.deviation
    return replace(usual, slope=slope, intercept=usual.intercept - slope * scores.mean)


def _names(dataset: Dataset) -> tuple[str, ...]:
    return tuple(
        nfc(f"{group}/{path.name}")
        for group, path in zip(dataset.groups, dataset.photos, strict=True)
    )
