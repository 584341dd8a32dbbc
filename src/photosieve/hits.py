"""The answer to a query: what matches, and what was left out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from photosieve.cut import Cut
from photosieve.photos import Skipped


@dataclass(frozen=True)
class Hit:
    """A photo with its score for a query: their cosine similarity, higher is better."""

    path: Path
    score: float


@dataclass(frozen=True)
class SearchResult:
    """The answer to one query.

    Iterating gives the hits. What was left out is here too, so that nobody has to wonder.

    Parameters
    ----------
    query : str
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
        """The highest score that was left out; None when nothing was."""
        return self.hidden[0].score if self.hidden else None

    def to_dict(self) -> dict[str, Any]:
        """Return a form for JSON."""
        return {
            "query": self.query,
            "hits": [{"path": str(hit.path), "score": hit.score} for hit in self.hits],
            "hidden": len(self.hidden),
            "best_hidden": self.best_hidden,
            "skipped": [
                {"path": str(skip.path), "reason": skip.reason, "remedy": skip.remedy}
                for skip in self.skipped
            ],
        }
