"""The token and the sessions of those who sent it, and how often an address may be wrong."""

from __future__ import annotations

import hmac
import ipaddress
import secrets
import threading
import time
from collections.abc import Mapping

from limits import RateLimitItem
from starlette.datastructures import Headers
from starlette.types import Scope

from photosieve.server.problems import ApiError

MAX_SESSIONS = 1000
"""Logins at the same time; one more ends the oldest."""


def cookie_name(scope: Scope) -> str:
    """Return the name of the cookie: browsers share cookies between the ports of a host."""
    return f"photosieve-{(scope.get('server') or ('', 0))[1]}"


def peer(scope: Scope) -> str:
    """Return the address of a client; one of IPv6 is its network, all of which is one client's."""
    address = str((scope.get("client") or ("",))[0])
    try:
        number = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(number, ipaddress.IPv6Address) and number.ipv4_mapped is None:
        return str(ipaddress.ip_network((int(number) >> 64 << 64, 64)))
    return str(getattr(number, "ipv4_mapped", None) or number)


class Limiter:
    """Counts by address, in windows that begin with the first event of an address.

    The counts of the `limits` package start a thread for most events.

    Parameters
    ----------
    limits : mapping of str to RateLimitItem
        For each kind of event, how many of them an address may cause.
    """

    def __init__(self, limits: Mapping[str, RateLimitItem]) -> None:
        self._limits = limits
        self._lock = threading.Lock()
        self._windows: dict[str, dict[str, tuple[float, int]]] = {kind: {} for kind in limits}
        """The end and the count of each address's window, the one that ends first at the front."""

    def count(self, kind: str, address: str) -> int:
        """Count an event; return the seconds until the next may come, 0 for now."""
        limit, windows = self._limits[kind], self._windows[kind]
        with self._lock:
            now = time.monotonic()
            while windows and (first := next(iter(windows.items())))[1][0] <= now:
                del windows[first[0]]
            end, count = windows.get(address, (now + limit.get_expiry(), 0))
            windows[address] = end, count + 1
        return _wait(end, now) if count >= limit.amount else 0

    def check(self, kind: str, address: str) -> int:
        """Return the seconds until an event may come, 0 for now."""
        now = time.monotonic()
        end, count = self._windows[kind].get(address, (now, 0))
        return _wait(end, now) if end > now and count >= self._limits[kind].amount else 0


def _wait(end: float, now: float) -> int:
    return max(1, int(end - now) + 1)


class Credentials:
    """Decides whether a request comes from somebody who knows the token.

    Sessions are kept in memory: a logout ends one for good, and a restart ends all.

    Parameters
    ----------
    token : str or None
        None lets everybody in.
    session_seconds : int
    limiter : Limiter
        With the kinds "token" and "cookie".
    """

    def __init__(self, token: str | None, session_seconds: int, limiter: Limiter) -> None:
        self._token = token
        self._session_seconds = session_seconds
        self._limiter = limiter
        self._sessions: dict[str, float] = {}
        self._lock = threading.Lock()

    def accept(self, token: bytes, address: str) -> bool:
        """Return whether a token is the right one.

        Raises
        ------
        ApiError
            If the address sent too many wrong ones: then it is not looked at.
        """
        if self._token is None:
            return True
        with self._lock:  # tries at the same time are counted one by one
            self._refuse_many("token", address)
            right = hmac.compare_digest(token, self._token.encode())
            if not right:
                self._limiter.count("token", address)
            return right

    def allows(self, scope: Scope) -> bool:
        """Return whether a request has the token, or the cookie of a session.

        Raises
        ------
        ApiError
            If its address sent too many wrong ones.
        """
        if self._token is None:
            return True
        scheme, _, token = Headers(scope=scope).get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return self.accept(token.strip().encode("latin-1"), peer(scope))
        cookies = _cookies(scope)
        if any(self._sessions.get(value, 0) > time.time() for value in cookies):
            return True
        if cookies:
            self._refuse_many("cookie", peer(scope))
            self._limiter.count("cookie", peer(scope))
        return False

    def log_in(self) -> str:
        """Begin a session, and return the value of its cookie."""
        now, value = time.time(), secrets.token_urlsafe(32)
        with self._lock:
            live = {one: end for one, end in self._sessions.items() if end > now}
            live[value] = now + self._session_seconds
            self._sessions = dict(list(live.items())[-MAX_SESSIONS:])
        return value

    def log_out(self, scope: Scope) -> None:
        """End the session of a request."""
        with self._lock:
            for value in _cookies(scope):
                self._sessions.pop(value, None)

    def _refuse_many(self, kind: str, address: str) -> None:
        if wait := self._limiter.check(kind, address):
            raise ApiError(429, f"too many wrong tokens; try again in {wait} s", retry=wait)


def _cookies(scope: Scope) -> list[str]:
    """Values of our cookie; those of other programs may break every rule and are skipped."""
    text = ";".join(Headers(scope=scope).getlist("cookie"))
    pairs = (part.partition("=") for part in text.split(";"))
    return [value.strip() for name, _, value in pairs if name.strip() == cookie_name(scope)]
