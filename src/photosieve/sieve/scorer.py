"""Queries understood as labels or other words, and the probability that a photo matches them."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from photosieve.data.names import label_key
from photosieve.decision.agreement import Agreement
from photosieve.decision.calibration import (
    Background,
    Calibration,
    background,
    bounded,
    joint_affinity,
    log_odds,
    probability,
)
from photosieve.decision.cut import Cut
from photosieve.encoders.embedding import embed_texts
from photosieve.encoders.head import unit
from photosieve.encoders.prompts import BARE, prompts_of
from photosieve.encoders.protocol import Float32Array
from photosieve.errors import counted
from photosieve.sieve.embedded import Embedded
from photosieve.sieve.links import link_weights
from photosieve.sieve.query import Term, parse
from photosieve.sieve.record import Record
from photosieve.training.probe import Inherited
from photosieve.training.run import probe_scores

KEPT_READINGS = 500
"""Of terms; each takes a few kilobytes."""

Rows = NDArray[np.intp] | slice
EVERY = slice(None)


@dataclass(frozen=True)
class Reading:
    """How one term of a query is understood.

    Parameters
    ----------
    term : Term
    vector : array (d,)
        A unit vector.
    label : str or None
        The label that the term names; None for any other word.
    nearest : str
        The label nearest in meaning; empty where there are no labels.
    affinity : float
        Cosine to that label, or 0.
    background : Background
        Its scores over the background photos.
    links : array (labels,)
        How far each label decides about it.
    prompts : tuple of str
        The sentences that it was embedded in.
    inherited : Inherited or None
        Its score, where it takes over what labels learned.
    """

    term: Term
    vector: Float32Array = field(compare=False)
    label: str | None
    nearest: str
    affinity: float
    background: Background
    links: NDArray[np.float64] = field(compare=False)
    prompts: tuple[str, ...] = BARE
    inherited: Inherited | None = field(default=None, compare=False)

    def describe(self) -> str:
        """Describe how the term is understood."""
        if self.label is not None:
            known = "a label"
        elif not self.nearest:
            known = "a word; there are no labels yet"
        else:
            known = f'no label; nearest is "{self.nearest}" (cosine {self.affinity:.2f})'
        if self.links.any():
            known += f", which decides by {self.links.max():.0%}"
        if self.inherited is not None:
            known += f"; inherits from {counted(len(self.inherited.columns), 'label')}"
        if self.prompts != BARE:
            sentences = (f'"{p.replace("{}", self.term.phrasings[0])}"' for p in self.prompts)
            known += f"; embedded as {', '.join(sentences)}"
        background = self.background
        return f"{known}; background score {background.mean:z.3f} +- {background.deviation:.3f}"

    def to_dict(self) -> dict[str, Any]:
        """Return a form for JSON, without the vector."""
        return {
            "term": str(self.term),
            "negative": self.term.negative,
            "label": self.label,
            "nearest": self.nearest,
            "affinity": self.affinity,
            "linked": float(self.links.sum()),
            "prompts": list(self.prompts),
            "background": asdict(self.background),
        }


@dataclass(frozen=True)
class Scorer:
    """Turns queries and embedded photos into probabilities.

    Parameters
    ----------
    record : Record
    """

    record: Record

    @functools.cached_property
    def labels(self) -> tuple[str, ...]:
        """The labels of the training photos."""
        return tuple(self.record.labels)

    @property
    def calibration(self) -> Calibration:
        """The curves that turn scores into probabilities."""
        return self.record.tuning.calibration

    def embed_photos(self, features: Float32Array) -> Embedded:
        """Embed photos by their features, (n, p)."""
        record = self.record
        vectors = record.encoder.head.project_photos(features)
        scores = probe_scores(record.probe, features, vectors, record.history)
        return Embedded(vectors, vectors @ record.label_vectors.T if scores is None else scores)

    @functools.cached_property
    def _agreement(self) -> Agreement | None:
        record = self.record
        if record.verdicts is None:
            return None
        return Agreement.of(self.record.label_vectors, record.background, record.verdicts)

    def read(self, query: str) -> tuple[Reading, ...]:
        """Understand a query: a label as it is written, or a query as in `photosieve.sieve.query`.

        Raises
        ------
        UsageError
            If it has no words to look for.
        """
        whole = " ".join(query.split())
        terms = (Term((whole,)),) if label_key(whole) in self.known else parse(query)
        return tuple(map(self._reading, terms))

    def read_word(self, word: str) -> Reading:
        """Understand a label, or any other word or phrase, as it stands."""
        return self._reading(Term((word,)))

    @functools.cached_property
    def _reading(self) -> Callable[[Term], Reading]:
        """`_read`, with the readings of the last terms kept: people ask for the same things."""
        return functools.lru_cache(KEPT_READINGS)(self._read)

    @functools.cached_property
    def _columns(self) -> dict[str, int]:
        return {label: column for column, label in enumerate(self.labels)}

    @functools.cached_property
    def known(self) -> dict[str, str]:
        """The labels by their keys; see `label_key`."""
        return {label_key(label): label for label in self.labels}

    def _read(self, term: Term) -> Reading:
        known = self.known
        # A label is embedded as it was in training, however a user writes it.
        texts = [known.get(label_key(phrasing), phrasing) for phrasing in term.phrasings]
        label = texts[0] if len(texts) == 1 and texts[0] in self._columns else None
        if label is not None:
            vector = self.record.label_vectors[self._columns[label]]
        else:
            vector = unit(embed_texts(self.record.encoder, texts).mean(0))  # (d,)
        cosines = self.record.label_vectors @ vector  # (labels,)
        nearest = int(cosines.argmax()) if self.labels else None
        inherited, links = None, np.zeros(len(self.labels))
        if label is None and self._agreement:
            agreement = self._agreement.with_word(vector)
            links = link_weights(vector, self.record.label_vectors, self.record.nearness, agreement)
            inherited = self._inherited(vector, agreement)
        return Reading(
            term=term,
            vector=vector,
            label=label,
            nearest="" if nearest is None else self.labels[nearest],
            affinity=0.0 if nearest is None else float(cosines[nearest]),
            background=self._background(vector, inherited),
            prompts=prompts_of(self.record.encoder),
            inherited=inherited,
            links=links,
        )

    def _inherited(self, vector: Float32Array, agreement: NDArray[np.float64]) -> Inherited | None:
        record = self.record
        if record.probe is None or record.background_labels is None:
            return None
        return record.probe.inherited(vector, agreement)

    def _background(self, vector: Float32Array, inherited: Inherited | None) -> Background:
        record = self.record
        scores = record.background @ vector
        if inherited is not None and record.background_labels is not None:
            scores = inherited.scores(record.background, record.background_labels)
        return background(scores, record.average)

    def scores(self, reading: Reading, photos: Embedded, rows: Rows = EVERY) -> Float32Array:
        """Scores of photos for a term as far as it is positive, (n,).

        A label has its own score; another word has the cosine, with its gain from near labels.
        """
        if reading.label is not None:
            return photos.labels[rows, self._columns[reading.label]]
        if reading.inherited is not None:
            labels = photos.scores(reading.inherited.columns, rows)
            return reading.inherited.scores_of(photos.vectors[rows], labels)
        return np.asarray(photos.vectors[rows] @ reading.vector, np.float32)

    def probabilities(
        self, readings: tuple[Reading, ...], photos: Embedded, rows: Rows = EVERY
    ) -> NDArray[np.float64]:
        """Probability that each photo matches each term as far as it is positive, (n, terms)."""
        return np.stack([self.probability(reading, photos, rows) for reading in readings], axis=1)

    def probability(
        self, reading: Reading, photos: Embedded, rows: Rows = EVERY
    ) -> NDArray[np.float64]:
        """Probability that each photo matches a term as far as it is positive, (n,)."""
        scores = self.scores(reading, photos, rows)
        if reading.label is not None:
            return self.calibration.labels(scores[:, None], (reading.label,))[:, 0]
        normal = reading.background.normalize(scores)
        alone = self.calibration.word_odds(normal, self.affinity(reading))
        linked = np.flatnonzero(reading.links)
        if not len(linked):
            return probability(alone)
        # The average is over the distances of the labels from their own thresholds.
        names = [self.labels[column] for column in linked]
        labels = self.calibration.label_odds(photos.scores(linked, rows), names)  # (n, linked)
        weights, cut = reading.links[linked], self.record.tuning.cut
        limit = log_odds(self.calibration.word_threshold)
        margins = bounded(labels) - log_odds(max(cut.gate, cut.floor))
        own = bounded(alone) - limit
        return probability(limit + (1 - weights.sum()) * own + margins @ weights)

    def affinity(self, reading: Reading) -> NDArray[np.float64]:
        """How near a word is to labels and photos, in units of general words; most are below 0."""
        record = self.record
        to_labels = record.nearness.affinity(reading.affinity)
        if record.topic is None:
            return to_labels
        to_photos = record.topic.affinity(reading.vector @ record.center)
        return joint_affinity(to_labels, to_photos, len(record.evidence.scores))

    def embed(self, texts: Sequence[str]) -> Float32Array:
        """Embed texts as unit vectors, (m, d)."""
        return embed_texts(self.record.encoder, texts)

    def least_score(self, reading: Reading, probability: float) -> float:
        """Return the score with which a photo has a probability; infinite for 0 and 1.

        Of a term that is a label, or a word without links: with these, more than one score counts.
        """
        if not 0 < probability < 1:
            return -math.inf if probability <= 0 else math.inf
        odds = math.log(probability / (1 - probability))
        if reading.label is not None:
            return self.calibration.label_score(odds, reading.label)
        normal = self.calibration.word_score(odds, self.affinity(reading))
        return reading.background.mean + normal * reading.background.deviation

    def cut(self, readings: tuple[Reading, ...], learned: Cut) -> Cut:
        """Return the rule for a query: the learned one, or for words that are no labels theirs."""
        wanted = [reading for reading in readings if not reading.term.negative]
        if all(reading.label is not None for reading in wanted):
            return learned
        words = self.calibration.word_threshold
        if any(reading.label is not None for reading in wanted):
            return replace(learned, gate=max(learned.gate, words), floor=max(learned.floor, words))
        return Cut.threshold(words)


def matches(terms: tuple[Term, ...], probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probability that photos match a query, (n,), from that of each term, (n, terms)."""
    columns = zip(terms, probabilities.T, strict=True)
    likely = (1 - p if term.negative else p for term, p in columns)
    return np.asarray(functools.reduce(np.minimum, likely), np.float64)
