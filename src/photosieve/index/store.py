"""The table of an index: one row a photo, in LanceDB, in a folder or an object store.

Each commit is a version of its own: readers see the last complete one, and a writer that is killed
leaves the table as it was. A row holds the *features* of a photo, which the frozen part of the
encoder gives. They stay valid when the head is trained again, and vectors are computed from them:
see `photosieve.index.projection`.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from photosieve.encoders.protocol import Float32Array
from photosieve.errors import PhotoIndexError, one_line
from photosieve.index.problems import index_errors
from photosieve.index.schema import RECORD_COLUMNS, TABLE_VERSION, photos_schema

if TYPE_CHECKING:
    import pyarrow as pa

PHOTOS_TABLE, SKIPPED_TABLE, MANIFEST_TABLE = "photos", "skipped", "manifest"
TABLES = (PHOTOS_TABLE, SKIPPED_TABLE, MANIFEST_TABLE)

VERSIONS_KEPT = timedelta(hours=1)
"""Old versions stay so long for processes that are reading them."""

KEY_COLUMNS = ("root", "path")
PHOTO_COLUMNS = (*KEY_COLUMNS, "group", "size", "mtime_ns", "sha256", "width", "height", "encoded")
"""All columns of the product itself except the features and `RECORD_COLUMNS`."""

_NAMES_AT_ONCE = 1000


def is_remote(address: str) -> bool:
    """Whether an address is that of an object store, such as ``s3://bucket/index``."""
    return "://" in address


def unguarded() -> None:
    """Let every commit pass."""


class Store:
    """The tables of one index; `lancedb` is loaded when they are first looked at.

    Parameters
    ----------
    address : str
        A folder, or a place in an object store. Credentials and endpoint of the latter come from
        the environment, as other programs know them (``AWS_ACCESS_KEY_ID``, ``AWS_ENDPOINT``...).
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self.guard: Callable[[], None] = unguarded
        """Called before each commit; see `photosieve.index.lock`."""

    def exists(self) -> bool:
        """Whether there is an index."""
        if not is_remote(self.address):
            return any(Path(self.address, f"{PHOTOS_TABLE}.lance", "_versions").glob("*"))
        with index_errors(self.address):
            return self._open(PHOTOS_TABLE) is not None

    def stamp(self) -> str:
        """Return a text that changes with every commit; a table on this machine is not opened.

        Raises
        ------
        PhotoIndexError
            If there is no index.
        """
        if is_remote(self.address):
            with index_errors(self.address):
                tables = {name: self._open(name) for name in TABLES}
                if tables[PHOTOS_TABLE] is None:
                    raise _missing(self.address)
                return "/".join(f"{name}{t.version}" for name, t in tables.items() if t is not None)
        try:
            names = [
                f"{name}/{file.name}"
                for name in TABLES
                for file in Path(self.address, f"{name}.lance", "_versions").glob("*")
            ]
        except OSError as error:
            raise PhotoIndexError(f"{self.address}: cannot be read ({one_line(error)}).") from None
        if not any(name.startswith(f"{PHOTOS_TABLE}/") for name in names):
            raise _missing(self.address)
        return hashlib.sha256("\n".join(sorted(names)).encode()).hexdigest()

    def refresh(self) -> None:
        """Forget the opened table, so that commits of other processes are seen."""
        self.__dict__.pop("photos", None)

    def create(self, fingerprint: str, width: int) -> None:
        """Make an empty table; one that is there is replaced, in one commit.

        Parameters
        ----------
        fingerprint : str
            Of the trunk that the features come from: see `Encoder.trunk_fingerprint`.
        width : int
            How many features a photo has.
        """
        with self._commit():
            self._database.create_table(
                PHOTOS_TABLE, schema=photos_schema(fingerprint, width), mode="overwrite"
            )
        self.refresh()

    @contextmanager
    def _commit(self) -> Iterator[None]:
        """Ask the guard first, and turn errors of a commit into those of this product."""
        with suppress(PhotoIndexError):
            _ = self.photos  # opened before that, so that `fence` of another process comes after
        with index_errors(self.address):
            self.guard()
            yield

    def fence(self) -> None:
        """Let no commit succeed that another process has begun; its effect on readers is none."""
        with index_errors(self.address):
            for name in TABLES:
                if (table := self._open(name)) is not None:
                    table.restore(table.version)

    def replace(self, new: Store) -> None:
        """Replace all rows and columns by those of another table, in one commit.

        Raises
        ------
        PhotoIndexError
            If the table here is not an index, or something cannot be read or written.
        """
        self._about(self.photos)
        with self._commit():
            self._database.create_table(
                PHOTOS_TABLE,
                new.photos.search().to_batches(),
                schema=new.photos.schema,
                mode="overwrite",
            )
        self.refresh()

    def drop(self) -> None:
        """Delete all tables."""
        with self._commit():
            for name in TABLES:
                if self._open(name) is not None:
                    self._database.drop_table(name)
        self.refresh()

    @functools.cached_property
    def _database(self) -> Any:
        # It logs harmless events, such as that a new table did not exist before.
        os.environ.setdefault("LANCEDB_LOG", "error")
        import lancedb

        return lancedb.connect(self.address)

    def _open(self, name: str) -> Any:
        """Return a table, or None if it does not exist yet."""
        try:
            return self._database.open_table(name)
        except ValueError as error:
            if "was not found" not in str(error):
                raise
            return None

    @functools.cached_property
    def photos(self) -> Any:
        """The table of photos, at its newest version.

        Raises
        ------
        PhotoIndexError
            If there is no index, or it cannot be read.
        """
        if not is_remote(self.address) and not self.exists():  # connecting would make the folder
            raise _missing(self.address)
        with index_errors(self.address):
            table = self._open(PHOTOS_TABLE)
            if table is None:
                raise _missing(self.address)
            if int(self._about(table)["format"]) > TABLE_VERSION:
                raise PhotoIndexError(
                    f"{self.address}: this index was made by a newer photosieve; "
                    "update with: pip install --upgrade photosieve"
                )
            return table

    def _about(self, table: Any) -> dict[str, str]:
        try:
            about: dict[str, str] = json.loads(table.schema.metadata[b"photosieve"])
            return {key: about[key] for key in ("format", "fingerprint", "version")}
        except (KeyError, TypeError, ValueError):
            raise PhotoIndexError(
                f"{self.address}: the table there is not an index of photosieve; "
                "choose another place"
            ) from None

    @property
    def fingerprint(self) -> str:
        """The fingerprint of the trunk that the features come from."""
        return self._about(self.photos)["fingerprint"]

    @property
    def made_with(self) -> str:
        """The version of the product that made the table."""
        return self._about(self.photos)["version"]

    @property
    def width(self) -> int:
        """How many features a photo has."""
        return int(self.photos.schema.field("features").type.list_size)

    @property
    def columns(self) -> tuple[str, ...]:
        """The user's columns: see `photosieve.index.columns`."""
        own = {*PHOTO_COLUMNS, *RECORD_COLUMNS, "features"}
        return tuple(name for name in self.photos.schema.names if name not in own)

    def rows(self) -> pa.Table:
        """Return all rows without their features, with `_rowid`."""
        return self.select([name for name in self.photos.schema.names if name != "features"])

    def roots(self) -> set[str]:
        """Return the folders that photos came from."""
        return set(self.select(["root"])["root"].unique().to_pylist())

    def select(self, columns: Sequence[str]) -> pa.Table:
        """Return columns of all rows, with `_rowid`."""
        with index_errors(self.address):
            return self.photos.search().select(list(columns)).with_row_id(True).to_arrow()

    def take(
        self, ids: NDArray[np.uint64], columns: Sequence[str] = ("features",)
    ) -> Iterator[tuple[NDArray[np.intp], pa.Table]]:
        """Give rows by their ids, some thousand at a time, in any order.

        Yields
        ------
        places : array of int (k,)
            Indices into `ids`.
        rows : pyarrow.Table
            The columns of these rows.
        """
        order = np.argsort(ids, kind="stable")
        step = max(1, 2**24 // (4 * self.width))
        for start in range(0, len(ids), step):
            part = order[start : start + step]
            unique, places = np.unique(ids[part], return_inverse=True)
            with index_errors(self.address):
                query = self.photos.take_row_ids(unique.tolist()).with_row_id()
                rows = query.select(list(columns)).to_arrow().sort_by("_rowid")
            yield part, rows.take(places)

    def matrix(self, rows: pa.Table) -> Float32Array:
        """Return the features of rows as an array, (n, p)."""
        flat = rows["features"].combine_chunks().flatten().to_numpy()
        return np.asarray(flat.reshape(-1, self.width), np.float32)

    def append(self, rows: pa.Table) -> None:
        """Add rows of photos that are not in the table, in one commit."""
        with self._commit():
            self.photos.add(rows.cast(self._schema_of(rows)))

    def upsert(self, rows: pa.Table) -> None:
        """Replace rows of photos that are in the table, add others; in one commit.

        Columns that `rows` lacks stay as they are.
        """
        with self._commit():
            merge = self.photos.merge_insert(list(KEY_COLUMNS)).when_matched_update_all()
            if "features" in rows.column_names:
                merge = merge.when_not_matched_insert_all()
            merge.execute(rows.cast(self._schema_of(rows)))

    def _schema_of(self, rows: pa.Table) -> pa.Schema:
        import pyarrow as pa

        return pa.schema([self.photos.schema.field(name) for name in rows.column_names])

    def delete(self, keys: Iterable[tuple[str, str]]) -> None:
        """Delete photos, by root and path; a thousand in one commit."""
        by_root: dict[str, list[str]] = {}
        for root, path in keys:
            by_root.setdefault(root, []).append(path)
        for root, paths in by_root.items():
            for start in range(0, len(paths), _NAMES_AT_ONCE):
                names = ", ".join(map(_quoted, paths[start : start + _NAMES_AT_ONCE]))
                with self._commit():
                    self.photos.delete(f"root = {_quoted(root)} AND path IN ({names})")

    def delete_copies(self, ids: Iterable[int]) -> None:
        """Delete rows by their ids, where other rows have the same root and path."""
        with self._commit():
            self.photos.delete(f"_rowid IN ({', '.join(map(str, ids))})")

    def add_columns(self, fields: Sequence[pa.Field]) -> None:
        """Add columns, empty so far; columns of these names and their values are removed."""
        import pyarrow as pa

        with self._commit():
            old = [field.name for field in fields if field.name in self.photos.schema.names]
            if old:
                self.photos.drop_columns(old)
            self.photos.add_columns(pa.schema(fields))

    def upgrade(self) -> None:
        """Add the columns that a table of an earlier version lacks."""
        import pyarrow as pa

        known = self.photos.schema.names
        missing = [pa.field(name, pa.int64()) for name in RECORD_COLUMNS if name not in known]
        if missing:
            self.add_columns(missing)

    def compact(self, after: int) -> None:
        """Join small files if they are many, and delete files that only old versions need.

        Parameters
        ----------
        after : int
            Up to this many files are left as they are.
        """
        with self._commit():
            if self.photos.stats()["fragment_stats"]["num_fragments"] > after:
                self.photos.optimize(cleanup_older_than=VERSIONS_KEPT)

    def size(self) -> int:
        """Bytes that the newest version of the table takes."""
        with index_errors(self.address):
            return int(self.photos.stats()["total_bytes"])

    def read_manifest(self) -> dict[str, Any]:
        """Return the notes of the last run, with its sieve's folder; empty if no run finished."""
        with index_errors(self.address):
            table = self._open(MANIFEST_TABLE)
            if table is None:
                return {}
            text = table.to_arrow()["text"].to_pylist()
        return dict(json.loads(text[0])) if text else {}

    def write_manifest(self, notes: Mapping[str, Any]) -> None:
        """Replace the notes that `read_manifest` returns, in one commit."""
        import pyarrow as pa

        self._replace(MANIFEST_TABLE, pa.table({"text": [json.dumps(notes)]}))

    def read_skipped(self) -> list[dict[str, Any]]:
        """Return the photos that could not be used, as `write_skipped` wrote them."""
        with index_errors(self.address):
            table = self._open(SKIPPED_TABLE)
            return [] if table is None else list(table.to_arrow().to_pylist())

    def write_skipped(self, photos: Sequence[Mapping[str, Any]]) -> None:
        """Replace the records that `read_skipped` returns, in one commit."""
        import pyarrow as pa

        schema = pa.schema(
            [(name, pa.string()) for name in (*KEY_COLUMNS, "reason", "remedy", "reader")]
            + [(name, pa.int64()) for name in ("size", "mtime_ns", "ctime_ns")]
        )
        self._replace(SKIPPED_TABLE, pa.Table.from_pylist([dict(p) for p in photos], schema=schema))

    def _replace(self, name: str, rows: pa.Table) -> None:
        with self._commit():
            table = self._database.create_table(name, rows, mode="overwrite")
            table.optimize(cleanup_older_than=VERSIONS_KEPT)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _missing(address: str) -> PhotoIndexError:
    return PhotoIndexError(
        f"{address}: there is no index here; "
        f"make one with: photosieve index PHOTOS --sieve SIEVE --index {address}"
    )
