"""One request and its answer, within the limits that all requests share.

Slow clients take nothing from others: a request holds a slot from the end of its
body to the start of its answer.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from photosieve.server.addresses import own_path
from photosieve.server.problems import ApiError


@dataclass
class Capacity:
    """Limits of all requests together.

    Parameters
    ----------
    at_once : int
        Requests that hold a slot.
    bodies : int
        Bytes of the bodies of requests without an answer. One more ends the oldest request.
    """

    at_once: int
    bodies: int
    taken: int = 0
    held: dict[asyncio.Timeout, int] = field(default_factory=dict)
    """Bytes that each request holds, the oldest first."""


class Exchange:
    """One request and its answer.

    Parameters
    ----------
    scope : Scope
    capacity : Capacity
    max_bytes : int
        Of the body.
    max_seconds : float
        Until the answer starts.
    """

    def __init__(
        self, scope: Scope, capacity: Capacity, *, max_bytes: int, max_seconds: float
    ) -> None:
        self._scope, self._capacity, self._max_bytes = scope, capacity, max_bytes
        self._clock = asyncio.timeout(max_seconds)
        self._needs_slot = own_path(scope) != "/health"
        self._has_slot = False

    async def run(self, app: ASGIApp, receive: Receive, send: Send) -> None:
        """Let the application answer.

        Raises
        ------
        ApiError
            If no slot is free, or the answer does not start in time.
        """

        async def counted() -> Message:
            message = await receive()
            if message["type"] == "http.request":
                self._count(message)
            return message

        async def started(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._give_slot()
                self._needs_slot = False  # what the client still sends does not matter
                self._clock.reschedule(None)
            await send(message)

        headers = Headers(scope=self._scope)
        if headers.get("content-length", "0") == "0" and "transfer-encoding" not in headers:
            self._take_slot()
        try:
            async with self._clock:
                await app(self._scope, counted, started)
        except TimeoutError:
            raise ApiError(503, "this took too long; try again", retry=5) from None
        finally:
            self._give_slot()
            self._capacity.held.pop(self._clock, None)

    def _count(self, message: Message) -> None:
        """Count a part of the body, which may be longer than its content-length."""
        held = self._capacity.held
        held[self._clock] = held.get(self._clock, 0) + len(message.get("body", b""))
        if held[self._clock] > self._max_bytes:
            raise ApiError(413, "the request is larger than it may be")
        if sum(held.values()) > self._capacity.bodies:
            next(iter(held)).reschedule(asyncio.get_running_loop().time())
        if not message.get("more_body", False):
            self._take_slot()

    def _take_slot(self) -> None:
        if self._has_slot or not self._needs_slot:
            return
        if self._capacity.taken >= self._capacity.at_once:
            raise ApiError(429, "too many requests at once; try again in a second", retry=1)
        self._capacity.taken += 1
        self._has_slot = True

    def _give_slot(self) -> None:
        self._capacity.taken -= self._has_slot
        self._has_slot = False
