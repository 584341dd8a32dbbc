"""Hashes of large files: each is read once, and known from then on by its size and times."""

from __future__ import annotations

import functools
import hashlib
from contextlib import suppress
from pathlib import Path

from photosieve import checksums, storage


@functools.cache
def digest(path: Path) -> bytes:
    """Return the SHA-256 of a file that does not change while the program runs."""
    state = storage.lasting_state(path)
    name = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:16]
    note = storage.cache_folder() / "digests" / f"{name}.json"
    with suppress(OSError, ValueError, KeyError, TypeError):  # missing or damaged: read the file
        known = checksums.load(note.read_bytes())
        if state is not None and known["state"] == list(state):
            return bytes.fromhex(known["sha256"])
    with path.open("rb") as file:
        read = hashlib.file_digest(file, "sha256").digest()
    if state is not None:
        with suppress(OSError), storage.draft_file(note) as draft:
            draft.write(checksums.dump({"state": state, "sha256": read.hex()}))
    return read
