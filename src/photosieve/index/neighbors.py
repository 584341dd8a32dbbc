"""Approximate neighbors, for indexes that are too large to compare every photo with a query.

FAISS's inverted lists (Sivic and Zisserman 2003; Jegou et al. 2011, "Product quantization for
nearest neighbor search") over vectors in 8 bits a number: photos are sorted into lists by their
nearest center, and a search looks into the lists nearest to the query. How many lists that has to
be is measured on the photos themselves when the lists are made.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from photosieve import checksums
from photosieve.encoders.protocol import Float32Array
from photosieve.progress import Progress, silent
from photosieve.storage import draft_file, parsing_literals

LEAST_PHOTOS = 500_000
"""Fewer photos are compared one by one, which takes a few dozen milliseconds."""

LEAST_RECALL = 0.995
"""Fraction of the photos above a bound that the lists have to find."""

# Indexes that were made before keep these names.
_LISTS_FILE, _NOTES_FILE = "neighbours.faiss", "neighbours.json"
_ROWS_FILE, _LOOSE_FILE = "neighbours_rows.npy", "neighbours_loose.npy"

_MOST_LOOSE = 0.05
"""With a larger fraction of the photos outside the lists, the lists are made again."""

_SAMPLE_PER_CENTER = 64
"""Photos for each center that the centers are computed from."""

FIRST_FETCH = 1000
"""Photos that a search asks the lists for at first."""

_QUANTIZATION_ERROR = 0.01
"""8 bits a number move a score by less."""


@dataclass(frozen=True)
class Neighbors:
    """The lists, and the photos that came or went since they were made.

    Parameters
    ----------
    lists : faiss.IndexIVF
    recall : float
        As measured for the number of lists that a search looks into.
    rows : array of int or None
        The row of each photo in the lists, -1 if it is gone; None if they are in order.
    loose : array of int
        Rows of photos that are not in the lists: these are compared one by one.
    vectors : array (n, d)
    """

    lists: Any
    recall: float
    rows: NDArray[np.intp] | None
    loose: NDArray[np.intp]
    vectors: Float32Array

    @classmethod
    def open(cls, folder: Path, vectors: Float32Array) -> Neighbors | None:
        """Open the lists in a snapshot's folder; None if there are none, or they are damaged."""
        try:
            notes = checksums.load((folder / _NOTES_FILE).read_bytes())
            if not checksums.are_whole(folder, notes["files"]):
                return None
            import faiss

            lists: Any = faiss.read_index(str(folder / _LISTS_FILE), faiss.IO_FLAG_MMAP)
            lists.nprobe = int(notes["lists"])
            rows, loose = None, np.zeros(0, np.intp)
            if _ROWS_FILE in notes["files"]:
                with parsing_literals:
                    rows, loose = np.load(folder / _ROWS_FILE), np.load(folder / _LOOSE_FILE)
            return cls(_on_gpu(lists), float(notes["recall"]), rows, loose, vectors)
        except (OSError, ValueError, KeyError, TypeError, RuntimeError):  # the last is of faiss
            return None

    def above(self, vector: Float32Array, bound: float, extra: int) -> NDArray[np.intp] | None:
        """Return the rows whose score reaches a bound, and some of the best others.

        More and more are fetched until enough of them are below the bound.

        Parameters
        ----------
        vector : array (d,)
        bound : float
        extra : int
            How many others.

        Returns
        -------
        array of int, or None
            None if comparing all photos is faster, as so many reach the bound.
        """
        count = max(FIRST_FETCH, 2 * extra)
        while count <= self.lists.ntotal // 20:
            scores, near = self.lists.search(vector[None], count)
            enough = int((scores[0] >= bound - _QUANTIZATION_ERROR).sum()) + extra
            if near[0, -1] < 0 or enough <= count:
                rows = near[0][:enough]
                rows = rows[rows >= 0]
                if self.rows is not None:
                    rows = self.rows[rows]
                loose = self.loose[self.vectors[self.loose] @ vector >= bound]
                return np.asarray(np.concatenate([rows[rows >= 0], loose]), np.intp)
            count *= 4
        return None


def carry(old: Path, new: Path, known: NDArray[np.intp]) -> None:
    """Reuse the lists of an old snapshot after photos came and went, unless too many did.

    Parameters
    ----------
    old, new : Path
        Folders of the snapshots.
    known : array of int (n,)
        The row of each photo in the old snapshot, -1 if it is new.
    """
    try:
        notes = checksums.load((old / _NOTES_FILE).read_bytes())
        files = notes["files"]
        if not checksums.are_whole(old, files):
            return
        with parsing_literals:
            rows = np.load(old / _ROWS_FILE) if _ROWS_FILE in files else np.arange(notes["photos"])
    except (OSError, ValueError, KeyError, TypeError):
        return
    there = np.flatnonzero(known >= 0)
    now = np.full(int(known.max(initial=-1)) + 2, -1, np.intp)
    now[known[there]] = there  # one of the photos with the same content: the others are loose
    listed = np.where((rows >= 0) & (rows < len(now)), now[np.minimum(rows, len(now) - 1)], -1)
    loose = np.setdiff1d(np.arange(len(known)), listed)
    if len(loose) > _MOST_LOOSE * len(known):
        return
    try:
        os.link(old / _LISTS_FILE, new / _LISTS_FILE)
    except OSError:  # they are on two disks
        shutil.copyfile(old / _LISTS_FILE, new / _LISTS_FILE)
    np.save(new / _ROWS_FILE, listed)
    np.save(new / _LOOSE_FILE, loose)
    files |= checksums.file_checksums(new, (_ROWS_FILE, _LOOSE_FILE))
    (new / _NOTES_FILE).write_bytes(checksums.dump(notes))


def make(
    folder: Path, vectors: Float32Array, queries: Float32Array, progress: Progress = silent
) -> None:
    """Sort vectors into lists, and write them unless a search had to look into half of them.

    Parameters
    ----------
    folder : Path
    vectors : array (n, d)
    queries : array (m, d)
        Vectors of words that are asked for, to measure with.
    progress : Progress
    """
    import faiss

    count, width = vectors.shape
    centers = int(4 * np.sqrt(count))
    lists: Any = faiss.index_factory(width, f"IVF{centers},SQ8", faiss.METRIC_INNER_PRODUCT)
    lists.cp.niter = 10
    rng = np.random.default_rng(0)
    sample = np.sort(rng.choice(count, min(count, _SAMPLE_PER_CENTER * centers), replace=False))
    lists.train(np.ascontiguousarray(vectors[sample]))
    step = 2**16
    for start in range(0, count, step):
        lists.add(np.ascontiguousarray(vectors[start : start + step]))
        progress("sorting photos for the search", min(start + step, count), count)
    measured = _measure(lists, vectors, queries)
    if measured is None:
        return
    lists.nprobe, recall = measured
    # Another process may have the old file mapped: it is replaced, and not written over.
    with draft_file(folder / _LISTS_FILE) as file:
        library: Any = faiss  # its types lack this class
        faiss.write_index(lists, library.PyCallbackIOWriter(file.write))
    files = checksums.file_checksums(folder, (_LISTS_FILE,))
    notes = {"photos": count, "lists": lists.nprobe, "recall": recall, "files": files}
    with draft_file(folder / _NOTES_FILE) as file:  # last: lists without notes do not count
        file.write(checksums.dump(notes))


def _measure(lists: Any, vectors: Float32Array, queries: Float32Array) -> tuple[int, float] | None:
    """Find how many lists a search has to look into; return that and the recall.

    The recall is that of the hundred best photos of each query.
    """
    expected = []
    for query in queries:
        scores = vectors @ query
        expected.append(set(np.argpartition(-scores, 100)[:100].tolist()))
    probes = 8
    while probes <= lists.nlist // 2:
        lists.nprobe = probes
        _, rows = lists.search(np.ascontiguousarray(queries), 200)
        recall = float(
            np.mean(
                [
                    len(best & set(row.tolist())) / 100
                    for best, row in zip(expected, rows, strict=True)
                ]
            )
        )
        if recall >= LEAST_RECALL:
            return probes, recall
        probes *= 2
    return None


def _on_gpu(lists: Any) -> Any:
    """Move the lists to graphics cards, where FAISS was built for them and there are some."""
    import faiss

    if hasattr(faiss, "get_num_gpus") and faiss.get_num_gpus() > 0:
        return faiss.index_cpu_to_all_gpus(lists)
    return lists
