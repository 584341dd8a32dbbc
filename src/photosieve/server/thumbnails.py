"""Small pictures of photos, and pictures that browsers show: made once and stored."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from pathlib import Path

from photosieve.data.headers import inspect
from photosieve.data.photos import CHANGED, content_hash
from photosieve.errors import PhotoError
from photosieve.server.decoding import decoder
from photosieve.server.library import Photo, View
from photosieve.storage import cache_folder, draft_file

SIDE = 480
"""Pixels on the longer side of a thumbnail."""

VIEW_SIDES = 1500, 3000
"""Pixels on the shorter side, at least, and on the longer side, at most, of a converted photo."""

BROWSER_FORMATS = {
    "JPEG": "image/jpeg",
    "MPO": "image/jpeg",  # a JPEG with several pictures, as some cameras write
    "PNG": "image/png",
    "WEBP": "image/webp",
    "GIF": "image/gif",
}
"""Formats that every browser shows; other formats are converted."""


def thumbnail(view: View, photo: Photo, folder: Path) -> tuple[Path, str]:
    """Return the file of a photo's thumbnail, and the hash of the photo's bytes it was made of.

    A thumbnail that is missing is made first. It is kept under the hash of the bytes that were
    read: the photo may have changed since it was indexed. Where the folder cannot be written, it
    is kept in the user's cache folder.

    Raises
    ------
    PhotoError
        If the photo cannot be read any more or is too large, or there is no room for the picture.
    """
    return _stored(view, photo, folder, SIDE, SIDE, quality=82)


def whole(view: View, photo: Photo, folder: Path) -> tuple[Path | bytes, str, str]:
    """Return a photo's file, or its bytes if they are elsewhere; their type; and the photo's hash.

    A photo in another format than those of browsers is converted first, and kept as thumbnails are.

    Raises
    ------
    PhotoError
        As `thumbnail` does.
    """
    path, data = view.locate(photo)
    kind = BROWSER_FORMATS.get(inspect(path, data=data).format)
    if kind is None:
        file, digest = _stored(view, photo, folder, *VIEW_SIDES, quality=90)
        return file, "image/jpeg", digest
    return path if data is None else data, kind, _hash(path, data)


def _stored(
    view: View, photo: Photo, folder: Path, shorter: int, longer: int, quality: int
) -> tuple[Path, str]:
    folders = folder, cache_folder() / folder.name

    def files(digest: str) -> list[Path]:
        return [place / digest[:2] / f"{digest}-{longer}.jpg" for place in folders]

    digest = view.sha256(photo.row)
    for file in filter(Path.exists, files(digest)):
        return file, digest
    path, data = view.locate(photo)
    with decoder(path, data, shortest_side=shorter) as decode:
        digest = _hash(path, data)
        for file in filter(Path.exists, files(digest)):  # another request may have made it
            return file, digest
        picture = decode()
        if _hash(path, data) != digest:
            raise PhotoError(photo.path, CHANGED, "try again once it is complete")
        picture.thumbnail((longer, longer))
        for file in files(digest):
            with suppress(OSError), draft_file(file) as draft:
                picture.save(draft, "JPEG", quality=quality)
                return file, digest
    raise PhotoError(photo.path, "there is no room for its small copy", "make room on the disk")


def _hash(path: Path, data: bytes | None) -> str:
    return content_hash(path) if data is None else hashlib.sha256(data).hexdigest()
