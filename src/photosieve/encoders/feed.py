"""Feed towers: photos decoded in threads ahead of the tower, texts in batches."""

from __future__ import annotations

import itertools
import os
import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from photosieve.data.photos import MORE_VIEWS, decode, more_views
from photosieve.encoders import runtime
from photosieve.encoders.protocol import Float32Array, PhotoFeatures
from photosieve.encoders.runtime import Tower
from photosieve.errors import EncoderError, PhotoError, Skipped, one_line
from photosieve.progress import Progress

Item = TypeVar("Item")
Other = TypeVar("Other")
Result = TypeVar("Result")
Arrays = Sequence[NDArray[Any]]

TEXT_BATCH = 64

THREADS = 4
"""That decode photos, ahead of the tower."""

MOST_MEMORY = 2 * 2**30
"""Features of more bytes than this are kept in a file of the user's cache folder."""


def photo_features(
    tower: Tower,
    prepare: Callable[[Image.Image], Arrays],
    paths: Sequence[Path],
    *,
    width: int,
    more: bool,
    max_pixels: int,
    progress: Progress,
    shortest_side: int | None = None,
    batch: int = 1,
) -> PhotoFeatures:
    """Decode photos and run an image tower, each once.

    Photos are decoded in threads ahead of the tower, a few at a time, so that memory does not
    grow with their number.

    Parameters
    ----------
    tower : Tower
    prepare : callable
        Turns a photo into the tower's inputs, each (1, ...).
    paths : sequence of Path
    width : int
        How many numbers the tower gives for a photo.
    more : bool
        Whether to run it on further views of each photo.
    max_pixels : int
        Larger photos are skipped.
    progress : Progress
    shortest_side : int, optional
        How large the tower needs a photo, if decoding a smaller copy will do.
    batch : int
        How many photos the tower takes at once.
    """
    side = shortest_side and shortest_side * (1 + more)  # corners are enlarged
    skipped: list[Skipped] = []

    def load(index: int) -> Sequence[Image.Image] | Skipped:
        try:
            photo = decode(paths[index], shortest_side=side, max_pixels=max_pixels)
        except PhotoError as error:
            return Skipped.from_error(error)
        return [photo, *more_views(photo)] if more else [photo]

    def skip(index: int, reason: Skipped) -> None:
        skipped.append(reason)
        progress("reading photos", index + 1, len(paths))

    table = _room(len(paths), 1 + MORE_VIEWS * more, width)
    kept: list[int] = []
    for index, rows in stream(tower, prepare, range(len(paths)), load, skip, batch=batch):
        table[len(kept)] = rows
        kept.append(index)
        progress("reading photos", len(kept) + len(skipped), len(paths))
    table = table[: len(kept)]
    return PhotoFeatures(table[:, 0], np.array(kept, np.intp), tuple(skipped), table[:, 1:])


def stream(
    tower: Tower,
    prepare: Callable[[Image.Image], Arrays],
    items: Iterable[Item],
    load: Callable[[Item], Sequence[Image.Image] | Other],
    other: Callable[[Item, Other], None],
    *,
    batch: int = 1,
) -> Iterator[tuple[Item, Float32Array]]:
    """Run an image tower on photos as they come; see `photosieve.encoders.protocol.Encoder.stream`.

    Parameters
    ----------
    tower : Tower
    prepare : callable
        Turns a photo into the tower's inputs, each (1, ...).
    items, load, other
        As there.
    batch : int
        How many photos the tower takes at once.
    """
    running: deque[tuple[Item, int]] = deque()  # items whose photos are in the tower

    def attempt(item: Item) -> tuple[Item, list[Arrays] | Other]:
        found = load(item)
        if isinstance(found, Sequence):
            return item, [prepare(photo) for photo in found]
        return item, found

    def inputs() -> Iterator[Arrays]:
        for item, found in _ahead(attempt, items):
            if isinstance(found, list):
                running.append((item, len(found)))
                yield from found
            else:
                other(item, found)

    rows: list[Float32Array] = []
    for found in tower(_batches(inputs(), batch)):
        rows.extend(found)
        while running and running[0][1] <= len(rows):
            item, count = running.popleft()
            yield item, np.stack(rows[:count])
            del rows[:count]


def text_features(
    tower: Tower, tokenize: Callable[[Sequence[str]], Arrays], texts: Sequence[str], *, width: int
) -> Float32Array:
    """Run a text tower, (m, width), batch by batch over what `tokenize` makes of the texts.

    Where a row grows with its text, short ones are lengthened with zeros.
    """
    starts = range(0, len(texts), TEXT_BATCH)
    batches = (tokenize(texts[start : start + TEXT_BATCH]) for start in starts)
    tables = [np.zeros((0, width), np.float32), *tower(batches)]
    longest = max(rows.shape[1] for rows in tables)
    return np.concatenate([np.pad(rows, ((0, 0), (0, longest - rows.shape[1]))) for rows in tables])


def _room(photos: int, views: int, width: int) -> Float32Array:
    """A table for features, (photos, views, width): in memory, or in a file that goes with it."""
    size = photos * views * width * 4
    folder = runtime.cache_folder()
    try:
        if size <= MOST_MEMORY:
            return np.empty((photos, views, width), np.float32)
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            # Taken now: a disk that is found full only when a page is written ends the process.
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, size)
            return np.asarray(np.memmap(file, np.float32, "w+", shape=(photos, views, width)))
    except (MemoryError, OSError) as error:
        raise EncoderError(
            f"{photos} photos take {size / 2**30:.1f} GiB in the form that this recipe wants, for "
            f"which there is no room in memory or in {folder} ({one_line(error)}); take fewer "
            "photos, or a recipe that trains fewer blocks or has more_views=false"
        ) from error


def _batches(inputs: Iterator[Arrays], batch: int) -> Iterator[Arrays]:
    while group := list(itertools.islice(inputs, batch)):
        yield [np.concatenate(arrays) for arrays in zip(*group, strict=True)]


def _ahead(function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Map in threads, in order, at most a few items ahead of whoever takes the results."""
    with ThreadPoolExecutor(THREADS) as pool:
        waiting: deque[Future[Result]] = deque()
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > 2 * THREADS:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
