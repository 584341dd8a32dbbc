"""The answer to a query: what matches, and what was left out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from photosieve.decision.cut import Cut
from photosieve.encoders.protocol import Float32Array
from photosieve.errors import Skipped, shown
from photosieve.sieve.scorer import Reading, Scorer, matches


@dataclass(frozen=True)
class Hit:
    """A photo with its place in the answer to a query.

    Parameters
    ----------
    path : Path
    score : float
        Cosine similarity of photo and query, higher is better.
    probability : float
        That the photo matches the query: what the cut looks at.
    terms : tuple of float
        The same for each term of the query.
    reason : str
        What the cut says about it.
    """

    path: Path
    score: float
    probability: float
    terms: tuple[float, ...] = ()
    reason: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return what most programs want of it, for JSON."""
        return {"path": shown(self.path), "score": self.score, "probability": self.probability}


@dataclass(frozen=True)
class SearchResult:
    """The answer to one query.

    Iterating gives the hits. What was left out is here too, so that nobody has to wonder.

    Parameters
    ----------
    query : str
    readings : tuple of Reading
        How its terms were understood.
    hits : tuple of Hit
        What matches, best first; possibly nothing.
    hidden : tuple of Hit
        What was left out, best first; from an index only the best of it.
    cut : Cut
        The rule that decided, or would have if the caller had not asked for a fixed number.
    looked_at : int
        How many photos were in question.
    skipped : tuple of Skipped
        Photos that could not be read.
    """

    query: str
    readings: tuple[Reading, ...]
    hits: tuple[Hit, ...]
    hidden: tuple[Hit, ...]
    cut: Cut
    looked_at: int
    skipped: tuple[Skipped, ...] = ()

    def __iter__(self) -> Iterator[Hit]:
        return iter(self.hits)

    def __len__(self) -> int:
        return len(self.hits)

    @property
    def left_out(self) -> int:
        """How many photos do not match."""
        return self.looked_at - len(self.hits)

    @property
    def best_hidden(self) -> float | None:
        """The score of the best photo that was left out; None when none was."""
        return self.hidden[0].score if self.hidden else None

    def explain(self) -> dict[str, Any]:
        """Return all that decided, for JSON: the terms as understood, the rule, every photo."""
        return {
            **self.to_dict(),
            "terms": [reading.to_dict() for reading in self.readings],
            "cut": self.cut.to_dict(),
            "photos": [
                {**hit.to_dict(), "kept": kept, "terms": list(hit.terms), "reason": hit.reason}
                for hits, kept in ((self.hits, True), (self.hidden, False))
                for hit in hits
            ],
        }

    def to_dict(self) -> dict[str, Any]:
        """Return a form for JSON."""
        return {
            "query": self.query,
            "hits": [hit.to_dict() for hit in self.hits],
            "hidden": self.left_out,
            "best_hidden": self.best_hidden,
            "skipped": [skip.to_dict() for skip in self.skipped],
        }


def answer(
    scorer: Scorer,
    cut: Cut,
    query: str,
    readings: tuple[Reading, ...],
    paths: Sequence[Path],
    photos: Float32Array,
    *,
    groups: Sequence[str] | None = None,
    looked_at: int | None = None,
    top: int | None = None,
    skipped: tuple[Skipped, ...] = (),
    rule: Cut | None = None,
) -> SearchResult:
    """Answer a query that is understood, from embedded photos.

    Parameters
    ----------
    scorer : Scorer
    cut : Cut
        The learned one; words that are no labels have their own.
    query : str
    readings : tuple of Reading
        What `Scorer.read` made of it.
    paths : sequence of Path (n,)
    photos : array (n, d)
    groups : sequence of str (n,), optional
        Photos of one group are a list of their own for the cut; by default those of one folder.
    looked_at : int, optional
        How many photos were in question, if these are only the best of them.
    top : int, optional
        Take this many of the best instead of what the cut keeps.
    skipped : tuple of Skipped
    rule : Cut, optional
        Decides instead of what was learned, for labels and other words alike.
    """
    scores = scorer.scores(readings, photos)  # (n,)
    by_term = scorer.probabilities(readings, photos)  # (n, terms)
    probabilities = matches(tuple(reading.term for reading in readings), by_term)  # (n,)
    rule = rule or scorer.cut(readings, cut)
    if groups is None:
        groups = [str(path.parent) for path in paths]
    verdicts = rule.explain(probabilities, groups)
    hits: list[Hit] = []
    hidden: list[Hit] = []
    for place, row in enumerate(np.lexsort((-scores, -probabilities))):
        hit = Hit(
            path=paths[row],
            score=float(scores[row]),
            probability=float(probabilities[row]),
            terms=tuple(by_term[row].tolist()),
            reason=verdicts[row].reason,
        )
        kept = verdicts[row].kept if top is None else place < top
        (hits if kept else hidden).append(hit)
    total = len(paths) if looked_at is None else looked_at
    return SearchResult(query, readings, tuple(hits), tuple(hidden), rule, total, skipped)
