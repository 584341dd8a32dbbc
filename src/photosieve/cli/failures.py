"""Errors in one sentence, with an exit status: those made on purpose, the system's, and bugs."""

from __future__ import annotations

import errno
import math
import platform
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version

from photosieve.errors import PhotosieveError, UsageError, one_line, printable

REPORT = "the issues of the repository"
"""Where to report a bug; CONTRIBUTING.md says the same."""

_MEMORY = (
    "bad_alloc", "allocate memory", "out of memory", "not enough memory", "alloc_cpu",
    "failed to map segment", "can't start new thread",
)  # fmt: skip
"""Libraries raise errors of many classes when there is no memory left."""

_REMEDIES = {
    errno.ENOSPC: "make room there and run the command again",
    errno.EDQUOT: "make room there and run the command again",
    errno.EACCES: "allow this user to use it, or choose another place",
    errno.EPERM: "allow this user to use it, or choose another place",
    errno.EROFS: "choose a place that can be written to",
    errno.EMFILE: "allow more open files: ulimit -n 4096",
    errno.ENFILE: "close other programs and run the command again",
    errno.EAGAIN: "allow more processes and threads: ulimit -u",
    errno.EIO: "check the disk and the network",
    errno.ESTALE: "check the disk and the network",
}


def explain(error: BaseException) -> tuple[int, str]:
    """Return the exit status of an error and a sentence for the person who typed the command.

    The sentence is empty where the program that reads the output has ended.
    """
    if isinstance(error, UsageError):
        return 2, printable(str(error))
    if isinstance(error, PhotosieveError):
        return 1, printable(str(error))
    if isinstance(error, BrokenPipeError):
        return 1, ""
    if any(map(_is_memory, _chain(error))):
        return 1, (
            "there is not enough memory; close other programs or raise the limit (ulimit -v), "
            "or skip large photos with --max-megapixels"
        )
    if isinstance(error, OSError) and error.errno:
        place = f"{printable(str(error.filename))}: " if error.filename else ""
        remedy = _REMEDIES.get(error.errno, "check it and run the command again")
        what = "the output or a file cannot be written" if not place else "it cannot be used"
        return 1, f"{place}{what} ({one_line(error)}); {remedy}"
    if isinstance(error, UnicodeError):
        return 1, "the name of a file or folder is not valid UTF-8; give it another name"
    if isinstance(error, ImportError):
        return 1, (
            f"a package is missing or damaged ({printable(one_line(error))}); "
            "install photosieve again"
        )
    return 1, (
        f"this is a bug in photosieve {_version()} ({type(error).__name__}: "
        f"{printable(one_line(error))}); please report it in {REPORT}, with the output of the same "
        f"command with --debug, and Python {platform.python_version()} on {platform.system()}"
    )


def check_memory_limit(gigabytes: float) -> None:
    """Refuse to start under a limit of the address space that libraries would crash at.

    Raises
    ------
    PhotosieveError
        If ``ulimit -v`` allows less.
    """
    limit = _memory_limit()
    if limit < gigabytes * 1e9:
        raise PhotosieveError(
            f"this command needs {gigabytes:g} GB of address space, and the limit is "
            f"{limit / 1e9:.1f} GB; raise it: ulimit -v unlimited"
        )


def _memory_limit() -> float:
    """Return the limit of the address space in bytes; infinity without one."""
    try:
        import resource
    except ImportError:  # not a system that has such limits
        return math.inf
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    return math.inf if limit == resource.RLIM_INFINITY else limit


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Give an error, and those that it came from."""
    seen: set[int] = set()
    found: BaseException | None = error
    while found is not None and id(found) not in seen:
        seen.add(id(found))
        yield found
        found = found.__cause__ or found.__context__


def _is_memory(error: BaseException) -> bool:
    if isinstance(error, MemoryError) or getattr(error, "errno", None) == errno.ENOMEM:
        return True
    text = str(error).lower()
    if isinstance(error, RuntimeError | ImportError) and math.isfinite(_memory_limit()):
        return True  # such libraries seldom say more than that they failed
    return isinstance(error, Exception) and any(sign in text for sign in _MEMORY)


def _version() -> str:
    try:
        return version("photosieve")
    except PackageNotFoundError:
        return "of unknown version"
