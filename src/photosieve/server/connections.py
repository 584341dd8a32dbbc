"""Connections whose clients are slow, idle or too many: uvicorn has no limits for these."""

from __future__ import annotations

import asyncio
import logging
import resource
import time
from collections.abc import Sequence
from typing import Any, Literal

import h11
import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from photosieve.server.decoding import return_freed_memory

MAX_CONNECTIONS = 1000
"""Open connections, if the system allows as many files."""

FILES_PER_CONNECTION = 3
"""A connection may hold an upload and the file of an answer."""

OTHER_FILES = 256
"""Files that index, libraries and trainings have open."""

MAX_HEAD = 32_000
"""Bytes of a request's first line and headers."""

QUIET_SECONDS = 60
"""The same line of the log appears once in this time."""

Part = Literal["request", "body", "reading", "nothing"]

SECONDS: dict[Part, float] = {"request": 20, "body": 60, "reading": 30}
"""Longest time that a client may take: from the connection or the last answer to the end of the
next request's headers, for the body, and to read the next 50 kB of an answer."""

log = logging.getLogger("photosieve")


class Parser(h11.Connection):
    """Refuses bodies in chunks: chunks of one byte would keep the server busy with reading them."""

    def next_event(self) -> Any:
        """Return the next part of a request."""
        event = super().next_event()
        if isinstance(event, h11.Request):
            for name, _ in event.headers:
                if name == b"transfer-encoding":
                    raise h11.RemoteProtocolError("a body has no length")
        return event


class Connection(H11Protocol):
    """One connection, closed when its client is too slow.

    When there are too many, the one that has waited the longest for its client is closed, so that
    a new client always gets in.
    """

    most = MAX_CONNECTIONS
    seconds = SECONDS
    _timer: asyncio.TimerHandle | None = None
    _watched: tuple[Part, object] | None = None
    _since = 0.0

    @property
    def _awaited(self) -> Part:
        """The part that the client owes; nothing while the server owes an answer."""
        if self.flow.write_paused:
            return "reading"
        if self.cycle is None or (self.cycle.response_complete and not self.cycle.more_body):
            return "request"
        return "body" if self.cycle.more_body else "nothing"

    def _watch(self) -> None:
        """Start a timer when the client owes something new."""
        watched = self._awaited, self.cycle
        if watched == self._watched:
            return
        self._watched, self._since = watched, self.loop.time()
        if self._timer is not None:
            self._timer.cancel()
        seconds = self.seconds.get(watched[0])
        self._timer = self.loop.call_later(seconds, self.transport.abort) if seconds else None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Accept a connection; close another one if there are too many."""
        super().connection_made(transport)
        self.conn = Parser(h11.SERVER, MAX_HEAD)
        self._watch()
        if len(self.connections) > self.most:
            waiting = (
                one
                for one in self.connections
                if isinstance(one, Connection) and one._awaited != "nothing"
            )
            oldest = min(waiting, key=lambda one: one._since)
            self.connections.discard(oldest)
            oldest.transport.abort()
            log.warning("more than %d connections: the oldest idle ones are closed", self.most)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timer."""
        super().connection_lost(exc)
        if self._timer is not None:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        """Read a part of a request."""
        super().data_received(data)
        self._watch()

    def send_400_response(self, msg: str) -> None:
        """Refuse a request that is no proper HTTP."""
        super().send_400_response(f"{msg} A body needs a Content-Length.")

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        super().on_response_complete()
        self._watch()

    def pause_writing(self) -> None:
        """Wait until the client reads."""
        super().pause_writing()
        self._watch()

    def resume_writing(self) -> None:
        """Go on with an answer."""
        super().resume_writing()
        self._watch()


class OncePerMinute(logging.Filter):
    """Drops lines that the log had a moment ago: a flood of requests is one line."""

    def __init__(self) -> None:
        super().__init__()
        self._last: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to keep a line."""
        now, line = time.monotonic(), record.getMessage()
        self._last = {text: at for text, at in self._last.items() if now - at < QUIET_SECONDS}
        if line in self._last:
            return False
        self._last[line] = now
        return True


def most_connections() -> int:
    """Return how many connections the limit of open files allows, after raising that limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OTHER_FILES + FILES_PER_CONNECTION * MAX_CONNECTIONS
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    files = wanted if soft == resource.RLIM_INFINITY else soft
    return max(10, min(MAX_CONNECTIONS, (files - OTHER_FILES) // FILES_PER_CONNECTION))


def make_server(app: FastAPI, proxies: Sequence[str] = (), root_path: str = "") -> uvicorn.Server:
    """Return a server that keeps the limits of this module.

    Parameters
    ----------
    app : FastAPI
    proxies : sequence of str
        Addresses of proxies that are believed about the addresses of their clients.
    root_path : str
        Path that a proxy takes off before it passes a request on, such as `/photos`.
    """
    Connection.most = most_connections()
    return_freed_memory()
    config = uvicorn.Config(
        app,
        http=Connection,
        ws="none",
        proxy_headers=bool(proxies),
        forwarded_allow_ips=list(proxies),
        root_path=root_path,
        log_level="warning",
        server_header=False,
        timeout_keep_alive=int(SECONDS["request"]),
        timeout_graceful_shutdown=3,
        backlog=100,  # taken at once, before the first of them can be closed
    )
    for name in ("photosieve", "uvicorn.error", "asyncio"):
        logging.getLogger(name).addFilter(OncePerMinute())
    return uvicorn.Server(config)
