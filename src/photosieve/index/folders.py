"""The folders of a run: opened, and looked at before anything is changed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from photosieve.errors import Skipped, UsageError
from photosieve.index.snapshot import find_snapshot
from photosieve.index.sources import Root, open_roots
from photosieve.index.store import Store


def find_roots(store: Store, folders: Sequence[str | Path], *, everything: bool) -> list[Root]:
    """Open the folders to look through; a folder inside another one is a part of that.

    Parameters
    ----------
    store : Store
    folders : sequence of str or Path
        By default those of the index.
    everything : bool
        Whether all folders of the index are among them.

    Raises
    ------
    UsageError
        If there is none, or one cannot be opened.
    """
    known: set[str] = set()
    if store.exists():
        snapshot = find_snapshot(store)
        known = {group.root for group in snapshot.groups} if snapshot else store.roots()
    roots = open_roots([*map(str, folders), *(sorted(known) if everything else ())], known)
    if not roots:
        raise UsageError(f"{store.address} has no photos yet; name a folder of photos")
    return roots


def check_photos(
    roots: Iterable[Root], store: Store, *, follow_links: bool, prune: bool
) -> list[Root]:
    """Look at folders before anything is changed, and return those to index.

    Parameters
    ----------
    roots : iterable of Root
    store : Store
        The old table, if there is one.
    follow_links : bool
    prune : bool
        Leave out folders that are gone, instead of raising an error.

    Raises
    ------
    UsageError
        If a folder is gone, or has no photo where the table has some.
    """
    known = store.roots() if store.exists() else set()
    there = []
    for root in roots:
        if root.address not in known:
            next(root.walk(follow_links=follow_links), None)  # raises if there is no such folder
        elif root.gone or all(
            isinstance(photo, Skipped) for photo in root.walk(follow_links=follow_links)
        ):
            if prune:
                continue
            raise UsageError(
                f"{root.address} has no photo any more, where the index has some: is a disk "
                "missing? If they are gone for good, run again with --prune"
            )
        there.append(root)
    return there
