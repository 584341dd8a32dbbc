"""Middleware that checks every request first: host, origin, token, size and rate."""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie

from fastapi import HTTPException
from itsdangerous import BadData, TimestampSigner
from limits import RateLimitItem, RateLimitItemPerMinute, RateLimitItemPerSecond
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from photosieve.server.problems import problem_response

COOKIE = "photosieve"
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
OPEN = ("/login", "/health", "/static/")
"""Paths that need no token."""

LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})

COSTLY = {"login": "/login", "photo": "/search/photo", "train": "/train"}
"""Paths with a limit of their own: they cost work, or invite guessing."""

LIMITS: Mapping[str, RateLimitItem] = {
    "login": RateLimitItemPerMinute(10),
    "photo": RateLimitItemPerMinute(60),
    "train": RateLimitItemPerMinute(10),
    "all": RateLimitItemPerSecond(1000, 5),
}
"""Requests that one client address may make, in all and to each costly path."""

MAX_JSON = 1_000_000
"""Bytes of a request's body, except for uploads of photos."""

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


@dataclass(frozen=True)
class Rules:
    """Permissions and limits of a server.

    Parameters
    ----------
    token : str or None
        Secret that every client sends; None only for a server that this machine alone can reach.
    read_only : bool
        Whether labels and sieve cannot be changed.
    hosts : frozenset of str
        Names of this server, beside numeric addresses and the names of this machine.
    max_upload : int
        Bytes of an uploaded photo.
    max_at_once : int
        Requests that are answered at the same time; others get 429.
    max_seconds : float
        Longest time for an answer, except for streams of events.
    session_seconds : int
        Lifetime of a login.
    limits : mapping of str to RateLimitItem
        Requests that one client address may make: "all", and each key of `COSTLY`.
    """

    token: str | None = None
    read_only: bool = False
    hosts: frozenset[str] = field(default_factory=frozenset)
    max_upload: int = 30_000_000
    max_at_once: int = 64
    max_seconds: float = 60.0
    session_seconds: int = 30 * 24 * 3600
    limits: Mapping[str, RateLimitItem] = field(default_factory=lambda: LIMITS)

    def signer(self) -> TimestampSigner:
        """Return the signer of login cookies."""
        return TimestampSigner(self.token or "", salt="photosieve login")

    def accepts(self, token: str) -> bool:
        """Whether a token is the right one."""
        return hmac.compare_digest(token.encode(), (self.token or "").encode())


class Guard:
    """Middleware: refuses forbidden requests, and adds security headers to every answer.

    Parameters
    ----------
    app : ASGI application
    rules : Rules
    """

    def __init__(self, app: ASGIApp, rules: Rules) -> None:
        self.app, self.rules = app, rules
        self._limiter = FixedWindowRateLimiter(MemoryStorage())
        self._active = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        sent = False

        async def with_headers(message: Message) -> None:
            nonlocal sent
            if message["type"] == "http.response.start":
                sent = True
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        answer = self._refusal(scope)
        if answer is None and self._active >= self.rules.max_at_once:
            answer = problem_response(
                429, "too many requests at once; try again in a second", retry=1
            )
        if answer is None:
            answer = await self._pass_on(scope, receive, with_headers)
        if answer is not None and not sent:
            await answer(scope, receive, with_headers)

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send) -> ASGIApp | None:
        """Let the application answer; return another answer if it takes too long."""
        seconds = None if scope["path"].endswith("/events") else self.rules.max_seconds
        self._active += 1
        try:
            async with asyncio.timeout(seconds):
                await self.app(scope, self._capped(scope, receive), send)
        except TimeoutError:
            return problem_response(503, "this took too long; try again", retry=5)
        finally:
            self._active -= 1
        return None

    def _refusal(self, scope: Scope) -> ASGIApp | None:
        """Return the answer to a forbidden request; None for an allowed one."""
        headers, path, method = Headers(scope=scope), scope["path"], scope["method"]
        host = headers.get("host", "")
        if not self._is_own_name(host):
            return problem_response(421, "this server has another name; see --allow-host")
        if retry := self._wait_seconds(scope, path, method):
            return problem_response(429, f"too many requests; try again in {retry} s", retry=retry)
        origin, site = headers.get("origin"), headers.get("sec-fetch-site")
        foreign = (origin is not None and origin.partition("://")[2] != host) or site in (
            "cross-site",
            "same-site",
        )
        navigates = headers.get("sec-fetch-mode") == "navigate" and method == "GET"
        if foreign and not navigates:
            return problem_response(403, "requests from another site's page are refused")
        public = path.startswith(OPEN)
        if self.rules.token is not None and not public and not self._has_token(headers):
            if method == "GET" and "text/html" in headers.get("accept", ""):
                return RedirectResponse("/login", 303)
            return problem_response(
                401, "a token is needed: send Authorization: Bearer TOKEN, or log in at /login"
            )
        changes = method not in SAFE and path not in ("/login", "/logout", "/search/photo")
        if changes and self.rules.read_only:
            return problem_response(403, "this server is read-only")
        length = headers.get("content-length", "0")
        if length.isdigit() and int(length) > self._max_bytes(path):
            return problem_response(
                413, f"the request has {length} bytes; {self._max_bytes(path)} are allowed"
            )
        return None

    def _max_bytes(self, path: str) -> int:
        # A form has some bytes beside its photo.
        return self.rules.max_upload + 10_000 if path == "/search/photo" else MAX_JSON

    def _is_own_name(self, host: str) -> bool:
        """Whether a Host header names this server; other names may be DNS rebinding."""
        name = host.rpartition("]")[0].lstrip("[") if host.startswith("[") else host.split(":")[0]
        if name.lower() in LOCAL_NAMES | self.rules.hosts:
            return True
        if self.rules.token is None:
            return False
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True

    def _has_token(self, headers: Headers) -> bool:
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return self.rules.accepts(token.strip())
        try:
            morsel = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
            if morsel is None:
                return False
            self.rules.signer().unsign(morsel.value, max_age=self.rules.session_seconds)
        except (BadData, CookieError):
            return False
        return True

    def _wait_seconds(self, scope: Scope, path: str, method: str) -> int:
        """Seconds until the client may send the request; 0 for now."""
        address = (scope.get("client") or ("",))[0]
        costly = [kind for kind, place in COSTLY.items() if method == "POST" and path == place]
        for kind in ("all", *costly):
            limit = self.rules.limits[kind]
            if not self._limiter.hit(limit, kind, address):
                reset = self._limiter.get_window_stats(limit, kind, address).reset_time
                return max(1, int(reset - time.time()) + 1)
        return 0

    def _capped(self, scope: Scope, receive: Receive) -> Receive:
        """Count the bytes of a body, which may be longer than its content-length."""
        most, received = self._max_bytes(scope["path"]), 0

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > most:
                raise HTTPException(413, "the request is larger than it may be")
            return message

        return counted
