"""The answer to a query: what matches, and what was left out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from photosieve.cut import Cut
from photosieve.photos import Skipped
from photosieve.scoring import Reading


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
        return {"path": str(self.path), "score": self.score, "probability": self.probability}


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
        What was left out, best first.
    cut : Cut
        The rule that decided, or would have if the caller had not asked for a fixed number.
    skipped : tuple of Skipped
        Photos that could not be read.
    """

    query: str
    readings: tuple[Reading, ...]
    hits: tuple[Hit, ...]
    hidden: tuple[Hit, ...]
    cut: Cut
    skipped: tuple[Skipped, ...] = ()

    def __iter__(self) -> Iterator[Hit]:
        return iter(self.hits)

    def __len__(self) -> int:
        return len(self.hits)

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
            "hidden": len(self.hidden),
            "best_hidden": self.best_hidden,
            "skipped": [
                {"path": str(skip.path), "reason": skip.reason, "remedy": skip.remedy}
                for skip in self.skipped
            ],
        }
