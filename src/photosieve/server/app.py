"""The application: API, page, guard and metrics put together."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import Response
from fastapi.staticfiles import StaticFiles
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from photosieve.server import api, learning, pages, problems
from photosieve.server.guard import Guard, Rules
from photosieve.server.library import Library
from photosieve.server.service import Service

STATIC = Path(__file__).with_name("static")


def create_app(library: Library, rules: Rules | None = None) -> FastAPI:
    """Make the application that serves one index.

    Parameters
    ----------
    library : Library
    rules : Rules, optional
        By default anybody on this machine may do everything.
    """
    rules = rules or Rules()
    service = Service(library)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        service.jobs.close()

    app = FastAPI(
        title="photosieve",
        version=version("photosieve"),
        summary="Ask for photos in words; get the photos that match, all of them and no others.",
        description=(
            "Photos are named by opaque ids. Errors are problem details (RFC 9457). With a token, "
            "send it as `Authorization: Bearer TOKEN`."
        ),
        docs_url=None,  # those pages load their scripts from elsewhere
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.service, app.state.rules = service, rules
    app.include_router(api.router)
    app.include_router(learning.router)
    app.include_router(pages.router)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    problems.install(app, lambda: _folders(library))
    _measure(app, service)
    app.add_middleware(Guard, rules=rules)
    return app


def _folders(library: Library) -> Iterator[str]:
    """Places that no answer names."""
    yield from (str(library.state), str(library.sieve_folder), str(Path(library.address).resolve()))
    yield from {group.root for group in library.view().snapshot.groups}


def _measure(app: FastAPI, service: Service) -> None:
    """Count and time requests, and show the figures at /metrics."""
    registry = CollectorRegistry()
    requests = Counter(
        "photosieve_requests",
        "Requests by endpoint and status.",
        ("endpoint", "status"),
        registry=registry,
    )
    seconds = Histogram(
        "photosieve_request_seconds",
        "Time that answers took.",
        ("endpoint",),
        registry=registry,
        buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 1, 2.5, 5, 10),
    )
    photos = Gauge("photosieve_photos", "Photos in the index.", registry=registry)
    labels = Gauge("photosieve_labels", "Labels that the sieve was trained on.", registry=registry)
    training = Gauge("photosieve_training", "Whether a training is under way.", registry=registry)

    @app.middleware("http")
    async def measure(request: Request, call: Callable[[Request], Awaitable[Response]]) -> Response:
        started = time.perf_counter()
        status = 500
        try:
            response = await call(request)
            status = response.status_code
            return response
        finally:
            route = request.scope.get("route")
            name = getattr(route, "path", "other")  # never a path as sent: they are endless
            requests.labels(name, str(status)).inc()
            seconds.labels(name).observe(time.perf_counter() - started)

    @app.get(
        "/metrics",
        tags=["operation"],
        summary="Figures for Prometheus",
        response_class=Response,
        responses={200: {"content": {"text/plain": {}}}},
    )
    def metrics() -> Response:
        """Return requests, times and the size of the collection in Prometheus's text format."""
        view, newest = service.library.view(), service.jobs.newest
        photos.set(len(view.snapshot))
        labels.set(len(view.sieve.labels))
        training.set(newest is not None and newest.state == "running")
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)


def openapi(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document as plain JSON values."""
    document: dict[str, Any] = json.loads(json.dumps(app.openapi()))
    return document
