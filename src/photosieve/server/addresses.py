"""Addresses of a server whose proxy serves it below a path, such as `/photos`.

As ASGI has it, `root_path` is that path, and `path` begins with it. Addresses in pages and scripts
are relative, without a slash in front, so that they need neither.
"""

from __future__ import annotations

from starlette.types import Scope


def address(scope: Scope, path: str) -> str:
    """Return the address that clients use for a path of this server."""
    return f"{scope.get('root_path', '')}{path}"


def own_path(scope: Scope) -> str:
    """Return the path of a request as the routes of this server have it."""
    return str(scope["path"]).removeprefix(scope.get("root_path", ""))
