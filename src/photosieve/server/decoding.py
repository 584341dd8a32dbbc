"""Photos as pixels, within an amount of memory that all requests share."""

from __future__ import annotations

import ctypes
import functools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from PIL import Image

from photosieve.data.headers import inspect
from photosieve.data.photos import DEFAULT_MAX_PIXELS, decode
from photosieve.errors import PhotoError
from photosieve.server.problems import ApiError

MEMORY = 400_000_000
"""Bytes for all photos that are decoded at the same time."""

MOST_AT_ONCE = 8
"""Photos that are decoded at the same time, however small: more would only make each slower."""

WAITING_SECONDS = 20
"""Longest wait for memory."""

M_MMAP_THRESHOLD = -3
"""From malloc.h of glibc; see man 3 mallopt."""


class Memory:
    """An amount of memory that requests take parts of.

    Parameters
    ----------
    total : int
        Bytes.
    """

    def __init__(self, total: int) -> None:
        self.total = self._free = total
        self._changed = threading.Condition()

    @contextmanager
    def hold(self, amount: int) -> Iterator[None]:
        """Hold some bytes during the block.

        Raises
        ------
        ApiError
            If they do not become free in time.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self._free >= amount, WAITING_SECONDS):
                raise ApiError(503, "the server is busy; try again in a moment", retry=5)
            self._free -= amount
        try:
            yield
        finally:
            with self._changed:
                self._free += amount
                self._changed.notify_all()


_memory = Memory(MEMORY)


def return_freed_memory() -> None:
    """Let the C library return large blocks to the system as soon as they are freed.

    By default glibc keeps freed blocks of up to 32 MB, for each of its threads: after some hundred
    photos that is more than a gigabyte. Other C libraries have no such setting.
    """
    with suppress(AttributeError):
        ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, 2**20)


@contextmanager
def decoder(
    path: Path,
    data: bytes | None = None,
    *,
    shortest_side: int | None,
    max_pixels: int = DEFAULT_MAX_PIXELS,
) -> Iterator[Callable[[], Image.Image]]:
    """Give a function that decodes a photo, and hold the memory that this takes.

    The picture is at least as large as asked for.

    Raises
    ------
    PhotoError
        If it cannot be decoded, or needs more memory than there is for all photos.
    ApiError
        If too many photos are decoded now.
    """
    header = inspect(path, data=data, shortest_side=shortest_side, max_pixels=max_pixels)
    memory = header.memory + len(data or b"")
    if memory > _memory.total:
        reason = f"decoding it takes {memory / 1e6:.0f} MB, the cap is {_memory.total / 1e6:.0f} MB"
        raise PhotoError(path, reason, "save it smaller, or as baseline JPEG")
    with _memory.hold(max(memory, _memory.total // MOST_AT_ONCE)):
        yield functools.partial(
            decode,
            path,
            data=data,
            shortest_side=shortest_side,
            shrink=True,
            max_pixels=max_pixels,
        )
