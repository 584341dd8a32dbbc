"""The served collection: one index, its sieve, and the labels of its photos."""

from __future__ import annotations

import hashlib
import logging
import os
import secrets
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from photosieve.data.dataset import Dataset
from photosieve.data.label_book import LabelBook
from photosieve.data.photos import Bytes
from photosieve.encoders.embedding import PhotoFeatures
from photosieve.errors import PhotoError, UsageError
from photosieve.index.index import Index
from photosieve.index.snapshot import PhotoGroup, Snapshot
from photosieve.index.sources import open_root, place
from photosieve.index.store import is_remote
from photosieve.server.listing import Listing
from photosieve.sieve.sieve import Sieve
from photosieve.storage import cache_folder, draft_file, locked_file
from photosieve.training.features import Prepared, assemble

ID_BYTES = 8
KEY_BYTES = 32

REMOTE_PIXELS = 4_000_000
"""Photos in an object store are read into memory: no more bytes than so many pixels can need."""

log = logging.getLogger("photosieve")


@dataclass(frozen=True)
class Photo:
    """A photo of the collection.

    Parameters
    ----------
    id : str
        Opaque name for clients, without the path.
    row : int
        Its row in the snapshot.
    path : Path
    group : PhotoGroup
    """

    id: str
    row: int
    path: Path
    group: PhotoGroup


@dataclass(frozen=True)
class View:
    """One state of the collection: an answer reads one view from beginning to end.

    Conditions on columns are the exception: they ask the newest table.

    Parameters
    ----------
    index : Index
        With the sieve in use.
    snapshot : Snapshot
        Of the index at one time.
    book : LabelBook
    key : bytes
        Secret key of the ids.
    """

    index: Index
    snapshot: Snapshot
    book: LabelBook
    key: bytes

    @property
    def sieve(self) -> Sieve:
        """The sieve that searches use."""
        return self.index.sieve

    def id_of(self, path: Path) -> str:
        """Return the id of a photo."""
        return self._digest(path).hex()

    def _digest(self, path: Path) -> bytes:
        keyed = self._keyed.copy()
        keyed.update(os.fsencode(path))
        return keyed.digest()

    @cached_property
    def _keyed(self) -> hashlib.blake2b:
        return hashlib.blake2b(key=self.key, digest_size=ID_BYTES)

    @cached_property
    def _by_id(self) -> tuple[NDArray[np.uint64], NDArray[np.intp]]:
        """Ids of all photos, sorted, and the row of each."""
        digests = b"".join(
            self._digest(place(group.root, path))
            for group in self.snapshot.groups
            for path in self.snapshot.paths(group)
        )
        ids = np.frombuffer(digests, ">u8").astype(np.uint64)
        order = np.argsort(ids, kind="stable")
        return ids[order], order

    @property
    def rows(self) -> NDArray[np.intp]:
        """All rows, (n,): by building and name."""
        return np.arange(len(self.snapshot))

    @cached_property
    def mtimes(self) -> NDArray[np.int64]:
        """When the file of each photo was changed, (n,), in nanoseconds since 1970.

        Of files that were changed right before they were indexed, the index notes -1, to look at
        them again: they count as newer than all others.
        """
        noted = np.asarray(self.snapshot.mtimes)
        return np.where(noted < 0, np.iinfo(np.int64).max, noted)

    @cached_property
    def by_name(self) -> NDArray[np.intp]:
        """All rows in the order of the names of the files, (n,)."""
        paths = (path for group in self.snapshot.groups for path in self.snapshot.paths(group))
        names = [path.rpartition("/")[2].casefold() for path in paths]
        return np.array(sorted(range(len(names)), key=names.__getitem__), np.intp)

    @cached_property
    def by_date(self) -> NDArray[np.intp]:
        """All rows, (n,), the photos that were changed last first."""
        return np.argsort(-self.mtimes, kind="stable")

    def row_of(self, photo_id: str) -> int | None:
        """Return the row of an id; None if no photo has it."""
        try:
            photo = np.uint64(int.from_bytes(bytes.fromhex(photo_id)))
        except (ValueError, OverflowError):
            return None
        ids, rows = self._by_id
        at = int(np.searchsorted(ids, photo))
        known = at < len(ids) and ids[at] == photo and len(photo_id) == 2 * ID_BYTES
        return int(rows[at]) if known else None

    def photo(self, row: int, path: Path | None = None) -> Photo:
        """Return the photo of a row; its path is looked up if it is not given."""
        group, path = self.snapshot.group(row), path or self.snapshot.place(row)
        return Photo(self.id_of(path), row, path, group)

    def find(self, photo_id: str) -> Photo | None:
        """Return the photo of an id; None if there is none."""
        row = self.row_of(photo_id)
        return None if row is None else self.photo(row)

    def sha256(self, row: int) -> str:
        """Return the hash of a photo's bytes at the time it was indexed."""
        return str(self.snapshot.hashes[row].tobytes().hex())

    def locate(self, photo: Photo) -> tuple[Path, bytes | None]:
        """Return a photo's file, which is inside the folder that was indexed.

        Of a photo in an object store, return the bytes too.

        Raises
        ------
        PhotoError
            If it cannot be read any more, or has become a link that leads out of its folder.
        """
        if is_remote(photo.group.root):
            return photo.path, self.read(photo, REMOTE_PIXELS).data
        return self._inside(photo), None

    def read(self, photo: Photo, max_pixels: int) -> Bytes:
        """Read a photo's bytes; raises `PhotoError` as `locate` does."""
        root = photo.group.root
        if not is_remote(root):
            self._inside(photo)
        return open_root(root).read(self.snapshot.path(photo.row), max_pixels)

    @staticmethod
    def _inside(photo: Photo) -> Path:
        real = photo.path.resolve()
        if not real.is_relative_to(Path(photo.group.root).resolve()):
            raise PhotoError(photo.path, "it is a link to another place", "copy it here")
        return real

    @cached_property
    def groups_of_photos(self) -> dict[Path, str]:
        """The group of each photo that may have labels, by its path."""
        return {
            place(group.root, path): group.name
            for group in self.snapshot.groups
            if not is_remote(group.root)
            for path in self.snapshot.paths(group)
        }

    def has(self, path: Path) -> bool:
        """Whether a photo is in the collection."""
        return self.row_of(self.id_of(path)) is not None

    def present(self, photos: Iterable[Path]) -> dict[Path, int]:
        """Return the rows of those photos that are in the collection."""
        rows = {photo: self.row_of(self.id_of(photo)) for photo in photos}
        return {photo: row for photo, row in rows.items() if row is not None}

    def is_test(self, photo: Photo) -> bool:
        """Whether a photo is kept for testing: one labels file covers its whole group."""
        known, group = self._tests, photo.group.start
        if group not in known:
            folder = photo.path.parent
            known[group] = folder in self.book and self.book.is_test(photo.path)
        return known[group]

    @cached_property
    def _tests(self) -> dict[int, bool]:
        return {}

    def listing(self) -> Listing:
        """Return what the labels files say now; it is made again when one of them has changed."""
        listed = self.book.listed()
        last = self._last_listing
        if not last or last[0].photos is not listed:
            last[:] = [Listing(listed, self.present(listed))]
        return last[0]

    @cached_property
    def _last_listing(self) -> list[Listing]:
        return []

    def rows_of(self, photos: Iterable[Path]) -> list[int]:
        """Return the rows of photos of this collection."""
        ids, rows = self._by_id
        own = np.array([int(self.id_of(path), 16) for path in photos], np.uint64)
        return [int(row) for row in rows[np.searchsorted(ids, own)]]


class Library:
    """The index of a running server.

    Parameters
    ----------
    sieve : Path
    address : str
        Address of the index.
    """

    def __init__(self, sieve: Path, address: str) -> None:
        self.sieve_folder, self.address = sieve, address
        self.state = _state_folder(address)
        self.index = Index(address, sieve)
        """With the sieve that is in use."""
        self._view: View | None = None
        self._lock = threading.Lock()

    def view(self) -> View:
        """Return the current state; other processes may have changed the index.

        Raises
        ------
        PhotosieveError
            If index or sieve cannot be used.
        """
        with self._lock:
            index = self.index
            snapshot = index.snapshot
            if self._view is None or self._view.snapshot is not snapshot:
                snapshot = index.verified()
                self._view = View(index, snapshot, self._book(snapshot), self._key())
            return self._view

    def folders(self) -> set[str]:
        """Return the folders that no answer may name."""
        own = {str(self.state), str(self.sieve_folder), str(Path(self.address).resolve())}
        return own | {group.root for group in self.view().snapshot.groups}

    def renew(self) -> None:
        """Load the sieve from its folder again, and use it when its vectors are ready.

        Raises
        ------
        PhotosieveError
            If it cannot be used; the old sieve stays in use.
        """
        index = Index(self.address, self.sieve_folder)
        photos = len(index.snapshot)  # computes the vectors while searches use the old sieve
        log.info("a new sieve is in use, for %d photos", photos)
        with self._lock:
            self.index = index

    def features(self, view: View, photos: Sequence[Path]) -> PhotoFeatures:
        """Return the features of photos from the index; no photo is opened."""
        store = view.index.store
        rows = view.rows_of(photos)
        features = np.zeros((len(rows), store.width), np.float32)
        for places, table in store.take(view.snapshot.ids[rows]):
            features[places] = store.matrix(table)
        no_views = np.zeros((len(rows), 0, store.width), np.float32)
        return PhotoFeatures(features, np.arange(len(rows)), (), no_views)

    def prepared(self, view: View, dataset: Dataset, labels: Sequence[str]) -> Prepared:
        """Return a dataset of indexed photos as features."""
        features = self.features(view, dataset.photos)
        return assemble(view.sieve.encoder, dataset, features, labels, words=False)

    def _book(self, snapshot: Snapshot) -> LabelBook:
        folders = {
            place(group.root, snapshot.path(group.start)).parent: Path(group.root)
            for group in snapshot.groups
            if not is_remote(group.root)
        }
        return LabelBook(self.state / "labels-history.jsonl", folders)

    def _key(self) -> bytes:
        """Return the secret key of the ids; it is made once and stays the same."""
        file = self.state / "ids.key"
        try:
            if (key := _read_key(file)) is None:
                self.state.mkdir(parents=True, exist_ok=True)
                with locked_file(file):  # two servers that start together take one key
                    if (key := _read_key(file)) is None:
                        key = secrets.token_bytes(KEY_BYTES)
                        with draft_file(file, private=True) as draft:
                            draft.write(key)
            return key
        except OSError as error:
            raise UsageError(
                f"{self.state} cannot be written ({error.strerror}); "
                "allow this user to write it, or copy the index to another folder"
            ) from None


def _read_key(file: Path) -> bytes | None:
    """Read a key; None if there is none, or it is damaged, as by a disk that was full."""
    try:
        key = file.read_bytes()
    except FileNotFoundError:
        return None
    return key if len(key) == KEY_BYTES else None


def _state_folder(address: str) -> Path:
    """Folder of thumbnails, the history of labels and new sieves."""
    if is_remote(address):
        name = hashlib.sha256(address.encode()).hexdigest()[:16]
        return cache_folder() / "served" / name
    return Path(address).resolve() / "served"
