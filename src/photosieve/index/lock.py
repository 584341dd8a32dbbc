"""One writer at a time: a file lock in a folder, a lease in an object store.

The system releases the file lock of a killed process. A lease stays: another process that finds it
watches it, and takes it over when it has not been renewed for a while. The clocks of other machines
are not used for that.
"""

from __future__ import annotations

import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from photosieve.errors import PhotoIndexError, UsageError, one_line
from photosieve.index.store import is_remote

LEASE_TABLE = "writer"
"""Name of the table that is the lease."""

LANCE_ERRORS = (OSError, RuntimeError, ValueError)
"""The errors that LanceDB raises."""

RENEW_SECONDS = 10.0
"""Seconds between two renewals of a lease."""

EXPIRE_SECONDS = 60.0
"""Seconds without a renewal after which a lease can be taken over."""


@contextmanager
def writing(address: str) -> Iterator[None]:
    """Hold an index against other writers.

    Raises
    ------
    PhotoIndexError
        If another one is at work.
    UsageError
        If the place cannot be written.
    """
    if is_remote(address):
        with _leased(address):
            yield
        return
    folder = Path(address)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / ".lock")
        lock.acquire(timeout=0)
    except Timeout:
        raise _busy(address) from None
    except OSError as error:
        raise UsageError(
            f"{address}: an index cannot be written here ({one_line(error)}); "
            "choose a folder that you may write to"
        ) from None
    try:
        yield
    finally:
        lock.release()


def _busy(address: str, holder: str = "") -> PhotoIndexError:
    return PhotoIndexError(
        f"{address}: another photosieve{holder} is writing to this index; "
        "wait until it is done, and run again"
    )


@contextmanager
def _leased(address: str) -> Iterator[None]:
    import lancedb
    import pyarrow as pa

    database = lancedb.connect(address)
    mine = f"{socket.gethostname()}, process {os.getpid()}, {uuid.uuid4().hex}"

    def note() -> Any:
        return pa.table({"holder": [mine], "renewed": [time.time()]})

    try:
        table = _take(database, note, address)
        done = threading.Event()

        def renew() -> None:
            while not done.wait(RENEW_SECONDS):
                with suppress(*LANCE_ERRORS):  # the next one may pass
                    table.add(note(), mode="overwrite")

        thread = threading.Thread(target=renew, daemon=True)
        thread.start()
    except LANCE_ERRORS as error:
        raise UsageError(
            f"{address}: an index cannot be written here ({one_line(error)}); check the address "
            "and your permission to write"
        ) from None
    try:
        yield
    finally:
        done.set()
        thread.join()
        with suppress(*LANCE_ERRORS):  # without this it ends later, by itself
            table.checkout_latest()
            if _holder(table) == mine:  # and no other process took it over
                database.drop_table(LEASE_TABLE)


def _take(database: Any, note: Any, address: str) -> Any:
    """Create the lease; if there is one, watch whether it is still renewed."""
    if LEASE_TABLE not in database.list_tables().tables:
        try:
            return database.create_table(LEASE_TABLE, note(), mode="create")
        except LANCE_ERRORS:
            if LEASE_TABLE not in database.list_tables().tables:
                raise
    table = database.open_table(LEASE_TABLE)
    version, waited = table.version, 0.0
    while waited < EXPIRE_SECONDS:
        time.sleep(1.0)
        waited += 1.0
        table.checkout_latest()
        if table.version != version:
            raise _busy(address, f" ({_holder(table).rpartition(', ')[0]})")
    mine = note()
    table.add(mine, mode="overwrite")
    time.sleep(1.0)  # of several that waited, the last writer has it
    table.checkout_latest()
    if _holder(table) != mine["holder"][0].as_py():
        raise _busy(address)
    return table


def _holder(table: Any) -> str:
    return str((table.to_arrow()["holder"].to_pylist() or ["unknown"])[0])
