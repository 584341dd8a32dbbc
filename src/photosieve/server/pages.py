"""The pages."""

from __future__ import annotations

from typing import Annotated

import jinja2
from fastapi import APIRouter, Form, Request
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse, Response
from fastapi.templating import Jinja2Templates

from photosieve.report.page import SCRIPT_HASH
from photosieve.server.addresses import address
from photosieve.server.credentials import Credentials, cookie_name, peer
from photosieve.server.guard import Rules
from photosieve.server.service import get_service

templates = Jinja2Templates(
    env=jinja2.Environment(
        loader=jinja2.PackageLoader("photosieve.server", "templates"),
        autoescape=True,  # by default only files that end in .html escape, and ours end in .j2
        undefined=jinja2.StrictUndefined,
    )
)
router = APIRouter(include_in_schema=False)

REPORT_POLICY = (
    f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src '{SCRIPT_HASH}'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    # Without the origin, the cookie of the session would be missing on the way back.
    "sandbox allow-scripts allow-same-origin allow-modals"
)
"""Policy of the report, a page with everything inside it."""


@router.get("/", response_class=HTMLResponse)
def home(request: Request) -> Response:
    """Show the page."""
    rules: Rules = request.app.state.rules
    view = get_service(request).library.view()
    return templates.TemplateResponse(
        request,
        "page.html.j2",
        {
            "photos": len(view.snapshot),
            "groups": len(view.snapshot.groups),
            "listed": len(view.book.listed()),
            "trained": bool(view.sieve.labels),
            "labels": view.book.counts(),
            "read_only": rules.read_only,
            "login": rules.token is not None,
        },
    )


@router.get("/report", response_class=HTMLResponse)
def report(request: Request) -> Response:
    """Show the evaluation on the photos that are kept for testing."""
    service = get_service(request)
    view = service.library.view()
    evaluation = service.evaluation(view)
    if evaluation is None:
        return templates.TemplateResponse(
            request, "untested.html.j2", {"tuning": view.sieve.tuning, "trained": view.sieve.labels}
        )
    page = service.report(evaluation, view)
    return FileResponse(
        page, media_type="text/html", headers={"Content-Security-Policy": REPORT_POLICY}
    )


@router.get("/login", response_class=HTMLResponse)
def login_form(request: Request) -> Response:
    """Show the login page."""
    return templates.TemplateResponse(request, "login.html.j2", {"wrong": False})


@router.post("/login", response_class=HTMLResponse)
def login(request: Request, token: Annotated[str, Form(max_length=500)] = "") -> Response:
    """Check the token, and store the cookie of a session."""
    rules: Rules = request.app.state.rules
    credentials: Credentials = request.app.state.credentials
    if not credentials.accept(token.encode(), peer(request.scope)):
        return templates.TemplateResponse(request, "login.html.j2", {"wrong": True}, 401)
    answer = RedirectResponse(address(request.scope, "/"), 303)
    answer.set_cookie(
        cookie_name(request.scope),
        credentials.log_in(),
        max_age=rules.session_seconds,
        path=address(request.scope, "") or "/",
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    return answer


@router.post("/logout")
def logout(request: Request) -> Response:
    """End the session."""
    request.app.state.credentials.log_out(request.scope)
    answer = RedirectResponse(address(request.scope, "/login"), 303)
    answer.delete_cookie(cookie_name(request.scope), address(request.scope, "") or "/")
    return answer
