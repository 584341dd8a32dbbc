"""One writer at a time: a file lock in a folder, a lease in an object store.

A killed writer's file lock goes with it. A lease does not: who finds one watches it, and takes it
over when it has not been renewed for a while. No clock of another machine is trusted for that.
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

LEASE = "writer"

FAILURES = (OSError, RuntimeError, ValueError)
"""What the table's library raises."""

RENEWED = 10.0
"""Seconds between two renewals of a lease."""

DEAD = 60.0
"""Seconds without a renewal after which its holder counts as dead."""


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
            while not done.wait(RENEWED):
                with suppress(*FAILURES):  # the next one may pass
                    table.add(note(), mode="overwrite")

        thread = threading.Thread(target=renew, daemon=True)
        thread.start()
    except FAILURES as error:
        raise UsageError(
            f"{address}: an index cannot be written here ({one_line(error)}); check the address "
            "and your permission to write"
        ) from None
    try:
        yield
    finally:
        done.set()
        thread.join()
        with suppress(*FAILURES):  # it ends by itself, only later
            table.checkout_latest()
            if _holder(table) == mine:  # and not that of somebody who took it over
                database.drop_table(LEASE)


def _take(database: Any, note: Any, address: str) -> Any:
    """Create the lease; if there is one, watch whether its holder lives."""
    if LEASE not in database.list_tables().tables:
        try:
            return database.create_table(LEASE, note(), mode="create")
        except FAILURES:
            if LEASE not in database.list_tables().tables:
                raise
    table = database.open_table(LEASE)
    seen, waited = table.version, 0.0
    while waited < DEAD:
        time.sleep(1.0)
        waited += 1.0
        table.checkout_latest()
        if table.version != seen:
            raise _busy(address, f" ({_holder(table).rpartition(', ')[0]})")
    mine = note()
    table.add(mine, mode="overwrite")
    time.sleep(1.0)  # of several that waited, the last to write it has it
    table.checkout_latest()
    if _holder(table) != mine["holder"][0].as_py():
        raise _busy(address)
    return table


def _holder(table: Any) -> str:
    return str((table.to_arrow()["holder"].to_pylist() or ["unknown"])[0])
