"""Columns of the user's own."""

import unicodedata
from pathlib import Path

import pytest

from photosieve.errors import UsageError
from photosieve.index.columns import Matched
from photosieve.index.index import Index
from tests.library import CountingEncoder, counts, photo


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


def update_with(index: Index, table: Path) -> Matched:
    matched = index.update(None, metadata=table).metadata
    assert matched is not None
    return matched


def test_metadata_is_utf_8(index: Index, tmp_path: Path) -> None:
    table = tmp_path / "listing.csv"
    table.write_bytes("group,town\nhouse-0,Köln\n".encode("latin-1"))
    with pytest.raises(UsageError, match=r"is not UTF-8 text \(byte 21\): save it as UTF-8"):
        index.update(None, metadata=table)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "cannot be read as a CSV"),
        ("house,price\na,1\n", 'the first column is "house"; call it "group"'),
        ("group,width\na,1\n", 'the column "width" has a name that an index uses'),
        ("group,price,price\na,1,2\n", 'the column "price" has a name'),
        ("group,price\na,1\na,2\n", "a group stands there twice"),
        ("group,price\na,1,2\n", r"cannot be read as a CSV file \(row 2 has 3 cells"),
        ("group,price\n", "no row is about a group of the index"),
        ("group,price\nhouse-0,1\nHOUSE-0,2\n", '"house-0" and "HOUSE-0" are both house-0'),
    ],
)
def test_wrong_metadata(index: Index, tmp_path: Path, text: str, message: str) -> None:
    table = tmp_path / "listing.csv"
    table.write_text(text)
    with pytest.raises(UsageError, match=message):
        index.update(None, metadata=table)


def kind(index: Index, column: str) -> str:
    return str(index.store.photos.schema.field(column).type)


def test_a_corrected_table_replaces_a_column_of_the_wrong_type(
    index: Index, tmp_path: Path
) -> None:
    table = tmp_path / "listing.csv"
    table.write_text("group,price,rooms\nhouse-0,12o,3\nhouse-1,100,4\nhouse-2,80,5\n")
    assert update_with(index, table).retyped == {}
    assert kind(index, "price") == "string"
    table.write_text("group,price,rooms\nhouse-0,120,3.5\n")  # the other houses keep theirs
    assert update_with(index, table).retyped == {"price": "int64", "rooms": "double"}
    assert kind(index, "price") == "int64"
    found = index.search("red", where="price >= 100 and rooms < 4.5", top=99)
    assert {hit.path.parent.name for hit in found} == {"house-0", "house-1"}
    table.write_text("group,price\nhouse-0,cheap\n")
    assert update_with(index, table).retyped == {"price": "string"}
    assert index.search("red", where="price = '100'", top=99).looked_at == 10


def test_digits_that_are_no_number_stay_as_they_are(index: Index, tmp_path: Path) -> None:
    table = tmp_path / "listing.csv"
    table.write_text(
        "group,zip,phone,parcel,area,listed,sold\n"
        "house-0,01067,+4935112,12345678901234567,0.5,2024-01-05,true\n"
        "house-1,10115,,1,2,,false\n"
    )
    update_with(index, table)
    kinds = [kind(index, name) for name in ("zip", "phone", "parcel", "area", "listed", "sold")]
    assert kinds == ["string", "string", "string", "double", "date32[day]", "bool"]
    assert index.search("red", where="zip = '01067' and sold", top=99).looked_at == 10
    table.write_text("group,zip\nhouse-1,10117\n")  # ZIP codes without a zero do not change others
    assert update_with(index, table).retyped == {}
    assert index.search("red", where="zip = '01067' or zip = '10117'", top=99).looked_at == 20


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_each_separator_of_spreadsheets_is_read(
    separator: str, index: Index, tmp_path: Path
) -> None:
    table = tmp_path / "listing.csv"
    size = "82,5" if separator == ";" else "82.5"  # as German spreadsheets write it
    rows = [("Group", "area", "town"), ("house-0", size, "Ulm")]
    table.write_text("\ufeff" + "\n".join(separator.join(row) for row in rows), "utf-8")
    matched = update_with(index, table)
    assert (matched.rows, matched.unmatched) == (1, ())
    assert index.search("red", where="area > 82 and town = 'Ulm'", top=99).looked_at == 10


def test_rows_are_matched_in_any_spelling_and_the_others_are_named(
    folder: Path, sieve: Path, tmp_path: Path
) -> None:
    photo(folder / unicodedata.normalize("NFD", "Café") / "p.png", 77)
    index = Index(tmp_path / "cafes")
    table = tmp_path / "listing.csv"
    table.write_text("group,price\nCafé,5\nHouse-0/,1\nhouse-99,2\n")
    matched = index.update(sieve, folder, metadata=table).metadata
    assert matched is not None
    assert matched.to_dict() == {
        "rows": 3,
        "matched": 2,
        "unmatched": ["house-99"],
        "respelled": {"House-0/": "house-0"},
        "retyped": {},
    }
    assert index.search("red", where="price >= 1", top=99).looked_at == 11


def test_a_table_about_nothing_is_refused_before_photos_are_embedded(
    index: Index, folder: Path, tmp_path: Path
) -> None:
    photo(folder / "house-0" / "new.png", 300)
    table = tmp_path / "listing.csv"
    table.write_text("group,price\nhaus-1,5\nhaus-2,6\n")
    with pytest.raises(UsageError, match=r'no row is about .*"house-0"; its first .*"haus-1"'):
        index.update(None, metadata=table)
    assert not CountingEncoder.embedded
