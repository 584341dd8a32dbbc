"""What all endpoints share: how a photo is described, and which errors there may be."""

from __future__ import annotations

from typing import Any

from fastapi import Request

from photosieve.server.library import Photo, View
from photosieve.server.problems import Problem
from photosieve.server.schemas import ProblemDetails
from photosieve.server.service import Service

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


def photo_of(view: View, photo_id: str) -> Photo:
    """Return the photo of an id, or end the request."""
    found = view.find(photo_id)
    if found is None:
        raise Problem(404, "there is no such photo")
    return found
