"""Answers to a query with what people said of the photos: known answers come before guesses."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np

from photosieve.data.label_files import Verdicts, opened_labels
from photosieve.data.names import label_key
from photosieve.index.presence import gone
from photosieve.index.scope import rows_in_scope
from photosieve.server.library import View
from photosieve.sieve.answer import Hit, SearchResult
from photosieve.sieve.query import Term
from photosieve.sieve.scorer import matches

Known = Literal["apply", "ignore", "hide", "only"]
"""Known answers decide; they are shown only; photos with them are left out; or all others are."""

MARKED = {"yes": "marked right", "no": "marked wrong"}


class KnownAnswers:
    """What the labels say of photos and one query: yes, no, or nothing.

    Parameters
    ----------
    view : View
    terms : sequence of Term
    """

    def __init__(self, view: View, terms: Sequence[Term]) -> None:
        self._listed = view.book.listed()
        self._opened = opened_labels(self._listed.values())
        self._named = {label_key(x) for own in self._listed.values() for x in own.yes}
        self._terms = terms

    def of(self, photo: Path) -> Literal["yes", "no"] | None:
        """Return what is known of a photo and the whole query."""
        own = self._listed.get(photo)
        if own is None:
            return None
        said = [self._said(own, term) for term in self._terms]
        if "no" in said:
            return "no"
        return "yes" if all(one == "yes" for one in said) else None

    def _said(self, own: Verdicts, term: Term) -> Literal["yes", "no"] | None:
        """Return what an entry says of a term: of alternatives one is enough."""
        keys = set(map(label_key, term.phrasings))
        if keys & set(map(label_key, own.yes)):
            return "no" if term.negative else "yes"
        # A list says nothing of words that are no labels at all.
        no = self._named - self._opened if own.no is None else set(map(label_key, own.no))
        return ("yes" if term.negative else "no") if keys <= no else None

    def yes(self) -> Iterable[Path]:
        """Give the photos that match for certain."""
        return (photo for photo in self._listed if self.of(photo) == "yes")

    def any(self) -> bool:
        """Whether anything is known of any photo."""
        return any(self.of(photo) for photo in self._listed)

    def labeled(self, term: Term) -> int:
        """Count the photos that have the label which a term names."""
        keys = set(map(label_key, term.phrasings))
        return sum(bool(keys & set(map(label_key, own.yes))) for own in self._listed.values())


def with_known(
    view: View, result: SearchResult, known: KnownAnswers, how: Known, where: str | None
) -> SearchResult:
    """Let known answers decide: photos marked right are in, those marked wrong are out.

    Parameters
    ----------
    view : View
    result : SearchResult
    known : KnownAnswers
    how : str
    where : str or None
        The condition of the search.
    """
    if how == "ignore" or (how != "only" and not known.any()):
        return result  # its hits are made when they are looked at, and there may be many
    hits, hidden = list(result.hits), list(result.hidden)
    if how in ("apply", "only"):
        there = {hit.path for hit in (*hits, *hidden)}
        hidden += _hits(view, result, [p for p in known.yes() if p not in there], where)
    said = {hit.path: known.of(hit.path) for hit in (*hits, *hidden)}
    if how == "hide":
        hits = [hit for hit in hits if said[hit.path] is None]
        hidden = [hit for hit in hidden if said[hit.path] is None]
    else:
        both = [_marked(hit, said[hit.path]) for hit in (*hits, *hidden)]
        if how == "only":
            both = [hit for hit in both if said[hit.path] is not None]
        both.sort(key=lambda hit: -round(hit.probability, 6))  # equal photos keep their order
        hits, hidden = [hit for hit in both if hit.kept], [hit for hit in both if not hit.kept]
    return replace(result, hits=tuple(hits), hidden=tuple(hidden))


def _marked(hit: Hit, said: Literal["yes", "no"] | None) -> Hit:
    return hit if said is None else replace(hit, kept=said == "yes", reason=MARKED[said])


def _hits(
    view: View, result: SearchResult, photos: Iterable[Path], where: str | None
) -> Iterable[Hit]:
    """Give photos in the scope of a search as hits, with their probabilities."""
    rows = np.array(view.rows_of(photo for photo in photos if view.has(photo)), np.intp)
    every = np.arange(len(view.snapshot))
    rows = np.intersect1d(
        rows, every[rows_in_scope(view.snapshot, view.index.store, result.within, where)]
    )
    rows = np.setdiff1d(rows, gone(view.snapshot, rows))
    scorer = view.sieve.scorer
    terms = scorer.probabilities(result.readings, view.snapshot.photos.rows(rows))
    likely = matches(tuple(reading.term for reading in result.readings), terms)
    for row, probability, by_term in zip(
        rows.tolist(), likely.tolist(), terms.tolist(), strict=True
    ):
        path = view.photo(row).path
        yield Hit(path, 0.0, probability, tuple(by_term), kept=False, row=row)
