"""Columns of the user's own."""

from pathlib import Path

import pytest

from photosieve.errors import UsageError
from photosieve.index.index import Index
from tests.library import counts, photo


def test_metadata_of_groups_and_photos(index: Index, folder: Path, tmp_path: Path) -> None:
    table = tmp_path / "listing.csv"
    table.write_text("group,price,town\nhouse-0,250000,Ulm\nhouse-1,400000.5,\nhouse-99,1,x\n")
    assert counts(index, folder, metadata=table) == {}

    def found(where: str) -> tuple[int, set[str]]:
        result = index.search("red", where=where, top=99)
        return result.looked_at, {hit.path.parent.name for hit in result}

    assert found("price < 300000") == (10, {"house-0"})
    assert found("price > 0 and width = 16") == (20, {"house-0", "house-1"})
    assert found("town = 'Ulm'") == (10, {"house-0"})
    assert index.search("red", where="price > 0", within=["house-1", "house-2"]).looked_at == 10
    version = index.store.stamp()
    assert counts(index, folder, metadata=table) == {}
    assert index.store.stamp() == version  # nothing to write

    table.write_text("group,price\nhouse-0,350000\n")
    photo(folder / "house-0" / "new.png", 300)
    assert counts(index, folder, metadata=table) == {"added": 1}
    assert found("price = 350000") == (11, {"house-0"})
    assert found("price = 400000.5") == (10, {"house-1"})

    by_photo = tmp_path / "photo.csv"
    by_photo.write_text("photo,rating\nhouse-0/photo-0000.png,5\nhouse-2/photo-0002.png,4\n")
    index.update(None, folder, metadata=by_photo)
    assert found("rating >= 4") == (2, {"house-0", "house-2"})
    assert index.status()["columns"] == ["price", "town", "rating"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "cannot be read as a CSV"),
        ("house,price\na,1\n", 'the first column is "house"; call it "group"'),
        ("group,width\na,1\n", 'the column "width" has a name that an index uses'),
        ("group,price,price\na,1,2\n", 'the column "price" has a name'),
        ("group,price\na,1\na,2\n", "a group stands there twice"),
        ("group,price\na,1,2\n", "cannot be read as a CSV"),
    ],
)
def test_wrong_metadata(index: Index, tmp_path: Path, text: str, message: str) -> None:
    table = tmp_path / "listing.csv"
    table.write_text(text)
    with pytest.raises(UsageError, match=message):
        index.update(None, metadata=table)


def test_a_column_keeps_its_kind(index: Index, tmp_path: Path) -> None:
    table = tmp_path / "listing.csv"
    table.write_text("group,price\nhouse-0,1\n")
    index.update(None, metadata=table)
    table.write_text("group,price\nhouse-0,cheap\n")
    with pytest.raises(UsageError, match='"price" held values of the type int64 so far'):
        index.update(None, metadata=table)
