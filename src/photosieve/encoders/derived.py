"""Arrays that follow from a model's weights alone, kept in the cache folder for later processes."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from photosieve import storage
from photosieve.encoders.protocol import Float32Array

FOLDER = "derived"
"""Name of their folder in the cache folder."""

MOST_BYTES = 2**24
"""Larger ones are computed anew."""


def find(name: str, key: str) -> Mapping[str, Float32Array] | None:
    """Return arrays by name; None if they are missing or damaged.

    Parameters
    ----------
    name : str
        Of their file, to tell files apart by eye.
    key : str
        All that decides them.
    """
    with (
        suppress(OSError, ValueError, KeyError, zipfile.BadZipFile),  # it is computed again
        _file(name, key).open("rb") as file,
        storage.parsing_literals,
        np.load(file) as saved,  # verifies the checksum of each array
    ):
        found = dict(saved)
        if all(array.dtype == np.float32 and np.isfinite(array).all() for array in found.values()):
            return found
    return None


def keep(name: str, key: str, arrays: Mapping[str, Float32Array]) -> None:
    """Keep arrays for `find`; where the cache cannot be written, they are computed again."""
    if sum(array.nbytes for array in arrays.values()) <= MOST_BYTES:
        with suppress(OSError), storage.draft_file(_file(name, key)) as file:
            # Before version 2.2, numpy would save `allow_pickle=False` as one more array.
            np.savez(file, **dict[str, Any](arrays))


def _file(name: str, key: str) -> Path:
    digest = hashlib.sha256(key.encode()).hexdigest()
    return storage.cache_folder() / FOLDER / f"{name}-{digest[:16]}.npz"
