"""Arrays in files that are mapped into memory, and verified as far as they are read."""

from __future__ import annotations

import mmap
import sys
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.array_utils import byte_bounds
from numpy.typing import ArrayLike, NDArray

from photosieve.checksums import BLOCK_BYTES, block_checksums
from photosieve.errors import PhotoIndexError
from photosieve.storage import parsing_literals

_BLOCKS_AT_ONCE = 2**26 // BLOCK_BYTES


class DamagedSnapshotError(PhotoIndexError):
    """A file of a snapshot is not as it was written; the snapshot can be made again."""


class CheckedArray:
    """An array in a file, to be used like a numpy array: what is read of it is verified before.

    Parameters
    ----------
    path : Path
        Of a ``.npy`` file; ``.crc.npy`` beside it has its checksums, see `write_checksums`.
    size : int
        How many numbers it has: a file without any cannot be mapped.

    Raises
    ------
    OSError, ValueError
        If it is missing or damaged.
    """

    def __init__(self, path: Path, size: int) -> None:
        self._path = path
        with parsing_literals:
            self._checksums = np.load(_checksums_of(path)).tolist()
        with path.open("rb") as file:
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._bytes = np.frombuffer(self._map, np.uint8)
        if len(self._checksums) != -(-len(self._bytes) // BLOCK_BYTES):
            raise DamagedSnapshotError(f"{path} is damaged: its length differs.")
        self._verified = np.zeros(len(self._checksums), bool)
        self._whole = False  # whether all of it is verified
        self._verify([0])  # numpy reads the form of the array from there
        with parsing_literals:
            array: NDArray[Any] = np.load(path, mmap_mode="r" if size else None)
        self._start = getattr(array, "offset", 0)
        if size:  # the same through the map above: what two maps show counts twice as memory
            array = self._bytes[self._start :].view(array.dtype).reshape(array.shape)
        self._array = array

    @property
    def shape(self) -> tuple[int, ...]:
        """The lengths of its axes."""
        return self._array.shape

    @property
    def T(self) -> CheckedArray:
        """The same numbers with the axes in reverse order."""
        other = CheckedArray.__new__(CheckedArray)
        vars(other).update(vars(self), _array=self._array.T)
        return other

    def __len__(self) -> int:
        return len(self._array)

    def __getitem__(self, key: Any) -> Any:
        """Return a part, as numpy does; the first index may be an array of rows."""
        if self._whole and not isinstance(key, tuple):
            return self._array[key]
        if isinstance(key, int | np.integer) and self._array.flags.c_contiguous and len(self):
            width = self._array.strides[0]
            start = self._start + (int(key) % len(self)) * width
            self._verify_bytes(start, start + width)
            return self._array[key]
        rows, *columns = key if isinstance(key, tuple) else (key,)
        part = self._array[(slice(None), *columns)]
        if isinstance(rows, slice):
            part = part[rows]
            if part.size and not self._whole:
                self._verify_bytes(*self._place(part))
            return np.asarray(part)
        found = np.asarray(part[rows])
        if found.size and not self._whole:
            numbers = np.asarray(rows).reshape(-1)
            if numbers.dtype == bool:
                numbers = np.flatnonzero(numbers)
            numbers = np.where(numbers < 0, numbers + len(part), numbers)
            # In a transposed array a row is spread over the file: its columns are taken one by one.
            together = part[:1].flags.c_contiguous
            for column in (part,) if together else part.T:
                self._verify_rows(column, numbers)
        return found

    def _verify_rows(self, part: NDArray[Any], numbers: NDArray[np.intp]) -> None:
        """Verify some rows of a part; each is one piece of the file."""
        start, stop = self._place(part[:1])
        first = (start + numbers * part.strides[0]) // BLOCK_BYTES
        last = (stop - 1 + numbers * part.strides[0]) // BLOCK_BYTES
        steps = np.arange(int((last - first).max()) + 1)
        blocks = np.minimum(first[:, None] + steps, last[:, None])
        self._verify(np.unique(blocks[~self._verified[blocks]]).tolist())

    def __matmul__(self, other: ArrayLike) -> NDArray[Any]:
        return np.asarray(np.asarray(self) @ np.asarray(other))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        self.verify()
        return np.array(self._array, dtype, copy=copy)

    def tolist(self) -> list[Any]:
        """Return it as a list of Python's own numbers."""
        return list(np.asarray(self).tolist())

    def verify(self) -> None:
        """Verify all of it, without keeping it in memory.

        Raises
        ------
        DamagedSnapshotError
            If it is damaged.
        """
        missing = np.flatnonzero(~self._verified).tolist()
        for start in range(0, len(missing), _BLOCKS_AT_ONCE):
            self._verify(missing[start : start + _BLOCKS_AT_ONCE])
            self.release()
        self._whole = True

    def release(self) -> None:
        """Take what was read of the file out of this process's memory; the array stays usable."""
        if sys.platform != "win32":
            self._map.madvise(mmap.MADV_DONTNEED)

    def _place(self, part: NDArray[Any]) -> tuple[int, int]:
        """Return where the bytes of a part begin and end in the file."""
        base = self._array.__array_interface__["data"][0] - self._start
        start, stop = byte_bounds(part)
        return start - base, stop - base

    def _verify_bytes(self, start: int, stop: int) -> None:
        self._verify(range(start // BLOCK_BYTES, (stop - 1) // BLOCK_BYTES + 1))

    def _verify(self, blocks: Iterable[int]) -> None:
        for block in blocks:
            if self._verified[block]:
                continue
            data = self._bytes[block * BLOCK_BYTES : (block + 1) * BLOCK_BYTES]
            if zlib.crc32(data.data) != self._checksums[block]:
                raise DamagedSnapshotError(
                    f"{self._path} is damaged: the disk or a copy has changed it; run again"
                )
            self._verified[block] = True


def write_checksums(path: Path) -> None:
    """Write the checksums of an array's file beside it."""
    np.save(_checksums_of(path), np.array(block_checksums(path), np.uint32))


def _checksums_of(path: Path) -> Path:
    return path.with_suffix(".crc.npy")
