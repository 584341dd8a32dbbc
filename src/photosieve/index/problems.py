"""Errors of LanceDB, of object stores and of the system, as one sentence."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from photosieve.errors import PhotoIndexError, one_line

LANCE_ERRORS = (OSError, RuntimeError, ValueError)
"""The errors that LanceDB raises."""


@contextmanager
def index_errors(address: str) -> Iterator[None]:
    """Turn errors of libraries and of the system into a `PhotoIndexError`."""
    try:
        yield
    except LANCE_ERRORS as error:
        message = re.search(r"<Message>(.*?)</Message>", str(error))  # of an object store
        reason = message[1] if message else one_line(error)
        full = "No space left" in str(error) or "os error 28" in str(error)
        advice = (
            "the disk is full; make room, and run again to go on"
            if full
            else "see that the place can be reached and written to, and run again"
        )
        raise PhotoIndexError(f"{address}: the index fails ({reason}); {advice}") from error
