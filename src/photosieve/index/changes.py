"""Compare folders with an index: find photos that are new or gone, or may have changed."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from photosieve.data.folders import PhotoFile
from photosieve.data.photos import Bytes
from photosieve.errors import Skipped, UsageError
from photosieve.index.snapshot import Snapshot
from photosieve.index.sources import Root, place
from photosieve.storage import FRESH_NS

Key = tuple[str, str]
"""Root and path of a photo, which identify it in the table."""


@dataclass(slots=True)
class PendingPhoto:
    """A photo that is new or may have changed, on its way into the table.

    Parameters
    ----------
    root : Root
    path : str
    size, mtime_ns, ctime_ns, inode : int
        As listed; once it is read, as they were then.
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
    ctime_ns: int = 0
    inode: int = 0
    known: int = -1
    known_sha256: str = ""
    sha256: str = ""
    full_size: tuple[int, int] = (0, 0)

    @property
    def key(self) -> Key:
        """Its root and path."""
        return self.root.address, self.path

    @property
    def group(self) -> str:
        """Its folder below the root; for a photo in the root itself the root's name."""
        return self.path.rpartition("/")[0] or self.root.name

    def note(self, content: Bytes) -> None:
        """Take over size, times and hash of the content that was read."""
        self.size, self.sha256 = content.size, content.sha256
        self.ctime_ns, self.inode = content.ctime_ns, content.inode
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
    reader : str
        See `photosieve.data.photos.reader`.
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
    reader: str = ""

    def add(self, photo: PendingPhoto, unusable: Mapping[Key, dict[str, Any]]) -> None:
        """Add a photo that is new or may have changed; see `find_changes` for `unusable`."""
        key = photo.key
        earlier = unusable.get(key)
        if earlier and all(earlier.get(name) == now for name, now in self.record(photo).items()):
            self.unusable[key] = earlier
            self.skipped[key] = Skipped(place(*key), earlier["reason"], earlier["remedy"])
        else:
            self.pending.append(photo)

    def names(self, snapshot: Snapshot, key: str) -> set[str]:
        """Return all values of the column "path" or "group" after the changes, or before."""
        pending = {getattr(photo, key) for photo in self.pending}
        if key == "group":
            return pending | {group.name for group in snapshot.groups}
        return pending.union(*(snapshot.paths(group) for group in snapshot.groups))

    def record(self, photo: PendingPhoto) -> dict[str, Any]:
        """Return what stays the same as long as an unusable photo stays so."""
        names = ("size", "mtime_ns", "ctime_ns")
        return {"reader": self.reader, **{name: getattr(photo, name) for name in names}}


def find_changes(
    roots: Sequence[Root],
    snapshot: Snapshot,
    unusable: dict[Key, dict[str, Any]],
    *,
    follow_links: bool = False,
    prune: bool = False,
    reader: str = "",
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
    reader : str
        See `photosieve.data.photos.reader`.

    Raises
    ------
    UsageError
        If all folders are gone, or one has no photo where the index has some.
    """
    scanned = {root.address for root in roots}
    elsewhere = {key: record for key, record in unusable.items() if key[0] not in scanned}
    changes = Changes(deque(), [], {}, elsewhere, reader)
    unchanged = _Unchanged(snapshot)
    for root in roots:
        known = {
            path: row
            for group in snapshot.groups
            if group.root == root.address
            for row, path in enumerate(snapshot.paths(group), group.start)
        }
        before, unlisted, count = len(known), [], 0
        if missing := _missing(root, before, prune=prune, alone=all(r.gone for r in roots)):
            changes.skipped[root.address, ""] = missing
            continue
        for file in () if root.gone else root.walk(follow_links=follow_links):
            if isinstance(file, Skipped):
                path = str(file.path)[len(root.address) + 1 :]
                changes.skipped[root.address, path] = file
                if file.kind == "folder":
                    unlisted.append(f"{path}/")
                continue
            count += 1
            row = known.pop(file.path, -1)
            if row >= 0 and unchanged(row, file):
                continue
            known_sha256 = snapshot.hashes[row].tobytes().hex() if row >= 0 else ""
            changes.add(PendingPhoto(root, *file, row, known_sha256), unusable)
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


class _Unchanged:
    """Tells whether a file is as it was when it was read for the index."""

    def __init__(self, snapshot: Snapshot) -> None:
        names = ("sizes", "mtimes", "ctimes", "inodes")
        self._sizes, self._mtimes, self._ctimes, self._inodes = (
            getattr(snapshot, name).tolist() for name in names
        )

    def __call__(self, row: int, file: PhotoFile) -> bool:
        if self._sizes[row] != file.size or self._mtimes[row] != file.mtime_ns:
            return False
        # Some programs edit a file in place and restore its time; that changes its ctime.
        if self._inodes[row] < 0:
            return file.ctime_ns <= int(self._ctimes[row])
        same = not file.inode or self._inodes[row] in (0, file.inode)
        return same and bool(self._ctimes[row] == file.ctime_ns)


def _missing(root: Root, photos: int, *, prune: bool, alone: bool) -> Skipped | None:
    """Describe a folder that is gone; an error if there is no other to go through.

    None if it is there, or to be pruned.
    """
    if root.gone and not photos:
        raise UsageError(f"{root.address} does not exist: give a folder of photos.")
    if prune or not root.gone:
        return None
    if alone:
        raise UsageError(
            f"{root.address} does not exist any more, where the index has {photos} photos: is a "
            "disk missing? If it was renamed or deleted, name its new place, if any, and add "
            "--prune"
        )
    reason = f"it does not exist any more, and its {photos} photos are left out of answers"
    remedy = "connect its disk, or remove them with --prune"
    return Skipped(place(root.address, ""), reason, remedy, "folder")
