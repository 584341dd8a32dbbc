"""The user's own columns of an index, read from a CSV file about photos or groups."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from photosieve.errors import UsageError, one_line
from photosieve.index.store import KEY_COLUMNS, PHOTO_COLUMNS, Store

if TYPE_CHECKING:
    import pyarrow as pa

FIRST_COLUMNS = {"photo": "path", "group": "group"}
"""Allowed names of the table's first column, with the column of the index that each refers to."""


@dataclass(frozen=True)
class Metadata:
    """A table with a key column, "photo" or "group", and others.

    Parameters
    ----------
    table : pyarrow.Table
    key : str
        The column of the index that its first column names.
    """

    table: pa.Table
    key: str

    @classmethod
    def load(cls, path: Path) -> Metadata:
        """Read a CSV file; each column is of numbers, dates, truth values or texts.

        Raises
        ------
        UsageError
            If it cannot be read, has no key, or names something twice.
        """
        import pyarrow as pa
        from pyarrow import csv

        try:
            table = csv.read_csv(path)
        except (OSError, pa.ArrowInvalid) as error:
            raise UsageError(f"{path} cannot be read as a CSV file ({one_line(error)}).") from None
        first = table.column_names[0] if table.column_names else ""
        if first not in FIRST_COLUMNS:
            raise UsageError(
                f'{path}: the first column is "{first}"; call it "group" if it names folders of '
                'photos, or "photo" if it names paths below the indexed folder'
            )
        names = table.column_names[1:]
        taken = [name for name in names if name in (*PHOTO_COLUMNS, "features", "_rowid")]
        if taken or len(set(names)) < len(names):
            raise UsageError(
                f'{path}: the column "{(taken or names)[0]}" has a name that an index uses itself '
                "or that stands there twice; call it something else"
            )
        keys = table[first].cast(pa.string()).combine_chunks()
        if len(keys.unique()) < len(keys):
            raise UsageError(f"{path}: a {first} stands there twice; keep one line for each.")
        columns = {FIRST_COLUMNS[first]: keys, **{name: table[name] for name in names}}
        # A column without a value has no type of its own.
        columns = {
            name: column.cast(pa.string()) if pa.types.is_null(column.type) else column
            for name, column in columns.items()
        }
        return cls(pa.table(columns), FIRST_COLUMNS[first])

    def write(self, store: Store) -> None:
        """Bring the columns of the index in line with the table.

        Photos that the table does not name keep their values.

        Raises
        ------
        UsageError
            If a column is there already and holds another kind of values.
        """
        import pyarrow as pa

        table, known = self.table, store.photos.schema
        for number, field in enumerate(table.schema):
            if field.name in known.names:
                kind = known.field(field.name).type
                try:
                    cast = table[field.name].cast(kind)
                except pa.ArrowInvalid:
                    raise UsageError(
                        f'the column "{field.name}" held values of the type {kind} so far, and '
                        f"now of {field.type}; call it something else, or build a new index"
                    ) from None
                table = table.set_column(number, field.name, cast)
        fields = [field for field in table.schema if field.name != self.key]
        missing = [field for field in fields if field.name not in known.names]
        if missing:
            store.add_columns(missing)
        rows = store.rows()
        keys = list(dict.fromkeys((*KEY_COLUMNS, self.key)))
        old = rows.select([*keys, *(field.name for field in fields)])
        new = old.select(keys).join(table, self.key, join_type="inner")
        new = new.select(old.column_names).combine_chunks()
        before = {tuple(row.values()) for row in old.to_pylist()}
        changed = [row for row in new.to_pylist() if tuple(row.values()) not in before]
        if changed:
            schema = pa.schema([old.schema.field(name) for name in old.column_names])
            store.upsert(pa.Table.from_pylist(changed, schema=schema))
