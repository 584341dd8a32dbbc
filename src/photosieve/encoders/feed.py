"""Feed towers: photos decoded in threads ahead of the tower, texts in batches."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from photosieve.encoders.protocol import Float32Array, Item, Other
from photosieve.encoders.runtime import Tower

Result = TypeVar("Result")
Arrays = Sequence[NDArray[Any]]

TEXT_BATCH = 64

THREADS = 4
"""Number of threads that decode photos."""


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
    """Run a text tower, (m, width), on tokenized texts, batch by batch.

    Where a row grows with its text, short ones are lengthened with zeros.
    """
    # Texts of about the same length go together: a batch costs as much as its longest one.
    order = np.argsort([len(text) for text in texts], kind="stable").astype(np.intp)
    starts = range(0, len(texts), TEXT_BATCH)
    batches = (
        tokenize([texts[index] for index in order[start : start + TEXT_BATCH]]) for start in starts
    )
    tables = [np.zeros((0, width), np.float32), *tower(batches)]
    longest = max(rows.shape[1] for rows in tables)
    found = np.concatenate(
        [np.pad(rows, ((0, 0), (0, longest - rows.shape[1]))) for rows in tables]
    )
    return found[np.argsort(order)]


def _batches(inputs: Iterator[Arrays], batch: int) -> Iterator[Arrays]:
    while group := list(itertools.islice(inputs, batch)):
        yield [np.concatenate(arrays) for arrays in zip(*group, strict=True)]


def _ahead(function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Map in threads, in order, at most a few items ahead of the caller."""
    with ThreadPoolExecutor(THREADS) as pool:
        waiting: deque[Future[Result]] = deque()
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > 2 * THREADS:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
