"""Endpoints that find and show photos."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated
from urllib.parse import urlencode

import numpy as np
from fastapi import APIRouter, File, Form, Query, Request, UploadFile
from fastapi.responses import FileResponse, Response
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from photosieve.data.photos import DEFAULT_MAX_PIXELS
from photosieve.decision.cut import Cut
from photosieve.index.scope import rows_in_scope
from photosieve.server.answers import ERRORS, item, photo_of, service
from photosieve.server.library import View
from photosieve.server.problems import Problem
from photosieve.server.schemas import (
    Alike,
    AlikePhoto,
    Answer,
    FoundPhoto,
    Group,
    Health,
    PhotoId,
    PhotoItem,
    PhotoList,
    TermRead,
)
from photosieve.server.thumbnails import thumbnail, whole
from photosieve.sieve.answer import Hit, SearchResult

NEAREST = 60
"""Photos behind the cut that an answer shows at most."""

router = APIRouter(responses=ERRORS)

Offset = Annotated[int, Query(ge=0, le=10**9, description="Where to begin.")]
Limit = Annotated[int, Query(ge=1, le=500, description="How many photos to return at most.")]
Groups = Annotated[
    list[Annotated[str, Query(max_length=500)]],
    Query(description="Buildings to look in; all of them by default.", max_length=100),
]


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
            description="A label, other words, or several terms: `sofa -window`, `TV|television`.",
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
    if where and re.search(r"\broot\b", re.sub("'[^']*'", "", where), re.IGNORECASE):
        # Whether a guess of it is right would show in what is found.
        raise Problem(400, "a condition may not ask where folders are; leave root out")
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
    labeled: Annotated[
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
        found = rows_in_scope(view.snapshot, served.library.index.store, group, None)
        rows = np.arange(len(view.snapshot))[found].tolist()
    if labeled is not None or label is not None:
        listed = view.book.listed()
        wanted = {path for path, own in listed.items() if label is None or label in own}
        chosen = set(view.rows_of(path for path in wanted if view.has(path)))
        keep = labeled is not False
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
    found = photo_of(view, photo_id)
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
    found = photo_of(view, photo_id)
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


@router.get("/health", tags=["operation"], summary="Whether the server is well")
def health(request: Request) -> Health:
    """Return 200 while searches can be answered."""
    view = service(request).library.view()
    return Health(status="ok", photos=len(view.snapshot), labels=len(view.sieve.labels))


@router.get(
    "/metrics",
    tags=["operation"],
    summary="Figures for Prometheus",
    response_class=Response,
    responses={200: {"content": {"text/plain": {}}}},
)
def metrics(request: Request) -> Response:
    """Return requests, times and the size of the collection in Prometheus's text format."""
    served, figures = service(request), request.app.state.figures
    view, newest = served.library.view(), served.jobs.newest
    figures.photos.set(len(view.snapshot))
    figures.labels.set(len(view.sieve.labels))
    figures.training.set(newest is not None and newest.state == "running")
    return Response(figures.text(), media_type=CONTENT_TYPE_LATEST)
