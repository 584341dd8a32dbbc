"""Endpoints that change labels, and propose photos to label."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
from fastapi import APIRouter, Query, Request

from photosieve.data import label_claims
from photosieve.data.label_files import Verdicts, opened_labels
from photosieve.data.names import label_key
from photosieve.server.library import View
from photosieve.server.problems import ERRORS, ApiError
from photosieve.server.proposals import propose
from photosieve.server.schemas import (
    ChangedLabels,
    ChangeLabels,
    ExactLabels,
    Label,
    LabelList,
    PhotoId,
    PhotoItem,
    Proposal,
    SetLabels,
)
from photosieve.server.service import find_photo, get_service, photo_fields

router = APIRouter(responses=ERRORS)


@router.get("/labels", tags=["labels"], summary="Look up labels")
def labels(
    request: Request,
    id: Annotated[list[PhotoId], Query(max_length=500, description="Photos to look up.")] = [],  # noqa: B006
) -> LabelList:
    """Return all labels with their counts, and the labels of the photos in the request."""
    view = get_service(request).library.view()
    listed = view.book.listed()
    counts, opened = view.book.counts(), opened_labels(listed.values())
    return LabelList(
        labels=counts,
        open=[label for label in counts if label_key(label) in opened],
        learned=dict(view.sieve.labels),
        listed=len(listed),
        photos=[PhotoItem(**photo_fields(request, view, find_photo(view, one))) for one in id],
    )


@router.put("/labels", tags=["labels"], summary="Set labels")
def set_labels(request: Request, change: SetLabels) -> ChangedLabels:
    """Write the labels of photos into their labels files. Either all photos change, or none.

    A list says no to all other labels that are known now. A label that is added later is unknown on
    this photo. A photo with exact labels keeps that form when it gets a list: a label that it had
    and has no longer becomes one that it has not.
    """
    view = get_service(request).library.view()
    photos = {
        find_photo(view, photo_id).path: (
            Verdicts(tuple(own.yes), tuple(own.no))
            if isinstance(own, ExactLabels)
            else (None if own is None else Verdicts(tuple(own)))
        )
        for photo_id, own in change.photos.items()
    }
    label_claims.put(view.book, photos)
    get_service(request).jobs.warm()
    return _changed(request, view, list(photos))


@router.patch("/labels", tags=["labels"], summary="Add and remove labels")
def change_labels(request: Request, change: ChangeLabels) -> ChangedLabels:
    """Say yes to labels of photos and no to others, in one step, and nothing about the rest.

    A label that is new is unknown on all other photos. A label that is removed from a photo becomes
    one that it is known not to have.
    """
    view = get_service(request).library.view()
    paths = [find_photo(view, one).path for one in dict.fromkeys(change.photos)]
    label_claims.edit(view.book, paths, change.add, change.remove)
    get_service(request).jobs.warm()
    return _changed(request, view, paths)


@router.post("/labels/undo", tags=["labels"], summary="Undo the last change")
def undo(request: Request) -> ChangedLabels:
    """Restore the labels before the last change that is not undone yet."""
    view = get_service(request).library.view()
    step = view.book.undo()
    if step is None:
        raise ApiError(409, "there is nothing to undo")
    return _changed(request, view, list(step.photos))


def _changed(request: Request, view: View, paths: Sequence[Path]) -> ChangedLabels:
    photos = [view.find(view.id_of(path)) for path in paths]
    return ChangedLabels(
        photos=[
            PhotoItem(**photo_fields(request, view, photo)) for photo in photos if photo is not None
        ],
        labels=view.book.counts(),
    )


@router.get("/proposals", tags=["labels"], summary="Propose photos to label")
def proposals(
    request: Request,
    limit: Annotated[int, Query(ge=1, le=48)] = 12,
    label: Annotated[
        Label | None,
        Query(description="Propose photos that may have this label, the most likely ones first."),
    ] = None,
    word: Annotated[
        list[Label],
        Query(max_length=100, description="Words to guess, beside the labels that are known."),
    ] = [],  # noqa: B006
) -> list[Proposal]:
    """Return the most informative photos without labels, with guesses of their labels.

    Photos of buildings with few labeled photos come first, and of these the ones most unlike all
    labeled photos. With `label`, only photos of which it is not known whether they have it; it is
    suggested where it is likely.
    """
    service = get_service(request)
    view = service.library.view()
    if label is not None:
        return _likely(request, view, label, limit)
    with service.searching():
        rows = service.unlabeled(view)
        photos = view.snapshot.photos.rows(rows)
        listed = np.array(list(view.present(view.book.listed()).values()), np.intp)
        chosen = propose(
            photos.vectors,
            view.snapshot.group_numbers(rows),
            np.asarray(view.snapshot.vectors[listed]),
            view.snapshot.group_numbers(listed),
            limit,
        )
        guesses = service.suggested(view, photos.rows(np.array(chosen, np.intp)), word)
    return [
        Proposal(**photo_fields(request, view, view.photo(int(rows[one]))), suggested=guess)
        for one, guess in zip(chosen, guesses, strict=True)
    ]


def _likely(request: Request, view: View, label: str, limit: int) -> list[Proposal]:
    service = get_service(request)
    with service.searching():
        rows = service.unlabeled(view, label)
        margins = service.likely(view, label, view.snapshot.photos.rows(rows))
    best = np.argsort(-margins, kind="stable")[:limit].tolist()
    return [
        Proposal(
            **photo_fields(request, view, view.photo(int(rows[one]))),
            suggested=[label] if margins[one] > 0 else [],
        )
        for one in best
    ]
