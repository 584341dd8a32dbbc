"""What a search needs of an index, as plain arrays in memory-mapped files.

A snapshot belongs to one version of the table and to one sieve. It can be made again at any time:
vectors are the sieve's projection of the table's features. Opening one reads next to nothing, and
a search reads the vectors in its scope alone.

Rows are sorted by root, group and path, so that a group is a range of rows.
"""

from __future__ import annotations

import functools
import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from photosieve.encoders.protocol import Float32Array, Head
from photosieve.index import neighbors as ann
from photosieve.index.store import Store, is_remote
from photosieve.progress import Progress, silent
from photosieve.storage import cache_folder

FORMAT = 1

_NOTES = "snapshot.json"

_BLOCK = 2**24
"""Features are projected so many bytes at a time."""


@dataclass(frozen=True)
class Group:
    """The photos of one folder.

    Parameters
    ----------
    root : str
        The folder that was indexed.
    name : str
        The folder of the photos below the root; photos in the root itself go by its name.
    start, stop : int
        Their rows.
    """

    root: str
    name: str
    start: int
    stop: int


@dataclass(frozen=True)
class Snapshot:
    """The arrays, in files.

    Parameters
    ----------
    folder : Path
    stamp : str
        Of the table: see `Store.stamp`.
    notes : mapping
        What the table's manifest and list of skipped photos said.
    groups : tuple of Group
        In the order of their rows.
    vectors : array (n, d)
        Unit vectors.
    names : array of bytes
        All paths, one after the other.
    ends : array of int (n,)
        Where each path ends.
    sizes, mtimes : array of int (n,)
        In bytes, and in nanoseconds.
    hashes : array of 32 bytes (n,)
        SHA-256 of the files.
    ids : array of int (n,)
        Of the rows in the table.
    """

    folder: Path
    stamp: str
    notes: Mapping[str, Any]
    groups: tuple[Group, ...]
    vectors: Float32Array
    names: NDArray[np.uint8]
    ends: NDArray[np.int64]
    sizes: NDArray[np.int64]
    mtimes: NDArray[np.int64]
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
        notes = json.loads((folder / _NOTES).read_text("utf-8"))
        arrays = {
            name: np.load(folder / f"{name}.npy", mmap_mode="r" if size else None)
            for name, size in notes["arrays"].items()
        }
        groups = tuple(Group(**group) for group in notes["groups"])
        return cls(folder, notes["stamp"], notes["notes"], groups, **arrays)

    @functools.cached_property
    def neighbors(self) -> ann.Neighbors | None:
        """What finds approximate neighbors, if there is such a thing."""
        return ann.Neighbors.open(self.folder, self.vectors)

    def path(self, row: int) -> str:
        """Path of a row, below its root."""
        start = int(self.ends[row - 1]) if row else 0
        return self.names[start : int(self.ends[row])].tobytes().decode()

    def paths(self, group: Group) -> Iterator[str]:
        """Paths of a group's rows, below its root."""
        text = self.names.data
        start = int(self.ends[group.start - 1]) if group.start else 0
        for end in self.ends[group.start : group.stop].tolist():
            yield bytes(text[start:end]).decode()
            start = end

    @functools.cached_property
    def _stops(self) -> NDArray[np.int64]:
        return np.array([group.stop for group in self.groups], np.int64)

    def group(self, row: int) -> Group:
        """The group of a row."""
        return self.groups[int(np.searchsorted(self._stops, row, "right"))]

    @functools.cached_property
    def by_hash(self) -> tuple[NDArray[np.intp], NDArray[np.void]]:
        """Rows in the order of their hashes, and the hashes in that order."""
        order = np.argsort(self.hashes, kind="stable")
        return order, self.hashes[order]

    def with_hash(self, hashes: NDArray[np.void]) -> NDArray[np.intp]:
        """Return a row for each hash, -1 where none has it."""
        order, known = self.by_hash
        if not len(known):
            return np.full(len(hashes), -1, np.intp)
        places = np.minimum(np.searchsorted(known, hashes), len(known) - 1)
        return np.where(known[places] == hashes, order[places], -1)


def find_snapshot(
    store: Store, fingerprint: str | None = None, *, beside: bool = False
) -> Snapshot | None:
    """Open a snapshot of a table's newest version; the table itself is not opened.

    Parameters
    ----------
    store : Store
    fingerprint : str, optional
        Of the sieve's encoder; by default any will do.
    beside : bool
        Whether only that will do which lies beside the table, if that is a folder.

    Raises
    ------
    PhotoIndexError
        If there is no index.
    """
    stamp = store.stamp()
    for place in _places(store)[: 1 if beside else None]:
        for folder in sorted(place.glob(_name(stamp, fingerprint))):
            if found := _opened(folder):
                return found
    return None


def make_snapshot(
    store: Store, fingerprint: str, head: Head, *, beside: bool, progress: Progress = silent
) -> Snapshot:
    """Make the snapshot of a table's newest version for a sieve.

    Parameters
    ----------
    store : Store
    fingerprint : str
        Of the sieve's encoder.
    head : Head
        The encoder's.
    beside : bool
        Whether it may replace what lies beside the table, if that is a folder: only who holds
        the index against other writers may. Otherwise it goes to the user's cache folder.
    progress : Progress
    """
    places = _places(store)
    old = [found for place in places for found in map(_opened, place.glob(_name("", fingerprint)))]
    place = places[0] if beside else places[-1]
    place.mkdir(parents=True, exist_ok=True)
    while True:
        stamp = store.stamp()
        store.refresh()
        with tempfile.TemporaryDirectory(dir=place, prefix=".snapshot-") as scratch:
            draft = Path(scratch) / "new"
            draft.mkdir()
            _write(draft, store, head, next(filter(None, old), None), stamp, progress)
            if store.stamp() != stamp:
                continue  # somebody wrote meanwhile
            folder = place / _name(stamp, fingerprint)
            for other in place.glob(_name("", None)):
                shutil.rmtree(other, ignore_errors=True)
            draft.rename(folder)
        return Snapshot.open(folder)


def _name(stamp: str, fingerprint: str | None) -> str:
    """What a snapshot's folder is called; a pattern, where one of the two is not given."""
    version = hashlib.sha256(f"{FORMAT}/{stamp}".encode()).hexdigest()[:16] if stamp else "*"
    return f"snapshot-{fingerprint[:16] if fingerprint else '*'}-{version}"


def _places(store: Store) -> list[Path]:
    """Where snapshots of a table may be: beside it, and in the user's cache folder."""
    address = store.address
    if is_remote(address):
        return [_cache_of(address)]
    return [Path(address), _cache_of(str(Path(address).resolve()))]


def _cache_of(address: str) -> Path:
    return cache_folder() / "indexes" / hashlib.sha256(address.encode()).hexdigest()[:16]


def _opened(folder: Path) -> Snapshot | None:
    try:
        return Snapshot.open(folder)
    except (OSError, ValueError, KeyError, TypeError):
        return None  # damaged, or replaced this very moment: another is made


def _write(
    folder: Path,
    store: Store,
    head: Head,
    old: Snapshot | None,
    stamp: str,
    progress: Progress,
) -> None:
    rows = store.rows().sort_by([(name, "ascending") for name in ("root", "group", "path")])
    names, ends = _text(rows["path"])
    hashes = np.frombuffer(bytes.fromhex(_text(rows["sha256"])[0].tobytes().decode()), "V32")
    arrays: dict[str, NDArray[Any]] = {
        "names": names,
        "ends": ends,
        "sizes": rows["size"].to_numpy(),
        "mtimes": rows["mtime_ns"].to_numpy(),
        "hashes": hashes,
        "ids": np.asarray(rows["_rowid"].to_numpy(), np.uint64),
    }
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    known = np.full(len(rows), -1, np.intp) if old is None else old.with_hash(hashes)
    _write_vectors(folder / "vectors.npy", store, head, arrays["ids"], old, known, progress)
    if old is not None:
        ann.carry(old.folder, folder, known)
    notes = {
        "stamp": stamp,
        "notes": {**store.read_manifest(), "skipped": store.read_skipped()},
        "arrays": {**{name: len(array) for name, array in arrays.items()}, "vectors": len(rows)},
        "groups": [vars(group) for group in _groups(rows)],
    }
    (folder / _NOTES).write_text(json.dumps(notes), "utf-8")


def _write_vectors(
    path: Path,
    store: Store,
    head: Head,
    ids: NDArray[np.uint64],
    old: Snapshot | None,
    known: NDArray[np.intp],
    progress: Progress,
) -> None:
    """Write the vectors: those of known photos are copied, those of others projected."""
    width = head.project_photos(np.zeros((1, store.width), np.float32)).shape[1]
    step = max(1, _BLOCK // (4 * store.width))
    layout = {"descr": "<f4", "fortran_order": False, "shape": (len(ids), width)}
    with path.open("wb") as file:  # block by block: a mapped file would count as memory
        np.lib.format.write_array_header_2_0(file, layout)
        for start in range(0, len(ids), step):
            part = known[start : start + step]
            vectors = np.zeros((len(part), width), np.float32)
            if old is not None:
                vectors[part >= 0] = old.vectors[part[part >= 0]]
            missing = np.flatnonzero(part < 0)
            for places, rows in store.take(ids[start : start + step][missing]):
                vectors[missing[places]] = head.project_photos(store.matrix(rows))
            file.write(np.ascontiguousarray(vectors, "<f4").data)
            progress("preparing the search", start + len(part), len(ids))


def _text(column: Any) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """All texts of a column one after the other, and where each ends; no object for each."""
    import pyarrow as pa

    if not len(column):
        return np.zeros(0, np.uint8), np.zeros(0, np.int64)
    column = column.combine_chunks().cast(pa.large_binary())
    _, ends, data = column.buffers()
    places = np.frombuffer(ends, np.int64)[column.offset : column.offset + len(column) + 1]
    return np.frombuffer(data, np.uint8)[places[0] : places[-1]], places[1:] - places[0]


def _groups(rows: Any) -> list[Group]:
    """Ranges of rows that share root and group."""
    columns = [rows[name].combine_chunks() for name in ("root", "group")]
    codes = [column.dictionary_encode().indices.to_numpy() for column in columns]
    changes = (np.diff(codes[0]) != 0) | (np.diff(codes[1]) != 0)
    starts = [0, *(np.flatnonzero(changes) + 1).tolist()] if len(rows) else []
    stops = [*starts[1:], len(rows)]
    return [
        Group(columns[0][start].as_py(), columns[1][start].as_py(), start, stop)
        for start, stop in zip(starts, stops, strict=False)
    ]
