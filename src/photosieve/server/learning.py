"""Endpoints that change labels, and learn from them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Query, Request
from fastapi.responses import Response, StreamingResponse

from photosieve.data.label_files import label_key
from photosieve.server.answers import ERRORS, item, photo_of, service
from photosieve.server.jobs import Job
from photosieve.server.library import View
from photosieve.server.problems import Problem
from photosieve.server.proposals import propose
from photosieve.server.schemas import (
    Changed,
    ChangeLabels,
    JobState,
    LabelsOf,
    PhotoId,
    PhotoItem,
    Proposal,
    SetLabels,
)

router = APIRouter(responses=ERRORS)


@router.get("/labels", tags=["labels"], summary="Look up labels")
def labels(
    request: Request,
    id: Annotated[list[PhotoId], Query(max_length=500, description="Photos to look up.")] = [],  # noqa: B006
) -> LabelsOf:
    """Return all labels with their counts, and those of the photos asked for."""
    view = service(request).library.view()
    return LabelsOf(
        labels=view.book.counts(),
        learned=dict(view.sieve.labels),
        listed=len(view.book.listed()),
        photos=[PhotoItem(**item(view, photo_of(view, one))) for one in id],
    )


@router.put("/labels", tags=["labels"], summary="Set labels")
def set_labels(request: Request, wish: SetLabels) -> Changed:
    """Write photos' labels into their labels files: all of them or, if one cannot be, none."""
    view = service(request).library.view()
    photos = {photo_of(view, photo_id).path: own for photo_id, own in wish.photos.items()}
    view.book.change(photos)
    return _changed(view, list(photos))


@router.patch("/labels", tags=["labels"], summary="Add and remove labels")
def change_labels(request: Request, wish: ChangeLabels) -> Changed:
    """Add labels to photos and take others from them, all in one step.

    A photo whose labels are unknown starts with those that the sieve finds on it, since what a
    listed photo lacks counts as absent.
    """
    served = service(request)
    view = served.library.view()
    found = [photo_of(view, one) for one in dict.fromkeys(wish.photos)]
    rows = np.array([photo.row for photo in found], np.intp)
    guesses = served.suggested(view, np.asarray(view.snapshot.vectors[rows]))
    removed = {label_key(label.strip()) for label in wish.remove}
    labels: dict[Path, list[str]] = {}
    for photo, guess in zip(found, guesses, strict=True):
        own = view.book.labels(photo.path)
        kept = [x for x in (guess if own is None else own) if label_key(x) not in removed]
        known = {label_key(label) for label in kept}
        labels[photo.path] = kept + [x for x in wish.add if label_key(x.strip()) not in known]
    view.book.change(labels)
    return _changed(view, list(labels))


@router.post("/labels/undo", tags=["labels"], summary="Take the last change back")
def undo(request: Request) -> Changed:
    """Give photos back the labels that they had before the last change that was not taken back."""
    view = service(request).library.view()
    step = view.book.undo()
    if step is None:
        raise Problem(409, "there is nothing to take back")
    return _changed(view, list(step.photos))


def _changed(view: View, paths: Sequence[Path]) -> Changed:
    found = [view.find(view.id_of(path)) for path in paths]
    return Changed(
        photos=[PhotoItem(**item(view, photo)) for photo in found if photo is not None],
        labels=view.book.counts(),
    )


@router.get("/proposals", tags=["labels"], summary="Which photos to label next")
def proposals(request: Request, limit: Annotated[int, Query(ge=1, le=48)] = 12) -> list[Proposal]:
    """Return the photos whose labels would teach most: near the cut, and unlike each other."""
    served = service(request)
    view = served.library.view()
    with served.searching():
        rows = served.unlabeled(view)
        vectors = np.asarray(view.snapshot.vectors[rows])
        listed = view.rows_of(path for path in view.book.listed() if view.has(path))
        seen = np.asarray(view.snapshot.vectors[np.array(listed, np.intp)])
        chosen = propose(vectors, seen, limit, served.doubt(view, vectors))
        guesses = served.suggested(view, vectors[chosen])
    return [
        Proposal(**item(view, view.photo(int(rows[one]))), suggested=guess)
        for one, guess in zip(chosen, guesses, strict=True)
    ]


@router.post("/train", tags=["learning"], status_code=202, summary="Learn from the labels")
def train(request: Request, response: Response) -> JobState:
    """Train a new sieve on all labeled photos, beside the one in use; see `/jobs/{id}`."""
    job = service(request).jobs.start()
    response.headers["Location"] = f"/jobs/{job.id}"
    return JobState(**job.to_dict())


def _job(request: Request, job_id: str) -> Job:
    job = service(request).jobs.get(job_id)
    if job is None:
        raise Problem(404, "there is no such job")
    return job


@router.get("/jobs/{job_id}", tags=["learning"], summary="How far a training is")
def job(request: Request, job_id: str) -> JobState:
    """Return the state of a training and, once it is done, its figures."""
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
    watched = _job(request, job_id)

    async def changes() -> AsyncIterator[str]:
        last, quiet = "", 0.0
        while not await request.is_disconnected():
            state = json.dumps(watched.to_dict())
            if state != last:
                yield f"data: {state}\n\n"
                last, quiet = state, 0.0
            elif quiet > 15:
                yield ": still here\n\n"
                quiet = 0.0
            if watched.state != "running":
                return
            await asyncio.sleep(0.2)
            quiet += 0.2

    return StreamingResponse(changes(), media_type="text/event-stream")


@router.post("/jobs/{job_id}/keep", tags=["learning"], summary="Use the new sieve")
def keep(request: Request, job_id: str) -> JobState:
    """Replace the sieve in use by what a training has made."""
    found = _job(request, job_id)
    service(request).jobs.keep(found)
    return JobState(**found.to_dict())


@router.post("/jobs/{job_id}/drop", tags=["learning"], summary="Throw the new sieve away")
def drop(request: Request, job_id: str) -> JobState:
    """Leave the sieve in use as it is, and throw away what a training has made."""
    found = _job(request, job_id)
    service(request).jobs.drop(found)
    return JobState(**found.to_dict())


@router.delete("/jobs/{job_id}", tags=["learning"], summary="Stop a training")
def cancel(request: Request, job_id: str) -> JobState:
    """Stop a training that is under way; nothing has changed."""
    found = _job(request, job_id)
    service(request).jobs.cancel(found)
    return JobState(**found.to_dict())


@router.get("/evaluation", tags=["learning"], summary="How good the sieve is")
def evaluation(request: Request) -> dict[str, Any]:
    """Return the figures on the photos that are kept for testing.

    Where there are none, `test` is null; `held_out` has what training found on held-out buildings.
    """
    served = service(request)
    found = served.evaluation(served.library.view())
    tuning = served.library.view().sieve.tuning.to_dict()
    return {
        "held_out": {"objective": tuning["objective"], "figures": tuning["figures"]},
        "test": None if found is None else {**found.to_dict(), "skipped": []},
    }
