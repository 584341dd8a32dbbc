"""The endpoints that programs use; the page uses them too."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlencode

import numpy as np
from fastapi import APIRouter, File, Form, Query, Request, UploadFile
from fastapi.responses import FileResponse, Response, StreamingResponse

from photosieve.cut import Cut
from photosieve.hits import Hit, SearchResult
from photosieve.photos import DEFAULT_MAX_PIXELS
from photosieve.proposals import propose
from photosieve.server.jobs import Job
from photosieve.server.library import Photo, View
from photosieve.server.models import (
    Alike,
    AlikePhoto,
    Answer,
    Changed,
    FoundPhoto,
    Group,
    Health,
    JobState,
    LabelsOf,
    PhotoId,
    PhotoItem,
    PhotoList,
    ProblemDetails,
    SetLabels,
    TermRead,
)
from photosieve.server.problems import Problem
from photosieve.server.service import Service
from photosieve.server.thumbnails import thumbnail, whole

NEAREST = 60
"""Photos behind the cut that an answer shows at most."""

ERRORS: dict[int | str, dict[str, Any]] = {
    code: {
        "model": ProblemDetails,
        "content": {"application/problem+json": {}},
        "description": text,
    }
    for code, text in {
        400: "The request makes no sense; the sentence says why.",
        401: "A token is missing or wrong.",
        403: "This may not be changed, or the request came from another site.",
        404: "There is no such thing.",
        409: "This does not go with what is there now.",
        410: "The photo cannot be read any more.",
        413: "The request is larger than it may be.",
        422: "A value has the wrong form.",
        429: "Too many requests; `Retry-After` says when to come back.",
        503: "The collection cannot be used now.",
    }.items()
}

router = APIRouter(responses=ERRORS)

Offset = Annotated[int, Query(ge=0, le=10**9, description="Where to begin.")]
Limit = Annotated[int, Query(ge=1, le=500, description="How many photos to return at most.")]
Groups = Annotated[
    list[Annotated[str, Query(max_length=500)]],
    Query(description="Buildings to look in; all of them by default.", max_length=100),
]


def service(request: Request) -> Service:
    """Return what the application serves."""
    found: Service = request.app.state.service
    return found


def item(view: View, photo: Photo) -> dict[str, Any]:
    """Describe a photo."""
    listed = photo.path.parent in view.book
    return {
        "id": photo.id,
        "name": photo.path.name,
        "group": photo.group.name,
        "labels": view.book.labels(photo.path) if listed else None,
        "test": listed and view.book.is_test(photo.path),
        "photo": f"/photos/{photo.id}",
        "thumbnail": f"/thumbnails/{photo.id}?v={view.sha256(photo.row)[:8]}",
    }


def _found(view: View, hits: Sequence[Hit], *, kept: bool) -> list[FoundPhoto]:
    found = []
    for hit in hits:
        photo = view.find(view.id_of(hit.path))
        if photo is not None:
            found.append(
                FoundPhoto(
                    **item(view, photo),
                    kept=kept,
                    probability=round(hit.probability, 6),
                    score=round(hit.score, 6),
                    reason=hit.reason,
                    terms=[round(value, 6) for value in hit.terms],
                )
            )
    return found


def _next(request: Request, offset: int, limit: int, total: int) -> str | None:
    if offset + limit >= total:
        return None
    kept = [(k, v) for k, v in request.query_params.multi_items() if k not in ("offset", "limit")]
    return f"{request.url.path}?{urlencode([*kept, ('offset', offset + limit), ('limit', limit)])}"


def _threshold(result: SearchResult) -> float:
    """The probability that parts what matches from the rest; where lists differ, the lowest."""
    kept = min((hit.probability for hit in result.hits), default=None)
    low = max(result.cut.gate if kept is None else min(result.cut.gate, kept), result.cut.floor)
    return float(min(max(low, 0.0), 1.0))


@router.get("/search", tags=["search"], summary="Find the photos that match")
def search(
    request: Request,
    q: Annotated[
        str,
        Query(
            min_length=1,
            max_length=200,
            description="A label, any other words, or several terms: `sofa -window`, `TV|television`.",
            examples=["sofa"],
        ),
    ],
    group: Groups = [],  # noqa: B006  # FastAPI copies it
    where: Annotated[
        str | None,
        Query(
            max_length=500, description="A condition on the columns of the index: `price < 300000`."
        ),
    ] = None,
    threshold: Annotated[
        float | None,
        Query(
            ge=0, le=1, description="Keep what is at least so probable, instead of the learned cut."
        ),
    ] = None,
    offset: Offset = 0,
    limit: Limit = 100,
    nearest: Annotated[
        int, Query(ge=0, le=NEAREST, description="How many of the best others to return.")
    ] = 20,
) -> Answer:
    """Return what matches, all of it and nothing else, best first; possibly nothing."""
    served = service(request)
    view = served.library.view()
    with served.searching():
        result = served.library.index.search(
            q,
            within=group,
            where=where,
            cut=None if threshold is None else Cut.threshold(threshold),
            hidden=max(nearest, 1),
        )
    return Answer(
        query=q,
        matches=len(result),
        looked_at=result.looked_at,
        threshold=_threshold(result),
        learned=threshold is None,
        terms=[
            TermRead(**{key: reading[key] for key in ("term", "label", "nearest", "affinity")})
            for reading in (r.to_dict() for r in result.readings)
        ],
        photos=_found(view, result.hits[offset : offset + limit], kept=True),
        nearest=_found(view, result.hidden[:nearest], kept=False),
        next=_next(request, offset, limit, len(result)),
    )


@router.post("/search/photo", tags=["search"], summary="Find photos like a photo")
def search_photo(
    request: Request,
    photo: Annotated[UploadFile | None, File(description="A picture; or give an id.")] = None,
    id: Annotated[PhotoId | None, Form(description="A photo of the collection.")] = None,
    limit: Annotated[int, Form(ge=1, le=200)] = 24,
) -> Alike:
    """Return the photos most like one, which is uploaded and not kept, or is in the collection."""
    served = service(request)
    view = served.library.view()
    if (photo is None) == (id is None):
        raise Problem(400, "give either a photo or the id of one")
    own = None
    with served.searching():
        if photo is not None:
            vector = served.embed(view, photo.file.read())
        else:
            own = view.row_of(str(id))
            if own is None:
                raise Problem(404, "there is no such photo")
            vector = np.asarray(view.snapshot.vectors[own])
        found = served.alike(view, vector, limit + 1)
    return Alike(
        photos=[
            AlikePhoto(**item(view, view.photo(row)), score=round(score, 6))
            for row, score in found
            if row != own
        ][:limit]
    )


@router.get("/groups", tags=["photos"], summary="List the buildings")
def groups(request: Request) -> list[Group]:
    """Return every building that has photos."""
    found = service(request).library.view().snapshot.groups
    return [Group(name=group.name, photos=group.stop - group.start) for group in found]


@router.get("/photos", tags=["photos"], summary="List photos")
def photos(
    request: Request,
    group: Groups = [],  # noqa: B006
    labelled: Annotated[
        bool | None, Query(description="Only photos whose labels are known, or only the others.")
    ] = None,
    label: Annotated[
        str | None, Query(max_length=100, description="Only photos with a label.")
    ] = None,
    offset: Offset = 0,
    limit: Limit = 100,
) -> PhotoList:
    """Return photos in the order of buildings and names."""
    served = service(request)
    view = served.library.view()
    rows: Sequence[int] | range = range(len(view.snapshot))
    if group:
        found = served.library.index.scope(view.snapshot, group, None)
        rows = np.arange(len(view.snapshot))[found].tolist()
    if labelled is not None or label is not None:
        listed = view.book.listed()
        wanted = {path for path, own in listed.items() if label is None or label in own}
        chosen = set(view.rows_of(path for path in wanted if view.has(path)))
        keep = labelled is not False
        rows = [row for row in rows if (row in chosen) == keep]
    part = rows[offset : offset + limit]
    return PhotoList(
        total=len(rows),
        photos=[PhotoItem(**item(view, view.photo(int(row)))) for row in part],
        next=_next(request, offset, limit, len(rows)),
    )


@router.get("/photos/{photo_id}", tags=["photos"], summary="Get a photo", response_class=Response)
def photo(request: Request, photo_id: PhotoId) -> Response:
    """Return the picture, as it is or, if browsers do not show its format, as JPEG."""
    view = service(request).library.view()
    found = _photo(view, photo_id)
    tag = f'"{view.sha256(found.row)}"'
    if tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=_cached(tag))
    data, kind = whole(view, found, DEFAULT_MAX_PIXELS)
    return Response(data, media_type=kind, headers=_cached(tag))


@router.get(
    "/thumbnails/{photo_id}",
    tags=["photos"],
    summary="Get a small picture of a photo",
    response_class=Response,
)
def small_photo(
    request: Request,
    photo_id: PhotoId,
    v: Annotated[
        str | None,
        Query(max_length=64, description="Version; with it the answer may be kept for ever."),
    ] = None,
) -> Response:
    """Return a JPEG of 480 pixels on its longer side, which is made once."""
    served = service(request)
    view = served.library.view()
    found = _photo(view, photo_id)
    digest = view.sha256(found.row)
    tag = f'"{digest}-small"'
    headers = _cached(tag, for_ever=v is not None and v == digest[:8])
    if tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    file = thumbnail(view, found, served.library.state / "thumbnails", DEFAULT_MAX_PIXELS)
    return FileResponse(file, media_type="image/jpeg", headers=headers)


def _cached(tag: str, *, for_ever: bool = False) -> dict[str, str]:
    how = "private, max-age=31536000, immutable" if for_ever else "private, no-cache"
    return {"ETag": tag, "Cache-Control": how}


def _photo(view: View, photo_id: str) -> Photo:
    found = view.find(photo_id)
    if found is None:
        raise Problem(404, "there is no such photo")
    return found


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
        photos=[PhotoItem(**item(view, _photo(view, one))) for one in id],
    )


@router.put("/labels", tags=["labels"], summary="Set labels")
def set_labels(request: Request, wish: SetLabels) -> Changed:
    """Write photos' labels into their labels files: all of them or, if one cannot be, none."""
    view = service(request).library.view()
    photos = {_photo(view, photo_id).path: own for photo_id, own in wish.photos.items()}
    view.book.change(photos)
    return _changed(view, list(photos))


@router.post("/labels/undo", tags=["labels"], summary="Take the last change back")
def undo(request: Request) -> Changed:
    """Give photos the labels back that they had before the last change; again for the one before."""
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
def proposals(request: Request, limit: Annotated[int, Query(ge=1, le=48)] = 12) -> list[PhotoItem]:
    """Return the photos whose labels would teach most: near the cut, and unlike each other."""
    served = service(request)
    view = served.library.view()
    with served.searching():
        rows = served.unlabelled(view)
        vectors = np.asarray(view.snapshot.vectors[rows])
        listed = view.rows_of(path for path in view.book.listed() if view.has(path))
        seen = np.asarray(view.snapshot.vectors[np.array(listed, np.intp)])
        chosen = propose(vectors, seen, limit, served.doubt(view, vectors))
    return [PhotoItem(**item(view, view.photo(int(rows[one])))) for one in chosen]


@router.post("/train", tags=["learning"], status_code=202, summary="Learn from the labels")
def train(request: Request, response: Response) -> JobState:
    """Train a new sieve on all labelled photos, beside the one in use; see `/jobs/{id}`."""
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


@router.get("/health", tags=["operation"], summary="Whether the server is well")
def health(request: Request) -> Health:
    """Return 200 while searches can be answered."""
    view = service(request).library.view()
    return Health(status="ok", photos=len(view.snapshot), labels=len(view.sieve.labels))
