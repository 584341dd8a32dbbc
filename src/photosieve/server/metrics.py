"""Counts and times of requests, for Prometheus."""

from __future__ import annotations

import time

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Figures:
    """Counters of one server."""

    def __init__(self) -> None:
        own = self.registry = CollectorRegistry()
        self.requests = Counter(
            "photosieve_requests",
            "Requests by endpoint and status.",
            ("endpoint", "status"),
            registry=own,
        )
        self.seconds = Histogram(
            "photosieve_request_seconds",
            "Time that answers took.",
            ("endpoint",),
            registry=own,
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 1, 2.5, 5, 10),
        )
        self.photos = Gauge("photosieve_photos", "Photos in the index.", registry=own)
        self.labels = Gauge("photosieve_labels", "Labels that the sieve knows.", registry=own)
        self.training = Gauge("photosieve_training", "Whether it is learning.", registry=own)

    def text(self) -> bytes:
        """Return all figures in Prometheus's text format."""
        return generate_latest(self.registry)


class Measure:
    """Middleware: counts and times requests.

    Parameters
    ----------
    app : ASGI application
    figures : Figures
    """

    def __init__(self, app: ASGIApp, figures: Figures) -> None:
        self.app, self.figures = app, figures

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started, status = time.perf_counter(), 500

        async def with_status(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, with_status)
        finally:
            # The route, not the path as it was sent: the number of paths has no limit.
            name = getattr(scope.get("route"), "path", "other")
            self.figures.requests.labels(name, str(status)).inc()
            self.figures.seconds.labels(name).observe(time.perf_counter() - started)
