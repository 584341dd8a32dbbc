"""All that a sieve consists of: the form in which it is saved, read again and described."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from photosieve.data.notes import Note
from photosieve.decision.calibration import Background, Nearness
from photosieve.decision.guarantee import Guarantee
from photosieve.decision.tuning import Tuning
from photosieve.encoders.embedding import embed_texts
from photosieve.encoders.protocol import Encoder, Float32Array
from photosieve.errors import Skipped
from photosieve.sieve.evidence import Evidence
from photosieve.training.probe import Probe
from photosieve.training.recipe import Recipe
from photosieve.training.run import History

LABELS_ARE_NEAR = Nearness(0.5, 1.0)
"""The units of version 0.1, whose only encoder was the starter."""


@dataclass(frozen=True)
class Record:
    """A fitted encoder, and the calibration and the cut that were learned for it.

    Parameters
    ----------
    encoder : Encoder
    labels : mapping of str to int
        The labels of the training photos, and the number of photos of each.
    recipe : Recipe
    seed : int
    tuning : Tuning
        The calibration, the cut and their figures out of fold.
    evidence : Evidence
        The out-of-fold scores that calibration and cut were learned from.
    background : array (n, d)
        Embeddings of the training photos by the trained encoder, and of some unlabeled ones after
        them, which scores of words are normalized against.
    background_labels : array (n, labels) or None
        Scores of the labels for the same photos by the probe. Without them no word inherits from a
        label.
    verdicts : array of int (training photos, labels) or None
        The known labels of the first of them: 1 for yes, 0 for no, -1 for unknown. Without it no
        word is linked to a label.
    average : Background
        Of general words over them.
    nearness : Nearness
        The units in which a word's cosine to the nearest label is judged.
    topic : Nearness or None
        Those in which its mean cosine to the background photos is judged. Without it only the
        labels count.
    probe : Probe or None
        The classifier of labels; without one, the vectors of labels decide.
    texts : array (labels, d) or None
        Unit vectors of the labels; see `label_vectors`.
    seconds : float
        Duration of the training.
    history : History
        How the training went.
    guarantee : Guarantee or None
        Of the cut.
    skipped : tuple of Skipped
        Training photos that could not be read.
    opened : frozenset of str
        Keys of labels that no plain list of the training photos names: lists of other photos that
        never name them either say nothing about them.
    notes : tuple of Note
        Training photos, entries and labels that were not used or are too rare.
    """

    encoder: Encoder
    labels: Mapping[str, int]
    recipe: Recipe
    seed: int
    tuning: Tuning
    evidence: Evidence
    background: Float32Array = field(repr=False)
    average: Background
    seconds: float
    history: History
    background_labels: Float32Array | None = field(default=None, repr=False)
    verdicts: NDArray[np.int8] | None = field(default=None, repr=False)
    nearness: Nearness = LABELS_ARE_NEAR
    topic: Nearness | None = None
    probe: Probe | None = field(default=None, repr=False)
    texts: Float32Array | None = field(default=None, repr=False)
    guarantee: Guarantee | None = None
    skipped: tuple[Skipped, ...] = field(default=(), repr=False)
    opened: frozenset[str] = frozenset()
    notes: tuple[Note, ...] = field(default=(), repr=False)

    @functools.cached_property
    def label_vectors(self) -> Float32Array:
        """Unit vectors of the labels, (labels, d); a saved sieve needs no text tower for them."""
        if self.texts is not None:
            return self.texts
        return embed_texts(self.encoder, tuple(self.labels))

    @functools.cached_property
    def center(self) -> Float32Array:
        """Mean of the background photos, (d,)."""
        return np.asarray(self.background.mean(0), np.float32)

    @functools.cached_property
    def fingerprint(self) -> str:
        """Hash of everything that decides how photos are embedded, and the scores of labels."""
        probe = self.probe.fingerprint() if self.probe else ""
        parts = (self.encoder.fingerprint, probe, *self.labels)
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()


Kind = TypeVar("Kind", bound=Record)
