"""What every request passes before anything else looks at it: who asks, from where, how often."""

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

from photosieve.server.problems import problem

COOKIE = "photosieve"
SESSION_SECONDS = 30 * 24 * 3600
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
OPEN = ("/login", "/health", "/static/")
"""Where nobody has to say who they are."""

LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})

COSTLY = {"login": "/login", "photo": "/search/photo", "train": "/train"}
"""What takes work, or should not be tried at will, and where it is."""

LIMITS: Mapping[str, RateLimitItem] = {
    "login": RateLimitItemPerMinute(10),
    "photo": RateLimitItemPerMinute(60),
    "train": RateLimitItemPerMinute(10),
    "all": RateLimitItemPerSecond(1000, 5),
}
"""Requests that one client address may make: all together, and to what takes work."""

MOST_AT_ONCE = 64
"""Requests that are answered at the same time; others are asked to come back."""

SECONDS = 60.0
"""A request that takes longer is given up; streams of events are not."""

MOST_JSON = 1_000_000
"""Bytes of a request's body, but for uploads of photos."""

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
    """Who may do what.

    Parameters
    ----------
    token : str or None
        What everybody has to know; None on this machine alone.
    read_only : bool
        Whether nothing can be changed.
    hosts : frozenset of str
        Names that this server goes by, beside addresses in numbers and those of this machine.
    max_upload : int
        Bytes of an uploaded photo.
    """

    token: str | None = None
    read_only: bool = False
    hosts: frozenset[str] = field(default_factory=frozenset)
    max_upload: int = 30_000_000

    def signer(self) -> TimestampSigner:
        """Return what signs and checks the cookie of a login."""
        return TimestampSigner(self.token or "", salt="photosieve login")

    def knows(self, token: str) -> bool:
        """Whether a token is the right one."""
        return hmac.compare_digest(token.encode(), (self.token or "").encode())


class Guard:
    """Middleware: refuses what should not come through, and adds the headers of every answer.

    Parameters
    ----------
    app : ASGI application
    rules : Rules
    """

    def __init__(self, app: ASGIApp, rules: Rules) -> None:
        self.app, self.rules = app, rules
        self._limiter = FixedWindowRateLimiter(MemoryStorage())
        self._under_way = 0

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
        if answer is None and self._under_way >= MOST_AT_ONCE:
            answer = problem(429, "too many requests at once; try again in a second", retry=1)
        if answer is None:
            answer = await self._pass_on(scope, receive, with_headers)
        if answer is not None and not sent:
            await answer(scope, receive, with_headers)

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send) -> ASGIApp | None:
        """Let the application answer; return what to say if it could not."""
        seconds = None if scope["path"].endswith("/events") else SECONDS
        self._under_way += 1
        try:
            async with asyncio.timeout(seconds):
                await self.app(scope, self._capped(scope, receive), send)
        except TimeoutError:
            return problem(503, "this took too long; try again", retry=5)
        finally:
            self._under_way -= 1
        return None

    def _refusal(self, scope: Scope) -> ASGIApp | None:
        """What to answer instead, if the request may not come through."""
        headers, path, method = Headers(scope=scope), scope["path"], scope["method"]
        host = headers.get("host", "")
        if not self._is_ours(host):
            return problem(421, "this server does not go by that name; see --allow-host")
        if retry := self._too_often(scope, path, method):
            return problem(429, f"too many requests; try again in {retry} s", retry=retry)
        origin, site = headers.get("origin"), headers.get("sec-fetch-site")
        foreign = (origin is not None and origin.partition("://")[2] != host) or site in (
            "cross-site",
            "same-site",
        )
        navigates = headers.get("sec-fetch-mode") == "navigate" and method == "GET"
        if foreign and not navigates:
            return problem(403, "this came from another site's page, and is refused")
        public = path.startswith(OPEN)
        if self.rules.token is not None and not public and not self._is_known(headers):
            if method == "GET" and "text/html" in headers.get("accept", ""):
                return RedirectResponse("/login", 303)
            return problem(401, "say who you are: Authorization: Bearer TOKEN, or log in at /login")
        changes = method not in SAFE and path not in ("/login", "/logout", "/search/photo")
        if changes and self.rules.read_only:
            return problem(403, "this server is read-only")
        length = headers.get("content-length", "0")
        if length.isdigit() and int(length) > self._most(path):
            return problem(413, f"the request has {length} bytes; {self._most(path)} are allowed")
        return None

    def _most(self, path: str) -> int:
        # A form with a photo has some bytes beside it.
        return self.rules.max_upload + 10_000 if path == "/search/photo" else MOST_JSON

    def _is_ours(self, host: str) -> bool:
        """Whether a Host header names this server: other names may be DNS rebinding."""
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

    def _is_known(self, headers: Headers) -> bool:
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return self.rules.knows(token.strip())
        try:
            morsel = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
            if morsel is None:
                return False
            self.rules.signer().unsign(morsel.value, max_age=SESSION_SECONDS)
        except (BadData, CookieError):
            return False
        return True

    def _too_often(self, scope: Scope, path: str, method: str) -> int:
        """Seconds to wait; 0 if the client may go on."""
        address = (scope.get("client") or ("",))[0]
        costly = [kind for kind, place in COSTLY.items() if method == "POST" and path == place]
        for kind in ("all", *costly):
            if not self._limiter.hit(LIMITS[kind], kind, address):
                reset = self._limiter.get_window_stats(LIMITS[kind], kind, address).reset_time
                return max(1, int(reset - time.time()) + 1)
        return 0

    def _capped(self, scope: Scope, receive: Receive) -> Receive:
        """Count what comes in; a body may be longer than it says."""
        most, seen = self._most(scope["path"]), 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > most:
                raise HTTPException(413, "the request is larger than it may be")
            return message

        return counted
