"""Endpoints that search and show photos."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal
from urllib.parse import urlencode

import numpy as np
from anyio.to_thread import run_sync
from fastapi import APIRouter, File, Form, Query, Request, UploadFile
from fastapi.responses import FileResponse, Response
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from photosieve.decision.cut import Cut
from photosieve.index.condition import MAX_LENGTH
from photosieve.server.answers import Known, KnownAnswers, with_known
from photosieve.server.library import View
from photosieve.server.problems import ERRORS, ApiError
from photosieve.server.schemas import (
    Health,
    LabelCut,
    PhotoId,
    RankedPhoto,
    SearchAnswer,
    SimilarPhoto,
    SimilarPhotos,
    TermReading,
)
from photosieve.server.service import find_photo, get_service, photo_fields
from photosieve.server.thumbnails import thumbnail, whole
from photosieve.sieve.answer import Hit, SearchResult

MAX_NEAREST = 60
"""Most photos behind the cut in an answer."""

router = APIRouter(responses=ERRORS)

Offset = Annotated[int, Query(ge=0, le=10**9, description="Number of photos to skip.")]
Limit = Annotated[int, Query(ge=1, le=500, description="Most photos to return.")]
Words = Annotated[
    str,
    Query(
        min_length=1,
        max_length=200,
        description="A label, other words, or several terms: `sofa -window`, `TV|television`.",
        examples=["sofa"],
    ),
]
Where = Annotated[
    str | None,
    Query(
        max_length=MAX_LENGTH,
        description="A condition on the columns of the index: `price < 300000`.",
    ),
]
Threshold = Annotated[
    float | None,
    Query(ge=0, le=1, description="Keep photos of at least this probability, not the learned cut."),
]
Choice = Annotated[
    Known,
    Query(
        description=(
            "Photos whose labels say that they match are in the answer, and those whose labels "
            "say that they do not are out of it: `apply`. `ignore`: the sieve alone decides. "
            "`hide`: without photos whose labels say it. `only`: these alone."
        )
    ),
]
Groups = Annotated[
    list[Annotated[str, Query(max_length=500)]],
    Query(description="Buildings to search; all by default.", max_length=100),
]


Order = Literal["probability", "unsure", "building", "name", "date"]


def _ranked(
    request: Request, view: View, hits: Sequence[Hit], known: KnownAnswers, *, kept: bool
) -> list[RankedPhoto]:
    return [
        RankedPhoto(
            **photo_fields(request, view, view.photo(hit.row, hit.path), known.listed),
            kept=kept,
            known=known.of(hit.path),
            probability=round(hit.probability, 6),
            score=round(hit.score, 6),
            reason=hit.reason,
            terms=[round(value, 6) for value in hit.terms],
        )
        for hit in hits
    ]


def _sorted(
    view: View, hits: Sequence[Hit], sort: Order, cut: float, known: KnownAnswers
) -> Sequence[Hit]:
    """Return matches, which come best first, in another order."""
    if sort == "probability":
        return hits
    if sort == "unsure":  # known answers are sure, wherever the cut is
        said = {*np.concatenate(known.rows()).tolist()}
        return sorted(hits, key=lambda hit: (hit.row in said, abs(hit.probability - cut)))
    if sort == "name":
        return sorted(hits, key=lambda hit: hit.path.name.casefold())
    rows = [hit.row for hit in hits]  # these are in the order of buildings and names
    if sort == "date":
        rows = (-view.mtimes[np.array(rows, np.intp)]).tolist()
    return [hit for _, hit in sorted(zip(rows, hits, strict=True), key=lambda pair: pair[0])]


def next_page(request: Request, offset: int, limit: int, total: int) -> str | None:
    """Return the address of the rest of a list; None if nothing is left."""
    if offset + limit >= total:
        return None
    kept = [(k, v) for k, v in request.query_params.multi_items() if k not in ("offset", "limit")]
    return f"{request.url.path}?{urlencode([*kept, ('offset', offset + limit), ('limit', limit)])}"


def lowest_match(result: SearchResult) -> float:
    """Return the lowest probability of a match; the lowest of all where buildings differ."""
    kept = result.lowest
    low = max(result.cut.gate if kept is None else min(result.cut.gate, kept), result.cut.floor)
    return float(min(max(low, 0.0), 1.0))


@router.get(
    "/search", tags=["search"], summary="Find the photos that match", response_model=SearchAnswer
)
def search(
    request: Request,
    q: Words,
    group: Groups = [],  # noqa: B006  # FastAPI copies it
    where: Where = None,
    threshold: Threshold = None,
    known: Choice = "apply",
    sort: Annotated[
        Order,
        Query(
            description="Matches by probability, least sure first (closest to the cut, known "
            "answers last), by building and name, by name alone, or the newest first."
        ),
    ] = "probability",
    offset: Offset = 0,
    limit: Limit = 100,
    nearest: Annotated[
        int, Query(ge=0, le=MAX_NEAREST, description="Most photos behind the cut to return.")
    ] = 20,
) -> Response:
    """Return all photos that match and no others, best first; possibly none."""
    found = find(request, q, group, where, threshold, known, hidden=max(nearest, 1))
    answer = _described(request, found, sort, offset, limit, nearest)
    # As it is: the framework would check each field of each photo once more.
    return Response(answer.model_dump_json(), media_type="application/json")


@dataclass(frozen=True)
class Found:
    """The photos that match a query.

    Parameters
    ----------
    view : View
        The state of the collection that was searched.
    result : SearchResult
        Known answers have decided.
    known : KnownAnswers
        To all terms of the query.
    lowest : float
        The lowest probability of a match.
    threshold : float or None
        The probability that was asked for, or the cut that a person set; None: the learned cut.
    own_cut : bool
        Whether a person set it.
    """

    view: View
    result: SearchResult
    known: KnownAnswers
    lowest: float
    threshold: float | None
    own_cut: bool


def find(
    request: Request,
    q: str,
    group: Sequence[str],
    where: str | None,
    threshold: float | None,
    known: Known,
    *,
    hidden: int = 1,
) -> Found:
    """Find the photos that match; the parameters are those of the endpoint.

    `hidden` is the most photos behind the cut that the result holds.
    """
    service = get_service(request)
    view = service.library.view()
    own = service.cuts.find(view, q) if threshold is None else None
    at = own if threshold is None else threshold
    with service.searching():
        result = view.index.search(
            q,
            within=group,
            where=where,
            cut=None if at is None else Cut.threshold(at),
            hidden=hidden,
            snapshot=view.snapshot,
        )
        answers = KnownAnswers(view, [reading.term for reading in result.readings])
        lowest = lowest_match(result)
        result = with_known(view, result, answers, known, where)
    return Found(view, result, answers, lowest, at, own_cut=own is not None)


def _described(
    request: Request, found: Found, sort: Order, offset: int, limit: int, nearest: int
) -> SearchAnswer:
    view, result, known = found.view, found.result, found.known
    hits = _sorted(view, result.hits, sort, found.lowest, known)[offset : offset + limit]
    scorer = view.sieve.scorer
    return SearchAnswer(
        query=result.query,
        matches=len(result),
        looked_at=result.looked_at,
        threshold=found.lowest,
        learned=found.threshold is None,
        own_cut=found.own_cut,
        terms=[
            TermReading(
                term=str(reading.term),
                label=reading.label,
                nearest=reading.nearest,
                affinity=reading.affinity,
                remote=bool(scorer.affinity(reading) < 0),
                labeled=known.labeled(reading.term),
            )
            for reading in result.readings
        ],
        taken_out=result.taken_out,
        gone=result.gone,
        suggestions=list(result.suggestions),
        photos=_ranked(request, view, hits, known, kept=True),
        nearest=_ranked(request, view, result.hidden[:nearest], known, kept=False),
        next=next_page(request, offset, limit, len(result)),
    )


@router.put("/labels/cut", tags=["labels"], summary="Set the cut of a label")
def set_cut(request: Request, change: LabelCut) -> LabelCut:
    """Keep photos of at least this probability when the query is this label; null: as learned.

    It holds on this server, for the sieve in use.
    """
    service = get_service(request)
    service.cuts.change(service.library.view(), change.label, change.threshold)
    return change


@router.post("/search/photo", tags=["search"], summary="Find similar photos")
def search_photo(
    request: Request,
    photo: Annotated[UploadFile | None, File(description="A picture; or send an id.")] = None,
    id: Annotated[PhotoId | None, Form(description="A photo of the collection.")] = None,
    limit: Annotated[int, Form(ge=1, le=200)] = 24,
) -> SimilarPhotos:
    """Return the photos most similar to an upload, which is not stored, or to a photo's id."""
    service = get_service(request)
    view = service.library.view()
    if (photo is None) == (id is None):
        raise ApiError(400, "give either a photo or the id of one")
    own_row = None
    if photo is not None:
        vector = service.embed(view, photo.file)
    else:
        own_row = find_photo(view, str(id)).row
        vector = np.asarray(view.snapshot.vectors[own_row])
    with service.searching():
        similar = service.similar(view, vector, limit + 1)
    return SimilarPhotos(
        photos=[
            SimilarPhoto(**photo_fields(request, view, view.photo(row)), score=round(score, 6))
            for row, score in similar
            if row != own_row
        ][:limit]
    )


@router.get("/photos/{photo_id}", tags=["photos"], summary="Get a photo", response_class=Response)
def get_photo(request: Request, photo_id: PhotoId) -> Response:
    """Return the picture; as JPEG of at most 3,000 pixels if browsers do not show its format."""
    service = get_service(request)
    view = service.library.view()
    photo = find_photo(view, photo_id)
    tag = f'"{view.sha256(photo.row)}"'
    if tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=_cached(tag))
    content, kind, digest = whole(view, photo, service.library.state / "converted")
    headers = _cached(f'"{digest}"')
    if isinstance(content, bytes):
        return Response(content, media_type=kind, headers=headers)
    return FileResponse(content, media_type=kind, headers=headers)


@router.get(
    "/thumbnails/{photo_id}",
    tags=["photos"],
    summary="Get a small picture of a photo",
    response_class=Response,
)
def get_thumbnail(
    request: Request,
    photo_id: PhotoId,
    v: Annotated[
        str | None,
        Query(max_length=64, description="Version; with it, clients may store the answer forever."),
    ] = None,
) -> Response:
    """Return a JPEG of at most 480 pixels on its longer side."""
    service = get_service(request)
    view = service.library.view()
    photo = find_photo(view, photo_id)
    digest = view.sha256(photo.row)
    asked = request.headers.get("if-none-match", "")
    if f'"{digest}-small"' not in asked:
        file, digest = thumbnail(view, photo, service.library.state / "thumbnails")
    tag = f'"{digest}-small"'
    headers = _cached(tag, forever=v is not None and v == digest[:8])
    if tag in asked:
        return Response(status_code=304, headers=headers)
    return FileResponse(file, media_type="image/jpeg", headers=headers)


def _cached(tag: str, *, forever: bool = False) -> dict[str, str]:
    policy = "private, max-age=31536000, immutable" if forever else "private, no-cache"
    return {"ETag": tag, "Cache-Control": policy}


@router.get("/health", tags=["operation"], summary="Check the server")
async def health(request: Request) -> Health:
    """Return 200 while searches can be answered."""
    service = get_service(request)
    # In threads of its own: those of searches may all be busy.
    view = await run_sync(service.library.view, limiter=service.health_threads)
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
    service, figures = get_service(request), request.app.state.figures
    view, newest = service.library.view(), service.jobs.newest
    figures.photos.set(len(view.snapshot))
    figures.labels.set(len(view.sieve.labels))
    figures.training.set(newest is not None and newest.state == "running")
    return Response(figures.text(), media_type=CONTENT_TYPE_LATEST)
