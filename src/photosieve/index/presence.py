"""Photos of an index that are not on the disk any more: no answer names them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from photosieve.index.snapshot import PhotoGroup, Snapshot
from photosieve.index.sources import place
from photosieve.index.store import is_remote
from photosieve.storage import FRESH_NS

Rows = NDArray[np.intp]


def find_present(
    snapshot: Snapshot, rows: Rows | slice, find: Callable[..., Rows]
) -> tuple[Rows, int, int]:
    """Find photos that can be in an answer, among those that are not gone.

    Parameters
    ----------
    snapshot : Snapshot
    rows : array of int or slice
        The rows to search.
    find : callable
        As `photosieve.index.candidates.candidates`, with `rows` and `neighbors` left open.

    Returns
    -------
    found : array of int (k,)
    searched, lost : int
        How many photos were searched, and how many of the rows are known to be gone.
    """
    left = in_scope = np.arange(len(snapshot))[rows]
    found = find(rows=rows, neighbors=snapshot.neighbors if isinstance(rows, slice) else None)
    while len(absent := gone(snapshot, found)):
        left = np.setdiff1d(left, absent)
        found = find(rows=left)
    return found, len(left), len(in_scope) - len(left)


def gone(snapshot: Snapshot, rows: Rows) -> Rows:
    """Return the rows of photos that are gone.

    Only the given photos are looked for. Where one of them is gone, all photos of its folder are
    looked for, too, and all folders beside it. A folder that has not changed since all of its
    photos were there is not listed again. Photos of an object store are not looked for, which would
    take a request for each.

    Parameters
    ----------
    snapshot : Snapshot
    rows : array of int (n,)

    Returns
    -------
    array of int (m,)
        In no order; empty if all given photos exist.
    """
    numbers = np.unique(snapshot.group_numbers(rows)).tolist()
    groups = snapshot.groups
    incomplete = {
        number
        for number in numbers
        if not is_remote(groups[number].root) and not _complete(snapshot, groups[number])
    }
    if not incomplete:
        return np.zeros(0, np.intp)
    roots = {groups[number].root for number in incomplete}
    parts = [
        _absent(snapshot, group)
        for number, group in enumerate(groups)
        if number in incomplete or (group.root in roots and not _has_folder(snapshot, group))
    ]
    absent = np.concatenate([np.zeros(0, np.intp), *parts])
    return absent if np.isin(absent, rows).any() else absent[:0]


def _complete(snapshot: Snapshot, group: PhotoGroup) -> bool:
    """Whether all photos of a group are there; a folder that did not change is not listed again."""
    try:
        folder = snapshot.folder_of(group).stat()
    except OSError:
        return False
    state = folder.st_mtime_ns, folder.st_ino
    if snapshot.complete.get(group.start) == state:
        return True
    settled = time.time_ns() - folder.st_mtime_ns > FRESH_NS
    complete = not len(_absent(snapshot, group))
    if complete and settled:
        snapshot.complete[group.start] = state
    return complete


def _absent(snapshot: Snapshot, group: PhotoGroup) -> Rows:
    """Return the rows of a group whose photos are gone; its folder is listed once."""
    try:
        listed = set(os.listdir(snapshot.folder_of(group)))  # noqa: PTH208  # names alone: no paths
    except OSError:
        listed = set()
    absent = [
        row
        for row, path in enumerate(snapshot.paths(group), group.start)
        if path.rpartition("/")[2] not in listed and not _exists(place(group.root, path))
    ]
    return np.array(absent, np.intp)


def _has_folder(snapshot: Snapshot, group: PhotoGroup) -> bool:
    return _exists(snapshot.folder_of(group))


def _exists(path: Path) -> bool:
    """Whether there is something at a path; if that may not be looked at, it may be there."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True
