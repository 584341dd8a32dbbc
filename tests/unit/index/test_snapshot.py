"""Snapshots are made again when they are gone or damaged, and by users who may only read."""

import gc
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from photosieve.index.arrays import CheckedArray, DamagedSnapshotError, write_checksums
from photosieve.index.index import Index
from tests.library import CountingEncoder, counts, rows


@pytest.mark.parametrize("damage", ["gone", "no notes", "short"])
def test_a_damaged_snapshot_is_made_again(index: Index, damage: str) -> None:
    (found,) = Path(index.address).glob("snapshot-*")
    expected = [hit.path for hit in index.search("red")]
    if damage == "gone":
        shutil.rmtree(found)
    elif damage == "no notes":
        (found / "snapshot.json").write_text("{")
    else:
        (found / "vectors.npy").write_bytes(b"\x93NUMPY")
    assert [hit.path for hit in Index(index.address).search("red")] == expected
    Index(index.address).update()
    assert len(list(Path(index.address).glob("snapshot-*"))) == 1
    assert not CountingEncoder.embedded


def damage(file: Path, at: float) -> None:
    """Change one byte, as a failing disk does: size and time of the file stay."""
    before = file.stat()
    content = bytearray(file.read_bytes())
    content[min(int(at * len(content)), len(content) - 1)] ^= 0x10
    file.write_bytes(content)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


FILES = ("vectors", "label_scores", "names", "ends", "hashes", "ids", "sizes", "mtimes")


@pytest.mark.parametrize("name", [*(f"{name}.npy" for name in FILES), "snapshot.json"])
def test_no_changed_byte_changes_an_answer(index: Index, name: str) -> None:
    """Neither of a search, nor of an update."""

    def answers() -> list[tuple[Path, float]]:
        fresh = Index(index.address)
        return [
            (hit.path, hit.probability)
            for query in ("red", "word 3", "red + blue")
            for hit in fresh.search(query, top=40)
        ]

    expected, content = answers(), rows(index)
    for at in (0.0, 0.3, 0.6, 0.99):
        (found,) = Path(index.address).glob("snapshot-*")
        damage(found / name, at)
        assert answers() == expected
        assert not Index(index.address).update().skipped
        assert rows(Index(index.address)) == content
        (found,) = Path(index.address).glob("snapshot-*")
        damage(found / name, at)
        assert not Index(index.address).verify()
        assert counts(Index(index.address)) == {}
    assert not CountingEncoder.embedded


@pytest.fixture
def array(tmp_path: Path) -> NDArray[np.float32]:
    """An array of 20 rows, each longer than a block, in a file."""
    array = np.arange(400_000, dtype=np.float32).reshape(20, 20_000)
    np.save(tmp_path / "a.npy", array)
    write_checksums(tmp_path / "a.npy")
    return array


def test_parts_of_a_checked_array_are_those_of_the_array(
    array: NDArray[np.float32], tmp_path: Path
) -> None:
    checked = CheckedArray(tmp_path / "a.npy", array.size)
    rows = np.array([7, -2, 7])
    keys: list[Any] = [3, -1, slice(None), slice(2, 9), slice(4, 4), rows, array[:, 0] > 9e4]
    for key in [*keys, *((key, 5) for key in keys)]:
        assert np.array_equal(checked[key], array[key])
    for key in [*keys[:-1], (rows, 5), (slice(3), 5)]:
        assert np.array_equal(checked.T[key], array.T[key])
    assert np.array_equal(np.asarray(checked), array)


def test_each_byte_that_is_read_is_verified_and_no_other(
    array: NDArray[np.float32], tmp_path: Path
) -> None:
    for row in (2, 10, 19):
        damage(tmp_path / "a.npy", (row + 0.5) / 20)
        checked = CheckedArray(tmp_path / "a.npy", array.size)
        keys: list[Any] = [row, slice(row, row + 1), np.array([0, row]), (slice(None), 10_000)]
        for key in keys:
            with pytest.raises(DamagedSnapshotError, match=r"a\.npy is damaged"):
                checked[key]
        assert np.array_equal(checked[: row - 1], array[: row - 1])
        damage(tmp_path / "a.npy", (row + 0.5) / 20)  # as it was
        assert np.array_equal(CheckedArray(tmp_path / "a.npy", array.size)[row], array[row])


def test_rows_of_a_transposed_array_take_no_memory_for_each_block(tmp_path: Path) -> None:
    """A row of it lies in every part of the file."""
    scores = np.random.default_rng(0).random((8, 500_000), np.float32)
    np.save(tmp_path / "a.npy", scores)
    write_checksums(tmp_path / "a.npy")
    checked, rows = CheckedArray(tmp_path / "a.npy", scores.size).T, np.arange(0, 500_000, 10)
    tracemalloc.start()
    found = checked[rows]
    assert tracemalloc.get_traced_memory()[1] < 5 * found.nbytes
    tracemalloc.stop()
    assert np.array_equal(found, scores.T[rows])
    damage(tmp_path / "a.npy", 0.7)
    with pytest.raises(DamagedSnapshotError):
        CheckedArray(tmp_path / "a.npy", scores.size).T[rows]


def resident(file: Path) -> int:
    """Return how many bytes of a file are in the memory of this process."""
    maps = Path("/proc/self/smaps").read_text().split("VmFlags")
    sizes = [re.search(r"\bRss: *(\d+) kB", part) for part in maps if f"{file}\n" in part]
    return sum(1024 * int(size[1]) for size in sizes if size)


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="only Linux tells")
def test_a_file_is_in_memory_once_and_can_be_let_go(tmp_path: Path) -> None:
    array = np.ones((1000, 5000), np.float32)
    np.save(tmp_path / "a.npy", array)
    write_checksums(tmp_path / "a.npy")
    checked = CheckedArray(tmp_path / "a.npy", array.size)
    checked.verify()
    assert resident(tmp_path / "a.npy") < array.nbytes / 10
    assert np.array_equal(checked[:], array)
    assert array.nbytes * 0.9 < resident(tmp_path / "a.npy") < array.nbytes * 1.1
    checked.release()
    assert resident(tmp_path / "a.npy") < array.nbytes / 10
    assert np.array_equal(checked[:], array)


class Slow:
    """Garbage whose end lets other threads run, as that of a file or a memory map does."""

    def __init__(self) -> None:
        self.me = self

    def __del__(self) -> None:
        time.sleep(1e-4)


def test_arrays_are_opened_by_many_threads(array: NDArray[np.float32], tmp_path: Path) -> None:
    opened: list[CheckedArray] = []

    def start() -> None:
        for _ in range(50):
            Slow()
            opened.append(CheckedArray(tmp_path / "a.npy", array.size))

    often = gc.get_threshold()
    gc.set_threshold(20, 1, 1)  # in the middle of reading, too
    try:
        threads = [threading.Thread(target=start) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        gc.set_threshold(*often)
    assert len(opened) == 300


def test_readers_that_make_a_snapshot_at_the_same_time(index: Index, sieve: Path) -> None:
    expected = [hit.path for hit in index.search("red")]
    (found,) = Path(index.address).glob("snapshot-*")
    shutil.rmtree(found)
    for _ in range(5):
        shutil.rmtree(os.environ["PHOTOSIEVE_CACHE"], ignore_errors=True)
        start, answers, errors = threading.Barrier(8), [], []

        def search() -> None:
            reader = Index(index.address, sieve)
            start.wait()  # noqa: B023
            try:
                answers.append([hit.path for hit in reader.search("red")])  # noqa: B023
            except Exception as error:
                errors.append(error)  # noqa: B023

        threads = [threading.Thread(target=search) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert errors == []
        assert answers == [expected] * 8


@pytest.mark.long
def test_an_index_that_may_only_be_read(index: Index, sieve: Path) -> None:
    """As another user, with and without a snapshot beside the table."""
    nobody = 65534 if os.getuid() == 0 else os.getuid()
    expected = f"{len(index.search('red'))}\n"
    with tempfile.TemporaryDirectory() as scratch:  # other users may not look into pytest's
        public = Path(scratch)
        for name, left_out in (("whole", ""), ("bare", "snapshot-*")):
            shutil.copytree(index.address, public / name, ignore=shutil.ignore_patterns(left_out))
        shutil.copytree(sieve, public / "sieve")
        for place in [public, *public.rglob("*")]:
            place.chmod(0o555 if place.is_dir() else 0o444)
        public.chmod(0o755)
        (public / "theirs").mkdir()
        os.chown(public / "theirs", nobody, -1)
        code = f"""
import os
from pathlib import Path
import faiss, lancedb, pyarrow.compute
from photosieve.sieve import saved
from photosieve.index.index import Index
from tests.library import fake_by_name
saved.load_encoder = fake_by_name
public = Path({scratch!r})
os.environ["PHOTOSIEVE_CACHE"] = str(public / "theirs")
os.setuid({nobody})
for name in ("whole", "bare"):
    print(len(Index(public / name, public / "sieve").search("red")))
    print(os.listdir(public / "theirs"))
"""
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=False
        )
        assert done.stderr == ""
        assert done.stdout == f"{expected}[]\n{expected}['indexes']\n"
