"""Bring an index in line with its folders: read new photos, embed them, delete gone ones.

A photo is *unchanged* when size, times and inode are the same as before. All others are read once,
for their hash and their pixels: *touched* photos have the same hash as before, *moved* and copied
ones that of another photo, and only the others go through the encoder. Rows are committed every
few seconds, so that a run that was stopped can be continued.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from photosieve.data.photos import DEFAULT_MAX_PIXELS, Bytes, decode
from photosieve.encoders.protocol import ByPath, Encoder, Float32Array
from photosieve.errors import PhotoError, PhotoIndexError, Skipped
from photosieve.index.changes import Changes, Key, PendingPhoto
from photosieve.index.columns import Matched
from photosieve.index.snapshot import Snapshot
from photosieve.index.sources import place
from photosieve.index.store import Store
from photosieve.progress import Progress, Stages, silent

COMMIT_SECONDS = 3.0
COMMIT_BYTES = 2**25
"""A commit is due after so much time, or features of so many bytes. A run that is killed loses at
most five seconds of work: what was embedded since, and the commit itself."""

STAGES: Stages = [
    ("looking for changes", 0.0),
    ("preparing the search", 0.0),  # of the photos that are there already
    ("indexing", 1.0),
    ("preparing the search", 0.01),
    ("sorting photos for the search", 0.01),
]
"""Of a run, with the shares of the starter; those after "indexing" are small with any model."""

LARGE_FILE_BYTES = 2**25
"""Files of more bytes than this are read one at a time: several at once could fill the memory."""


class Reuse(Enum):
    """Why the features of a photo are known already."""

    TOUCHED = "its content has not changed"
    COPY = "another photo has the same content"


NotEmbedded = Skipped | Reuse
"""Why a photo does not go through the encoder."""

Embed = Callable[
    [
        Iterable[PendingPhoto],
        Callable[[PendingPhoto], Sequence[Image.Image] | NotEmbedded],
        Callable[[PendingPhoto, NotEmbedded], None],
    ],
    Iterator[tuple[PendingPhoto, Float32Array]],
]
"""The signature of `photosieve.encoders.protocol.Encoder.stream`."""


@dataclass
class Update:
    """The outcome of a run.

    Parameters
    ----------
    photos : int
        In the index now.
    added, changed, moved, deleted : int
        A photo that was renamed counts as moved, and as nothing else.
    skipped : list of Skipped
        Photos and folders that could not be used, in this run or in an earlier one.
    seconds : float
    metadata : Matched or None
        How the rows of the user's table fit.
    """

    photos: int = 0
    added: int = 0
    changed: int = 0
    moved: int = 0
    deleted: int = 0
    skipped: list[Skipped] = field(default_factory=list)
    seconds: float = 0.0
    metadata: Matched | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return a form for JSON."""
        skipped = [skip.to_dict() for skip in self.skipped]
        metadata = self.metadata.to_dict() if self.metadata else None
        seconds = round(self.seconds, 3)
        return {**vars(self), "skipped": skipped, "seconds": seconds, "metadata": metadata}


class Updater:
    """One run over the changes in folders: reads, embeds and commits the photos.

    Parameters
    ----------
    store : Store
        With a table of the encoder's features.
    snapshot : Snapshot
        Of the table before the run.
    changes : Changes
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
        changes: Changes,
        *,
        shortest_side: int | None,
        max_pixels: int = DEFAULT_MAX_PIXELS,
        progress: Progress = silent,
    ) -> None:
        self.store, self.snapshot, self.changes = store, snapshot, changes
        self.shortest_side, self.max_pixels, self.progress = shortest_side, max_pixels, progress
        self.update = Update()
        self._firsts: dict[bytes, Key] = {}  # the first photo with each new content
        self._lock, self._large = threading.Lock(), threading.Lock()
        # Photos that wait to be committed:
        self._embedded: list[tuple[PendingPhoto, Float32Array]] = []  # with their features
        self._copies: list[tuple[PendingPhoto, int]] = []  # with the row that has their content
        self._late: list[PendingPhoto] = []  # their content is that of another pending photo
        self._touched: list[PendingPhoto] = []
        self._committed = time.monotonic()
        self._done = 0
        self._gone_hashes = Counter(snapshot.hashes[row].tobytes().hex() for row in changes.gone)
        # Rows that stay until the end of the run, so that their features can be copied.
        lasting = np.ones(len(snapshot), bool)
        lasting[[photo.known for photo in changes.pending if photo.known >= 0]] = False
        self._total = len(changes.pending)
        rows = np.flatnonzero(lasting)
        self._lasting = rows[np.argsort(snapshot.hashes[rows], kind="stable")]
        self._contents = snapshot.hashes[self._lasting]

    def run(self, embed: Embed) -> Update:
        """Carry out the run; on an interrupt, the photos embedded so far are committed first."""
        if self._total:
            self.store.upgrade()
        try:
            for photo, features in embed(self._pending(), self.load, self._settle):
                self._embedded.append((photo, features[0]))
                self._count()
            self._commit(last=True)
        except KeyboardInterrupt:
            with suppress(PhotoIndexError):
                self._commit(last=True)
            raise
        self._sweep()
        return self.update

    def _pending(self) -> Iterator[PendingPhoto]:
        while self.changes.pending:
            yield self.changes.pending.popleft()

    def load(self, photo: PendingPhoto) -> Sequence[Image.Image] | NotEmbedded:
        """Read a photo, and decode it if its content is new; safe to call in threads."""
        try:
            if photo.size > LARGE_FILE_BYTES:
                with self._large:
                    return self._read(photo)
            return self._read(photo)
        except PhotoError as error:
            return Skipped.from_error(error)

    def _read(self, photo: PendingPhoto) -> Sequence[Image.Image] | NotEmbedded:
        content = photo.root.read(photo.path, self.max_pixels)
        photo.note(content)
        if photo.sha256 == photo.known_sha256:
            return Reuse.TOUCHED
        with self._lock:
            first = self._firsts.setdefault(bytes.fromhex(photo.sha256), photo.key)
        if first != photo.key or self._lasting_row(photo) >= 0:
            return Reuse.COPY
        return decoded(photo, content, self.shortest_side, self.max_pixels)

    def _lasting_row(self, photo: PendingPhoto) -> int:
        """Return a row with a photo's content, -1 if none."""
        content = np.frombuffer(bytes.fromhex(photo.sha256), "V32")[0]
        index = int(np.searchsorted(self._contents, content))
        known = index < len(self._contents) and self._contents[index] == content
        return int(self._lasting[index]) if known else -1

    def _settle(self, photo: PendingPhoto, outcome: NotEmbedded) -> None:
        """Take a photo that does not go through the encoder."""
        if outcome is Reuse.TOUCHED:
            self._touched.append(photo)
        elif outcome is Reuse.COPY:
            row = self._lasting_row(photo)
            if row >= 0:
                self._copies.append((photo, row))
            else:
                self._late.append(photo)
        else:
            self._skip(photo, outcome)
        self._count()

    def _skip(self, photo: PendingPhoto, reason: Skipped) -> None:
        self.changes.skipped[photo.key] = reason
        if not photo.sha256:
            return  # it could not be read, and next time it may be unchanged
        if photo.known >= 0:
            self.changes.gone.append(photo.known)
        if reason.form:
            return  # next time there may be a decoder
        self.changes.unusable[photo.key] = {
            "root": photo.key[0],
            "path": photo.path,
            **self.changes.record(photo),
            "reason": reason.reason,
            "remedy": reason.remedy,
        }

    def _count(self) -> None:
        self._done += 1
        skipped = len(self.changes.skipped)
        stage = f"indexing: {skipped} skipped" if skipped else "indexing"
        self.progress(stage, self._done, self._total)
        waiting = len(self._embedded) * 4 * self.store.width
        if waiting > COMMIT_BYTES or time.monotonic() - self._committed > COMMIT_SECONDS:
            self._commit()

    def _commit(self, *, last: bool = False) -> None:
        rows = self._embedded
        if rows:
            self._write([photo for photo, _ in rows], np.stack([features for _, features in rows]))
        self._embedded = []
        if self._touched:
            self._write(self._touched, None)
            self._touched = []
        if self._copies:
            ids = self.snapshot.ids[[row for _, row in self._copies]]
            self._copy([photo for photo, _ in self._copies], ids)
            self._copies = []
        if last and self._late:
            self._copy_late()
        self._committed = time.monotonic()

    def _write(self, photos: list[PendingPhoto], features: Float32Array | None) -> None:
        """Commit rows: new ones, and those that replace a row."""
        import pyarrow as pa

        now = datetime.now(UTC)
        columns: dict[str, Any] = {
            "root": [photo.key[0] for photo in photos],
            "path": [photo.path for photo in photos],
            "size": [photo.size for photo in photos],
            "mtime_ns": [photo.mtime_ns for photo in photos],
            "ctime_ns": [photo.ctime_ns for photo in photos],
            "inode": [photo.inode for photo in photos],
        }
        if features is not None:
            flat = pa.array(np.ascontiguousarray(features).reshape(-1))
            columns |= {
                "group": [photo.group for photo in photos],
                "sha256": [photo.sha256 for photo in photos],
                "width": [photo.full_size[0] for photo in photos],
                "height": [photo.full_size[1] for photo in photos],
                "encoded": [now] * len(photos),
                "features": pa.FixedSizeListArray.from_arrays(flat, features.shape[1]),
            }
        table = pa.table(columns)
        known = np.array([photo.known >= 0 for photo in photos])
        if (~known).any():
            self.store.append(table.filter(pa.array(~known)))
        if known.any():
            self.store.upsert(table.filter(pa.array(known)))
        if features is None:
            return
        for photo in photos:
            if photo.known >= 0:
                self.update.changed += 1
            elif self._gone_hashes[photo.sha256]:
                self._gone_hashes[photo.sha256] -= 1
                self.update.moved += 1
            else:
                self.update.added += 1

    def _copy(self, photos: list[PendingPhoto], ids: NDArray[np.uint64]) -> None:
        """Commit photos whose content other rows have."""
        for places, rows in self.store.take(ids, ("width", "height", "features")):
            copies = [photos[index] for index in places]
            for photo, *size in zip(
                copies, *(rows[name].to_pylist() for name in ("width", "height")), strict=True
            ):
                photo.full_size = (size[0], size[1])
            self._write(copies, self.store.matrix(rows))

    def _copy_late(self) -> None:
        """Commit copies of photos of this run, or skip them if those could not be used."""
        rows = self.store.rows()
        ids = dict(zip(rows["sha256"].to_pylist(), rows["_rowid"].to_pylist(), strict=True))
        late, self._late = self._late, []
        known = [photo for photo in late if photo.sha256 in ids]
        self._copy(known, np.array([ids[photo.sha256] for photo in known], np.uint64))
        for photo in late:
            first = self.changes.skipped.get(self._firsts[bytes.fromhex(photo.sha256)])
            if photo.sha256 not in ids and first:
                self._skip(photo, replace(first, path=place(*photo.key)))

    def _sweep(self) -> None:
        gone = self.changes.gone
        keys = [(self.snapshot.group(row).root, self.snapshot.path(row)) for row in gone]
        self.store.delete(keys)
        self.update.deleted = len(gone) - self.update.moved
        self.update.skipped = sorted(self.changes.skipped.values(), key=lambda skip: skip.path)


def stream_of(encoder: Encoder) -> Embed:
    """Return the function that embeds photos on this machine."""
    return _by_path(encoder) if isinstance(encoder, ByPath) else cast("Embed", encoder.stream)


def _by_path(encoder: ByPath) -> Embed:
    """Return a function that embeds photos by their paths; they are still read for their hash."""

    def embed(
        photos: Iterable[PendingPhoto],
        load: Callable[[PendingPhoto], Sequence[Image.Image] | NotEmbedded],
        other: Callable[[PendingPhoto, NotEmbedded], None],
    ) -> Iterator[tuple[PendingPhoto, Float32Array]]:
        def path(photo: PendingPhoto) -> Path | None:
            loaded = load(photo)
            if isinstance(loaded, Sequence):
                return place(*photo.key)
            other(photo, loaded)
            return None

        def skip(photo: PendingPhoto, reason: Skipped) -> None:
            photo.mtime_ns = -1  # look again next time: a vector comes without a change of the file
            other(photo, reason)

        return encoder.stream_paths(photos, path, skip)

    return embed


def decoded(
    photo: PendingPhoto, content: Bytes, shortest_side: int | None, max_pixels: int
) -> list[Image.Image]:
    """Decode a photo that was read, and note its size; raises `PhotoError`."""
    image = decode(
        place(*photo.key), data=content.data, shortest_side=shortest_side, max_pixels=max_pixels
    )
    photo.full_size = image.info["full_size"]
    return [image]
