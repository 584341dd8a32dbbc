"""Errors as problem details (RFC 9457): one sentence each, without a path of this machine."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from photosieve.errors import LabelsError, PhotoError, PhotosieveError, TrainingError, UsageError
from photosieve.server.schemas import ProblemDetails

_FOLDERS = re.compile(r"""(?<![\w/:.~-])~?(/[^\s/:;,()'"]+)*/(?=[^\s/])""")
"""The folders in a path that begins with / or ~/."""

log = logging.getLogger("photosieve")

STATUS: dict[type[PhotosieveError], int] = {
    UsageError: 400,
    LabelsError: 409,
    TrainingError: 409,
    PhotoError: 410,
}
"""Status for each error of the library; any other error has 503."""

ERRORS: dict[int | str, dict[str, Any]] = {
    code: {
        "model": ProblemDetails,
        "content": {"application/problem+json": {}},
        "description": text,
    }
    for code, text in {
        400: "The request is invalid; `detail` names the reason.",
        401: "A token is missing or wrong.",
        403: "This may not be changed, or the request came from another site.",
        404: "There is no such thing.",
        409: "This does not go with the current state.",
        410: "The photo cannot be read any more.",
        413: "The request is larger than it may be.",
        422: "A value has the wrong form.",
        429: "Too many requests; `Retry-After` says when to come back.",
        503: "The collection cannot be used now.",
    }.items()
}
"""Errors that any endpoint may answer with, for the OpenAPI document."""


class ApiError(HTTPException):
    """Ends a request with a status and one sentence.

    Parameters
    ----------
    status : int
    detail : str
    retry : int, optional
        Seconds until the client may try again.
    """

    def __init__(self, status: int, detail: str, *, retry: int | None = None) -> None:
        super().__init__(status, detail)
        self.retry = retry

    def response(self) -> Response:
        """Return the answer."""
        return problem_response(self.status_code, self.detail, retry=self.retry)


def problem_response(
    status: int, detail: str, *, retry: int | None = None, **more: Any
) -> Response:
    """Return problem details as an HTTP response."""
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
    """Remove folders of this machine from a sentence; names of files stay."""
    for folder in sorted(set(folders), key=len, reverse=True):
        text = text.replace(f"{folder.rstrip('/')}/", "").replace(folder, "the collection")
    return _FOLDERS.sub("", text)  # any other


def install(app: FastAPI, folders: Callable[[], Iterable[str]]) -> None:
    """Answer every error that an endpoint raises with problem details.

    Parameters
    ----------
    app : FastAPI
    folders : callable
        Returns the folders that no answer may name.
    """

    @app.exception_handler(ApiError)
    async def api_error(_: Request, error: ApiError) -> Response:
        return error.response()

    @app.exception_handler(HTTPException)
    async def http_error(_: Request, error: HTTPException) -> Response:
        allowed = (
            {"Allow": error.headers["Allow"]} if error.headers and "Allow" in error.headers else {}
        )
        answer = problem_response(error.status_code, str(error.detail))
        answer.headers.update(allowed)
        return answer

    @app.exception_handler(RequestValidationError)
    async def invalid_request(_: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"][1:]) or "the body"
        unknown = first["type"] == "extra_forbidden"
        said = "there is no such field; /openapi.json has all" if unknown else first["msg"]
        errors = [
            {"where": list(map(str, e["loc"])), "what": str(e["msg"])} for e in error.errors()
        ]
        return problem_response(422, f"{where}: {said}", errors=errors[:20])

    @app.exception_handler(PhotosieveError)
    async def library_error(_: Request, error: PhotosieveError) -> Response:
        status = next((code for kind, code in STATUS.items() if isinstance(error, kind)), 503)
        if status == 503:  # the sentence is for the administrator: it may name files
            log.error("%s", error)
            return problem_response(
                503, "the collection cannot be used now; the server's log says why", retry=30
            )
        if isinstance(error, PhotoError):
            return problem_response(status, f"the photo cannot be shown: {error.reason}")
        return problem_response(status, without_folders(str(error), folders()))

    @app.exception_handler(Exception)
    async def unexpected_error(request: Request, error: Exception) -> Response:
        log.error("%s %r", request.method, request.url.path, exc_info=error)
        return problem_response(500, "something went wrong here; the server's log has the details")
