"""Read the photos of an index again, and find differences."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from photosieve.errors import PhotoError, PhotosieveError, Skipped
from photosieve.index.lock import writing
from photosieve.index.snapshot import Snapshot
from photosieve.index.sources import open_root, place
from photosieve.index.store import KEY_COLUMNS, Store
from photosieve.progress import Progress

NO_HASH = "0" * 64
"""Hash of no photo: any content of the file is new."""

_REMEDY = "run photosieve index again"


@dataclass(frozen=True)
class Differences:
    """Photos that are gone, damaged or not the same as in the index.

    Parameters
    ----------
    found : list of Skipped
    again : list of int
        Rows of photos to be read again.
    damaged : list of int
        Rows of photos to be embedded again.
    copies : list of int
        Rows that repeat another row.
    """

    found: list[Skipped] = field(default_factory=list)
    again: list[int] = field(default_factory=list)
    damaged: list[int] = field(default_factory=list)
    copies: list[int] = field(default_factory=list)

    def mark(self, snapshot: Snapshot, store: Store) -> None:
        """Change the table so that the next update reads these photos again.

        The caller holds the index against other writers.
        """
        import pyarrow as pa

        if self.copies:
            store.delete_copies(snapshot.ids[self.copies].tolist())
        for rows, columns in (
            (self.again, {"mtime_ns": -1}),
            (self.damaged, {"mtime_ns": -1, "sha256": NO_HASH}),
        ):
            if rows:
                keys = [(snapshot.group(row).root, snapshot.path(row)) for row in rows]
                named = dict(zip(KEY_COLUMNS, map(list, zip(*keys, strict=True)), strict=True))
                marks = {name: [value] * len(rows) for name, value in columns.items()}
                store.upsert(pa.table({**named, **marks}))


def find_differences(snapshot: Snapshot, max_pixels: int, progress: Progress) -> Differences:
    """Compare all photos of an index with their files."""
    differences, done = Differences(), 0
    for group in snapshot.groups:
        root = open_root(group.root)
        paths = list(snapshot.paths(group))
        seen = set[str]()
        for row, path in enumerate(paths, group.start):
            where = place(group.root, path)
            if path in seen:
                differences.found.append(Skipped(where, "it stands there twice", _REMEDY))
                differences.copies.append(row)
            seen.add(path)
            if not abs(float(np.linalg.norm(snapshot.vectors[row])) - 1) < 1e-3:  # or not a number
                differences.found.append(Skipped(where, "its vector is damaged", _REMEDY))
                differences.damaged.append(row)
            try:
                content = root.read(path, max_pixels).sha256
            except PhotoError as error:
                differences.found.append(Skipped.from_error(error))
                differences.again.append(row)
            else:
                if content != snapshot.hashes[row].tobytes().hex():
                    differences.found.append(Skipped(where, "it has changed since", _REMEDY))
                    differences.again.append(row)
            done += 1
            progress("verifying", done, len(snapshot))
    return differences


def verify(store: Store, snapshot: Snapshot, max_pixels: int, progress: Progress) -> list[Skipped]:
    """Find differences, and note them for the next update where the index may be written."""
    differences = find_differences(snapshot, max_pixels, progress)
    if found := differences.found:
        try:
            with writing(store.address) as store.guard:
                differences.mark(snapshot, store)
        except PhotosieveError as error:
            reason = f"the next update may not read these photos again ({error})"
            found.append(Skipped(Path(store.address), reason, "verify where you may write"))
    return found
