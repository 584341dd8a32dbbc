"""An index as plain arrays in memory-mapped files, which searches read.

A snapshot belongs to one version of the table and to one sieve. It can be made again at any time:
vectors are the sieve's projection of the table's features, see `photosieve.index.projection`.
Opening one reads next to nothing, and a search reads only the vectors in its scope. What is read
is compared with checksums; a snapshot that is damaged is made again.

Rows are sorted by root, folder and path, so that a group is a range of rows.
"""

from __future__ import annotations

import bisect
import functools
import hashlib
import operator
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from photosieve import cache, checksums
from photosieve.encoders.protocol import Float32Array
from photosieve.index import sources
from photosieve.index.arrays import CheckedArray, DamagedSnapshotError
from photosieve.index.kept import KeptAnswers
from photosieve.index.neighbors import Neighbors
from photosieve.index.store import Store, is_remote
from photosieve.sieve.embedded import Embedded
from photosieve.storage import cache_folder

SNAPSHOT_VERSION = 3
"""Raised when the files change, so that old snapshots are made again."""

NOTES_FILE = "snapshot.json"

_OF_SIEVE = ("vectors", "label_scores")


@dataclass(frozen=True)
class PhotoGroup:
    """The photos of one folder.

    Parameters
    ----------
    root : str
        The folder that was indexed.
    name : str
        The folder of the photos, below the root; for photos in the root itself, the root's name.
        Where two folders would get one name, it starts further up.
    short : str
        The same without regard to other folders, as the table has it.
    start, stop : int
        Their rows.
    """

    root: str
    name: str
    short: str
    start: int
    stop: int


_stop = operator.attrgetter("stop")


@dataclass(frozen=True)
class Snapshot:
    """The arrays, in files; each of them is a `CheckedArray`.

    Parameters
    ----------
    folder : Path
    stamp : str
        Of the table: see `Store.stamp`.
    notes : mapping
        The table's manifest and its list of skipped photos.
    groups : tuple of PhotoGroup
        In the order of their rows.
    vectors : array (n, d)
        Unit vectors.
    label_scores : array (labels, n)
        Scores of the sieve's labels; those of one label are next to one another.
    names : array of bytes
        All paths, one after the other.
    ends : array of int (n,)
        Where each path ends.
    sizes, mtimes : array of int (n,)
        In bytes, and in nanoseconds.
    ctimes, inodes : array of int (n,)
        As in `photosieve.data.folders.PhotoFile`. Where an earlier version read the photo, the
        inode is -1 and the time is that of the reading.
    hashes : array of 32 bytes (n,)
        SHA-256 of the files.
    ids : array of int (n,)
        Of the rows in the table.
    """

    folder: Path
    stamp: str
    notes: Mapping[str, Any]
    groups: tuple[PhotoGroup, ...]
    vectors: Float32Array
    label_scores: Float32Array
    names: NDArray[np.uint8]
    ends: NDArray[np.int64]
    sizes: NDArray[np.int64]
    mtimes: NDArray[np.int64]
    ctimes: NDArray[np.int64]
    inodes: NDArray[np.int64]
    hashes: NDArray[np.void]
    ids: NDArray[np.uint64]

    def __len__(self) -> int:
        return len(self.vectors)

    @classmethod
    def open(cls, folder: Path) -> Snapshot:
        """Map the files of a folder into memory.

        Raises
        ------
        OSError, ValueError, KeyError
            If it is missing or damaged.
        """
        notes = checksums.load((folder / NOTES_FILE).read_bytes())
        arrays = {
            name: cast("Any", CheckedArray(folder / f"{name}.npy", size))
            for name, size in notes["arrays"].items()
        }
        groups = tuple(PhotoGroup(**group) for group in notes["groups"])
        return cls(folder, notes["stamp"], notes["notes"], groups, **arrays)

    def verify(self, *, photos: bool = True) -> None:
        """Verify all that was not read yet, or all but what the sieve has made of the photos.

        Raises
        ------
        DamagedSnapshotError
            If it is damaged.
        """
        for name, array in vars(self).items():
            if isinstance(array, CheckedArray) and (photos or name not in _OF_SIEVE):
                array.verify()

    def release(self) -> None:
        """Take what was read out of this process's memory; see `CheckedArray.release`."""
        for array in vars(self).values():
            if isinstance(array, CheckedArray):
                array.release()

    @property
    def photos(self) -> Embedded:
        """All photos as the sieve sees them."""
        return Embedded(self.vectors, self.label_scores.T)

    @functools.cached_property
    def neighbors(self) -> Neighbors | None:
        """The lists for approximate search; None for few photos, which need none."""
        return Neighbors.open(self.folder, self.vectors)

    def path(self, row: int) -> str:
        """Return the path of a row, below its root."""
        start = int(self.ends[row - 1]) if row else 0
        return self.names[start : int(self.ends[row])].tobytes().decode()

    @functools.cached_property
    def folders(self) -> dict[int, Path]:
        """The folders of groups, by their first rows, as far as they were asked for."""
        return {}

    def folder_of(self, group: PhotoGroup) -> Path:
        """Return the folder of a group's photos."""
        if group.start not in self.folders:
            self.folders[group.start] = self.place(group.start).parent
        return self.folders[group.start]

    def place(self, row: int) -> Path:
        """Return where the photo of a row is."""
        return sources.place(self.group(row).root, self.path(row))

    def paths(self, group: PhotoGroup) -> Iterator[str]:
        """Give the paths of a group's rows, below its root."""
        start = first = int(self.ends[group.start - 1]) if group.start else 0
        ends = self.ends[group.start : group.stop].tolist()
        text = self.names[first : ends[-1]].data if ends else b""
        for end in ends:
            yield bytes(text[start - first : end - first]).decode()
            start = end

    @functools.cached_property
    def _stops(self) -> NDArray[np.int64]:
        return np.array([group.stop for group in self.groups], np.int64)

    def group(self, row: int) -> PhotoGroup:
        """Return the group of a row."""
        return self.groups[bisect.bisect_right(self.groups, row, key=_stop)]

    def group_numbers(self, rows: ArrayLike) -> NDArray[np.intp]:
        """Return the positions in `groups` of the groups of rows."""
        return np.asarray(np.searchsorted(self._stops, rows, "right"))

    @functools.cached_property
    def complete(self) -> dict[int, tuple[int, int]]:
        """By the first row of a group, the state of its folder when all its photos were there."""
        return {}

    @functools.cached_property
    def answers(self) -> KeptAnswers:
        """The last answers of searches in all photos or in groups."""
        return KeptAnswers()

    @functools.cached_property
    def by_hash(self) -> tuple[NDArray[np.intp], NDArray[np.void]]:
        """Rows in the order of their hashes, and the hashes in that order."""
        order = np.argsort(np.asarray(self.hashes), kind="stable")
        return order, self.hashes[order]

    def with_hash(self, hashes: NDArray[np.void]) -> NDArray[np.intp]:
        """Return a row for each hash, -1 where none has it."""
        order, known = self.by_hash
        if not len(known):
            return np.full(len(hashes), -1, np.intp)
        places = np.minimum(np.searchsorted(known, hashes), len(known) - 1)
        return np.where(known[places] == hashes, order[places], -1)


def find_snapshot(
    store: Store,
    fingerprint: str | None = None,
    *,
    beside_table: bool = False,
    without: Collection[Path] = (),
) -> Snapshot | None:
    """Open a snapshot of a table's newest version; the table itself is not opened.

    Parameters
    ----------
    store : Store
    fingerprint : str, optional
        Of the sieve; by default any.
    beside_table : bool
        Look only beside the table, if that is a folder, and not in the user's cache folder.
    without : collection of Path
        Folders of snapshots that are damaged.

    Raises
    ------
    PhotoIndexError
        If there is no index.
    """
    stamp = store.stamp()
    for place in snapshot_places(store)[: 1 if beside_table else None]:
        for folder in sorted(place.glob(snapshot_name(stamp, fingerprint))):
            if folder not in without and (snapshot := try_open(folder)):
                cache.hold(place)
                return snapshot
    return None


def snapshot_name(stamp: str, fingerprint: str | None) -> str:
    """Return the name of a snapshot's folder; a pattern, where one of the two is not given."""
    version = (
        hashlib.sha256(f"{SNAPSHOT_VERSION}/{stamp}".encode()).hexdigest()[:16] if stamp else "*"
    )
    return f"snapshot-{fingerprint[:16] if fingerprint else '*'}-{version}"


def snapshot_places(store: Store) -> list[Path]:
    """Return where snapshots of a table may be: beside it, and in the user's cache folder."""
    address = store.address
    if is_remote(address):
        return [_cache_of(address)]
    return [Path(address), _cache_of(str(Path(address).resolve()))]


def _cache_of(address: str) -> Path:
    return cache_folder() / "indexes" / hashlib.sha256(address.encode()).hexdigest()[:16]


def try_open(folder: Path) -> Snapshot | None:
    """Open a snapshot; None if it is damaged, or replaced at this very moment."""
    try:
        return Snapshot.open(folder)
    except (OSError, ValueError, KeyError, TypeError, DamagedSnapshotError):
        return None
