"""Differences between the index and its folders are found."""

from pathlib import Path

from photosieve.index.index import Index
from tests.library import photo


def test_verify_names_what_is_wrong(index: Index, folder: Path) -> None:
    assert not index.verify()
    changed, gone = (folder / "house-0" / f"photo-000{n}.png" for n in "04")
    photo(changed, 5)
    gone.unlink()
    assert [(p.path.name, p.reason) for p in index.verify()] == [
        ("photo-0000.png", "it has changed since"),
        ("photo-0004.png", "there is no such file"),
    ]
