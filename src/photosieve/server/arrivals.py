"""Uploaded photos on their way into the index, which is brought up to date in the background."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

from photosieve.errors import PhotosieveError
from photosieve.index.index import Index
from photosieve.server.library import Library

QUIET_SECONDS = 1.0
"""Photos that come so soon after one another are indexed together."""

MOST_SECONDS = 15.0
"""A photo waits no longer for others that come after it."""

RETRY_SECONDS = 10.0
"""Until the next try, where another process writes to the index."""

log = logging.getLogger("photosieve")


class Arrivals:
    """Photos that are stored and not indexed yet.

    Parameters
    ----------
    library : Library
    """

    def __init__(self, library: Library) -> None:
        self._library = library
        self._changed = threading.Condition()
        self._waiting: set[Path] = set()
        self._thread: threading.Thread | None = None
        self._closed = False
        self.error: str | None = None
        """The reason why photos have to wait longer."""

    @property
    def waiting(self) -> int:
        """Number of photos that are not indexed yet."""
        return len(self._waiting)

    def add(self, photo: Path) -> None:
        """Have a photo indexed soon."""
        with self._changed:
            self._waiting.add(photo)
            self._changed.notify_all()
            if self._thread is None and not self._closed:
                self._thread = threading.Thread(target=self._work, daemon=True)
                self._thread.start()

    def close(self) -> None:
        """Index no more photos; the next update of the index finds those that wait."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            thread = self._thread
        if thread is not None:
            thread.join(RETRY_SECONDS)

    def _work(self) -> None:
        while photos := self._next():
            try:
                view = self._library.view()
                index = Index(self._library.address, self._library.sieve_folder)
                index.sieve = view.sieve  # it is loaded already
                index.update(None, *sorted({photo.parent for photo in photos}))
                self._library.view()
            except PhotosieveError as error:
                log.warning("uploaded photos are not indexed yet: %s", error)
                self.error = "another process changes the index now; this is tried again"
                with self._changed:
                    self._changed.wait_for(lambda: self._closed, RETRY_SECONDS)
            except Exception:
                log.exception("uploaded photos cannot be indexed")
                self.error = "they cannot be indexed; the server's log says why"
                with self._changed:
                    self._waiting, self._thread = set(), None
                return
            else:
                self.error = None
                with self._changed:
                    self._waiting -= photos

    def _next(self) -> set[Path]:
        """Wait until no more photos come, and return those that wait; none ends the thread."""
        with self._changed:
            for _ in range(int(MOST_SECONDS / QUIET_SECONDS)):
                before = len(self._waiting)
                more = lambda: self._closed or len(self._waiting) > before  # noqa: B023, E731
                if not before or not self._changed.wait_for(more, QUIET_SECONDS):
                    break
            if self._closed or not self._waiting:
                self._thread = None
                return set()
            return set(self._waiting)
