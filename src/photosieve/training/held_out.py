"""Held-out photos: scored after each epoch of a training that does not see them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from photosieve.decision.objective import Objective
from photosieve.decision.pairs import Pairs, search
from photosieve.encoders.protocol import Head
from photosieve.training.features import Prepared

PATIENCE = 10
"""A fold's training stops after so many epochs without a better result on its held-out photos."""


class HeldOut:
    """Scores held-out photos after each epoch, for each mix; stops when nothing gets better.

    Parameters
    ----------
    data : Prepared
        The held-out photos.
    start : Head
        Pretrained.
    mixes : sequence of float
    """

    def __init__(self, data: Prepared, start: Head, mixes: Sequence[float]) -> None:
        self.data, self.start, self.mixes = data, start, mixes
        self.scores: list[NDArray[np.float64]] = []  # epoch by epoch: (mixes, n, labels)
        self.best: list[float] = []

    def look(self, trained: Head) -> bool:
        """Score them by a head after one more epoch; return whether to go on."""
        self.scores.append(scores_by_mix(self.data, self.start, trained, self.mixes))
        self.best.append(max(best_f1(scores, self.data) for scores in self.scores[-1]))
        return len(self.best) - 1 - int(np.argmax(self.best)) < PATIENCE

    def fingerprint(self) -> str:
        """Hash of the held-out photos, for a checkpoint."""
        return self.data.fingerprint()

    def state_dict(self) -> dict[str, Any]:
        """Return all scores, for a checkpoint."""
        import torch

        return {"scores": torch.from_numpy(np.array(self.scores)), "best": self.best}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the output of `state_dict`."""
        self.scores, self.best = list(state["scores"].numpy()), list(state["best"])


def mixed(start: Head, trained: Head, mix: float) -> Head:
    """Mix the weights of two heads of one kind: 0 gives the first, 1 the second.

    Wortsman et al. (2022), "Robust fine-tuning of zero-shot models", arXiv:2109.01903.
    """
    if mix in (0.0, 1.0):
        return trained if mix else start
    before, after = start.arrays(), trained.arrays()
    return start.with_arrays({name: (1 - mix) * before[name] + mix * after[name] for name in after})


def scores_by_mix(
    data: Prepared, start: Head, trained: Head, mixes: Sequence[float]
) -> NDArray[np.float64]:
    """Scores of photos by the head of each mix, (mixes, n, labels)."""
    return np.array([data.scores(mixed(start, trained, mix)) for mix in mixes], np.float64)


def best_f1(scores: NDArray[np.float64], data: Prepared) -> float:
    """Macro F1 at the best single threshold on scores, (n, labels)."""
    objective = Objective("f1")
    table = Pairs.of(scores, data.targets, data.dataset.groups, data.known)
    return float(objective.value(table.counts(search(table, "threshold", objective)).sum(0)))
