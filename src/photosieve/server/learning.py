"""Endpoints that change labels and train."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Query, Request
from fastapi.responses import Response, StreamingResponse

from photosieve.data.label_files import Verdicts
from photosieve.data.names import label_key
from photosieve.server.addresses import address
from photosieve.server.jobs import Job
from photosieve.server.library import View
from photosieve.server.problems import ERRORS, ApiError
from photosieve.server.proposals import propose
from photosieve.server.schemas import (
    ChangedLabels,
    ChangeLabels,
    ExactLabels,
    JobState,
    LabelList,
    PhotoId,
    PhotoItem,
    Proposal,
    SetLabels,
)
from photosieve.server.service import find_photo, get_service, photo_fields

MAX_STREAMS = 100
"""Streams of events at the same time; others ask for the state now and then."""

router = APIRouter(responses=ERRORS)


@router.get("/labels", tags=["labels"], summary="Look up labels")
def labels(
    request: Request,
    id: Annotated[list[PhotoId], Query(max_length=500, description="Photos to look up.")] = [],  # noqa: B006
) -> LabelList:
    """Return all labels with their counts, and the labels of the photos in the request."""
    view = get_service(request).library.view()
    return LabelList(
        labels=view.book.counts(),
        learned=dict(view.sieve.labels),
        listed=len(view.book.listed()),
        photos=[PhotoItem(**photo_fields(request, view, find_photo(view, one))) for one in id],
    )


@router.put("/labels", tags=["labels"], summary="Set labels")
def set_labels(request: Request, change: SetLabels) -> ChangedLabels:
    """Write the labels of photos into their labels files. Either all photos change, or none.

    A photo with exact labels keeps that form when it gets a list: a label that it had and has no
    longer becomes one that it has not.
    """
    view = get_service(request).library.view()
    photos = {
        find_photo(view, photo_id).path: (
            Verdicts(tuple(own.yes), tuple(own.no)) if isinstance(own, ExactLabels) else own
        )
        for photo_id, own in change.photos.items()
    }
    view.book.change(photos)
    return _changed(request, view, list(photos))


@router.patch("/labels", tags=["labels"], summary="Add and remove labels")
def change_labels(request: Request, change: ChangeLabels) -> ChangedLabels:
    """Add labels to photos and remove others, in one step.

    A photo whose labels are unknown starts with the labels that the sieve guesses, since every
    other label counts as absent from a listed photo. Where the labels of a photo are exact, a label
    that is removed becomes one that it has not.
    """
    service = get_service(request)
    view = service.library.view()
    photos = [find_photo(view, one) for one in dict.fromkeys(change.photos)]
    rows = np.array([photo.row for photo in photos], np.intp)
    guesses = service.suggested(view, view.snapshot.photos.rows(rows))
    guessed = dict(zip([photo.path for photo in photos], guesses, strict=True))
    removed = {label_key(label.strip()) for label in change.remove}

    def revised(path: Path, own: Verdicts | None) -> list[str]:
        kept = [
            label
            for label in (guessed[path] if own is None else own.yes)
            if label_key(label) not in removed
        ]
        known = {label_key(label) for label in kept}
        return kept + [label for label in change.add if label_key(label.strip()) not in known]

    view.book.revise(guessed, revised)
    return _changed(request, view, list(guessed))


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
def proposals(request: Request, limit: Annotated[int, Query(ge=1, le=48)] = 12) -> list[Proposal]:
    """Return the most informative photos without labels, with guesses of their labels.

    Photos of buildings with few labeled photos come first, and of these the ones most unlike all
    labeled photos.
    """
    service = get_service(request)
    view = service.library.view()
    with service.searching():
        rows = service.unlabeled(view)
        photos = view.snapshot.photos.rows(rows)
        listed = np.array(view.rows_of(p for p in view.book.listed() if view.has(p)), np.intp)
        chosen = propose(
            photos.vectors,
            view.snapshot.group_numbers(rows),
            np.asarray(view.snapshot.vectors[listed]),
            view.snapshot.group_numbers(listed),
            limit,
        )
        guesses = service.suggested(view, photos.rows(np.array(chosen, np.intp)))
    return [
        Proposal(**photo_fields(request, view, view.photo(int(rows[one]))), suggested=guess)
        for one, guess in zip(chosen, guesses, strict=True)
    ]


@router.post("/train", tags=["learning"], status_code=202, summary="Train on the labels")
def train(request: Request, response: Response) -> JobState:
    """Start to train a new sieve on all labeled photos; see `/jobs/{id}`."""
    job = get_service(request).jobs.start()
    response.headers["Location"] = address(request.scope, f"/jobs/{job.id}")
    return JobState(**job.to_dict())


def _job(request: Request, job_id: str) -> Job:
    job = get_service(request).jobs.get(job_id)
    if job is None:
        raise ApiError(404, "there is no such job")
    return job


@router.get("/jobs/{job_id}", tags=["learning"], summary="Get a training")
def get_job(request: Request, job_id: str) -> JobState:
    """Return the state of a training, with figures when it is done."""
    return JobState(**_job(request, job_id).to_dict())


@router.get(
    "/jobs/{job_id}/events",
    tags=["learning"],
    summary="Watch a training",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {}}}},
)
async def events(request: Request, job_id: str) -> StreamingResponse:
    """Send the state of a training whenever it changes, as server-sent events."""
    job, service = _job(request, job_id), get_service(request)
    if service.streams >= MAX_STREAMS:
        raise ApiError(429, "too many watch this training; ask for /jobs/{id} instead", retry=5)

    async def states() -> AsyncIterator[str]:
        service.streams += 1
        try:
            last, quiet = "", 0.0
            while not await request.is_disconnected():
                state = json.dumps(job.to_dict())
                if state != last:
                    yield f"data: {state}\n\n"
                    last, quiet = state, 0.0
                elif quiet > 15:
                    yield ": keep-alive\n\n"
                    quiet = 0.0
                if job.state != "running":
                    return
                await asyncio.sleep(0.2)
                quiet += 0.2
        finally:
            service.streams -= 1

    return StreamingResponse(states(), media_type="text/event-stream")


@router.post("/jobs/{job_id}/keep", tags=["learning"], summary="Use the new sieve")
def keep(request: Request, job_id: str) -> JobState:
    """Replace the sieve in use with the new one."""
    job = _job(request, job_id)
    get_service(request).jobs.keep(job)
    return JobState(**job.to_dict())


@router.post("/jobs/{job_id}/drop", tags=["learning"], summary="Drop the new sieve")
def drop(request: Request, job_id: str) -> JobState:
    """Delete the new sieve; the sieve in use stays."""
    job = _job(request, job_id)
    get_service(request).jobs.drop(job)
    return JobState(**job.to_dict())


@router.delete("/jobs/{job_id}", tags=["learning"], summary="Stop a training")
def cancel(request: Request, job_id: str) -> JobState:
    """Stop a running training; the sieve in use stays."""
    job = _job(request, job_id)
    get_service(request).jobs.cancel(job)
    return JobState(**job.to_dict())


@router.get("/evaluation", tags=["learning"], summary="Evaluate the sieve")
def evaluate(request: Request) -> dict[str, Any]:
    """Return the figures on the photos kept for testing, and on held-out buildings.

    Without photos for testing, `test` is null.
    """
    service = get_service(request)
    view = service.library.view()
    evaluation = service.evaluation(view)
    tuning = view.sieve.tuning.to_dict()
    return {
        "held_out": {"objective": tuning["objective"], "figures": tuning["figures"]},
        "test": None if evaluation is None else {**evaluation.to_dict(), "skipped": []},
    }
