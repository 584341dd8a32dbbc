"""Read the photos of an index again, and find differences."""

from __future__ import annotations

from collections import Counter

import numpy as np

from photosieve.errors import PhotoError, Skipped
from photosieve.index.snapshot import Snapshot
from photosieve.index.sources import open_root, place
from photosieve.progress import Progress

_REMEDY = "run photosieve index again"


def find_differences(snapshot: Snapshot, max_pixels: int, progress: Progress) -> list[Skipped]:
    """Return the photos that are gone, damaged or not the same as in the index."""
    differences, done = [], 0
    for group in snapshot.groups:
        root = open_root(group.root)
        paths = list(snapshot.paths(group))
        twice = {path for path, count in Counter(paths).items() if count > 1}
        for row, path in enumerate(paths, group.start):
            where = place(group.root, path)
            if path in twice:
                differences.append(Skipped(where, "it stands there twice", _REMEDY))
            if abs(float(np.linalg.norm(snapshot.vectors[row])) - 1) > 1e-3:
                differences.append(Skipped(where, "its vector is damaged", _REMEDY))
            try:
                content = root.read(path, max_pixels).sha256
            except PhotoError as error:
                differences.append(Skipped.from_error(error))
            else:
                if content != snapshot.hashes[row].tobytes().hex():
                    differences.append(Skipped(where, "it has changed since", _REMEDY))
            done += 1
            progress("verifying", done, len(snapshot))
    return differences
