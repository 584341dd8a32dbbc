"""Labels renamed, merged, split or deleted: what each change makes of the verdicts of one photo.

`photosieve.data.label_book` carries such a change out on all photos, as one step.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from photosieve.data.label_files import Verdicts
from photosieve.data.names import label_key


def mentions(verdicts: Verdicts, labels: Iterable[str]) -> bool:
    """Whether verdicts say yes or no to one of some labels by name, in any spelling."""
    return not _keys(labels).isdisjoint(_keys((*verdicts.yes, *(verdicts.no or ()))))


def merged(verdicts: Verdicts, labels: Iterable[str], into: str) -> Verdicts:
    """Return verdicts in which one label stands for several; of one label, this renames it.

    A photo with one of them has the merged label. One with none of them, and a no to one, has not.
    """
    keys = _keys((*labels, into))

    def renamed(names: Iterable[str]) -> list[str]:
        return list(dict.fromkeys(into if label_key(name) in keys else name for name in names))

    yes = tuple(renamed(verdicts.yes))
    no = None if verdicts.no is None else _rest(renamed(verdicts.no), _keys(yes))
    return Verdicts(yes, no)


def deleted(verdicts: Verdicts, label: str) -> Verdicts:
    """Return verdicts that say nothing of a label."""
    yes = _rest(verdicts.yes, {label_key(label)})
    no = None if verdicts.no is None else _rest(verdicts.no, {label_key(label)})
    return Verdicts(yes, no)


def split(
    verdicts: Verdicts,
    label: str,
    into: str,
    *,
    chosen: bool,
    written_out: Collection[str] | None = None,
) -> Verdicts:
    """Return verdicts after some photos of a label got another label instead.

    The two labels exclude one another: a chosen photo has the new one and has not the old one, any
    other photo of the old label has not the new one, and a photo without the old label has neither.

    Parameters
    ----------
    verdicts : Verdicts
    label, into : str
    chosen : bool
        Whether the photo gets the new label, if it has the old one.
    written_out : collection of str, optional
        All labels that plain lists name, where no list will name the new label: a list would say
        nothing about that one, so it becomes exact.
    """
    if verdicts.no is None and written_out is not None:
        verdicts = Verdicts(verdicts.yes, _rest(written_out, _keys(verdicts.yes)))
    old, new = label_key(label), label_key(into)
    had = old in _keys(verdicts.yes)
    yes = list(verdicts.yes)
    if had and chosen:
        yes = [into if label_key(name) == old else name for name in _rest(yes, {new})]
    if verdicts.no is None:
        return Verdicts(tuple(yes))
    no = [*verdicts.no]
    if had:
        no = [*_rest(no, {old, new}), label if chosen else into]
    elif old in _keys(no) and new not in _keys((*yes, *no)):
        no.append(into)
    return Verdicts(tuple(yes), tuple(no))


def _keys(labels: Iterable[str]) -> set[str]:
    return {label_key(label) for label in labels}


def _rest(labels: Iterable[str], keys: Collection[str]) -> tuple[str, ...]:
    return tuple(label for label in labels if label_key(label) not in keys)
