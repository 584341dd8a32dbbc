"""The labels files of a collection at one time, arranged to be asked by label."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from photosieve.data.label_files import Verdicts, opened_labels
from photosieve.data.names import label_key
from photosieve.sieve.query import Term


class Listing:
    """The listed photos, with the answers of their labels.

    Parameters
    ----------
    photos : mapping of Path to Verdicts
        The result of `LabelBook.listed`.
    rows : mapping of Path to int
        The rows of those that are in the collection.

    Attributes
    ----------
    rows : array of int (listed,)
        The row of each listed photo, or -1.
    """

    def __init__(self, photos: Mapping[Path, Verdicts], rows: Mapping[Path, int]) -> None:
        self.photos = photos
        self.rows = np.array([rows.get(photo, -1) for photo in photos], np.intp)
        self._places = {photo: place for place, photo in enumerate(photos)}
        self._plain = np.array([own.no is None for own in photos.values()], bool)
        self._yes = _by_key(own.yes for own in photos.values())
        self._no = _by_key(own.no or () for own in photos.values())
        # A list says nothing of words that are no labels at all.
        self._denied_by_lists = self._yes.keys() - opened_labels(photos.values())

    def place(self, photo: Path) -> int | None:
        """Return the place of a photo in the arrays; None if it is not listed."""
        return self._places.get(photo)

    def has(self, term: Term) -> NDArray[np.bool_]:
        """Return which photos have a label of a term, (listed,): one of alternatives is enough."""
        has = np.zeros(len(self.photos), bool)
        for key in map(label_key, term.phrasings):
            has[self._yes.get(key, [])] = True
        return has

    def says(self, term: Term) -> NDArray[np.int8]:
        """Return for each photo whether it has a term, (listed,): 1 for yes, -1 for no, or 0."""
        has, lacks = self.has(term), np.ones(len(self.photos), bool)
        for key in map(label_key, term.phrasings):
            denied = self._plain & (key in self._denied_by_lists)
            denied[self._no.get(key, [])] = True
            lacks &= denied
        said = np.where(has, 1, -lacks.astype(np.int8)).astype(np.int8)
        return np.asarray(-said if term.negative else said, np.int8)


def _by_key(labels: Iterable[Sequence[str]]) -> dict[str, list[int]]:
    """Return the places of the photos with each label, by its key."""
    found: dict[str, list[int]] = defaultdict(list)
    for place, own in enumerate(labels):
        for label in own:
            found[label_key(label)].append(place)
    return dict(found)
