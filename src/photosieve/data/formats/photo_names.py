"""Photos that a file names by paths and addresses of other machines."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from photosieve.data.folders import PhotoFile, walk

_UPLOADED = re.compile(r"[0-9a-f]{8}-(?=.)")
"""Label Studio puts such a prefix before the names of uploaded files."""


class PhotoNames:
    """The photos below a folder, found by the ends of their paths."""

    def __init__(self, folder: Path) -> None:
        paths = [item.path for item in walk(folder) if isinstance(item, PhotoFile)]
        self._paths = set(paths)
        self._by_name: defaultdict[str, list[str]] = defaultdict(list)
        for path in paths:
            self._by_name[path.rpartition("/")[2]].append(path)

    def find(self, reference: str) -> str:
        """Return the path of the photo that a path or an address names.

        Without such a photo, or with several that fit equally well, the name is returned for which
        a reader will say that it does not exist, or that it leads outside.
        """
        address = urlsplit(reference) if re.match(r"\w\w+://|/", reference) else None
        if address:
            reference = unquote(parse_qs(address.query).get("d", [address.path])[0])
        parts = [part for part in reference.replace("\\", "/").split("/") if part not in ("", ".")]
        if not parts or ".." in parts:
            return reference
        for name in (parts[-1], _UPLOADED.sub("", parts[-1], count=1)):
            ends = ["/".join([*parts[start:-1], name]) for start in range(len(parts))]
            for end in ends:
                if end in self._paths:
                    return end
                fitting = [p for p in self._by_name[name] if p.endswith("/" + end)]
                if len(fitting) == 1:
                    return fitting[0]
        return parts[-1] if address else "/".join(parts)
