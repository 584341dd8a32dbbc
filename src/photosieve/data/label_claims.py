"""Changes of labels that say no more than a person said.

Three things can be known of a photo and a label: yes, no, or nothing. A label that is new starts
unknown on all photos that were listed before, and only a person makes it a no. Plain lists stay
lists as long as they can say that; otherwise the entry becomes exact. See `opened_labels`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path

from photosieve.data.label_book import LabelBook
from photosieve.data.label_files import Verdicts
from photosieve.data.label_history import Change
from photosieve.data.names import label_key, visible


def edit(
    book: LabelBook, photos: Iterable[Path], add: Sequence[str], remove: Sequence[str]
) -> Change:
    """Say yes to some labels of photos and no to others, and nothing about the rest.

    Raises
    ------
    LabelsError
        If a label or a photo cannot be used, or a file cannot be written.
    """
    yes, no = _spellings(add), _spellings(remove)

    @cache  # called when the files are locked
    def listed() -> dict[str, str]:
        return _named(book)

    def revised(_: Path, own: Verdicts | None) -> Verdicts:
        own = own or Verdicts((), ())
        kept = {key: label for key, label in _spellings(own.yes).items() if key not in no}
        kept |= {key: label for key, label in yes.items() if key not in kept}
        if own.no is None and {*yes, *no} <= listed().keys():
            return Verdicts(tuple(kept.values()))
        denied = (_spellings(own.no) if own.no is not None else listed()) | no
        return Verdicts(tuple(kept.values()), _without(denied, kept))

    return book.revise(photos, revised)


def put(book: LabelBook, labels: Mapping[Path, Verdicts | None]) -> Change:
    """Set the labels of photos; None takes a photo out of its file.

    A list says no to all other labels that are known now. It stays a list where that means the
    same: as long as all labels are named by lists.

    Raises
    ------
    LabelsError
        If a label or a photo cannot be used, or a file cannot be written.
    """
    given = _spellings(label for own in labels.values() if own is not None for label in own.yes)

    @cache  # called when the files are locked
    def known() -> dict[str, str] | None:
        before = book.listed()
        every = _spellings(x for own in before.values() for x in own.yes + (own.no or ())) | given
        first = not before.keys() - labels.keys()
        return None if first or every.keys() == _named(book).keys() else every

    def revised(photo: Path, before: Verdicts | None) -> Verdicts | None:
        own, every = labels[photo], known()
        if own is None or own.no is not None or every is None:
            return own
        if before is not None and before.no is not None:  # stays exact: see `LabelBook.change`
            return own
        return Verdicts(own.yes, _without(every, _spellings(own.yes)))

    return book.revise(labels, revised)


def _named(book: LabelBook) -> dict[str, str]:
    """Return the labels that plain lists name, by key."""
    return _spellings(x for own in book.listed().values() if own.no is None for x in own.yes)


def _spellings(labels: Iterable[str]) -> dict[str, str]:
    """Return labels by key, each as it is spelled first."""
    found: dict[str, str] = {}
    for label in map(visible, labels):
        found.setdefault(label_key(label), label)
    return found


def _without(labels: Mapping[str, str], other: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(label for key, label in labels.items() if key not in other)
