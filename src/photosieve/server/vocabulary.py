"""Endpoints that list the labels, and rename, merge, split and delete them on all photos."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path

from fastapi import APIRouter, Request

from photosieve.data import vocabulary
from photosieve.data.label_files import Verdicts, opened_labels
from photosieve.data.names import label_key, visible
from photosieve.data.notes import LEAST_BUILDINGS
from photosieve.server.library import View
from photosieve.server.problems import ERRORS, ApiError
from photosieve.server.schemas import (
    ChangedVocabulary,
    DeleteLabel,
    LabelFacts,
    MergeLabels,
    RenameLabel,
    SplitLabel,
)
from photosieve.server.service import find_photo, get_service

ENOUGH_PHOTOS = 5
"""Training photos with a label, in two buildings or more, from which on it can be learned well."""

router = APIRouter(prefix="/labels", tags=["labels"], responses=ERRORS)


@router.get("/vocabulary", summary="List the labels")
def vocabulary_of(request: Request) -> list[LabelFacts]:
    """Return every label that photos have or lack by name, or that the sieve knows."""
    return label_facts(get_service(request).library.view())


def label_facts(view: View) -> list[LabelFacts]:
    """Return what is known of each label, the most frequent first."""
    spellings: dict[str, str] = {}
    yes: dict[str, set[Path]] = defaultdict(set)
    no: dict[str, int] = defaultdict(int)
    plain = 0
    listed = view.book.listed()
    opened = opened_labels(listed.values())
    tests = view.book.listed(test=True)
    for photo, verdicts in listed.items():
        plain += verdicts.no is None
        for label in (*verdicts.yes, *(verdicts.no or ())):
            spellings.setdefault(label_key(label), label)
        for key in set(map(label_key, verdicts.yes)):
            yes[key].add(photo)
            no[key] -= verdicts.no is None
        for key in set(map(label_key, verdicts.no or ())):
            no[key] += 1
    mentioned = set(spellings)
    learned = {label_key(label): (label, count) for label, count in view.sieve.labels.items()}
    for key, (label, _) in learned.items():
        spellings.setdefault(key, label)
    buildings = min(LEAST_BUILDINGS, len(view.snapshot.groups))
    facts = []
    for key, label in spellings.items():
        training = yes[key] - tests.keys()
        homes = {photo.parent for photo in training}
        facts.append(
            LabelFacts(
                label=label,
                yes=len(yes[key]),
                # Lists say no to all other labels that files name.
                no=no[key] + (plain if key in mentioned - opened else 0),
                test=len(yes[key]) - len(training),
                buildings=len(homes),
                learned=learned.get(key, ("", 0))[1],
                wanted=max(ENOUGH_PHOTOS - len(training), buildings - len(homes), 0),
            )
        )
    return sorted(facts, key=lambda one: (-one.yes, one.label))


@router.post("/rename", summary="Rename a label")
def rename(request: Request, change: RenameLabel) -> ChangedVocabulary:
    """Give a label another name on all photos. A name that another label has is refused: merge."""
    if label_key(change.label) != label_key(change.to):
        known = _find(request, change.to)
        if known is not None:
            raise ApiError(409, f'there is a label "{known}" already: merge the two')
    return _reword(
        request,
        [change.label],
        lambda _, own: vocabulary.merged(own, [change.label], visible(change.to)),
    )


@router.post("/merge", summary="Merge labels")
def merge(request: Request, change: MergeLabels) -> ChangedVocabulary:
    """Let one label stand for several that mean the same."""
    return _reword(
        request,
        change.labels,
        lambda _, own: vocabulary.merged(own, change.labels, visible(change.to)),
    )


@router.post("/split", summary="Split a label")
def split(request: Request, change: SplitLabel) -> ChangedVocabulary:
    """Give some photos of a label a new label instead; the two exclude one another."""
    if _find(request, change.into) is not None:
        raise ApiError(409, f'there is a label "{change.into}" already: choose another name')
    view = get_service(request).library.view()
    chosen = {find_photo(view, one).path for one in change.photos}
    key = label_key(change.label)
    found = [view.book.verdicts(photo) for photo in chosen]
    having = [own for own in found if own is not None and key in map(label_key, own.yes)]
    if not having:
        raise ApiError(404, f'none of these photos has the label "{change.label}"')
    lists = [own.yes for own in view.book.listed().values() if own.no is None]
    named = {label_key(label): label for yes in lists for label in yes}
    exact = key in named and all(own.no is not None for own in having)
    return _reword(
        request,
        [change.label],
        lambda photo, own: vocabulary.split(
            own,
            change.label,
            visible(change.into),
            chosen=photo in chosen,
            written_out=tuple(named.values()) if exact else None,
        ),
    )


@router.post("/delete", summary="Delete a label")
def delete(request: Request, change: DeleteLabel) -> ChangedVocabulary:
    """Take a label from all photos, yes and no. The sieve knows it until it learns again."""
    return _reword(request, [change.label], lambda _, own: vocabulary.deleted(own, change.label))


def _find(request: Request, label: str) -> str | None:
    """Return the label that photos have or lack by this name, as it is spelled there."""
    book, key = get_service(request).library.view().book, label_key(label)
    every = (x for own in book.listed().values() for x in (*own.yes, *(own.no or ())))
    return next((x for x in every if label_key(x) == key), None)


def _reword(
    request: Request, labels: Iterable[str], reworded: Callable[[Path, Verdicts], Verdicts]
) -> ChangedVocabulary:
    """Change the verdicts of all photos that have or lack some labels by name, in one step."""
    book = get_service(request).library.view().book
    listed = {photo: own for photo, own in book.listed().items() if photo.parent in book}
    for label in labels:
        if not any(vocabulary.mentions(own, [label]) for own in listed.values()):
            raise ApiError(404, f'no photo has the label "{label}"')
    photos = [photo for photo, own in listed.items() if reworded(photo, own) != own]
    if photos:
        book.revise(photos, lambda photo, own: None if own is None else reworded(photo, own))
    return ChangedVocabulary(changed=len(photos), labels=book.counts())
