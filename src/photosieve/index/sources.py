"""The places that photos come from: folders of this machine, or of an object store."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from photosieve.data.folders import PhotoFile, is_ignored, unread, walk
from photosieve.data.formats import SUFFIXES, UNREAD
from photosieve.data.names import NO_TEXT, NO_TEXT_REMEDY, is_text
from photosieve.data.photos import CHANGED, Bytes, check_bytes, read
from photosieve.errors import PhotoError, Skipped, UsageError, one_line, printable
from photosieve.index.store import is_remote


@dataclass(frozen=True)
class Folder:
    """A folder of this machine.

    Parameters
    ----------
    address : str
        Its absolute path, which the table stores.
    """

    address: str

    @property
    def name(self) -> str:
        """Its last part: the group of photos directly in it."""
        return Path(self.address).name or self.address

    @property
    def gone(self) -> bool:
        """Whether there is nothing at its path any more."""
        return not Path(self.address).exists()

    def walk(self, *, follow_links: bool) -> Iterator[PhotoFile | Skipped]:
        """Go through its photos; see `photosieve.data.folders.walk`."""
        return walk(Path(self.address), follow_links=follow_links)

    def read(self, path: str, max_pixels: int) -> Bytes:
        """Read a photo whole; raises `PhotoError`."""
        return read(Path(self.address, path), max_pixels=max_pixels)


@dataclass(frozen=True)
class Bucket:
    """A place in an object store, as `pyarrow` reads it.

    Parameters
    ----------
    address : str
    files : pyarrow.fs.FileSystem
    base : str
        The place in the file system's own spelling.
    """

    address: str
    files: Any
    base: str

    @classmethod
    def find(cls, address: str) -> Bucket:
        """Connect to it; `UsageError` if that is not possible."""
        from pyarrow import fs

        try:
            files, base = fs.FileSystem.from_uri(address)
            info = files.get_file_info(base)
        except (OSError, ValueError) as error:
            raise UsageError(f"{address} cannot be reached ({one_line(error)}).") from None
        if info.type != fs.FileType.Directory:
            raise UsageError(f"{address} does not exist: give a place that holds photos.")
        return cls(address.rstrip("/"), files, base.rstrip("/"))

    @property
    def gone(self) -> bool:
        """Always False: an object store has no empty places, so `find` has found photos."""
        return False

    @property
    def name(self) -> str:
        """Its last part: the group of photos directly in it."""
        return PurePosixPath(self.base).name

    def walk(self, *, follow_links: bool) -> Iterator[PhotoFile | Skipped]:  # noqa: ARG002
        """Go through its photos; an object store has no links."""
        from pyarrow import fs

        for info in self.files.get_file_info(fs.FileSelector(self.base, recursive=True)):
            path = info.path[len(self.base) + 1 :]
            if not info.is_file or any(map(is_ignored, path.split("/"))):
                continue
            suffix = os.path.splitext(path)[1].lower()  # noqa: PTH122
            if suffix in SUFFIXES:
                yield PhotoFile(path, info.size, info.mtime_ns)
            elif suffix in UNREAD:
                yield unread(Path(self.address, path))

    def read(self, path: str, max_pixels: int) -> Bytes:
        """Read a photo whole; raises `PhotoError`."""
        address, place = Path(self.address, path), f"{self.base}/{path}"
        try:
            info = self.files.get_file_info(place)
            check_bytes(address, info.size or 0, max_pixels)
            with self.files.open_input_stream(place) as file:
                data = file.read()
        except FileNotFoundError as error:
            raise PhotoError(address, "there is no such file", "check its name") from error
        except OSError as error:
            reason = f"it cannot be read ({one_line(error)})"
            raise PhotoError(address, reason, "check its name and the network") from error
        if len(data) != info.size:
            raise PhotoError(address, CHANGED, "run again once it is complete")
        return Bytes(data, info.size, info.mtime_ns)


Root = Folder | Bucket
"""A folder or address that is indexed with all photos below it."""


def open_root(address: str) -> Root:
    """Find a folder, or a place in an object store such as ``s3://bucket/photos``.

    Raises
    ------
    UsageError
        If it does not exist, or its name is not text, which a table cannot hold.
    """
    if is_remote(address):
        return Bucket.find(address)
    path = os.path.abspath(address)  # noqa: PTH100  # resolves "..", but not links
    if not is_text(path):
        raise UsageError(f"{printable(path)}: {NO_TEXT}; {NO_TEXT_REMEDY}.")
    return Folder(path)


def open_roots(asked: Sequence[str], known: Collection[str]) -> list[Root]:
    """Open the folders to go through: those asked for, or all known ones.

    Known folders that are gone are always among them. A folder inside another one is a part of
    that.

    Parameters
    ----------
    asked : sequence of str
        Addresses; by default the known ones.
    known : collection of str
        Addresses of the folders in the index.
    """
    roots = [open_root(address) for address in asked or sorted(known)]
    lost = [open_root(a) for a in sorted(known) if not is_remote(a) and not Path(a).exists()]
    outer = {*known, *(root.address for root in roots)}
    chosen = {}
    for root in (*roots, *lost):
        around = [other for other in outer if f"{root.address}/".startswith(f"{other}/")]
        address = min(around, key=len)
        chosen[address] = root if address == root.address else open_root(address)
    return list(chosen.values())


def place(root: str, path: str) -> Path:
    """Return the path of a photo; `photosieve.errors.shown` writes addresses as usual."""
    return Path(root, path)
