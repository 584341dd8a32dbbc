"""A condition compares columns, and can do nothing else, whatever it contains."""

import re
import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from photosieve.errors import UsageError
from photosieve.index.condition import MAX_LENGTH, read_condition
from photosieve.index.index import Index

TABLE = pa.table(
    {
        "price": [1, 2, 3, None],
        "town": ["Ulm", "it's", None, "Bonn"],
        "area": [1.5, None, 2.0, 1.0],
        "garden": [True, False, None, True],
        "sold": pa.array(["2026-01-01", "2026-06-01", None, "2025-01-01"]).cast(pa.date32()),
        "asking price": [4, 3, 2, 1],
        "AND": [1, 1, 0, 0],
        "at": pa.array([0, 10**15, None, 2 * 10**15], pa.timestamp("us", "UTC")),
        "hour": pa.array([1, 2, 3, 4], pa.time32("s")),
    }
)


def fitting(condition: str) -> list[int]:
    """Rows for which it holds, from 0."""
    rows = TABLE.append_column("row", pa.array(range(len(TABLE))))
    found: list[int] = rows.filter(read_condition(condition, TABLE.schema).expression)["row"]
    return [int(str(row)) for row in found]


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("price < 3", [0, 1]),
        ("3 > price", [0, 1]),
        ("price = 1 OR price = 2 AND area > 1", [0]),
        ("(price = 1 or price = 2) and area > 1", [0]),
        ("not price = 1", [1, 2]),
        ("price <> 1", [1, 2]),
        ("price in (1, 3)", [0, 2]),
        ("price not in (1, 3)", [1]),
        ("price BETWEEN 2 AND 3 AND area = 2", [2]),
        ("price not between 2 and 3", [0]),
        ("town = 'it''s'", [1]),
        ("town like '%n'", [3]),
        ("town NOT LIKE 'U_m'", [1, 3]),
        ("town is null", [2]),
        ("town is not null", [0, 1, 3]),
        ("garden", [0, 3]),
        ("not garden", [1]),
        ("garden = false", [1]),
        ("sold >= '2026-01-01'", [0, 1]),
        ("'2026-01-01' > sold", [3]),
        ("at > '2001-01-01'", [1, 3]),
        ("at > '2001-01-01T00:00+02:00'", [1, 3]),
        ('"asking price" > 2', [0, 1]),
        ("`asking price` > price", [0, 1]),
        ('"AND" = 1 AND price = 1', [0]),
        ("price > -1e3", [0, 1, 2]),
        ("price < 1.5", [0]),
        ("NOT " * 240 + "price = 1", [0]),
        ("(" * 490 + "price = 1" + ")" * 490, [0]),
        (" or ".join(["price=1"] * 80), [0]),
    ],
)
def test_what_it_means(condition: str, expected: list[int]) -> None:
    assert fitting(condition) == expected


@pytest.mark.parametrize(
    "condition",
    [
        "", " ", "price", "price <", "price < 3 --", "price < 3 -- root", "price < 3 /* x */",
        "price < 3; DROP TABLE photos", "price < 3 price", "price < 3 garbage here",
        "price = $$1$$", "town = $$Ulm$$", "town = $a$Ulm$a$", "repeat('a', 1000000000) = 'a'",
        "lpad(town, 9) = 'a'", "price IN (SELECT 1)", "price = (SELECT 1)", "range(1, 2)",
        "price + 1 > 2", "price::text = 'a'", "CAST(price AS text) = '1'", "root = 'x'",
        "root/**/= 'x'", "root", "`root` = 'x'", "features IS NULL", "_rowid = 1",
        "photos.price = 1", "price IN ()", "town LIKE town", "CASE WHEN price THEN 1 END",
        "EXISTS (SELECT 1)", "price < 3 UNION SELECT 1", "1 = 1", "town = 'a", "town = \"Ulm\"",
        "price = 0x10", "price = 1_000", "price = NaN", "price = NULL", "town ~ 'x'",
        "town ILIKE 'u%'", "town SIMILAR TO 'x'", "price < 3\0", "price = ?", "@x = 1",
        "price < 1e999", f"price < {10**30}", "town < 3", "price = 'one'", "garden > 3",
        "hour > 3", "sold > 'yesterday'", "sold > 20260101", "price LIKE '1%'", "town LIKE 3",
        "price is not", "AND", "a" * (MAX_LENGTH + 1), "(" * 500, "price = 1 COLLATE x",
    ],
)  # fmt: skip
def test_anything_else_is_refused(condition: str) -> None:
    with pytest.raises(UsageError) as caught:
        fitting(condition)
    message = str(caught.value)
    assert "\n" not in message
    assert not re.search(r"\.rs|/\w", message)
    assert len(message) < 400


numbers = st.integers(-3, 5).map(str)
maybe = st.sampled_from(["", "NOT "])
comparisons = st.one_of(
    st.builds("{} {} {}".format, st.sampled_from(["price", "area"]),
              st.sampled_from(["=", "<>", "<", "<=", ">", ">="]), numbers),
    st.builds("price {}IN ({}, {})".format, maybe, numbers, numbers),
    st.builds("area {}BETWEEN {} AND {}".format, maybe, numbers, numbers),
    st.builds("town IS {}NULL".format, maybe),
    st.builds("town {}LIKE '{}'".format, maybe, st.text("%_Ulm", max_size=4)),
)  # fmt: skip
conditions = st.recursive(
    comparisons,
    lambda inner: st.one_of(
        st.builds("({} AND {})".format, inner, inner),
        st.builds("{} OR {}".format, inner, inner),
        st.builds("NOT ({})".format, inner),
    ),
    max_leaves=8,
)


@given(conditions.filter(lambda condition: len(condition) <= MAX_LENGTH))
def test_it_means_what_it_means_in_sql(condition: str) -> None:
    database = sqlite3.connect(":memory:")
    database.execute("PRAGMA case_sensitive_like = ON")
    database.execute("CREATE TABLE t (number, price, area, town)")
    rows: list[dict[str, Any]] = TABLE.select(["price", "area", "town"]).to_pylist()
    for number, row in enumerate(rows):
        database.execute("INSERT INTO t VALUES (?, ?, ?, ?)", (number, *row.values()))
    expected = [row[0] for row in database.execute(f"SELECT number FROM t WHERE {condition}")]
    assert fitting(condition) == expected


@given(st.text(max_size=60) | st.text("price town'\"()<>=AND OR NOT IN LIKE 123,`", max_size=60))
def test_no_text_breaks_it(condition: str) -> None:
    with suppress(UsageError):
        fitting(condition)


def test_an_index_asks_by_it_and_hides_where_folders_are(index: Index, folder: Path) -> None:
    assert index.search("red", where="path LIKE 'house-1/%' AND size > 0").looked_at == 10
    assert index.search("red", where="encoded > '2020-01-01'").looked_at == 40
    for condition in (f"root = '{folder}'", "root/**/ IS NOT NULL", "features IS NOT NULL"):
        with pytest.raises(UsageError) as caught:
            index.search("red", where=condition)
        assert ".rs" not in str(caught.value)
    assert "root" not in str(caught.value)
