"""Bring an index in line with its folders: mark what is there, read what is new, sweep the rest.

A photo is *unchanged* when size and time are as they were. Everything else is read once, for its
hash and for its pixels: *touched* photos have the hash they had, *moved* and copied ones that of
another photo, and only the rest goes through the encoder. Rows are committed every few seconds, so
that whatever ends a run, the next one goes on.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from photosieve.data.photos import DEFAULT_MAX_PIXELS, Bytes, decode
from photosieve.encoders.protocol import Float32Array
from photosieve.errors import PhotoError, PhotoIndexError, Skipped
from photosieve.index.changes import Entry, Key, Marks
from photosieve.index.snapshot import Snapshot
from photosieve.index.sources import place
from photosieve.index.store import Store
from photosieve.progress import Progress, silent

COMMIT_SECONDS = 5.0
COMMIT_BYTES = 2**25
"""A commit is due after so much time, or features of so many bytes."""

LARGE = 2**25
"""Files of more bytes than this are read one at a time: several at once could fill the memory."""


class Same(Enum):
    """Why a photo needs no encoder."""

    TOUCHED = "it has the content it had"
    COPY = "another photo has its content"


Verdict = Skipped | Same

Embed = Callable[
    [
        Iterable[Entry],
        Callable[[Entry], Sequence[Image.Image] | Verdict],
        Callable[[Entry, Verdict], None],
    ],
    Iterator[tuple[Entry, Float32Array]],
]
"""What `photosieve.encoders.protocol.Encoder.stream` does."""


@dataclass
class Update:
    """What a run has done.

    Parameters
    ----------
    photos : int
        In the index now.
    added, changed, moved, deleted : int
        A photo that was renamed counts as moved, and as nothing else.
    skipped : list of Skipped
        What could not be used, in this run or in an earlier one.
    seconds : float
    """

    photos: int = 0
    added: int = 0
    changed: int = 0
    moved: int = 0
    deleted: int = 0
    skipped: list[Skipped] = field(default_factory=list)
    seconds: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return a form for JSON."""
        skipped = [skip.to_dict() for skip in self.skipped]
        return {**vars(self), "skipped": skipped, "seconds": round(self.seconds, 3)}


class Run:
    """One run over entries that were marked: reads, embeds and commits them.

    Parameters
    ----------
    store : Store
        With a table of the encoder's features.
    snapshot : Snapshot
        Of the table as the run found it.
    marks : Marks
    shortest_side : int or None
        See `Encoder.shortest_side`.
    max_pixels : int
        Larger photos are skipped.
    progress : Progress
    """

    def __init__(
        self,
        store: Store,
        snapshot: Snapshot,
        marks: Marks,
        *,
        shortest_side: int | None,
        max_pixels: int = DEFAULT_MAX_PIXELS,
        progress: Progress = silent,
    ) -> None:
        self.store, self.snapshot, self.marks = store, snapshot, marks
        self.shortest_side, self.max_pixels, self.progress = shortest_side, max_pixels, progress
        self.update = Update()
        self._firsts: dict[bytes, Key] = {}  # who came first with a content that is new
        self._lock, self._large = threading.Lock(), threading.Lock()
        self._rows: list[tuple[Entry, Float32Array]] = []  # what waits to be committed
        self._copies: list[tuple[Entry, int]] = []  # with the row that has their content
        self._late: list[Entry] = []  # copies of what is on its way itself
        self._touched: list[Entry] = []
        self._committed = time.monotonic()
        self._done = 0
        self._vanished = Counter(snapshot.hashes[row].tobytes().hex() for row in marks.gone)
        # Rows that this run leaves alone until its end: their features can be copied.
        lasting = np.ones(len(snapshot), bool)
        lasting[[entry.known for entry in marks.entries if entry.known >= 0]] = False
        self._total = len(marks.entries)
        rows = np.flatnonzero(lasting)
        self._lasting = rows[np.argsort(snapshot.hashes[rows], kind="stable")]
        self._contents = snapshot.hashes[self._lasting]

    def go(self, embed: Embed) -> Update:
        """Do it all; on an interrupt, what is done so far is committed first."""
        try:
            for entry, features in embed(self._entries(), self.load, self._settle):
                self._rows.append((entry, features[0]))
                self._count()
            self._commit(last=True)
        except KeyboardInterrupt:
            with suppress(PhotoIndexError):
                self._commit(last=True)
            raise
        self._sweep()
        return self.update

    def _entries(self) -> Iterator[Entry]:
        while self.marks.entries:
            yield self.marks.entries.popleft()

    def load(self, entry: Entry) -> Sequence[Image.Image] | Verdict:
        """Read a photo, and decode it if its content is new; safe to call in threads."""
        try:
            if entry.size > LARGE:
                with self._large:
                    return self._read(entry)
            return self._read(entry)
        except PhotoError as error:
            return Skipped.from_error(error)

    def _read(self, entry: Entry) -> Sequence[Image.Image] | Verdict:
        found = entry.root.read(entry.path, self.max_pixels)
        entry.note(found)
        if entry.sha256 == entry.was:
            return Same.TOUCHED
        with self._lock:
            first = self._firsts.setdefault(bytes.fromhex(entry.sha256), entry.key)
        if first != entry.key or self._lasting_row(entry) >= 0:
            return Same.COPY
        return decoded(entry, found, self.shortest_side, self.max_pixels)

    def _lasting_row(self, entry: Entry) -> int:
        """A row that has an entry's content, -1 if none."""
        content = np.frombuffer(bytes.fromhex(entry.sha256), "V32")[0]
        index = int(np.searchsorted(self._contents, content))
        found = index < len(self._contents) and self._contents[index] == content
        return int(self._lasting[index]) if found else -1

    def _settle(self, entry: Entry, verdict: Verdict) -> None:
        """Take what needs no encoder."""
        if verdict is Same.TOUCHED:
            self._touched.append(entry)
        elif verdict is Same.COPY:
            row = self._lasting_row(entry)
            if row >= 0:
                self._copies.append((entry, row))
            else:
                self._late.append(entry)
        else:
            self._skip(entry, verdict)
        self._count()

    def _skip(self, entry: Entry, reason: Skipped) -> None:
        self.marks.skipped[entry.key] = reason
        if not entry.sha256:
            return  # it could not be read at all: next time it may be as it was
        if entry.known >= 0:
            self.marks.gone.append(entry.known)
        self.marks.bad[entry.key] = {
            "root": entry.key[0],
            "path": entry.path,
            "size": entry.size,
            "mtime_ns": entry.mtime_ns,
            "reason": reason.reason,
            "remedy": reason.remedy,
        }

    def _count(self) -> None:
        self._done += 1
        skipped = len(self.marks.skipped)
        stage = f"indexing: {skipped} skipped" if skipped else "indexing"
        self.progress(stage, self._done, self._total)
        waiting = len(self._rows) * 4 * self.store.width
        if waiting > COMMIT_BYTES or time.monotonic() - self._committed > COMMIT_SECONDS:
            self._commit()

    def _commit(self, *, last: bool = False) -> None:
        rows = self._rows
        if rows:
            self._write([entry for entry, _ in rows], np.stack([found for _, found in rows]))
        self._rows = []
        if self._touched:
            self._write(self._touched, None)
            self._touched = []
        if self._copies:
            ids = self.snapshot.ids[[row for _, row in self._copies]]
            self._copy([entry for entry, _ in self._copies], ids)
            self._copies = []
        if last and self._late:
            self._copy_late()
        self._committed = time.monotonic()

    def _write(self, entries: list[Entry], features: Float32Array | None) -> None:
        """Commit rows: new ones, and those that replace a row."""
        import pyarrow as pa

        now = datetime.now(UTC)
        columns: dict[str, Any] = {
            "root": [entry.key[0] for entry in entries],
            "path": [entry.path for entry in entries],
            "size": [entry.size for entry in entries],
            "mtime_ns": [entry.mtime_ns for entry in entries],
        }
        if features is not None:
            flat = pa.array(np.ascontiguousarray(features).reshape(-1))
            columns |= {
                "group": [_group(entry) for entry in entries],
                "sha256": [entry.sha256 for entry in entries],
                "width": [entry.full_size[0] for entry in entries],
                "height": [entry.full_size[1] for entry in entries],
                "encoded": [now] * len(entries),
                "features": pa.FixedSizeListArray.from_arrays(flat, features.shape[1]),
            }
        table = pa.table(columns)
        known = np.array([entry.known >= 0 for entry in entries])
        if (~known).any():
            self.store.append(table.filter(pa.array(~known)))
        if known.any():
            self.store.upsert(table.filter(pa.array(known)))
        if features is None:
            return
        for entry in entries:
            if entry.known >= 0:
                self.update.changed += 1
            elif self._vanished[entry.sha256]:
                self._vanished[entry.sha256] -= 1
                self.update.moved += 1
            else:
                self.update.added += 1

    def _copy(self, entries: list[Entry], ids: NDArray[np.uint64]) -> None:
        """Commit photos whose content other rows have."""
        for places, rows in self.store.take(ids, ("width", "height", "features")):
            copies = [entries[index] for index in places]
            for entry, *size in zip(
                copies, *(rows[name].to_pylist() for name in ("width", "height")), strict=True
            ):
                entry.full_size = (size[0], size[1])
            self._write(copies, self.store.matrix(rows))

    def _copy_late(self) -> None:
        """Commit photos whose content came into the table, or did not, in this run."""
        rows = self.store.rows()
        ids = dict(zip(rows["sha256"].to_pylist(), rows["_rowid"].to_pylist(), strict=True))
        late, self._late = self._late, []
        there = [entry for entry in late if entry.sha256 in ids]
        self._copy(there, np.array([ids[entry.sha256] for entry in there], np.uint64))
        for entry in late:
            first = self.marks.skipped.get(self._firsts[bytes.fromhex(entry.sha256)])
            if entry.sha256 not in ids and first:
                self._skip(entry, Skipped(place(*entry.key), first.reason, first.remedy))

    def _sweep(self) -> None:
        gone = self.marks.gone
        keys = [(self.snapshot.group(row).root, self.snapshot.path(row)) for row in gone]
        self.store.delete(keys)
        self.update.deleted = len(gone) - self.update.moved
        self.update.skipped = sorted(self.marks.skipped.values(), key=lambda skip: skip.path)


def decoded(
    entry: Entry, found: Bytes, shortest_side: int | None, max_pixels: int
) -> list[Image.Image]:
    """Decode a photo that was read, and note its size; raises `PhotoError`."""
    photo = decode(
        place(*entry.key), data=found.data, shortest_side=shortest_side, max_pixels=max_pixels
    )
    entry.full_size = photo.info["full_size"]
    return [photo]


def _group(entry: Entry) -> str:
    return entry.path.rpartition("/")[0] or entry.root.name
