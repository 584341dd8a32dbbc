"""The table: whole commits, few files, and only tables of our own."""

import json
from pathlib import Path

import pytest

from photosieve.errors import PhotoIndexError
from photosieve.index import update as update_module
from photosieve.index.index import Index
from tests.library import counts, photo, rows


def test_readers_see_whole_commits_while_one_writes(
    index: Index, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(update_module, "COMMIT_SECONDS", 0.0)
    for number in range(100, 110):
        photo(folder / "house-5" / f"{number}.png", number)
    reader, seen = Index(index.address), []

    def look(stage: str, *_: int) -> None:
        if stage.startswith("indexing"):
            seen.append(reader.search("red").looked_at)

    assert index.update(None, folder, progress=look).added == 10
    assert seen == list(range(40, 50))  # a photo is committed after it is counted
    assert reader.search("red").looked_at == 50


def test_a_reader_that_stays_sees_what_others_write(index: Index, folder: Path) -> None:
    reader = Index(index.address)
    assert reader.search("red", where="width = 16").looked_at == 40
    photo(folder / "house-5" / "new.png", 100)
    index.update()
    assert reader.search("red", where="width = 16").looked_at == 41
    index.compact()
    assert reader.search("red", where="path = 'house-5/new.png'").looked_at == 1


def test_compaction_changes_no_answer(
    index: Index, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(update_module, "COMMIT_SECONDS", 0.0)
    for number in range(300, 312):
        photo(folder / "house-5" / f"{number}.png", number)
    index.update()
    before, files = rows(index), index.store.photos.stats()["fragment_stats"]["num_fragments"]
    assert files > 5
    index.compact()
    assert rows(index) == before
    assert index.store.photos.stats()["fragment_stats"]["num_fragments"] == 1
    assert index.search("red", where="width = 16").looked_at == 52
    assert counts(index) == {}


def test_many_updates_are_compacted_by_themselves(
    index: Index, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("photosieve.index.index.MOST_FILES", 3)
    for number in range(300, 305):
        photo(folder / "house-5" / f"{number}.png", number)
        index.update()
    assert index.store.photos.stats()["fragment_stats"]["num_fragments"] <= 4
    assert counts(index) == {}


def test_a_table_of_others_is_refused(tmp_path: Path, sieve: Path) -> None:
    import lancedb
    import pyarrow as pa

    lancedb.connect(tmp_path / "theirs").create_table("photos", pa.table({"x": [1]}))
    with pytest.raises(PhotoIndexError, match="not an index of photosieve"):
        Index(tmp_path / "theirs", sieve).search("red")


def test_a_newer_index_is_refused(index: Index, sieve: Path) -> None:
    import lancedb

    table = index.store.photos.to_arrow()
    about = json.loads(table.schema.metadata[b"photosieve"])
    newer = table.replace_schema_metadata({"photosieve": json.dumps({**about, "format": 99})})
    lancedb.connect(index.address).create_table("photos", newer, mode="overwrite")
    with pytest.raises(PhotoIndexError, match="made by a newer photosieve"):
        Index(index.address, sieve).search("red")
