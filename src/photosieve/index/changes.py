"""Compare folders with an index: find photos that are new or gone, or may have changed."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from photosieve.data.photos import Bytes
from photosieve.errors import Skipped, UsageError
from photosieve.index.snapshot import Snapshot
from photosieve.index.sources import Root, is_text, place, readable

Key = tuple[str, str]
"""Root and path of a photo, which identify it in the table."""

FRESH_NS = 2_000_000_000
"""A file that changed so shortly before it was read may change again within the same time stamp."""


@dataclass(slots=True)
class PendingPhoto:
    """A photo that is new or may have changed, on its way into the table.

    Parameters
    ----------
    root : Root
    path : str
    size, mtime_ns : int
        As listed; once it is read, as it was then.
    known : int
        Its row in the snapshot, -1 if it is new.
    known_sha256 : str
        The hash in that row.
    sha256 : str
        Of its bytes, once they are read.
    full_size : tuple of int
        Width and height.
    """

    root: Root
    path: str
    size: int
    mtime_ns: int
    known: int = -1
    known_sha256: str = ""
    sha256: str = ""
    full_size: tuple[int, int] = (0, 0)

    @property
    def key(self) -> Key:
        """Its root and path."""
        return self.root.address, self.path

    def note(self, content: Bytes) -> None:
        """Take over size, time and hash of the content that was read."""
        self.size, self.sha256 = content.size, content.sha256
        fresh = abs(time.time_ns() - content.mtime_ns) < FRESH_NS
        self.mtime_ns = -1 if fresh else content.mtime_ns  # -1: look again next time


@dataclass(frozen=True)
class Changes:
    """The differences between folders and an index.

    Parameters
    ----------
    pending : deque of PendingPhoto
        Photos to be read. They are taken out one by one, as there may be millions.
    gone : list of int
        Rows of the snapshot whose photos do not exist any more.
    skipped : dict
        Photos and folders that cannot be used, by root and path.
    unusable : dict
        Records of photos that could not be used, by root and path, for the next run; those of other
        folders are among them.
    """

    pending: deque[PendingPhoto]
    gone: list[int]
    skipped: dict[Key, Skipped]
    unusable: dict[Key, dict[str, Any]]

    def add(self, photo: PendingPhoto, unusable: Mapping[Key, dict[str, Any]]) -> None:
        """Add a photo that is new or may have changed; see `find_changes` for `unusable`."""
        key, path = photo.key, photo.path
        earlier = unusable.get(key)
        if earlier and (earlier["size"], earlier["mtime_ns"]) == (photo.size, photo.mtime_ns):
            self.unusable[key] = earlier
            self.skipped[key] = Skipped(place(*key), earlier["reason"], earlier["remedy"])
        elif is_text(path):
            self.pending.append(photo)
        else:
            reason, remedy = "its name is not valid UTF-8", "give it another name"
            self.skipped[key] = Skipped(place(key[0], readable(path)), reason, remedy)


def find_changes(
    roots: Sequence[Root],
    snapshot: Snapshot,
    unusable: dict[Key, dict[str, Any]],
    *,
    follow_links: bool = False,
    prune: bool = False,
) -> Changes:
    """Compare folders with a snapshot of the index.

    Parameters
    ----------
    roots : sequence of Root
    snapshot : Snapshot
    unusable : dict
        Photos that an earlier run could not use; unchanged ones are not read again.
    follow_links : bool
    prune : bool
        Delete the photos of a folder that is gone or has none, instead of raising an error.

    Raises
    ------
    UsageError
        If a folder is gone, or has no photo where the index has some.
    """
    scanned = {root.address for root in roots}
    elsewhere = {key: record for key, record in unusable.items() if key[0] not in scanned}
    changes = Changes(deque(), [], {}, elsewhere)
    sizes, mtimes = snapshot.sizes.tolist(), snapshot.mtimes.tolist()
    for root in roots:
        known = {
            path: row
            for group in snapshot.groups
            if group.root == root.address
            for row, path in enumerate(snapshot.paths(group), group.start)
        }
        before, unlisted, count = len(known), [], 0
        files = () if prune and root.gone else root.walk(follow_links=follow_links)
        for file in files:
            if isinstance(file, Skipped):
                path = str(file.path)[len(root.address) + 1 :]
                changes.skipped[root.address, path] = file
                if file.kind == "folder":
                    unlisted.append(f"{path}/")
                continue
            count += 1
            path, size, mtime = file
            row = known.pop(path, -1)
            if row >= 0 and sizes[row] == size and mtimes[row] == mtime:
                continue
            known_sha256 = snapshot.hashes[row].tobytes().hex() if row >= 0 else ""
            changes.add(PendingPhoto(root, path, size, mtime, row, known_sha256), unusable)
        if before and not count and not prune:
            raise UsageError(
                f"{root.address} has no photo any more, where the index has {before}: is a disk "
                "missing? If they are gone for good, run again with --prune"
            )
        # Photos in a folder that cannot be listed at the moment are not gone.
        changes.gone.extend(
            row for path, row in known.items() if not path.startswith(tuple(unlisted) or "\0")
        )
    for group in snapshot.groups:  # photos of a folder inside a new one now belong to the new one
        if any(group.root.startswith(f"{root.address}/") for root in roots):
            changes.gone.extend(range(group.start, group.stop))
    return replace(changes, pending=deque(sorted(changes.pending, key=lambda photo: photo.key)))
