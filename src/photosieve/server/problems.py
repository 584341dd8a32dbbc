"""Errors as a client sees them: problem details, RFC 9457, in one sentence and without a path."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from photosieve.errors import LabelsError, PhotoError, PhotosieveError, TrainingError, UsageError

log = logging.getLogger("photosieve")

STATUS: dict[type[PhotosieveError], int] = {
    UsageError: 400,
    LabelsError: 409,
    TrainingError: 409,
    PhotoError: 410,
}
"""What an error of the library means to a client; of any other the fault is here."""


class Problem(Exception):
    """Ends a request with a status and one sentence."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status, self.detail = status, detail


def problem(status: int, detail: str, *, retry: int | None = None, **more: Any) -> Response:
    """Make the answer for a problem."""
    headers = {"Retry-After": str(retry)} if retry is not None else {}
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    content = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status}
    return JSONResponse(
        {**content, "detail": detail, **more},
        status,
        headers=headers,
        media_type="application/problem+json",
    )


def without_folders(text: str, folders: Iterable[str]) -> str:
    """Take folders of this machine out of a sentence; names of files stay."""
    for folder in sorted(set(folders), key=len, reverse=True):
        text = text.replace(f"{folder.rstrip('/')}/", "").replace(folder, "the collection")
    return text


def install(app: FastAPI, folders: Callable[[], Iterable[str]]) -> None:
    """Answer every error that escapes an endpoint as a problem.

    Parameters
    ----------
    app : FastAPI
    folders : callable
        Returns the places that no answer names.
    """

    @app.exception_handler(Problem)
    async def ended(_: Request, error: Problem) -> Response:
        return problem(error.status, error.detail)

    @app.exception_handler(HTTPException)
    async def http(_: Request, error: HTTPException) -> Response:
        allowed = (
            {"Allow": error.headers["Allow"]} if error.headers and "Allow" in error.headers else {}
        )
        answer = problem(error.status_code, str(error.detail))
        answer.headers.update(allowed)
        return answer

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"][1:]) or "the body"
        errors = [
            {"where": list(map(str, e["loc"])), "what": str(e["msg"])} for e in error.errors()
        ]
        return problem(422, f"{where}: {first['msg']}", errors=errors[:20])

    @app.exception_handler(PhotosieveError)
    async def known(_: Request, error: PhotosieveError) -> Response:
        status = next((code for kind, code in STATUS.items() if isinstance(error, kind)), 503)
        if status == 503:  # its sentence is for who runs the server: it may name files
            log.error("%s", error)
            return problem(
                503, "the collection cannot be used now; the server's log says why", retry=30
            )
        if isinstance(error, PhotoError):
            return problem(status, f"the photo cannot be shown: {error.reason}")
        return problem(status, without_folders(str(error), folders()))

    @app.exception_handler(Exception)
    async def bug(request: Request, error: Exception) -> Response:
        log.error("%s %s", request.method, request.url.path, exc_info=error)
        return problem(500, "something went wrong here; the server's log has the details")
