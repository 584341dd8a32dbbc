"""One writer at a time: a file lock in a folder, a lease in an object store.

The system releases the file lock of a killed process. A lease stays: another process that finds it
watches it, and takes it over when it has not been renewed for a while. The clocks of other machines
are not used for that.

A holder that only stood still may wake up afterwards. It asks before each commit whether the lease
is still its own. For a commit that was already on its way, the new holder commits a restoration of
the newest version, with which Lance lets no commit succeed that began before.
"""

from __future__ import annotations

import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from photosieve.errors import PhotoIndexError, UsageError, one_line
from photosieve.index.problems import LANCE_ERRORS
from photosieve.index.rebuild import beside
from photosieve.index.store import Store, is_remote, unguarded

LEASE_TABLE = "writer"
"""Name of the table that is the lease."""

RENEW_SECONDS = 10.0
"""Seconds between two renewals of a lease."""

EXPIRE_SECONDS = 60.0
"""Seconds without a renewal after which a lease can be taken over."""


Guard = Callable[[], None]
"""Raises `PhotoIndexError` if another process has taken over."""


@contextmanager
def writing(address: str) -> Iterator[Guard]:
    """Hold an index against other writers.

    Yields
    ------
    callable
        To be called before each commit; see `Store.guard`.

    Raises
    ------
    PhotoIndexError
        If another one is at work.
    UsageError
        If the place cannot be written.
    """
    if is_remote(address):
        with _leased(address) as guard:
            yield guard
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
        yield unguarded
    finally:
        lock.release()


def _busy(address: str, holder: str = "") -> PhotoIndexError:
    return PhotoIndexError(
        f"{address}: another photosieve{holder} is writing to this index; "
        "wait until it is done, and run again"
    )


@contextmanager
def _leased(address: str) -> Iterator[Guard]:
    try:
        lease = _Lease(address)
    except LANCE_ERRORS as error:
        raise UsageError(
            f"{address}: an index cannot be written here ({one_line(error)}); check the address "
            "and your permission to write"
        ) from None
    thread = threading.Thread(target=lease.renew, daemon=True)
    thread.start()
    try:
        yield lease.guard
    finally:
        lease.done.set()
        thread.join()
        lease.end()


class _Lease:
    """A table with one row, which says who may write."""

    def __init__(self, address: str) -> None:
        import lancedb

        self._address = address
        self._mine = f"{socket.gethostname()}, process {os.getpid()}, {uuid.uuid4().hex}"
        self._database = lancedb.connect(address)
        self._table = _take(self._database, self._note, address)
        self._using = threading.Lock()
        self.done = threading.Event()

    def _note(self) -> Any:
        import pyarrow as pa

        return pa.table({"holder": [self._mine], "renewed": [time.time()]})

    def _is_mine(self) -> bool:
        self._table.checkout_latest()
        return _holder(self._table) == self._mine

    def renew(self) -> None:
        """Renew it every few seconds until it is done, or belongs to another process."""
        while not self.done.wait(RENEW_SECONDS):
            with suppress(*LANCE_ERRORS), self._using:  # the next one may pass
                if not self._is_mine():
                    return
                self._table.add(self._note(), mode="overwrite")

    def guard(self) -> None:
        """Raise `PhotoIndexError` if it belongs to another process."""
        try:
            with self._using:
                if self._is_mine():
                    return
            lost = "another process has taken it over, as this one stood still for too long"
        except LANCE_ERRORS as error:
            lost = f"its lease is gone ({one_line(error)})"
        raise PhotoIndexError(f"{self._address}: {lost}; run again to go on")

    def end(self) -> None:
        """Give it back."""
        with suppress(*LANCE_ERRORS):  # without this it ends later, by itself
            if self._is_mine():
                self._database.drop_table(LEASE_TABLE)


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
    for place in (address, beside(address)):
        Store(place).fence()
    return table


def _holder(table: Any) -> str:
    return str((table.to_arrow()["holder"].to_pylist() or ["unknown"])[0])
