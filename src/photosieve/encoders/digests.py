"""Hashes of large files: each is read once, and known from then on by its size and times."""

from __future__ import annotations

import functools
import hashlib
import time
from contextlib import suppress
from pathlib import Path

from photosieve import checksums, storage

_SETTLED_NS = 2_000_000_000
"""A file that was changed more recently may change again without another time."""


@functools.cache
def digest(path: Path) -> bytes:
    """Return the SHA-256 of a file that does not change while the program runs."""
    found = path.stat()
    state = [found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino]
    name = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:16]
    note = storage.cache_folder() / "digests" / f"{name}.json"
    with suppress(OSError, ValueError, KeyError, TypeError):  # missing or damaged: read the file
        known = checksums.load(note.read_bytes())
        if known["state"] == state:
            return bytes.fromhex(known["sha256"])
    with path.open("rb") as file:
        read = hashlib.file_digest(file, "sha256").digest()
    if time.time_ns() - max(found.st_mtime_ns, found.st_ctime_ns) > _SETTLED_NS:
        with suppress(OSError), storage.draft_file(note) as draft:
            draft.write(checksums.dump({"state": state, "sha256": read.hex()}))
    return read
