"""The answer to a query: the photos that match, and the best of the others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from photosieve.decision.calibration import log_odds
from photosieve.decision.cut import Cut
from photosieve.errors import Skipped, shown
from photosieve.sieve.embedded import Embedded
from photosieve.sieve.scorer import Reading, Scorer, matches


@dataclass(frozen=True)
class Hit:
    """A photo with its place in the answer to a query.

    Parameters
    ----------
    path : Path
    score : float
        Of a label its score, of another word the cosine similarity of photo and word; of several
        terms the log odds that the photo matches. Higher is better.
    probability : float
        That the photo matches the query; the cut is a rule for probabilities.
    terms : tuple of float
        The same for each term of the query.
    reason : str
        Why the cut keeps the photo or not.
    """

    path: Path
    score: float
    probability: float
    terms: tuple[float, ...] = ()
    reason: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return path, score and probability, for JSON."""
        return {"path": shown(self.path), "score": self.score, "probability": self.probability}


@dataclass(frozen=True)
class SearchResult:
    """The answer to one query.

    Iterating gives the hits.

    Parameters
    ----------
    query : str
    readings : tuple of Reading
        How its terms were understood.
    hits : tuple of Hit
        The photos that match, best first; possibly none.
    hidden : tuple of Hit
        The photos that do not match, best first; from an index only the best of them.
    cut : Cut
        The rule that decided; with a fixed number of hits, the rule that would have decided.
    looked_at : int
        Number of photos that were searched.
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
        """Number of photos that do not match."""
        return self.looked_at - len(self.hits)

    @property
    def best_hidden(self) -> float | None:
        """The score of the best photo that was left out; None when none was."""
        return self.hidden[0].score if self.hidden else None

    def explain(self) -> dict[str, Any]:
        """Return the terms as understood, the rule and every photo, for JSON."""
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
    photos: Embedded,
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
        The learned cut for labels; other words have their own.
    query : str
    readings : tuple of Reading
        The result of `Scorer.read`.
    paths : sequence of Path (n,)
    photos : Embedded
    groups : sequence of str (n,), optional
        The cut applies to each group by itself; by default a group is a folder.
    looked_at : int, optional
        Number of photos that were searched, if `paths` are only the best of them.
    top : int, optional
        Take this many of the best photos, whatever the cut says.
    skipped : tuple of Skipped
    rule : Cut, optional
        Replaces the learned cuts, for labels and other words alike.
    """
    by_term = scorer.probabilities(readings, photos)  # (n, terms)
    probabilities = matches(tuple(reading.term for reading in readings), by_term)  # (n,)
    several = len(readings) > 1
    scores = log_odds(probabilities) if several else scorer.scores(readings[0], photos)  # (n,)
    rule = rule or scorer.cut(readings, cut)
    if groups is None:
        groups = [str(path.parent) for path in paths]
    verdicts = rule.explain(probabilities, groups)
    hits: list[Hit] = []
    hidden: list[Hit] = []
    # A product can differ in its last bits for equal photos: rounded, they stay in their order.
    order = np.lexsort((-scores.round(6), -probabilities.round(6)))
    for place, row in enumerate(order):
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
