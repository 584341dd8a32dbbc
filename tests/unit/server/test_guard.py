"""The guard before a slow application."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable

import pytest
from limits import RateLimitItemPerMinute
from starlette.responses import PlainTextResponse
from starlette.types import Message, Receive, Scope, Send

from photosieve.server.credentials import Credentials, Limiter
from photosieve.server.guard import LIMITS, Guard, Rules

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


def guarded(wait: Callable[[], Awaitable[object]], rules: Rules | None = None) -> Guard:
    """A guard before an application that waits, and then answers 200."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await wait()
        await PlainTextResponse("well")(scope, receive, send)

    rules = rules or Rules()
    limiter = Limiter(rules.limits)
    return Guard(app, rules, Credentials(rules.token, rules.session_seconds, limiter), limiter)


def test_so_many_requests_are_answered_at_once() -> None:
    async def play() -> None:
        gate = asyncio.Event()
        server = guarded(gate.wait, Rules(max_at_once=3))
        waiting = [asyncio.create_task(ask(server)) for _ in range(3)]
        await asyncio.sleep(0)
        status, headers = await ask(server)
        assert (status, headers["retry-after"]) == (429, "1")
        gate.set()
        assert [status for status, _ in await asyncio.gather(*waiting)] == [200] * 3
        assert (await ask(server))[0] == 200  # there is room again

    asyncio.run(play())


def test_slow_answers_are_given_up() -> None:
    async def play() -> None:
        server = guarded(lambda: asyncio.sleep(0.05), Rules(max_seconds=0.01))
        status, headers = await ask(server)
        assert (status, headers["retry-after"]) == (503, "5")
        assert headers["x-content-type-options"] == "nosniff"
        assert (await ask(server))[0] == 503  # a request that was given up takes no room

    asyncio.run(play())


def test_each_address_has_its_own_limit() -> None:
    rules = Rules(limits={**LIMITS, "all": RateLimitItemPerMinute(2)})

    async def play() -> None:
        server = guarded(lambda: asyncio.sleep(0), rules)
        assert [(await ask(server))[0] for _ in range(3)] == [200, 200, 429]
        assert (await ask(server, address="10.0.0.2"))[0] == 200

    asyncio.run(play())


def test_answers_are_not_stored_unless_they_say_so() -> None:
    async def play() -> None:
        _, headers = await ask(guarded(lambda: asyncio.sleep(0)))
        assert headers["cache-control"] == "no-store"

    asyncio.run(play())


def test_a_request_starts_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[threading.Thread] = []
    monkeypatch.setattr(threading.Thread, "start", started.append)

    async def play() -> None:
        server = guarded(lambda: asyncio.sleep(0))
        assert [(await ask(server))[0] for _ in range(5)] == [200] * 5

    asyncio.run(play())
    assert not started


def test_a_limit_ends_and_its_address_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    limiter = Limiter({"all": RateLimitItemPerMinute(2)})
    assert [limiter.count("all", "a") for _ in range(3)] == [0, 0, 61]
    now += 50
    assert (limiter.check("all", "a"), limiter.check("all", "b")) == (11, 0)
    assert limiter.count("all", "b") == 0
    now += 10
    assert (limiter.check("all", "a"), limiter.count("all", "c")) == (0, 0)
    assert list(limiter._windows["all"]) == ["b", "c"]
