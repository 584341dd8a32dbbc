"""The answer to a query: the photos that match, and the best of the others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from photosieve.decision.calibration import log_odds
from photosieve.decision.cut import Cut, Groups
from photosieve.errors import Skipped, shown
from photosieve.sieve.embedded import Embedded
from photosieve.sieve.scorer import EVERY, Reading, Scorer, matches
from photosieve.sieve.suggestions import suggestions


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
    kept : bool
        Whether the cut keeps it; with a fixed number of hits, these can have others.
    row : int
        Of an index, in the state that was searched; of folders, its place among the photos.
    """

    path: Path
    score: float
    probability: float
    terms: tuple[float, ...] = ()
    reason: str = ""
    kept: bool = True
    row: int = -1

    def to_dict(self) -> dict[str, Any]:
        """Return path, score and probability, for JSON."""
        return {"path": shown(self.path), "score": self.score, "probability": self.probability}


@dataclass(frozen=True, eq=False)
class Ranked(Sequence[Hit]):
    """Hits that are made when they are looked at: of thousands that match, a page shows a few.

    Parameters
    ----------
    places : array of int (n,)
        The numbers by which `make` knows the hits, best first.
    rows : array of int (n,)
        As in `Hit`.
    probabilities : array (n,)
        That they match.
    kept : array of bool (n,)
        Whether the cut keeps them.
    make : callable
        Makes the hits at some places.
    """

    places: NDArray[np.intp]
    rows: NDArray[np.intp]
    probabilities: NDArray[np.float64]
    kept: NDArray[np.bool_]
    make: Callable[[NDArray[np.intp]], tuple[Hit, ...]]

    def select(self, chosen: NDArray[np.bool_]) -> Ranked:
        """Return some of them, chosen by a mask (n,)."""
        rows, probabilities, kept = self.rows, self.probabilities, self.kept
        of_these = rows[chosen], probabilities[chosen], kept[chosen]
        return Ranked(self.places[chosen], *of_these, self.make)

    def merge(self, other: Ranked) -> Ranked:
        """Return the hits of both, best first; of equals the own ones come first."""
        if not len(other):
            return self
        own = len(self)
        rows = np.append(self.rows, other.rows)
        probabilities = np.append(self.probabilities, other.probabilities)
        kept = np.append(self.kept, other.kept)
        order = np.argsort(-probabilities.round(6), kind="stable")

        def make(chosen: NDArray[np.intp]) -> tuple[Hit, ...]:
            mine = chosen < own
            made = iter(self.make(self.places[chosen[mine]]))
            others = iter(other.make(other.places[chosen[~mine] - own]))
            return tuple(next(made if one else others) for one in mine.tolist())

        return Ranked(order, rows[order], probabilities[order], kept[order], make)

    def __len__(self) -> int:
        return len(self.places)

    @overload
    def __getitem__(self, place: int) -> Hit: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[Hit, ...]: ...
    def __getitem__(self, place: int | slice) -> Hit | tuple[Hit, ...]:
        """Make a hit, or those of a part."""
        if isinstance(place, slice):
            return self.make(self.places[place])
        return self.make(self.places[[place]])[0]

    def __iter__(self) -> Iterator[Hit]:
        return iter(self[:])

    def __add__(self, other: Sequence[Hit]) -> tuple[Hit, ...]:
        return (*self, *other)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and tuple(self) == tuple(other)

    __hash__ = None  # type: ignore[assignment]


@dataclass(frozen=True)
class SearchResult:
    """The answer to one query.

    Iterating gives the hits.

    Parameters
    ----------
    query : str
    readings : tuple of Reading
        How its terms were understood.
    hits : sequence of Hit
        The photos that match, best first; possibly none. With `top` the best photos instead.
    hidden : sequence of Hit
        The other photos, best first; from an index only the best of them.
    cut : Cut
        The rule that decided; with a fixed number of hits, the rule that would have decided.
    looked_at : int
        Number of photos that were searched.
    skipped : tuple of Skipped
        Photos that could not be read.
    top : int or None
        The number of hits that was asked for, in place of the cut.
    taken_out : int
        Photos that match the query without its minus terms, but not with them.
    suggestions : tuple of str
        Queries that may have been meant: with a label instead of a misspelled word, or with a plus.
    gone : int
        Photos of the index that are not on the disk any more; they were not searched.
    within : tuple of str
        The groups of the index that were searched; empty for all.
    """

    query: str
    readings: tuple[Reading, ...]
    hits: Sequence[Hit]
    hidden: Sequence[Hit]
    cut: Cut
    looked_at: int
    skipped: tuple[Skipped, ...] = ()
    top: int | None = None
    taken_out: int = 0
    suggestions: tuple[str, ...] = ()
    gone: int = 0
    within: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[Hit]:
        return iter(self.hits)

    def __len__(self) -> int:
        return len(self.hits)

    def __repr__(self) -> str:
        """Return one line, for notebooks."""
        return f"<SearchResult {self.query!r}: {self.summary()}>"

    @property
    def left_out(self) -> int:
        """Number of photos that are not among the hits."""
        return self.looked_at - len(self.hits)

    @property
    def rows(self) -> NDArray[np.intp]:
        """The rows of all hits, those that are hidden included."""
        parts = [
            part.rows if isinstance(part, Ranked) else np.array([hit.row for hit in part], np.intp)
            for part in (self.hits, self.hidden)
        ]
        return np.concatenate(parts)

    @property
    def lowest(self) -> float | None:
        """The lowest probability of a hit; None without hits."""
        if isinstance(self.hits, Ranked):
            return float(self.hits.probabilities.min()) if len(self.hits) else None
        return min((hit.probability for hit in self.hits), default=None)

    @property
    def passing(self) -> int:
        """Number of photos that the cut keeps."""
        return _passing(self.hits) + _passing(self.hidden)

    @property
    def best_hidden(self) -> float | None:
        """The score of the best photo that was left out; None when none was."""
        return self.hidden[0].score if self.hidden else None

    def summary(self) -> str:
        """Return one line about the number of photos: matches, or the best photos with `top`."""
        if self.top is not None:
            passing = "1 passes" if self.passing == 1 else f"{self.passing} pass"
            return f"{len(self.hits)} best of {self.looked_at}; {passing} the cut."
        if self.hits:
            counts = f"{len(self.hits)} of {self.looked_at} photos match; {self.left_out} left out"
        else:
            counts = f"No matches in {self.looked_at} photos"
        closest = f" (closest: {self.hidden[0].probability:.3f})" if self.hidden else ""
        return f"{counts}{closest}."

    def notes(self) -> list[str]:
        """Return sentences about photos that are not there for another reason than the cut."""
        notes = []
        if unwanted := [str(r.term) for r in self.readings if r.term.negative]:
            photos = f"{self.taken_out} photo{'' if self.taken_out == 1 else 's'}"
            notes.append(f"{' and '.join(unwanted)} took out {photos}.")
        if self.gone:
            are = "photo of the index is" if self.gone == 1 else "photos of the index are"
            notes.append(
                f"{self.gone} {are} not on the disk any more: run photosieve index again, with "
                "--prune if a folder was renamed or deleted."
            )
        notes += [
            f"Some words of the query are no labels: did you mean {query}?"
            for query in self.suggestions
        ]
        return notes

    def explain(self) -> dict[str, Any]:
        """Return the terms as understood, the rule and every photo, for JSON."""
        return {
            **self.to_dict(),
            "terms": [reading.to_dict() for reading in self.readings],
            "cut": self.cut.to_dict(),
            "photos": [
                {**hit.to_dict(), "kept": hit.kept, "terms": list(hit.terms), "reason": hit.reason}
                for hit in (*self.hits, *self.hidden)
            ],
        }

    def to_dict(self) -> dict[str, Any]:
        """Return a form for JSON."""
        return {
            "query": self.query,
            "hits": [hit.to_dict() for hit in self.hits],
            "hidden": self.left_out,
            "best_hidden": self.best_hidden,
            "looked_at": self.looked_at,
            "top": self.top,
            "passing": self.passing,
            "taken_out": self.taken_out,
            "suggestions": list(self.suggestions),
            "gone": self.gone,
            "skipped": [skip.to_dict() for skip in self.skipped],
        }


def _passing(hits: Sequence[Hit]) -> int:
    if isinstance(hits, Ranked):
        return int(hits.kept.sum())
    return sum(hit.kept for hit in hits)


def answer(
    scorer: Scorer,
    cut: Cut,
    query: str,
    readings: tuple[Reading, ...],
    path: Callable[[int], Path],
    photos: Embedded,
    *,
    groups: Groups,
    rows: NDArray[np.intp] | slice = EVERY,
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
    path : callable
        Returns the path of a row.
    photos : Embedded
    groups : sequence of str, or array of int (n,)
        The group of each of the rows; the cut applies to each group by itself.
    rows : array of int (n,) or slice
        The photos to decide about; by default all.
    looked_at : int, optional
        Number of photos that were searched, if `rows` are only the best of them.
    top : int, optional
        Take this many of the best photos, in place of the cut.
    skipped : tuple of Skipped
    rule : Cut, optional
        Replaces the learned cuts, for labels and other words alike.
    """
    by_term = scorer.probabilities(readings, photos, rows)  # (n, terms)
    terms = tuple(reading.term for reading in readings)
    probabilities = matches(terms, by_term)  # (n,)
    several = len(readings) > 1
    scores = log_odds(probabilities) if several else scorer.scores(readings[0], photos, rows)
    rule = rule or scorer.cut(readings, cut)
    kept = rule.keep_by_group(probabilities[:, None], groups)[:, 0]

    numbers = np.arange(len(photos))[rows]

    def make(chosen: NDArray[np.intp]) -> tuple[Hit, ...]:
        reasons = rule.reasons(probabilities, groups, chosen) if len(chosen) else ()
        return tuple(
            Hit(
                path=path(int(numbers[place])),
                score=float(scores[place]),
                probability=float(probabilities[place]),
                terms=tuple(by_term[place].tolist()),
                reason=reason,
                kept=bool(kept[place]),
                row=int(numbers[place]),
            )
            for place, reason in zip(chosen.tolist(), reasons, strict=True)
        )

    # A product can differ in its last bits for equal photos: rounded, they stay in their order.
    order = np.lexsort((-scores.round(6), -probabilities.round(6)))
    ranked = Ranked(order, numbers[order], probabilities[order], kept[order], make)
    shown = kept[order] if top is None else np.arange(len(order)) < top
    taken_out = 0
    negative = np.array([term.negative for term in terms])
    if negative.any():
        wanted = by_term[:, ~negative].min(1)
        without = rule.keep_by_group(wanted[:, None], groups)[:, 0]
        taken_out = int((without & ~kept).sum())
    return SearchResult(
        query=query,
        readings=readings,
        hits=ranked.select(shown),
        hidden=ranked.select(~shown),
        cut=rule,
        looked_at=len(order) if looked_at is None else looked_at,
        skipped=skipped,
        top=top,
        taken_out=taken_out,
        suggestions=suggestions(terms, scorer.known),
    )
