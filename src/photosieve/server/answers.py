"""Answers to a query that respect labels: known answers come before guesses."""

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
from photosieve.sieve.answer import Hit, Ranked, SearchResult
from photosieve.sieve.query import Term
from photosieve.sieve.scorer import matches

Known = Literal["apply", "ignore", "hide", "only"]
"""Known answers decide; they are shown only; photos with them are left out; or all others are."""

MARKED = {"yes": "marked right", "no": "marked wrong"}


class KnownAnswers:
    """The answers of labels to one query, photo by photo: yes, no, or nothing.

    Parameters
    ----------
    view : View
    terms : sequence of Term
    """

    def __init__(self, view: View, terms: Sequence[Term]) -> None:
        self._view, self._listed = view, view.book.listed()
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

    def by_row(self) -> dict[int, Literal["yes", "no"]]:
        """Return what is known of the photos of the view, by their rows."""
        said = {photo: one for photo in self._listed if (one := self.of(photo))}
        return {row: said[photo] for photo, row in self._view.present(said).items()}

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
        From the index of the view.
    known : KnownAnswers
    how : str
    where : str or None
        The condition of the search.
    """
    hits, hidden = result.hits, result.hidden
    if how == "ignore" or not isinstance(hits, Ranked) or not isinstance(hidden, Ranked):
        return result
    said = known.by_row()
    marked = np.fromiter(said, np.intp, len(said))
    in_hits, in_hidden = np.isin(hits.rows, marked), np.isin(hidden.rows, marked)
    there = (*hits.select(in_hits), *hidden.select(in_hidden))
    hits, hidden = hits.select(~in_hits), hidden.select(~in_hidden)  # nothing is known of these
    if how != "hide":
        right = {row for row, one in said.items() if one == "yes"}
        missing = _hits(view, result, right - {hit.row for hit in there}, where)
        every = [_marked(hit, said[hit.row]) for hit in (*there, *missing)]
        if how == "only":
            hits, hidden = (part.select(np.zeros(len(part), bool)) for part in (hits, hidden))
        hits = hits.insert([hit for hit in every if hit.kept])
        hidden = hidden.insert([hit for hit in every if not hit.kept])
    return replace(result, hits=hits, hidden=hidden)


def _marked(hit: Hit, said: Literal["yes", "no"]) -> Hit:
    return replace(hit, kept=said == "yes", reason=MARKED[said])


def _hits(
    view: View, result: SearchResult, photos: Iterable[int], where: str | None
) -> Iterable[Hit]:
    """Give rows in the scope of a search as hits, with their probabilities."""
    rows = np.array(sorted(photos), np.intp)
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
