"""The columns of the table of photos."""

from __future__ import annotations

import json
from importlib.metadata import version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

TABLE_VERSION = 1
"""Version of the columns; a table with a newer one is refused."""

RECORD_COLUMNS = ("ctime_ns", "inode")
"""Columns that tables of earlier versions lack; empty where a photo was not read since then."""


def photos_schema(fingerprint: str, width: int) -> pa.Schema:
    """Return the columns, and the notes about the model; see `Store.create`."""
    import pyarrow as pa

    about = {"format": TABLE_VERSION, "fingerprint": fingerprint, "version": version("photosieve")}
    return pa.schema(
        [
            ("root", pa.string()),
            ("path", pa.string()),
            ("group", pa.string()),
            ("size", pa.int64()),
            ("mtime_ns", pa.int64()),
            ("sha256", pa.string()),
            ("width", pa.int32()),
            ("height", pa.int32()),
            ("encoded", pa.timestamp("us", "UTC")),
            *((name, pa.int64()) for name in RECORD_COLUMNS),
            ("features", pa.list_(pa.float32(), width)),
        ],
        metadata={"photosieve": json.dumps(about)},
    )
