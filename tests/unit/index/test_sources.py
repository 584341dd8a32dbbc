"""Odd files and names in folders."""

import os
from pathlib import Path

import pytest
from pyarrow import fs

from photosieve.errors import Skipped, UsageError
from photosieve.index.index import Index
from photosieve.index.sources import Bucket
from tests.library import counts, photo, photos, rows


def test_odd_files(tmp_path: Path, sieve: Path) -> None:
    folder = photos(tmp_path / "listings", 4, groups=1)
    house, outside = folder / "house-0", tmp_path / "outside.png"
    photo(outside, 50)
    photo(tmp_path / "far" / "away.png", 51)
    os.mkfifo(house / "pipe.jpg")
    (house / "loop").symlink_to(folder)
    (house / "loop.png").symlink_to("loop.png")
    (house / "inside.png").symlink_to("photo-0000.png")
    (house / "out.png").symlink_to(outside)
    (house / "far").symlink_to(tmp_path / "far")
    with (house / "huge.jpg").open("wb") as file:
        file.truncate(2**30)
    names = ("it's.png", 'a "b".png', "ü ö 漢.png", "two\nlines.png", "per%cent.png")
    for number, name in enumerate(names):
        photo(house / name, 60 + number)
    photo(house / "temporary.png", 70)
    (house / "temporary.png").rename(os.fsdecode(os.fsencode(house) + b"/bad-\xff.png"))
    photo(folder / ".hidden" / "p.png", 71)

    index = Index(tmp_path / "index")
    done = index.update(sieve, folder)
    assert {path for path, _ in rows(index)} == {
        *(f"house-0/{name}" for name in names),
        *(f"house-0/photo-000{number}.png" for number in range(4)),
        "house-0/inside.png",
    }
    reasons = {skip.path.name: skip.reason.partition(" (")[0] for skip in done.skipped}
    assert reasons == {
        "pipe.jpg": "it is not a regular file",
        "loop.png": "it cannot be read",
        "out.png": "it is a link to another place",
        "huge.jpg": "the file has 1,073,741,824 bytes, more than a photo of 64,000,000 pixels "
        "can need",
        "bad-\ufffd.png": "its name is not valid UTF-8",
    }
    assert not index.verify()
    assert {hit.path.name for hit in index.search("red", top=20)} >= {"it's.png", "two\nlines.png"}
    (house / "it's.png").unlink()
    assert counts(index) == {"deleted": 1}

    followed = index.update(None, folder, follow_links=True)
    assert followed.added == 2
    assert {"house-0/out.png", "house-0/far/away.png"} <= {path for path, _ in rows(index)}


def test_a_folder_whose_name_is_no_text(tmp_path: Path, sieve: Path) -> None:
    folder = photos(Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9")), 1)
    with pytest.raises(UsageError, match="caf\ufffd: its name is not valid UTF-8"):
        Index(tmp_path / "index").update(sieve, folder)


def test_what_a_bucket_holds_beside_photos(tmp_path: Path) -> None:
    ignored = ("notes.txt", "@eaDir/a.jpg", ".hidden/a.jpg", "x/$RECYCLE.BIN/b.jpg")
    for name in ("a.jfif", "b.CR2", *ignored):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    bucket = Bucket("s3://bucket/photos", fs.LocalFileSystem(), str(tmp_path))
    entries = sorted(bucket.walk(follow_links=False), key=lambda entry: str(entry.path))
    assert [str(entry.path) for entry in entries] == ["a.jfif", "s3:/bucket/photos/b.CR2"]
    skip = entries[1]
    assert isinstance(skip, Skipped)
    assert skip.to_dict() == {
        "path": "s3://bucket/photos/b.CR2",
        "kind": "photo",
        "reason": "CR2 files are not read here",
        "remedy": "save as JPEG",
    }
