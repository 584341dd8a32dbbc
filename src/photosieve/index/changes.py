"""What a walk through the folders says about an index: what is new, what is gone."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from photosieve.data.folders import LISTED
from photosieve.data.photos import Bytes
from photosieve.errors import Skipped, UsageError
from photosieve.index.snapshot import Snapshot
from photosieve.index.sources import Root, is_text, place, readable

Key = tuple[str, str]
"""Root and path of a photo: what it is called in the table."""

FRESH_NS = 2_000_000_000
"""A file changed so shortly before it was read may change again and show the same time."""


@dataclass(slots=True)
class Entry:
    """A photo that is new or may have changed, on its way into the table.

    Parameters
    ----------
    root : Root
    path : str
    size, mtime_ns : int
        As listed; once it is read, as it was then.
    known : int
        Its row in the snapshot, -1 if it is new.
    was : str
        The hash that this row has.
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
    was: str = ""
    sha256: str = ""
    full_size: tuple[int, int] = (0, 0)

    @property
    def key(self) -> Key:
        """What it is called in the table."""
        return self.root.address, self.path

    def note(self, found: Bytes) -> None:
        """Keep what reading it has shown."""
        self.size, self.sha256 = found.size, found.sha256
        fresh = abs(time.time_ns() - found.mtime_ns) < FRESH_NS
        self.mtime_ns = -1 if fresh else found.mtime_ns  # -1: look again next time


@dataclass(frozen=True)
class Marks:
    """What a walk through the folders found.

    Parameters
    ----------
    entries : deque of Entry
        To be read; who takes one takes it out, as there may be millions.
    gone : list of int
        Rows of the snapshot whose photos are not there any more.
    skipped : dict
        What cannot be used, by root and path.
    bad : dict
        What is known of such photos from an earlier run, of other folders too.
    """

    entries: deque[Entry]
    gone: list[int]
    skipped: dict[Key, Skipped]
    bad: dict[Key, dict[str, Any]]

    def look_at(self, entry: Entry, bad: Mapping[Key, dict[str, Any]]) -> None:
        """Sort in a photo that is new or has changed; see `mark` for `bad`."""
        key, path = entry.key, entry.path
        earlier = bad.get(key)
        if earlier and (earlier["size"], earlier["mtime_ns"]) == (entry.size, entry.mtime_ns):
            self.bad[key] = earlier
            self.skipped[key] = Skipped(place(*key), earlier["reason"], earlier["remedy"])
        elif is_text(path):
            self.entries.append(entry)
        else:
            reason, remedy = "its name is not valid UTF-8", "give it another name"
            self.skipped[key] = Skipped(place(key[0], readable(path)), reason, remedy)


def mark(
    roots: Sequence[Root],
    snapshot: Snapshot,
    bad: dict[Key, dict[str, Any]],
    *,
    follow_links: bool = False,
    prune: bool = False,
) -> Marks:
    """Compare folders with what the index has of them.

    Parameters
    ----------
    roots : sequence of Root
    snapshot : Snapshot
    bad : dict
        Photos that an earlier run could not use; unchanged ones are not read again.
    follow_links : bool
    prune : bool
        Whether a folder without any photo may be taken at its word.

    Raises
    ------
    UsageError
        If a folder is gone, or has no photo where the index has some.
    """
    scanned = {root.address for root in roots}
    marks = Marks(deque(), [], {}, {key: bad[key] for key in bad if key[0] not in scanned})
    sizes, mtimes = snapshot.sizes.tolist(), snapshot.mtimes.tolist()
    for root in roots:
        known = {
            path: row
            for group in snapshot.groups
            if group.root == root.address
            for row, path in enumerate(snapshot.paths(group), group.start)
        }
        before, closed, found = len(known), [], 0
        there = () if prune and root.gone else root.walk(follow_links=follow_links)
        for entry in there:
            if isinstance(entry, Skipped):
                path = str(entry.path)[len(root.address) + 1 :]
                marks.skipped[root.address, path] = entry
                if entry.reason.startswith(LISTED):
                    closed.append(f"{path}/")
                continue
            found += 1
            path, size, mtime = entry
            row = known.pop(path, -1)
            if row >= 0 and sizes[row] == size and mtimes[row] == mtime:
                continue
            was = snapshot.hashes[row].tobytes().hex() if row >= 0 else ""
            marks.look_at(Entry(root, path, size, mtime, row, was), bad)
        if before and not found and not prune:
            raise UsageError(
                f"{root.address} has no photo any more, where the index has {before}: is a disk "
                "missing? If they are gone for good, run again with --prune"
            )
        # What lies in a folder that may not be looked into now is not gone.
        marks.gone.extend(
            row for path, row in known.items() if not path.startswith(tuple(closed) or "\0")
        )
    for group in snapshot.groups:  # a folder inside one that is new belongs to that from now on
        if any(group.root.startswith(f"{root.address}/") for root in roots):
            marks.gone.extend(range(group.start, group.stop))
    return replace(marks, entries=deque(sorted(marks.entries, key=lambda entry: entry.key)))
