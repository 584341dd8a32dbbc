"""Photos that a file names by paths and addresses of other machines."""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Self
from urllib.parse import parse_qs, unquote, urlsplit

from photosieve.data.folders import PhotoFile, walk

_UPLOADED = re.compile(r"[0-9a-f]{8}-(?=.)")
"""Label Studio puts such a prefix before the names of uploaded files."""


class PhotoNames:
    """Photos that are found by the ends of their paths.

    Parameters
    ----------
    paths : iterable of str
        Below one folder, with "/" between the parts.
    """

    def __init__(self, paths: Iterable[str]) -> None:
        self._by_end: dict[str, str] = {}
        """The path with each end; "" where several paths have it."""
        paths = list(paths)
        for path in paths:
            end = path
            while end:
                self._by_end[end] = "" if end in self._by_end else path
                end = end.partition("/")[2]
        self._by_end |= {path: path for path in paths}  # a whole path is its own

    @classmethod
    def below(cls, folder: Path) -> Self:
        """Return the photos below a folder."""
        return cls(item.path for item in walk(folder) if isinstance(item, PhotoFile))

    def find(self, reference: str) -> str:
        """Return the path of the photo that a path or an address names.

        Without such a photo, or with several that fit, the name is returned for which a reader will
        say that it does not exist, or that it leads outside.
        """
        address = None
        if re.match(r"\w\w+://|/", reference):
            with suppress(ValueError):  # it only looks like an address
                address = urlsplit(reference)
                reference = unquote(parse_qs(address.query).get("d", [address.path])[0])
        parts = [part for part in reference.replace("\\", "/").split("/") if part not in ("", ".")]
        if not parts or ".." in parts:
            return reference
        for name in (parts[-1], _UPLOADED.sub("", parts[-1], count=1)):
            for start in range(len(parts)):
                if path := self._by_end.get("/".join([*parts[start:-1], name])):
                    return path
        return parts[-1] if address else "/".join(parts)
