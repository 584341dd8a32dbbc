"""An index that is made again stays in use, and whole, until the new one is complete."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import lancedb
import pyarrow as pa
import pytest

from photosieve.errors import PhotoIndexError, UsageError
from photosieve.index.index import Index
from photosieve.sieve import saved
from tests.library import CountingEncoder, embed_after, photo, photos, rows


class Another(CountingEncoder):
    """Another model."""

    trunk_fingerprint: ClassVar[str] = "another"
    fingerprint: ClassVar[str] = "another"


@pytest.fixture
def other(sieve: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A sieve of another model."""
    folder = shutil.copytree(sieve, tmp_path / "other")
    text = json.loads((folder / "sieve.json").read_text())
    changed = text | {"encoder": "another", "fingerprint": "another"}
    (folder / "sieve.json").write_text(json.dumps(changed))

    def load(name: str, _: Path | None = None) -> CountingEncoder:
        return Another() if name == "another" else CountingEncoder()

    monkeypatch.setattr(saved, "load_encoder", load)
    return folder


@pytest.fixture
def gone(folder: Path) -> Iterator[Path]:
    """The folder of the index, unmounted."""
    away = folder.rename(folder.with_name("away"))
    yield folder
    away.rename(folder)


@pytest.mark.parametrize("mounted_over", [False, True])
def test_a_folder_that_is_gone_empties_nothing(
    index: Index, other: Path, gone: Path, mounted_over: bool
) -> None:
    before, table = rows(index), sorted(Path(index.address).rglob("*.lance*"))
    if mounted_over:
        gone.mkdir()
    with pytest.raises(UsageError, match="no photo any more, where the index has some"):
        Index(index.address).update(other, gone, reencode=True)
    with pytest.raises(UsageError):
        Index(index.address).update(other, gone / "nowhere", reencode=True)
    assert sorted(Path(index.address).rglob("*.lance*")) == table
    assert rows(index) == before
    if mounted_over:
        gone.rmdir()


def test_a_new_index_of_a_folder_that_is_not_there_leaves_nothing(
    tmp_path: Path, sieve: Path
) -> None:
    with pytest.raises(UsageError, match="does not exist"):
        Index(tmp_path / "new").update(sieve, tmp_path / "nowhere")
    assert not (tmp_path / "new").exists()


def test_photos_of_other_folders_and_columns_of_the_user_stay(
    index: Index, other: Path, folder: Path, tmp_path: Path
) -> None:
    more = photos(tmp_path / "more", 4, groups=1)
    table = tmp_path / "prices.csv"
    table.write_text("group,price\nhouse-0,100\nhouse-1,200\n")
    index = Index(index.address, other)
    index.update(other, more, metadata=table, reencode=True)
    assert len(index.snapshot) == 44
    index = Index(index.address)
    index.update(other, folder, reencode=True)
    assert len(index.snapshot) == 44
    assert index.search("red", where="price = 100").looked_at == 14
    assert index.store.fingerprint == "another"
    assert not (Path(index.address) / "rebuild").exists()


def test_searches_use_the_old_index_until_the_new_one_is_complete(
    index: Index,
    other: Path,
    folder: Path,
    sieve: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("photosieve.index.update.COMMIT_SECONDS", 0.0)
    searching, seen = Index(index.address, sieve), []
    expected = searching.search("red", top=40).looked_at
    photo(folder / "house-0" / "new.png", 99)

    def stop_late() -> None:
        seen.append(searching.search("red", top=40).looked_at)
        if len(seen) == 30:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Index(index.address).update(other, folder, reencode=True, embed=embed_after(stop_late))
    assert set(seen) == {expected}
    CountingEncoder.embedded.clear()
    shutil.copytree(index.address, tmp_path / "copy")
    Index(tmp_path / "copy").compact()
    assert not (tmp_path / "copy" / "rebuild").exists()
    done = Index(index.address).update(other, folder, reencode=True)
    assert done.photos == 41
    assert 0 < len(CountingEncoder.embedded) < 40  # it went on


def test_a_disk_that_goes_away_meanwhile_leaves_the_old_index(
    index: Index, other: Path, folder: Path
) -> None:
    before = rows(index)

    def away() -> None:
        if folder.exists():
            folder.rename(folder.with_name("away"))

    with pytest.raises(UsageError, match="no photo any more"):
        Index(index.address).update(other, folder, reencode=True, embed=embed_after(away))
    folder.with_name("away").rename(folder)
    assert rows(Index(index.address)) == before


def test_the_table_of_another_program_is_not_replaced(
    tmp_path: Path, folder: Path, sieve: Path
) -> None:
    theirs = lancedb.connect(tmp_path / "theirs")
    theirs.create_table("photos", pa.table({"precious": [1, 2]}))
    with pytest.raises(PhotoIndexError, match="is not an index of photosieve"):
        Index(tmp_path / "theirs").update(sieve, folder, reencode=True)
    assert theirs.open_table("photos").to_arrow()["precious"].to_pylist() == [1, 2]
