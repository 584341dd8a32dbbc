"""The application: API, pages, guard and metrics."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path

from anyio.to_thread import current_default_thread_limiter
from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles

from photosieve.server import (
    downloads,
    label_files,
    learning,
    pages,
    problems,
    trainings,
    uploads,
    vocabulary,
    wall,
)
from photosieve.server import photos as api
from photosieve.server.credentials import Credentials, Limiter
from photosieve.server.guard import Guard, Rules
from photosieve.server.library import Library
from photosieve.server.metrics import Figures, Measure
from photosieve.server.service import Service

STATIC = Path(__file__).with_name("static")
SPARE_THREADS = 16


def create_app(library: Library, rules: Rules | None = None) -> FastAPI:
    """Make the application that serves one index.

    Parameters
    ----------
    library : Library
    rules : Rules, optional
        By default every user of this machine may do everything.
    """
    rules = rules or Rules()
    service = Service(library)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        # Requests that wait for a core must leave threads to files and to /health.
        current_default_thread_limiter().total_tokens = rules.max_at_once + SPARE_THREADS
        if not rules.read_only:
            service.jobs.resume()
        yield
        service.jobs.close()
        service.arrivals.close()

    app = FastAPI(
        title="photosieve",
        version=version("photosieve"),
        summary="Ask for photos in words; get the photos that match, all of them and no others.",
        description=(
            "Photos are named by opaque ids. Errors are problem details (RFC 9457). With a token, "
            "send it as `Authorization: Bearer TOKEN`."
        ),
        docs_url=None,  # these pages load scripts from another site
        redoc_url=None,
        lifespan=lifespan,
    )
    figures = Figures()
    limiter = Limiter(rules.limits)
    credentials = Credentials(rules.token, rules.session_seconds, limiter)
    app.state.service, app.state.rules, app.state.figures = service, rules, figures
    app.state.credentials = credentials
    for module in (
        downloads,
        api,
        wall,
        uploads,
        learning,
        trainings,
        vocabulary,
        label_files,
        pages,
    ):
        app.include_router(module.router)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    problems.install(app, library.folders)
    app.add_middleware(Measure, figures=figures)
    app.add_middleware(Guard, rules=rules, credentials=credentials, limiter=limiter)
    return app
