"""The user's own columns of an index, read from a CSV file about photos or groups.

The texts of the file are kept until they are written: the type of a column follows from all texts
that it will hold, with those of photos that the file does not name.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from photosieve.data.names import Spellings, differs_in_case
from photosieve.errors import UsageError, one_line
from photosieve.index.schema import RECORD_COLUMNS
from photosieve.index.store import KEY_COLUMNS, PHOTO_COLUMNS, Store

if TYPE_CHECKING:
    import pyarrow as pa

FIRST_COLUMNS = {"photo": "path", "group": "group"}
"""Allowed names of the table's first column, with the column of the index that each refers to."""

_UNKNOWN = {"", "NA", "N/A", "#N/A", "n/a", "NULL", "null", "NaN", "nan"}
"""Texts that say that a number, date or truth value is not known."""

_KEPT_AS_TEXT = re.compile(r"[+-]?0\d|0[xX]|\+|\d{16}")
"""Starts of texts that a number would change: ZIP codes, telephone numbers, long identifiers."""

_DECIMAL_COMMA = re.compile(r"[+-]?\d+(,\d+)?")


@dataclass(frozen=True)
class Matched:
    """How the rows of a table fit to an index.

    Parameters
    ----------
    rows : int
        Rows of the table.
    unmatched : tuple of str
        Keys that are no photo or group of the index.
    respelled : mapping of str to str
        Keys that differ from the name in the index in upper and lower case, with that name.
    retyped : mapping of str to str
        Columns that have another type than before, with that type.
    """

    rows: int
    unmatched: tuple[str, ...] = ()
    respelled: dict[str, str] = field(default_factory=dict)
    retyped: dict[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return a form for JSON."""
        unmatched = list(self.unmatched)
        return {**vars(self), "unmatched": unmatched, "matched": self.rows - len(unmatched)}


@dataclass(frozen=True)
class Metadata:
    """A table about photos or groups, in texts.

    Parameters
    ----------
    file : Path
    key : str
        The column of the index that its first column names.
    columns : tuple of str
        The names of the others.
    rows : mapping of str to sequence of str
        For each photo or group the texts of these columns.
    """

    file: Path
    key: str
    columns: tuple[str, ...]
    rows: Mapping[str, Sequence[str]]

    @classmethod
    def load(cls, file: Path) -> Metadata:
        """Read a CSV file with commas, semicolons or tabs between its columns.

        Raises
        ------
        UsageError
            If it cannot be read, has no key, or names something twice.
        """
        (first, *names), rows = _read(file)
        first = first.lower()
        if first not in FIRST_COLUMNS:
            raise UsageError(
                f'{file}: the first column is "{first}"; call it "group" if it names folders of '
                'photos, or "photo" if it names paths below the indexed folder'
            )
        own = {*PHOTO_COLUMNS, *RECORD_COLUMNS, "features", "_rowid", ""}
        taken = [name for name in names if name in own]
        if taken or len(set(names)) < len(names):
            twice = next((name for name in names if names.count(name) > 1), "")
            raise UsageError(
                f'{file}: the column "{(taken or [twice])[0]}" has a name that an index uses '
                "itself, that is empty or that stands there twice; call it something else"
            )
        by_key = {key: values for key, *values in rows}
        if len(by_key) < len(rows):
            raise UsageError(f"{file}: a {first} stands there twice; keep one line for each.")
        return cls(file, FIRST_COLUMNS[first], tuple(names), by_key)

    def matching(self, names: Collection[str]) -> tuple[Metadata, Matched]:
        """Return the rows about these photos or groups, by the names that these have.

        Accents may be written in another way, and letters in another case if that is unambiguous.

        Raises
        ------
        UsageError
            If there is none, or two rows are about the same.
        """
        known = Spellings(names)
        rows: dict[str, Sequence[str]] = {}
        keys: dict[str, str] = {}
        unmatched = []
        for key, values in self.rows.items():
            name = known.find(key) or known.find(_inner(key))
            if name is None:
                unmatched.append(key)
            elif name in rows:
                raise UsageError(
                    f'{self.file}: "{keys[name]}" and "{key}" are both {name}; keep one line.'
                )
            else:
                rows[name], keys[name] = values, key
        if not rows:
            what = "photo" if self.key == "path" else "group"
            first = f'; its first row is about "{unmatched[0]}"' if unmatched else ""
            raise UsageError(
                f"{self.file}: no row is about a {what} of the index, "
                f'such as "{min(names, default="")}"{first}'
            )
        respelled = {key: name for name, key in keys.items() if differs_in_case(_inner(key), name)}
        return replace(self, rows=rows), Matched(len(self.rows), tuple(unmatched), respelled)

    def write(self, store: Store) -> dict[str, str]:
        """Bring the columns of the index in line with the table.

        Photos that the table does not name keep their values. A column gets a new type where the
        new values need one.

        Returns
        -------
        dict
            The columns that have another type than before, with that type.
        """
        import pyarrow as pa

        old = store.rows()
        rows = [self.rows.get(key) for key in old[self.key].to_pylist()]
        new: dict[str, pa.Array] = {}
        kinds = {field.name: field.type for field in old.schema}
        for number, name in enumerate(self.columns):
            kind = kinds.get(name)
            before = [None] * len(old) if kind is None else old[name].cast(pa.string()).to_pylist()
            texts = [
                kept if row is None else row[number] for kept, row in zip(before, rows, strict=True)
            ]
            new[name] = _typed(texts, kind)
        changed = [name for name, values in new.items() if kinds.get(name) != values.type]
        if changed:
            store.add_columns([pa.field(name, new[name].type) for name in changed])
        keys = {name: old[name] for name in KEY_COLUMNS}
        empty = {name: pa.nulls(len(old), new[name].type) for name in changed}
        table = pa.table({**keys, **new})
        stored = pa.table(
            {**keys, **{name: empty[name] if name in empty else old[name] for name in new}}
        )
        differ = [a != b for a, b in zip(table.to_pylist(), stored.to_pylist(), strict=True)]
        if any(differ):
            store.upsert(table.filter(pa.array(differ)))
        return {name: str(new[name].type) for name in changed if name in kinds}


def _read(file: Path) -> tuple[list[str], list[list[str]]]:
    """Return the header and the rows of a CSV file, each with as many cells."""
    try:
        text = file.read_bytes().decode("utf-8-sig")
        head = text.partition("\n")[0].strip()
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(head), strict=True)
        header, *rows = ([cell.strip() for cell in row] for row in reader if row)
    except UnicodeDecodeError as error:
        place = f"byte {error.start + 1}"
        raise UsageError(f"{file} is not UTF-8 text ({place}): save it as UTF-8.") from None
    except (OSError, csv.Error) as error:
        raise UsageError(f"{file} cannot be read as a CSV file ({one_line(error)}).") from None
    except ValueError:
        raise UsageError(f"{file} cannot be read as a CSV file (it is empty).") from None
    for number, row in enumerate(rows, start=2):
        if len(row) != len(header):
            raise UsageError(
                f"{file} cannot be read as a CSV file (row {number} has {len(row)} cells, and the "
                f"first one {len(header)})."
            )
    if _delimiter(head) == ";":  # where commas are no separators, they are decimal points
        for column in range(1, len(header)):
            if all(
                row[column] in _UNKNOWN or _DECIMAL_COMMA.fullmatch(row[column]) for row in rows
            ):
                for row in rows:
                    row[column] = row[column].replace(",", ".")
    return header, rows


def _inner(key: str) -> str:
    """Return a path with "/" between its parts and none around them."""
    return key.replace("\\", "/").strip("/")


def _delimiter(header: str) -> str:
    try:
        return csv.Sniffer().sniff(header, delimiters=",;\t").delimiter
    except csv.Error:  # a single column
        return ","


def _typed(texts: Sequence[str | None], known: pa.DataType | None) -> pa.Array:
    """Return texts as numbers, dates, times or truth values if all of them are, and none is lost.

    Parameters
    ----------
    texts : sequence of str or None
    known : pyarrow.DataType or None
        The type of the column so far, which is kept where it holds these values as well.
    """
    import pyarrow as pa

    values = pa.array([None if text in _UNKNOWN else text for text in texts], pa.string())
    if known is not None and values.null_count == len(values):
        return values.cast(known)
    kinds = [pa.int64(), pa.float64(), pa.date32(), pa.timestamp("s"), pa.bool_()]
    if known in (pa.float64(), pa.timestamp("s")):
        kinds.insert(0, known)
    written = [value for value in values.to_pylist() if value is not None]
    if written and not any(_KEPT_AS_TEXT.match(value) for value in written):
        for kind in kinds:
            try:
                return values.cast(kind)
            except pa.ArrowInvalid:
                continue
    return pa.array(texts, pa.string())
