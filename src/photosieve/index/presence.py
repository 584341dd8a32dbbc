"""Photos of an index that are not on the disk any more: no answer names them."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from photosieve.index.snapshot import PhotoGroup, Snapshot
from photosieve.index.sources import place
from photosieve.index.store import is_remote

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
    looked for, too, and all folders beside it. Photos of an object store are not looked for, which
    would take a request for each.

    Parameters
    ----------
    snapshot : Snapshot
    rows : array of int (n,)

    Returns
    -------
    array of int (m,)
        In no order; empty if all given photos exist.
    """
    groups = [snapshot.group(row) for row in rows.tolist()]
    incomplete = {
        group
        for group, row in zip(groups, rows.tolist(), strict=True)
        if not is_remote(group.root) and not _exists(place(group.root, snapshot.path(row)))
    }
    roots = {group.root for group in incomplete}
    parts = [
        _absent(snapshot, group)
        for group in snapshot.groups
        if group in incomplete or (group.root in roots and not _has_folder(snapshot, group))
    ]
    return np.concatenate([np.zeros(0, np.intp), *parts])


def _absent(snapshot: Snapshot, group: PhotoGroup) -> Rows:
    """Return the rows of a group whose photos are gone; each folder is listed once."""

    @cache
    def listed(folder: Path) -> frozenset[str]:
        try:
            return frozenset(file.name for file in folder.iterdir())
        except OSError:
            return frozenset()

    absent = []
    for row, path in enumerate(snapshot.paths(group), group.start):
        photo = place(group.root, path)
        if photo.name not in listed(photo.parent) and not _exists(photo):
            absent.append(row)
    return np.array(absent, np.intp)


def _has_folder(snapshot: Snapshot, group: PhotoGroup) -> bool:
    return _exists(place(group.root, snapshot.path(group.start)).parent)


def _exists(path: Path) -> bool:
    """Whether there is something at a path; if that may not be looked at, it may be there."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True
