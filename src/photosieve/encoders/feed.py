"""Feed towers: photos decoded in threads ahead of the tower, texts in batches."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from photosieve.encoders import Floats, PhotoFeatures
from photosieve.encoders.runtime import Tower
from photosieve.errors import PhotoError
from photosieve.photos import Skipped
from photosieve.progress import Progress

Item = TypeVar("Item")
Result = TypeVar("Result")
Arrays = Sequence[NDArray[Any]]

TEXT_BATCH = 64


def photo_features(
    tower: Tower,
    read: Callable[[Path], Arrays],
    paths: Sequence[Path],
    *,
    width: int,
    progress: Progress,
    batch: int = 1,
) -> PhotoFeatures:
    """Decode photos and run an image tower, each once.

    Photos are decoded in threads ahead of the tower, a few at a time, so that memory does not
    grow with their number.

    Parameters
    ----------
    tower : Tower
    read : callable
        Turns a photo file into the tower's inputs, each (1, ...); a `PhotoError` skips the photo.
    paths : sequence of Path
    width : int
        How many numbers the tower gives for a photo.
    progress : Progress
    batch : int
        How many photos the tower takes at once.
    """
    kept: list[int] = []
    skipped: list[Skipped] = []

    def attempt(path: Path) -> Arrays | Skipped:
        try:
            return read(path)
        except PhotoError as error:
            return Skipped.from_error(error)

    def readable() -> Iterator[Arrays]:
        for index, result in enumerate(_ahead(attempt, paths)):
            if isinstance(result, Skipped):
                skipped.append(result)
            else:
                kept.append(index)
                yield result

    tables = [np.zeros((0, width), np.float32)]
    done = 0
    for rows in tower(_stacked(readable(), batch)):
        tables.append(rows)
        done += len(rows)
        progress("reading photos", done + len(skipped), len(paths))
    return PhotoFeatures(np.concatenate(tables), np.array(kept, np.intp), tuple(skipped))


def text_features(
    tower: Tower, tokenize: Callable[[Sequence[str]], Arrays], texts: Sequence[str], *, width: int
) -> Floats:
    """Run a text tower, (m, width), batch by batch over what `tokenize` makes of the texts."""
    starts = range(0, len(texts), TEXT_BATCH)
    batches = (tokenize(texts[start : start + TEXT_BATCH]) for start in starts)
    return np.concatenate([np.zeros((0, width), np.float32), *tower(batches)])


def _stacked(inputs: Iterator[Arrays], batch: int) -> Iterator[Arrays]:
    while group := list(itertools.islice(inputs, batch)):
        yield [np.concatenate(arrays) for arrays in zip(*group, strict=True)]


def _ahead(
    function: Callable[[Item], Result], items: Iterable[Item], threads: int = 4
) -> Iterator[Result]:
    """Map in threads, in order, at most a few items ahead of whoever takes the results."""
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Future[Result]] = deque()
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > 2 * threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
