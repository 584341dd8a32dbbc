"""Differences between the index and its folders are found."""

from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow.compute as pc

from photosieve.index.index import Index
from photosieve.index.lock import writing
from tests.library import CountingEncoder, photo


def test_verify_names_what_is_wrong(index: Index, folder: Path) -> None:
    assert not index.verify()
    changed, gone = (folder / "house-0" / f"photo-000{n}.png" for n in "04")
    photo(changed, 5)
    gone.unlink()
    assert [(p.path.name, p.reason) for p in index.verify()] == [
        ("photo-0000.png", "it has changed since"),
        ("photo-0004.png", "there is no such file"),
    ]


def test_all_that_verify_finds_is_mended_by_the_next_update(index: Index, folder: Path) -> None:
    house = folder / "house-0"
    photo(house / "photo-0000.png", 44)
    store = index.store
    rows = store.photos.search().to_arrow()
    store.append(rows.filter(pc.field("path") == "house-0/photo-0004.png"))  # two writers at once
    # The listing shows no difference: as if the changed photo had its old size and times.
    status = (house / "photo-0000.png").stat()
    known = {"size": status.st_size, "mtime_ns": status.st_mtime_ns, "ctime_ns": status.st_ctime_ns}
    store.photos.update(
        where="path = 'house-0/photo-0000.png'", values={**known, "inode": status.st_ino}
    )
    index.compact()  # makes a snapshot beside the table
    snapshot = index.snapshot
    vectors = np.load(snapshot.folder / "vectors.npy", mmap_mode="r+")
    paths = [snapshot.path(row) for row in range(len(snapshot))]
    vectors[paths.index("house-0/photo-0008.png")] *= 2
    vectors.flush()
    CountingEncoder.embedded.clear()
    assert counts_of_problems(index) == {
        "it has changed since": 1,
        "it stands there twice": 1,
        "its vector is damaged": 1,
    }
    done = index.update()
    assert (done.changed, done.photos) == (2, 40)
    assert len(CountingEncoder.embedded) == 2
    assert counts_of_problems(index) == {}


def counts_of_problems(index: Index) -> Counter[str]:
    return Counter(problem.reason for problem in index.verify())


def test_verify_says_that_it_could_not_note_what_it_found(index: Index, folder: Path) -> None:
    photo(folder / "house-0" / "photo-0000.png", 44)
    with writing(index.address):  # another process
        reasons = [problem.reason for problem in index.verify()]
    assert reasons[0] == "it has changed since"
    assert "the next update may not read these photos again" in reasons[1]
