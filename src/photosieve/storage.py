"""Files and folders that are written whole or not at all, their locks, and the cache folder.

A draft is written beside its target, flushed to the disk and renamed into place. A reader sees the
old content or the new one, and a killed writer harms neither. A folder that replaces another is
exchanged with it in one step where the system can do that. Elsewhere it takes two renames, and
`recover_folder` repairs a kill between them.

A writer locks its draft, and the system takes that lock off when the writer is killed. So the next
writer of the same name knows which drafts are abandoned, and removes these.
"""

from __future__ import annotations

import atexit
import ctypes
import functools
import glob
import os
import secrets
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

if sys.platform != "win32":
    import fcntl

CACHE = "PHOTOSIEVE_CACHE"
"""Environment variable that names another cache folder."""

FRESH_NS = 2_000_000_000
"""A file that was changed so recently may change again without another time."""

parsing_literals = threading.Lock()
"""Held while Python parses a literal, as numpy does in `numpy.load`.

Python 3.11 counts the depth of a literal for all threads together. A thread that waits in the
middle, for a finalizer, makes another one fail with "AST constructor recursion depth mismatch"."""

_TOKEN_BYTES = 6
_TOKEN = "[0-9a-f]" * 2 * _TOKEN_BYTES

_OLD = ".old"
"""Ending of the hidden name of a folder that is being replaced."""

LOCK_SECONDS = 30.0
"""A lock that is held for so long is taken for stuck."""

_RENAME_SECONDS = 1.0
"""A living writer takes far less between two renames."""


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
def locked_file(path: Path, *, seconds: float = LOCK_SECONDS) -> Iterator[None]:
    """Hold a file against all who lock it too, in this process and in others.

    The lock is a hidden file beside it, and is gone afterwards. The file itself need not exist.

    Parameters
    ----------
    path : Path
    seconds : float
        How long to wait for another holder; -1 for ever.

    Raises
    ------
    OSError
        If its folder is missing or cannot be written, or somebody holds the file for too long.
    """
    from filelock import FileLock

    path = Path(os.path.realpath(path))
    path.parent.stat()  # a folder that is gone is not made again
    lock = path.with_name(f".{path.name}.lock")
    with FileLock(lock, seconds):
        try:
            yield
        finally:
            lock.unlink(missing_ok=True)  # who waits for it sees that, and makes a new one


@contextmanager
def draft_file(path: Path, *, private: bool = False) -> Iterator[BinaryIO]:
    """Open a draft of a file, which replaces the file when the block ends without an error.

    Missing folders are made. A file that is replaced keeps its permissions and, where the system
    allows that, its owner. A link to a file stays a link.

    Parameters
    ----------
    path : Path
    private : bool
        Whether only this user may read the file.

    Raises
    ------
    OSError
        If it cannot be written; the old file is still there.
    """
    path = Path(os.path.realpath(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_drafts(path)
    while True:
        draft = _beside(path)
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 if private else 0o666)
        if _locked(handle, draft):
            break
        os.close(handle)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
            if path.exists():
                old = path.stat()
                with suppress(OSError, AttributeError):  # only the system's administrator may
                    os.chown(draft, old.st_uid, old.st_gid)
                draft.chmod(old.st_mode & (0o700 if private else 0o777))
            draft.replace(path)
        _sync(path.parent)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


@contextmanager
def draft_folder(folder: Path) -> Iterator[Path]:
    """Make a draft of a folder, which replaces the folder when the block ends without an error.

    Missing folders above it are made.

    Raises
    ------
    OSError
        If it cannot be written; the old folder is still there.
    """
    folder = Path(os.path.realpath(folder))  # a link to a folder stays a link
    folder.parent.mkdir(parents=True, exist_ok=True)
    recover_folder(folder)
    remove_drafts(folder)
    while True:
        draft = _beside(folder)
        draft.mkdir()
        handle = _opened(draft)
        if handle is None or _locked(handle, draft):
            break
        os.close(handle)
    try:
        yield draft
        for path in draft.rglob("*"):
            _sync(path)
        _sync(draft)
        _put(draft, folder)
        _sync(folder.parent)
        for old in _moved_aside(folder):
            shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
        if handle is not None:
            os.close(handle)


def remove_drafts(path: Path) -> None:
    """Remove the drafts of a file or folder that killed writers left.

    Parameters
    ----------
    path : Path
        Its name may be a pattern, which must not fit anybody else's files.
    """
    name = path.name if path.name.endswith("*") else glob.escape(path.name)
    for draft in path.parent.glob(f".{name}-{_TOKEN}"):
        handle = _opened(draft)
        if handle is None:
            continue
        try:
            if _locked(handle, draft, wait=False):
                draft.unlink() if not draft.is_dir() else shutil.rmtree(draft, ignore_errors=True)
        except OSError:
            pass  # another writer removes it
        finally:
            os.close(handle)


def recover_folder(folder: Path) -> None:
    """Put back a folder whose writer was killed after it had moved the old one aside."""
    folder = Path(os.path.realpath(folder))
    if folder.exists():
        return
    deadline = time.monotonic() + _RENAME_SECONDS
    while not folder.exists() and (old := _moved_aside(folder)):
        if time.monotonic() > deadline:
            with suppress(OSError):  # another reader does the same
                old[0].rename(folder)
        time.sleep(0.01)


def _moved_aside(folder: Path) -> list[Path]:
    return sorted(folder.parent.glob(f".{glob.escape(folder.name)}-{_TOKEN}{_OLD}"))


def _beside(path: Path) -> Path:
    """Return a new hidden name in the same folder, so that a rename never copies."""
    return path.with_name(f".{path.name}-{secrets.token_hex(_TOKEN_BYTES)}")


def _opened(path: Path) -> int | None:
    """Open a file or folder; None if it is gone, or the system does not open folders."""
    try:
        return os.open(path, os.O_RDONLY)
    except OSError:
        return None


def _locked(handle: int, draft: Path, *, wait: bool = True) -> bool:
    """Lock an open draft; whether that was possible and the draft still has its name.

    Where the file system has no locks, a writer goes on without, and no draft is removed.
    """
    if sys.platform == "win32":
        return wait
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:
        return wait
    # Between its making and its locking, another writer may have taken it for abandoned.
    return draft.exists()


def _put(draft: Path, folder: Path) -> None:
    """Rename a complete draft into place; an old folder is there until that is done."""
    if not folder.exists():
        draft.rename(folder)
        return
    if _exchanged(draft, folder):
        return  # the draft's name now has the old folder
    old = folder.with_name(_beside(folder).name + _OLD)
    folder.rename(old)
    try:
        draft.rename(folder)
    except BaseException:
        if not folder.exists():
            old.rename(folder)
        raise


def _exchanged(one: Path, other: Path) -> bool:
    """Exchange two names in one step; False where the system or the disk cannot."""
    names = os.fsencode(one), os.fsencode(other)
    here, exchange = -100, 2  # AT_FDCWD and RENAME_EXCHANGE of Linux, or RENAME_SWAP of macOS
    try:
        system = ctypes.CDLL(None, use_errno=True)
        if sys.platform == "darwin":
            return bool(system.renamex_np(*names, exchange) == 0)
        return bool(system.renameat2(here, names[0], here, names[1], exchange) == 0)
    except (AttributeError, OSError, TypeError):
        return False


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


def lasting_state(path: Path) -> tuple[int, ...] | None:
    """Return what changes whenever a file does: size, times and inode.

    None if it was changed so recently that it may change again unseen.

    Raises
    ------
    OSError, ValueError
        If there is no such file.
    """
    found = path.stat()
    if abs(time.time_ns() - max(found.st_mtime_ns, found.st_ctime_ns)) < FRESH_NS:
        return None
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino
