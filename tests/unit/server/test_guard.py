"""What the guard does whatever the application behind it: one that takes its time."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from limits import RateLimitItemPerMinute
from starlette.responses import PlainTextResponse
from starlette.types import Message, Receive, Scope, Send

from photosieve.server import guard
from photosieve.server.guard import Guard, Rules

Answer = tuple[int, dict[str, str]]


async def ask(guarded: Guard, path: str = "/search", address: str = "10.0.0.1") -> Answer:
    """Send a request of this machine; return status and headers."""
    found: list[Answer] = []
    scope: Scope = {
        "type": "http", "method": "GET", "path": path, "query_string": b"",
        "headers": [(b"host", b"localhost")], "client": (address, 1),
    }  # fmt: skip

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = {name.decode(): value.decode() for name, value in message["headers"]}
            found.append((message["status"], headers))

    await guarded(scope, receive, send)
    (answer,) = found
    return answer


def guarded(wait: Callable[[], Awaitable[object]]) -> Guard:
    """A guard before an application that waits, and says that all is well."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await wait()
        await PlainTextResponse("well")(scope, receive, send)

    return Guard(app, Rules())


def test_so_many_requests_are_answered_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "MOST_AT_ONCE", 3)

    async def play() -> None:
        gate = asyncio.Event()
        server = guarded(gate.wait)
        waiting = [asyncio.create_task(ask(server)) for _ in range(3)]
        await asyncio.sleep(0)
        status, headers = await ask(server)
        assert (status, headers["retry-after"]) == (429, "1")
        gate.set()
        assert [status for status, _ in await asyncio.gather(*waiting)] == [200] * 3
        assert (await ask(server))[0] == 200  # there is room again

    asyncio.run(play())


def test_what_takes_too_long_is_given_up_but_for_events(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "SECONDS", 0.01)

    async def play() -> None:
        server = guarded(lambda: asyncio.sleep(0.05))
        status, headers = await ask(server)
        assert (status, headers["retry-after"]) == (503, "5")
        assert headers["x-content-type-options"] == "nosniff"
        assert (await ask(server, "/jobs/1/events"))[0] == 200
        assert (await ask(server))[0] == 503  # what was given up is not under way any more

    asyncio.run(play())


def test_each_address_has_its_own_measure(monkeypatch: pytest.MonkeyPatch) -> None:
    few = RateLimitItemPerMinute(2)
    monkeypatch.setattr(guard, "LIMITS", {**guard.LIMITS, "all": few})

    async def play() -> None:
        server = guarded(lambda: asyncio.sleep(0))
        assert [(await ask(server))[0] for _ in range(3)] == [200, 200, 429]
        assert (await ask(server, address="10.0.0.2"))[0] == 200

    asyncio.run(play())


def test_answers_are_not_stored_unless_they_say_so() -> None:
    async def play() -> None:
        _, headers = await ask(guarded(lambda: asyncio.sleep(0)))
        assert headers["cache-control"] == "no-store"

    asyncio.run(play())
