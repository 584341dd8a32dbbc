"""An index follows its folders: new, changed, moved and deleted photos."""

import os
import shutil
import sys
import time
from pathlib import Path

import pytest

from photosieve.errors import UsageError
from photosieve.index.index import Index
from tests.library import CountingEncoder, age, counts, photo, photos, rows


def test_nothing_new_costs_nothing(
    index: Index, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stamp = index.snapshot.stamp
    again = Index(index.address)
    monkeypatch.setitem(sys.modules, "lancedb", None)  # not even the table is opened
    assert counts(again, folder) == {}
    assert again.snapshot.stamp == stamp
    assert not CountingEncoder.embedded


def test_every_kind_of_change(index: Index, folder: Path, sieve: Path, tmp_path: Path) -> None:
    house = folder / "house-0"
    os.utime(house / "photo-0000.png")  # touched
    photo(house / "photo-0004.png", 99)  # changed
    age(house / "photo-0004.png")
    (house / "photo-0008.png").rename(house / "new name.png")
    shutil.copy2(house / "photo-0012.png", house / "copy.png")
    (house / "photo-0016.png").unlink()
    photo(folder / "house-9" / "new.png", 100)
    photo(folder / "house-9" / "same as new.png", 100)
    (folder / "house-1").rename(folder / "house-7")
    assert counts(index) == {"changed": 1, "moved": 11, "added": 3, "deleted": 1}
    assert len(CountingEncoder.embedded) == 2
    fresh = Index(tmp_path / "fresh")
    fresh.update(sieve, folder)
    assert rows(index) == rows(fresh)
    assert [hit.path for hit in index.search("red")] == [hit.path for hit in fresh.search("red")]


def test_a_change_within_the_clocks_tick_is_seen(tmp_path: Path, sieve: Path) -> None:
    path = tmp_path / "listings" / "p.bmp"
    photo(path, 0)
    index = Index(tmp_path / "index")
    index.update(sieve, path.parent)
    before = path.stat()
    photo(path, 1)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size
    assert counts(index) == {"changed": 1}


def test_a_clock_that_goes_backwards(
    index: Index, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "time_ns", lambda: 10**18)
    path = folder / "house-0" / "photo-0000.png"
    photo(path, 55)  # its time lies years ahead now
    assert counts(index) == {"changed": 1}
    photo(path, 56)
    age(path, 10**6)  # and goes back
    assert counts(index) == {"changed": 1}
    assert counts(index) == {}


def test_folders_come_and_go(index: Index, folder: Path, tmp_path: Path) -> None:
    other = photos(tmp_path / "more", 8)
    assert counts(index, other) == {"added": 8}
    assert len(rows(index)) == 48
    shutil.rmtree(other)
    with pytest.raises(UsageError, match="does not exist"):
        index.update(None, other)
    other.mkdir()
    with pytest.raises(UsageError, match=r"no photo any more.*is a disk missing.*--prune"):
        index.update(None, other)
    assert len(rows(index)) == 48
    shutil.rmtree(other)
    assert counts(index, other, prune=True) == {"deleted": 8}
    # A folder above one that is there takes its photos over, without embedding them again.
    CountingEncoder.embedded.clear()
    assert counts(index, folder.parent) == {"moved": 40}
    assert not CountingEncoder.embedded
    assert index.status()["folders"] == [str(tmp_path)]
    assert index.search("red", within=["listings/house-0"]).hits
    assert counts(index, folder) == {}  # it is a part of the other
    assert index.status()["folders"] == [str(tmp_path)]


def test_a_folder_that_may_not_be_listed_keeps_its_photos(
    index: Index, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.scandir

    def refuse(path: str) -> object:
        if str(path).endswith("house-2"):
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", refuse)
    (folder / "house-1" / "photo-0001.png").unlink()
    done = index.update()
    assert (done.deleted, done.photos) == (1, 39)
    assert [skip.reason for skip in done.skipped] == ["it cannot be listed (Permission denied)"]
