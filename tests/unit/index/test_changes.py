"""An index follows its folders: new, changed, moved and deleted photos."""

import os
import shutil
import sys
import time
from pathlib import Path

import pytest

from photosieve.errors import UsageError
from photosieve.index.index import Index
from photosieve.index.sources import Folder
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


def edit_in_place(path: Path, seed: int) -> None:
    """Give a photo other pixels, with the same size and time as before."""
    before = path.stat()
    photo(path, seed)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size


@pytest.fixture
def bitmaps(tmp_path: Path, sieve: Path) -> Index:
    """An index of four photos that all have the same size, from long ago."""
    for number in range(4):
        photo(tmp_path / "bitmaps" / f"{number}.bmp", number)
        age(tmp_path / "bitmaps" / f"{number}.bmp")
    index = Index(tmp_path / "bitmap-index")
    index.update(sieve, tmp_path / "bitmaps")
    CountingEncoder.embedded.clear()
    return index


def test_an_edit_in_place_is_seen(bitmaps: Index, tmp_path: Path) -> None:
    edit_in_place(tmp_path / "bitmaps" / "0.bmp", 6)
    assert counts(bitmaps) == {"changed": 1}
    assert counts(bitmaps) == {}
    (tmp_path / "bitmaps" / "1.bmp").chmod(0o600)  # read again, and found to be the same
    assert counts(bitmaps) == {}
    assert len(CountingEncoder.embedded) == 1


@pytest.mark.skipif(os.name == "nt", reason="the listing of a folder has no inodes there")
def test_another_file_in_its_place_is_seen(bitmaps: Index, tmp_path: Path) -> None:
    old, new = tmp_path / "bitmaps" / "0.bmp", tmp_path / "new.bmp"
    photo(new, 6)
    os.utime(new, ns=(0, old.stat().st_mtime_ns))
    new.replace(old)
    assert counts(bitmaps) == {"changed": 1}


def test_an_index_without_ctimes_trusts_photos_that_are_older_than_their_reading(
    bitmaps: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bitmaps.store.photos.drop_columns(["ctime_ns", "inode"])  # as version 0.1 made it
    bitmaps.store.refresh()
    with monkeypatch.context() as patch:
        patch.setattr(Folder, "read", None)  # no photo is opened
        assert counts(bitmaps) == {}
    edit_in_place(tmp_path / "bitmaps" / "0.bmp", 6)
    assert counts(bitmaps) == {"changed": 1}
    assert counts(bitmaps) == {}
    assert len(CountingEncoder.embedded) == 1


def test_a_photo_that_can_be_read_with_other_limits_is_tried_again(
    index: Index, folder: Path
) -> None:
    photo(folder / "house-0" / "large.png", 100)
    age(folder / "house-0" / "large.png")
    update = index.update(max_pixels=100)
    assert [skip.remedy for skip in update.skipped] == [
        "save it smaller, or raise --max-megapixels"
    ]
    assert len(index.update(max_pixels=100).skipped) == 1
    assert counts(index) == {"added": 1}


def test_a_renamed_folder(index: Index, folder: Path, tmp_path: Path) -> None:
    new = folder.rename(tmp_path / "renamed")
    answer = index.search("red")
    assert (len(answer), answer.looked_at, answer.gone) == (0, 0, 40)
    with pytest.raises(UsageError, match=r"does not exist any more, where .* 40 photos.*--prune"):
        index.update()
    update = index.update(None, new)
    assert (update.added, update.photos) == (40, 80)
    (lost,) = update.skipped
    assert lost.kind == "folder"
    assert "its 40 photos are left out of answers" in lost.reason
    found = index.search("red")
    assert {hit.path.parent.parent for hit in found} == {new}
    assert counts(index, new, prune=True) == {"deleted": 40}
    assert index.status()["folders"] == [str(new)]
    assert not index.search("red").gone
    assert not CountingEncoder.embedded


def test_pruning_a_renamed_folder_at_once(index: Index, folder: Path, tmp_path: Path) -> None:
    new = folder.rename(tmp_path / "renamed")
    assert counts(index, new, prune=True) == {"moved": 40}
    assert not CountingEncoder.embedded
    with pytest.raises(UsageError, match="nowhere does not exist"):
        index.update(None, tmp_path / "nowhere", prune=True)
