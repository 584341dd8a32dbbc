"""The cache folder as a whole: what is in it, its limit, and what is removed first.

Everything in it can be made again, but for the kind in `KEPT`. Something that a process uses is
locked for as long as that process runs, and is not removed meanwhile.
"""

from __future__ import annotations

import math
import os
import re
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from photosieve.errors import UsageError
from photosieve.storage import cache_folder

if sys.platform != "win32":
    import fcntl

LIMIT = "PHOTOSIEVE_CACHE_LIMIT"
"""Environment variable with another limit, in GiB."""

DEFAULT_LIMIT = 5.0
"""GiB: two converted models of the size of CLIP ViT-B/32, and what comes with them."""

KEPT = "served"
"""State of servers whose index is in an object store, such as the history of labels: no cache."""

_MODEL = re.compile(r"(?P<name>.*)-[0-9a-f]{16}(\.json)?")

_held: dict[Path, int] = {}


@dataclass(frozen=True)
class Entry:
    """A file or folder in the cache, which is removed as a whole.

    Parameters
    ----------
    kind : str
        Such as "models" or "features": the folder that it is in, or "other".
    path : Path
    size : int
        Bytes, of all files in it.
    used : float
        When it was used last, in seconds since 1970.
    """

    kind: str
    path: Path
    size: int
    used: float

    def remove(self) -> bool:
        """Remove it, unless it is in use; whether it is gone."""
        try:
            handle = os.open(self.path, os.O_RDONLY)
        except OSError:
            return not self.path.exists()
        try:
            if sys.platform != "win32":
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if self.path.is_dir():
                shutil.rmtree(self.path, ignore_errors=True)
            else:
                self.path.unlink()
        except OSError:
            return False
        finally:
            os.close(handle)
        return not self.path.exists()


def hold(path: Path) -> None:
    """Note that something in the cache is used, and keep it until this process ends.

    Nothing happens where it is missing, is not in the cache, or cannot be locked.
    """
    with suppress(OSError, ValueError):
        path.relative_to(cache_folder())
        os.utime(path)
        handle = os.open(path, os.O_RDONLY)
        if sys.platform != "win32":
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        if (before := _held.pop(path, None)) is not None:
            os.close(before)
        _held[path] = handle


def entries() -> list[Entry]:
    """List all that is in the cache, the least recently used first."""
    found = []
    with suppress(OSError):
        for path in cache_folder().iterdir():
            if path.name.startswith("."):  # a draft of another process
                continue
            if match := _MODEL.fullmatch(path.name):
                found.append(_entry("texts" if match["name"] == "texts" else "models", path))
            elif path.is_dir():
                with suppress(OSError):
                    found += [_entry(path.name, inner) for inner in path.iterdir()]
            else:
                found.append(_entry("other", path))
    return sorted(found, key=lambda entry: entry.used)


def _entry(kind: str, path: Path) -> Entry:
    size, used = 0, 0.0
    for file in (path, *_inside(path)):
        with suppress(OSError):  # removed at this moment
            found = file.lstat()
            size += found.st_blocks * 512 if hasattr(found, "st_blocks") else found.st_size
            used = max(used, found.st_mtime)
    return Entry(kind, path, size, used)


def _inside(folder: Path) -> Iterator[Path]:
    return folder.rglob("*") if folder.is_dir() and not folder.is_symlink() else iter(())


def limit() -> int:
    """Return the most bytes that the cache may take.

    Raises
    ------
    UsageError
        If the environment names something else than a number.
    """
    text = os.environ.get(LIMIT, "")
    try:
        gigabytes = float(text) if text else DEFAULT_LIMIT
        if not 0 <= gigabytes < math.inf:
            raise ValueError
    except ValueError:
        raise UsageError(
            f"{LIMIT} is {text!r}; give the most GiB that the cache may take, such as 5"
        ) from None
    return int(gigabytes * 2**30)


def trim() -> None:
    """Remove what was not used for the longest time, until the cache is within its limit."""
    known, most = entries(), limit()
    total = sum(entry.size for entry in known)
    for entry in known:
        if total <= most:
            return
        if entry.kind != KEPT and entry.remove():
            total -= entry.size


def clear(*kinds: str) -> list[Entry]:
    """Remove all that is not in use, or only some kinds; return what was removed.

    Raises
    ------
    UsageError
        If there is nothing of a kind, or it is no cache.
    """
    known = entries()
    present = {entry.kind for entry in known} - {KEPT}
    if unknown := [kind for kind in kinds if kind not in present]:
        there = f"there are: {', '.join(sorted(present))}" if present else "it is empty"
        raise UsageError(f"the cache has no {unknown[0]} to remove; {there}")
    chosen = [entry for entry in known if entry.kind in (set(kinds) or present)]
    return [entry for entry in chosen if entry.remove()]


def summary() -> dict[str, Any]:
    """Describe the cache, for JSON: folder, limit in bytes, and each kind."""
    kinds: dict[str, dict[str, Any]] = {}
    for entry in sorted(entries(), key=lambda entry: entry.kind):
        kind = kinds.setdefault(entry.kind, {"entries": 0, "bytes": 0, "days_since_use": math.inf})
        kind["entries"] += 1
        kind["bytes"] += entry.size
        days = max(0.0, round((time.time() - entry.used) / 86_400, 2))
        kind["days_since_use"] = min(kind["days_since_use"], days)
    total = sum(kind["bytes"] for kind in kinds.values())
    return {"folder": str(cache_folder()), "limit": limit(), "bytes": total, "kinds": kinds}
