"""Features of photos in the user's cache: photos that are read again are not embedded again.

A photo is known by its path, size, times and inode, as in an index, so that none is opened. One
that was changed less than two seconds before is not kept: it could change again unseen.
"""

from __future__ import annotations

import functools
import hashlib
import sqlite3
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import TypeVar

import numpy as np

from photosieve import cache, storage
from photosieve.encoders.protocol import Float32Array

SHARE = 0.25
"""Part of the limit of the cache that features may take."""

SECONDS = 5.0
"""Least time between two times of writing: an interruption loses the work of so long."""

_DAY = 86_400
_AT_ONCE = 500
"""Photos that are asked for at a time."""

_TABLE = """
CREATE TABLE IF NOT EXISTS features
    (key BLOB PRIMARY KEY, used INTEGER, checksum INTEGER, data BLOB);
CREATE INDEX IF NOT EXISTS by_use ON features (used);
"""


Result = TypeVar("Result")


class FeatureCache:
    """Features of photos, in one database in the cache folder.

    A database that cannot be used costs time, not results. It stays within a part of the limit of
    the cache: the features that were not used for the longest time are removed.
    """

    def __init__(self) -> None:
        self.file = storage.cache_folder() / "features" / "features.sqlite"
        self._keys: list[bytes] = []
        self._new: list[tuple[bytes, int, int, bytes]] = []
        self._saved = time.monotonic()

    def known(
        self, paths: Sequence[Path], purpose: str, shape: tuple[int, ...]
    ) -> Iterator[tuple[int, Float32Array]]:
        """Give the position and the features of each photo that is known; see `KeptFeatures`."""
        self._keys = [_key(path, purpose) for path in paths]
        places = {key: index for index, key in enumerate(self._keys) if key}
        for rows in self._read(list(places)):
            for key, checksum, data in rows:
                if zlib.crc32(data) == checksum and len(data) == 4 * int(np.prod(shape)):
                    yield places[key], np.frombuffer(data, "<f4").reshape(shape)

    def add(self, index: int, features: Float32Array) -> None:
        """Note the features of a photo; they are written after some seconds, or by `save`."""
        if self._keys[index]:
            data = np.ascontiguousarray(features, "<f4").tobytes()
            self._new.append((self._keys[index], int(time.time()), zlib.crc32(data), data))
        if time.monotonic() - self._saved >= SECONDS:
            self.save()

    def save(self) -> None:
        """Write what was noted, and remove what is too much."""
        new, self._new, self._saved = self._new, [], time.monotonic()
        if not new:
            return

        def write(database: sqlite3.Connection) -> None:
            database.executemany("INSERT OR REPLACE INTO features VALUES (?, ?, ?, ?)", new)
            (pages,), (free,), (size,) = (
                database.execute(f"PRAGMA {name}").fetchone()
                for name in ("page_count", "freelist_count", "page_size")
            )
            if (pages - free) * size > SHARE * cache.limit():
                database.execute(
                    "DELETE FROM features WHERE key IN (SELECT key FROM features ORDER BY used "
                    "LIMIT (SELECT (count(*) + 1) / 2 FROM features))"
                )

        self._transact(write)
        cache.trim()

    def _read(self, keys: list[bytes]) -> Iterator[list[tuple[bytes, int, bytes]]]:
        """Give the rows of keys, some at a time."""
        for start in range(0, len(keys) if self.file.exists() else 0, _AT_ONCE):
            part = keys[start : start + _AT_ONCE]
            yield self._transact(functools.partial(_rows, part)) or []

    def _transact(self, work: Callable[[sqlite3.Connection], Result]) -> Result | None:
        """Do something in one transaction; None if that fails. A damaged database is removed."""
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            with closing(sqlite3.connect(self.file)) as database:
                database.execute("PRAGMA auto_vacuum = FULL")
                database.executescript(_TABLE)
                with database:
                    return work(database)
        except (sqlite3.OperationalError, OSError):
            pass  # no room, no permission, or another process writes for long
        except sqlite3.DatabaseError:
            with suppress(OSError):
                self.file.unlink()
        return None


def _rows(keys: list[bytes], database: sqlite3.Connection) -> list[tuple[bytes, int, bytes]]:
    """Return the rows of keys, and note that they are used."""
    marks, now = ", ".join("?" * len(keys)), int(time.time())
    found = database.execute(
        f"SELECT key, checksum, data FROM features WHERE key IN ({marks})",  # noqa: S608
        keys,
    ).fetchall()
    database.execute(
        f"UPDATE features SET used = ? WHERE key IN ({marks}) AND used < ?",  # noqa: S608
        (now, *keys, now - _DAY),
    )
    return found


def _key(path: Path, purpose: str) -> bytes:
    """Return the key of a photo as it is now; nothing if it is not there or has just changed."""
    try:
        state = storage.lasting_state(path)
    except (OSError, ValueError):
        state = None
    if state is None:
        return b""
    return hashlib.sha256(repr((purpose, str(path.absolute()), *state)).encode()).digest()
