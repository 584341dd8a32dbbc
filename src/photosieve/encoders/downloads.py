"""Downloads from the Hugging Face hub: names of models there, and whether they may be fetched."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar

ALLOW_DOWNLOAD = "PHOTOSIEVE_ALLOW_DOWNLOAD"
"""Environment variable: not empty if the models that sieves name may be downloaded."""

_downloads: ContextVar[bool] = ContextVar("downloads", default=True)


def is_hub_id(name: str) -> bool:
    """Whether a name could be that of a model on the hub; folders have absolute paths here."""
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

    with suppress(HFValidationError):
        validate_repo_id(name)  # refuses "..", "--" and more than 96 letters, too
        return re.fullmatch(r"\w[\w.-]*/[\w.-]+", name, re.ASCII) is not None
    return False


@contextmanager
def local_only() -> Iterator[None]:
    """Download nothing during the block: a sieve of somebody else must not decide that.

    With the environment variable `ALLOW_DOWNLOAD`, models are downloaded all the same.
    """
    before = _downloads.set(bool(os.environ.get(ALLOW_DOWNLOAD)))
    try:
        yield
    finally:
        _downloads.reset(before)


def downloads_allowed() -> bool:
    """Whether this is not in a block of `local_only`, or the user permits downloads there too."""
    return _downloads.get()
