"""Files and folders that are written whole or not at all, and the cache folder.

A draft is written beside its target, flushed to the disk and renamed into place. A reader sees the
old content or the new one, and a killed writer harms neither. One exception: a folder that replaces
another takes two renames, and a kill between them leaves the old folder under its hidden name.
"""

from __future__ import annotations

import atexit
import functools
import glob
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

CACHE = "PHOTOSIEVE_CACHE"
"""Environment variable that names another cache folder."""

_TOKEN_BYTES = 6


def cache_folder() -> Path:
    """Return the folder for files that can be made again; it need not exist."""
    if chosen := os.environ.get(CACHE):
        return Path(chosen)
    import platformdirs

    try:
        return platformdirs.user_cache_path("photosieve")
    except RuntimeError:  # this user has no home folder
        return _passing_cache()


@functools.cache
def _passing_cache() -> Path:
    """Make a folder that lasts as long as the process."""
    folder = tempfile.mkdtemp(prefix="photosieve-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


@contextmanager
def draft_file(path: Path, *, private: bool = False) -> Iterator[BinaryIO]:
    """Open a draft of a file, which replaces the file when the block ends without an error.

    Missing folders are made. A file that is replaced keeps its permissions.

    Parameters
    ----------
    path : Path
    private : bool
        Whether only this user may read a new file.

    Raises
    ------
    OSError
        If it cannot be written; the old file is still there.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = _beside(path)
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 if private else 0o666)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if path.exists():
            draft.chmod(path.stat().st_mode & 0o777)
        draft.replace(path)
        _sync(path.parent)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def remove_drafts(path: Path) -> None:
    """Remove drafts of a file that killed writers left; there must be no other writer."""
    for draft in path.parent.glob(f".{glob.escape(path.name)}-{'[0-9a-f]' * 2 * _TOKEN_BYTES}"):
        draft.unlink(missing_ok=True)


@contextmanager
def draft_folder(folder: Path) -> Iterator[Path]:
    """Make a draft of a folder, which replaces the folder when the block ends without an error.

    Missing folders above it are made.

    Raises
    ------
    OSError
        If it cannot be written; the old folder is still there.
    """
    folder = folder.resolve()  # a link to a folder stays a link
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = _beside(folder)
    draft.mkdir()
    try:
        yield draft
        for path in draft.rglob("*"):
            _sync(path)
        _sync(draft)
        _exchange(draft, folder)
        _sync(folder.parent)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _beside(path: Path) -> Path:
    """Return a new hidden name in the same folder, so that a rename never copies."""
    return path.with_name(f".{path.name}-{secrets.token_hex(_TOKEN_BYTES)}")


def _exchange(draft: Path, folder: Path) -> None:
    """Rename a complete draft into place; an old folder stays there if that fails."""
    if not folder.exists():
        draft.rename(folder)
        return
    old = _beside(folder)
    folder.rename(old)
    try:
        draft.rename(folder)
    except BaseException:
        old.rename(folder)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _sync(path: Path) -> None:
    """Flush a file, or the names in a folder, to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError:
        if not path.is_dir():  # some network disks cannot flush the names in a folder
            raise
    finally:
        os.close(handle)
