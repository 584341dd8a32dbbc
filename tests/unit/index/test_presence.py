"""No answer names a photo that is gone."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from photosieve.index import presence
from photosieve.index.index import Index
from photosieve.index.presence import gone


def test_photos_that_are_gone_are_neither_hits_nor_hidden(index: Index, folder: Path) -> None:
    before = index.search("red", top=5)
    lost = [before.hits[0].path, before.hits[3].path]
    for path in lost:
        path.unlink()
    after = index.search("red", top=5)
    assert (len(after), after.gone, after.looked_at) == (5, 2, 38)
    assert not {hit.path for hit in (*after.hits, *after.hidden)} & set(lost)
    kept = [hit.path for hit in before.hits if hit.path not in lost]
    assert [hit.path for hit in after.hits][: len(kept)] == kept
    shutil.rmtree(folder / "house-1")
    assert index.search("red", within=["house-1"]).looked_at == 0
    assert index.search("red", within=["house-2"]).gone == 0


def test_photos_that_are_there_are_not_looked_for_one_by_one(
    index: Index, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Path] = []

    def exists(path: Path) -> bool:
        asked.append(path)
        return path.exists()

    monkeypatch.setattr(presence, "_exists", exists)
    assert not len(gone(index.snapshot, np.arange(40)))
    assert not asked
    (lost,) = list((folder / "house-0").iterdir())[:1]
    lost.unlink()
    assert len(gone(index.snapshot, np.arange(40))) == 1
    assert set(asked) <= {lost, *folder.iterdir()}


def test_folders_beside_one_that_is_gone_are_looked_for(index: Index, folder: Path) -> None:
    assert not len(gone(index.snapshot, np.arange(40)))
    for house in ("house-0", "house-1", "house-2"):
        (folder / house).rename(folder / f"{house}-old")
    assert len(gone(index.snapshot, np.array([0]))) == 30
    assert not len(gone(index.snapshot, np.array([39])))


def test_photos_of_an_object_store_are_not_looked_for(index: Index) -> None:
    index.store.photos.update(values={"root": "memory://photos"})
    assert len(index.search("red", top=40)) == 40
