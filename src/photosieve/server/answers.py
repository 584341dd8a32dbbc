"""Answers to a query that respect labels: known answers come before guesses."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from photosieve.data.label_files import Verdicts
from photosieve.index.presence import gone
from photosieve.index.scope import rows_in_scope
from photosieve.server.library import View
from photosieve.sieve.answer import Hit, Ranked, SearchResult
from photosieve.sieve.query import Term
from photosieve.sieve.scorer import matches

Known = Literal["apply", "ignore", "hide", "only"]
"""Known answers decide; they are shown only; photos with them are left out; or all others are."""


class KnownAnswers:
    """The answers of labels to one query, photo by photo: yes, no, or nothing.

    Parameters
    ----------
    view : View
    terms : sequence of Term
        Photos without one of them do not match; those with all of them do.
    """

    def __init__(self, view: View, terms: Sequence[Term]) -> None:
        self._listing = view.listing()
        self._said = functools.reduce(np.minimum, map(self._listing.says, terms))  # (listed,)

    @property
    def listed(self) -> Mapping[Path, Verdicts]:
        """The verdicts on all listed photos, as `LabelBook.listed` gives them."""
        return self._listing.photos

    def of(self, photo: Path) -> Literal["yes", "no"] | None:
        """Return what is known of a photo and the whole query."""
        place = self._listing.place(photo)
        said = 0 if place is None else self._said[place]
        return "yes" if said > 0 else "no" if said < 0 else None

    def rows(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return the rows of the photos that match and of those that do not."""
        rows = self._listing.rows
        there = rows >= 0
        return rows[there & (self._said > 0)], rows[there & (self._said < 0)]

    def labeled(self, term: Term) -> int:
        """Count the photos that have the label which a term names."""
        return int(self._listing.has(term).sum())


def with_known(
    view: View, result: SearchResult, known: KnownAnswers, how: Known, where: str | None
) -> SearchResult:
    """Let known answers decide: photos marked right are in, those marked wrong are out.

    Parameters
    ----------
    view : View
    result : SearchResult
        From the index of the view.
    known : KnownAnswers
    how : str
    where : str or None
        The condition of the search.
    """
    hits, hidden = result.hits, result.hidden
    if how == "ignore" or not isinstance(hits, Ranked) or not isinstance(hidden, Ranked):
        return result
    right, wrong = known.rows()
    marked = np.append(right, wrong)
    in_hits, in_hidden = np.isin(hits.rows, marked), np.isin(hidden.rows, marked)
    there = hits.select(in_hits).merge(hidden.select(in_hidden))
    hits, hidden = hits.select(~in_hits), hidden.select(~in_hidden)  # nothing is known of these
    if how != "hide":
        missing = np.setdiff1d(right, there.rows)
        every = there.merge(_ranked(view, result, missing, where))
        kept = np.isin(every.rows, right)
        every = replace(every, kept=kept, make=functools.partial(_marked, every, {*right.tolist()}))
        if how == "only":
            hits, hidden = (part.select(np.zeros(len(part), bool)) for part in (hits, hidden))
        hits, hidden = hits.merge(every.select(kept)), hidden.merge(every.select(~kept))
    return replace(result, hits=hits, hidden=hidden)


def _marked(ranked: Ranked, right: set[int], places: NDArray[np.intp]) -> tuple[Hit, ...]:
    """Make hits that known answers decide about."""
    return tuple(
        replace(hit, kept=True, reason="marked right")
        if hit.row in right
        else replace(hit, kept=False, reason="marked wrong")
        for hit in ranked.make(places)
    )


def _ranked(view: View, result: SearchResult, rows: NDArray[np.intp], where: str | None) -> Ranked:
    """Give rows in the scope of a search as hits, with their probabilities, in no order."""
    snapshot, scorer = view.snapshot, view.sieve.scorer
    scope = rows_in_scope(snapshot, view.index.store, result.within, where)
    rows = rows if isinstance(scope, slice) else np.intersect1d(rows, scope)
    rows = np.setdiff1d(rows, gone(snapshot, rows))
    terms = scorer.probabilities(result.readings, snapshot.photos, rows)  # (n, terms)
    likely = matches(tuple(reading.term for reading in result.readings), terms)

    def make(places: NDArray[np.intp]) -> tuple[Hit, ...]:
        return tuple(
            Hit(
                snapshot.place(int(rows[one])),
                score=0.0,
                probability=float(likely[one]),
                terms=tuple(terms[one].tolist()),
                kept=False,
                row=int(rows[one]),
            )
            for one in places.tolist()
        )

    return Ranked(np.arange(len(rows)), rows, likely, np.zeros(len(rows), bool), make)
