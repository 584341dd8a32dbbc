"""Middleware that checks every request first: host, origin, token, size and rate."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field

from limits import RateLimitItem, RateLimitItemPerMinute, RateLimitItemPerSecond
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from photosieve.server.addresses import address, own_path
from photosieve.server.credentials import Credentials, Limiter, peer
from photosieve.server.exchange import Capacity, Exchange
from photosieve.server.problems import ApiError, problem_response

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
OPEN = ("/login", "/health", "/static/")
"""Paths that need no token."""

LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})

COSTLY = {"/search/photo": "photo", "/train": "train", "/photos": "upload"}
"""Paths with a limit of their own, as they cost work."""

LIMITS: Mapping[str, RateLimitItem] = {
    "token": RateLimitItemPerMinute(10),
    "cookie": RateLimitItemPerMinute(100),
    "photo": RateLimitItemPerMinute(60),
    "train": RateLimitItemPerMinute(10),
    "upload": RateLimitItemPerMinute(600),
    "all": RateLimitItemPerSecond(1000, 5),
}
"""For one client address: wrong tokens and cookies, requests to costly paths, and all requests."""

MAX_JSON = 1_000_000
"""Bytes of a request's body, except for files."""

MAX_LABELS = 5_000_000
"""Bytes of a file of labels."""

MAX_FORM = 10_000
"""Bytes of the login form, and of the form around an uploaded photo."""

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
        Requests that are worked on at the same time, from the end of the request to the start of
        its answer; others get 429.
    max_bodies : int
        Bytes of bodies that are held at the same time. One more ends the oldest request.
    max_seconds : float
        Longest time until an answer starts.
    session_seconds : int
        Lifetime of a login.
    limits : mapping of str to RateLimitItem
        For one client address: see `LIMITS`.
    """

    token: str | None = None
    read_only: bool = False
    hosts: frozenset[str] = field(default_factory=frozenset)
    max_upload: int = 20_000_000
    max_at_once: int = 64
    max_bodies: int = 60_000_000
    max_seconds: float = 60.0
    session_seconds: int = 30 * 24 * 3600
    limits: Mapping[str, RateLimitItem] = field(default_factory=lambda: LIMITS)


class Guard:
    """Middleware: refuses forbidden requests, and adds security headers to every answer.

    Parameters
    ----------
    app : ASGI application
    rules : Rules
    credentials : Credentials
    limiter : Limiter
        With the limits of the rules.
    """

    def __init__(
        self, app: ASGIApp, rules: Rules, credentials: Credentials, limiter: Limiter
    ) -> None:
        self.app, self.rules = app, rules
        self._credentials, self._limiter = credentials, limiter
        self._capacity = Capacity(rules.max_at_once, rules.max_bodies)

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

        try:
            answer = self._refusal(scope)
            if answer is None:
                exchange = Exchange(
                    scope,
                    self._capacity,
                    max_bytes=self._max_bytes(own_path(scope)),
                    max_seconds=self.rules.max_seconds,
                )
                await exchange.run(self.app, receive, with_headers)
        except ApiError as error:
            answer = error.response()
        if answer is not None and not sent:
            await answer(scope, receive, with_headers)

    def _refusal(self, scope: Scope) -> ASGIApp | None:
        """Return the answer to a forbidden request; None for an allowed one."""
        headers, path, method = Headers(scope=scope), own_path(scope), scope["method"]
        host = headers.get("host", "")
        if not self._is_own_name(host):
            return problem_response(421, "this server has another name; see --allow-host")
        if path != "/health":
            self._count(scope, path, method)
        origin, site = headers.get("origin"), headers.get("sec-fetch-site")
        foreign = (origin is not None and origin.partition("://")[2] != host) or site in (
            "cross-site",
            "same-site",
        )
        navigates = headers.get("sec-fetch-mode") == "navigate" and method == "GET"
        if foreign and not navigates:
            return problem_response(403, "requests from another site's page are refused")
        public = path.startswith(OPEN)
        if not public and not self._credentials.allows(scope):
            if method == "GET" and "text/html" in headers.get("accept", ""):
                return RedirectResponse(address(scope, "/login"), 303)
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
        if path == "/labels/import":
            return MAX_LABELS + MAX_FORM
        if path in ("/search/photo", "/photos"):
            return self.rules.max_upload + MAX_FORM
        return MAX_FORM if path == "/login" else MAX_JSON

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

    def _count(self, scope: Scope, path: str, method: str) -> None:
        kinds = ["all"]
        if method == "POST" and path in COSTLY:
            kinds.append(COSTLY[path])
        for kind in kinds:
            if wait := self._limiter.count(kind, peer(scope)):
                raise ApiError(429, f"too many requests; try again in {wait} s", retry=wait)
