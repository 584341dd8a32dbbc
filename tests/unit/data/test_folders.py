"""Photo files are found in folders, and links to other places are not followed."""

import os
import sys
from pathlib import Path

import pytest

from photosieve.data.folders import find, find_all, walk
from photosieve.data.photos import content_hash, decode
from photosieve.errors import PhotoError, Skipped, UsageError


def test_find_keeps_photo_files_in_order(tmp_path: Path) -> None:
    for name in ("b.JPG", "a.png", "c.WebP", "notes.txt", ".hidden.jpg", "d.gif", "e.psd"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "folder.jpg").mkdir()
    assert [path.name for path in find(tmp_path)] == ["a.png", "b.JPG", "c.WebP", "d.gif"]


def test_find_enters_visible_sub_folders_only_when_asked(tmp_path: Path) -> None:
    for folder in ("one/two", ".cache/deep"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "x.jpg").write_bytes(b"x")
    assert find(tmp_path) == []
    assert find(tmp_path, recursive=True) == [tmp_path / "one/two/x.jpg"]


@pytest.mark.parametrize(
    "folder",
    [
        *("@eaDir", "#recycle", "@Recycle", ".@__thumb"),
        *("$RECYCLE.BIN", "$Recycle.Bin", "System Volume Information"),
        *("__MACOSX", ".thumbnails", ".AppleDouble", ".Trash-1000", "lost+found"),
    ],
)
def test_folders_of_a_system_hold_no_photos(tmp_path: Path, folder: str) -> None:
    for parent in (tmp_path / folder, tmp_path / "house" / folder / "a.jpg"):
        parent.mkdir(parents=True)
        (parent / "SYNOPHOTO_THUMB_XL.jpg").write_bytes(b"x")
    for name in ("a.jpg", "._a.jpg", "Thumbs.db"):
        (tmp_path / "house" / name).write_bytes(b"x")
    assert find(tmp_path, recursive=True) == [tmp_path / "house/a.jpg"]
    named = tmp_path / folder  # who names it wants it
    assert find(named) == [named / "SYNOPHOTO_THUMB_XL.jpg"]


def test_several_folders_give_photos_and_what_was_left_out(tmp_path: Path) -> None:
    for name in ("b.jpg", "a.jpg", "c.psd"):
        (tmp_path / name).write_bytes(b"x")
    photos, skipped = find_all([tmp_path, str(tmp_path)])
    assert photos == [tmp_path / "a.jpg", tmp_path / "b.jpg"]
    assert [skip.path for skip in skipped] == [tmp_path / "c.psd"]
    for photo in photos:
        photo.unlink()
    with pytest.raises(UsageError, match=r"no photo in .*; 1 PSD file left out: save as JPEG"):
        find_all([tmp_path])


def test_find_keeps_links_inside_and_drops_links_outside(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "real.jpg").write_bytes(b"x")
    (tmp_path / "secret.jpg").write_bytes(b"x")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/far.jpg").write_bytes(b"x")
    (home / "alias.jpg").symlink_to("real.jpg")
    (home / "out.jpg").symlink_to("../secret.jpg")
    (home / "gone.jpg").symlink_to("nowhere.jpg")
    (home / "self.jpg").symlink_to("self.jpg")
    (home / "loop").symlink_to(".")
    (home / "away").symlink_to("../elsewhere")
    assert find(home, recursive=True) == [home / "alias.jpg", home / "real.jpg"]


def test_find_follows_a_link_that_is_the_folder_itself(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real/x.jpg").write_bytes(b"x")
    (tmp_path / "link").symlink_to("real")
    assert find(tmp_path / "link") == [tmp_path / "link/x.jpg"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_named_pipe_neither_counts_nor_hangs(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.jpg")
    assert find(tmp_path) == []
    with pytest.raises(PhotoError, match="not a regular file"):
        decode(tmp_path / "x.jpg")
    with pytest.raises(PhotoError, match="not a regular file"):
        content_hash(tmp_path / "x.jpg")


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_names_that_are_no_text_are_skipped_with_a_sentence(tmp_path: Path) -> None:
    odd = os.fsdecode(b"caf\xe9")
    (tmp_path / odd).mkdir()
    for name in ("x.jpg", f"{odd}.jpg", f"{odd}.txt", f"{odd}/y.jpg"):
        (tmp_path / name).write_bytes(b"x")
    photos, skipped = find_all([tmp_path])
    assert photos == [tmp_path / "x.jpg"]
    assert {str(skip) for skip in skipped} == {
        f"skipped {tmp_path}/{name}: its name is not valid UTF-8; give it another name"
        for name in ("caf\ufffd", "caf\ufffd.jpg")
    }
    with pytest.raises(UsageError, match="caf\ufffd: its name is not valid UTF-8"):
        find(tmp_path / odd)


def test_find_says_what_is_wrong_with_the_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(UsageError, match="missing does not exist"):
        find(tmp_path / "missing")
    with pytest.raises(UsageError, match="file is not a folder"):
        find(tmp_path / "file")
    with pytest.raises(UsageError, match="cannot be listed"):
        find(tmp_path / ("x" * 5000))


def test_a_folder_that_cannot_be_listed_is_told_from_a_photo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "closed").mkdir()
    (tmp_path / "pipe.jpg").symlink_to("pipe.jpg")
    real = os.scandir

    def refuse(path: str | Path) -> object:
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", refuse)
    skipped = [entry for entry in walk(tmp_path) if isinstance(entry, Skipped)]
    assert {skip.path.name: skip.kind for skip in skipped} == {
        "closed": "folder",
        "pipe.jpg": "photo",
    }
