"""Write a snapshot: the table's photos as a sieve sees them, as plain arrays.

Vectors and scores of photos that an older snapshot of the same sieve has are copied from there.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from photosieve import cache, checksums
from photosieve.data.paths import distinct_names
from photosieve.errors import PhotoIndexError
from photosieve.index import neighbors
from photosieve.index.arrays import DamagedSnapshotError, write_checksums
from photosieve.index.problems import index_errors
from photosieve.index.schema import RECORD_COLUMNS
from photosieve.index.snapshot import (
    NOTES_FILE,
    PhotoGroup,
    Snapshot,
    find_snapshot,
    snapshot_name,
    snapshot_places,
    try_open,
)
from photosieve.index.store import Store
from photosieve.progress import Progress, silent
from photosieve.sieve.sieve import Sieve
from photosieve.storage import draft_folder, locked_file, remove_drafts

_BLOCK_BYTES = 2**24
"""Features are projected so many bytes at a time."""


class _OutdatedError(Exception):
    """The table has changed while its snapshot was written."""


def newest_snapshot(
    store: Store,
    sieve: Sieve,
    damaged: Collection[Path],
    *,
    beside_table: bool,
    progress: Progress,
) -> Snapshot:
    """Open the snapshot of a table's newest version for a sieve, and make it if there is none.

    Parameters
    ----------
    store : Store
    sieve : Sieve
    damaged : collection of Path
        Folders of snapshots that cannot be used.
    beside_table : bool
        Whether the caller is the writer of the index; see `make_snapshot`.
    progress : Progress

    Raises
    ------
    PhotoIndexError
        If there is no index, or it belongs to another model.
    """
    snapshot = find_snapshot(store, sieve.fingerprint, beside_table=beside_table, without=damaged)
    if snapshot is not None and beside_table:
        try:
            snapshot.verify(photos=False)  # what the table will be compared with
        except DamagedSnapshotError:
            snapshot = None
    if snapshot is not None:
        return snapshot
    if store.fingerprint != sieve.encoder.trunk_fingerprint:
        raise PhotoIndexError(
            f"{store.address}: this index was made with another model than this sieve's; to "
            "replace it run: photosieve index PHOTOS --sieve SIEVE "
            f"--index {store.address} --reencode"
        )
    with index_errors(store.address):
        return make_snapshot(store, sieve, beside_table=beside_table, progress=progress)


def make_snapshot(
    store: Store, sieve: Sieve, *, beside_table: bool, progress: Progress = silent
) -> Snapshot:
    """Make the snapshot of a table's newest version for a sieve.

    Parameters
    ----------
    store : Store
    sieve : Sieve
    beside_table : bool
        Write it beside the table, if that is a folder, and remove the ones before; the caller has
        to hold the index against other writers. Otherwise it goes to the user's cache folder.
    progress : Progress
    """
    places, fingerprint = snapshot_places(store), sieve.fingerprint
    place = places[0] if beside_table else places[-1]
    place.mkdir(parents=True, exist_ok=True)
    # Readers that find none at the same time wait for the first of them to make it.
    with nullcontext() if beside_table else locked_file(place / "snapshot", seconds=-1):
        if not beside_table and (found := _try_newest(store, fingerprint, place)):
            return found
        folders = (path for place in places for path in place.glob(snapshot_name("", fingerprint)))
        old = next(filter(None, map(_opened_whole, folders)), None)
        made = _make(store, sieve, old, place, progress, only_one=beside_table)
    if place == places[-1]:
        cache.hold(place)
        cache.trim()
    return made


def _try_newest(store: Store, fingerprint: str, place: Path) -> Snapshot | None:
    return _opened_whole(place / snapshot_name(store.stamp(), fingerprint))


def _opened_whole(folder: Path) -> Snapshot | None:
    """Open a snapshot, of which parts will be copied; None if anything of it is damaged."""
    snapshot = try_open(folder)
    try:
        if snapshot is not None:
            snapshot.verify()
    except DamagedSnapshotError:
        return None
    return snapshot


def _make(
    store: Store,
    sieve: Sieve,
    old: Snapshot | None,
    place: Path,
    progress: Progress,
    *,
    only_one: bool,
) -> Snapshot:
    fingerprint = sieve.fingerprint
    remove_drafts(place / snapshot_name("", None))
    while True:
        stamp = store.stamp()
        store.refresh()
        folder = place / snapshot_name(stamp, fingerprint)
        try:
            with draft_folder(folder) as draft:
                _write(draft, store, sieve, old, stamp, progress)
                if store.stamp() != stamp:
                    raise _OutdatedError  # so that the draft does not replace anything
        except _OutdatedError:
            continue
        kept = {folder} if only_one else set(place.glob(snapshot_name(stamp, None)))
        for other in place.glob(snapshot_name("", None)):
            if other not in kept:
                shutil.rmtree(other, ignore_errors=True)
        return Snapshot.open(folder)


def _write(
    folder: Path,
    store: Store,
    sieve: Sieve,
    old: Snapshot | None,
    stamp: str,
    progress: Progress,
) -> None:
    import pyarrow.compute as pc

    rows = store.rows()
    folders = pc.replace_substring_regex(rows["path"], "/?[^/]*$", "")
    rows = rows.append_column("folder", folders)
    rows = rows.sort_by([(name, "ascending") for name in ("root", "folder", "path")])
    names, ends = _text(rows["path"])
    hashes = np.frombuffer(bytes.fromhex(_text(rows["sha256"])[0].tobytes().decode()), "V32")
    arrays: dict[str, NDArray[Any]] = {
        "names": names,
        "ends": ends,
        "sizes": rows["size"].to_numpy(),
        "mtimes": rows["mtime_ns"].to_numpy(),
        **_records(rows),
        "hashes": hashes,
        "ids": np.asarray(rows["_rowid"].to_numpy(), np.uint64),
    }
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    known = np.full(len(rows), -1, np.intp) if old is None else old.with_hash(hashes)
    _write_photos(folder, store, sieve, arrays["ids"], old, known, progress)
    if old is not None:
        neighbors.carry(old.folder, folder, known)
    notes: dict[str, Any] = {
        "stamp": stamp,
        "notes": {**store.read_manifest(), "skipped": store.read_skipped()},
        "arrays": {
            **{name: len(array) for name, array in arrays.items()},
            "vectors": len(rows),
            "label_scores": len(rows) * len(sieve.labels),
        },
        "groups": [vars(group) for group in _groups(rows)],
    }
    for name in notes["arrays"]:
        write_checksums(folder / f"{name}.npy")
    (folder / NOTES_FILE).write_bytes(checksums.dump(notes))


def _write_photos(
    folder: Path,
    store: Store,
    sieve: Sieve,
    ids: NDArray[np.uint64],
    old: Snapshot | None,
    known: NDArray[np.intp],
    progress: Progress,
) -> None:
    """Write vectors and label scores: copied for known photos, computed for others."""
    embed = sieve.scorer.embed_photos
    none = embed(np.zeros((0, store.width), np.float32))
    width, labels = none.vectors.shape[1], none.labels.shape[1]
    step = max(1, _BLOCK_BYTES // (4 * store.width))
    with (
        _table(folder / "vectors.npy", (len(ids), width)) as vectors_file,
        _table(folder / "label_scores.npy", (labels, len(ids))) as scores_file,
    ):
        first = scores_file.tell()
        for start in range(0, len(ids), step):
            part = known[start : start + step]
            vectors = np.zeros((len(part), width), np.float32)
            scores = np.zeros((len(part), labels), np.float32)
            if old is not None:
                copied = old.photos.rows(part[part >= 0])
                vectors[part >= 0], scores[part >= 0] = copied.vectors, copied.labels
                old.release()
            missing = np.flatnonzero(part < 0)
            for places, rows in store.take(ids[start : start + step][missing]):
                fresh = embed(store.matrix(rows))
                vectors[missing[places]], scores[missing[places]] = fresh.vectors, fresh.labels
            vectors_file.write(np.ascontiguousarray(vectors, "<f4").data)
            for label, column in enumerate(scores.T):
                scores_file.seek(first + 4 * (label * len(ids) + start))
                scores_file.write(np.ascontiguousarray(column, "<f4").data)
            progress("preparing the search", start + len(part), len(ids))


@contextmanager
def _table(path: Path, shape: tuple[int, int]) -> Iterator[BinaryIO]:
    """Open a file for an array that is written in parts: a mapped file would count as memory."""
    with path.open("wb") as file:
        layout = {"descr": "<f4", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_2_0(file, layout)
        yield file


def _records(rows: Any) -> dict[str, NDArray[np.int64]]:
    """Return ctimes and inodes; see `Snapshot` for photos that an earlier version has read."""
    import pyarrow as pa
    from pyarrow import compute

    read = rows["encoded"].cast(pa.timestamp("ns", "UTC")).cast(pa.int64())
    if not set(RECORD_COLUMNS) <= set(rows.column_names):
        return {"ctimes": read.to_numpy(), "inodes": np.full(len(rows), -1)}
    return {
        "ctimes": compute.coalesce(rows["ctime_ns"], read).to_numpy(),
        "inodes": compute.fill_null(rows["inode"], -1).to_numpy(),
    }


def _text(column: Any) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Join all texts of a column, without an object for each; return them and where each ends."""
    import pyarrow as pa

    if not len(column):
        return np.zeros(0, np.uint8), np.zeros(0, np.int64)
    column = column.combine_chunks().cast(pa.large_binary())
    _, ends, data = column.buffers()
    places = np.frombuffer(ends, np.int64)[column.offset : column.offset + len(column) + 1]
    return np.frombuffer(data, np.uint8)[places[0] : places[-1]], places[1:] - places[0]


def _groups(rows: Any) -> list[PhotoGroup]:
    """Return the ranges of rows that share root and folder."""
    root, folder, short = (rows[name].combine_chunks() for name in ("root", "folder", "group"))
    codes = [column.dictionary_encode().indices.to_numpy() for column in (root, folder)]
    changes = (np.diff(codes[0]) != 0) | (np.diff(codes[1]) != 0)
    starts = [0, *(np.flatnonzero(changes) + 1).tolist()] if len(rows) else []
    stops = [*starts[1:], len(rows)]
    roots = [root[start].as_py() for start in starts]
    inside = [[part for part in folder[start].as_py().split("/") if part] for start in starts]
    places = [(*r.split("/"), *below) for r, below in zip(roots, inside, strict=True)]
    depths = [max(1, len(below)) for below in inside]
    names = distinct_names(dict(zip(places, depths, strict=True)))
    return [
        PhotoGroup(roots[i], names[places[i]] or roots[i], short[start].as_py(), start, stop)
        for i, (start, stop) in enumerate(zip(starts, stops, strict=False))
    ]
