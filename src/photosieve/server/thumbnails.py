"""Small pictures of photos, made once and stored."""

from __future__ import annotations

import io
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from PIL import Image

from photosieve.data.photos import decode
from photosieve.errors import PhotoError
from photosieve.server.library import Photo, View
from photosieve.storage import cache_folder, draft_file

SIDE = 480
"""Pixels on the longer side."""

BROWSER_FORMATS = {
    "JPEG": "image/jpeg",
    "PNG": "image/png",
    "WEBP": "image/webp",
    "GIF": "image/gif",
}
"""Formats that every browser shows; other formats are converted."""

_decoding = threading.BoundedSemaphore(4)  # each holds a decoded photo in memory


def thumbnail(view: View, photo: Photo, folder: Path, max_pixels: int) -> tuple[Path, str]:
    """Return the file of a photo's thumbnail, and the hash of the photo's bytes it was made of.

    A thumbnail that is missing is made first. It is kept under the hash of the bytes that were
    read: the photo may have changed since it was indexed.

    Where the folder cannot be written, it is kept in the user's cache folder.

    Raises
    ------
    PhotoError
        If the photo cannot be read any more, or there is no room for its thumbnail.
    """
    name = view.sha256(photo.row)
    folders = (folder, cache_folder() / "thumbnails")
    if made := _made(folders, name):
        return made, name
    with _decoding:
        content = view.read(photo, max_pixels)
        if made := _made(folders, content.sha256):
            return made, content.sha256
        data = content.data
        picture = decode(photo.path, data=data, shortest_side=SIDE, max_pixels=max_pixels)
        picture.thumbnail((SIDE, SIDE))
        for place in folders:
            with suppress(OSError), draft_file(file := _file(place, content.sha256)) as draft:
                picture.save(draft, "JPEG", quality=82)
                return file, content.sha256
    raise PhotoError(photo.path, "there is no room for its thumbnail", "make room on the disk")


def _made(folders: Sequence[Path], name: str) -> Path | None:
    files = (_file(folder, name) for folder in folders)
    return next((file for file in files if file.exists()), None)


def _file(folder: Path, name: str) -> Path:
    return folder / name[:2] / f"{name}-{SIDE}.jpg"


def whole(view: View, photo: Photo, max_pixels: int) -> tuple[bytes, str, str]:
    """Return a photo in a format that browsers show: bytes, type, and the hash of its own bytes.

    Raises
    ------
    PhotoError
        If the photo cannot be read any more.
    """
    content = view.read(photo, max_pixels)
    data = content.data
    try:
        with Image.open(io.BytesIO(data), formats=tuple(BROWSER_FORMATS)) as image:
            # Pillow calls a JPEG with several pictures, as some cameras write, an MPO.
            kind = BROWSER_FORMATS[str(image.format).replace("MPO", "JPEG")]
            return data, kind, content.sha256
    except (OSError, ValueError, SyntaxError):  # another format, or no photo; decode tells which
        pass
    converted = io.BytesIO()
    decode(photo.path, data=data, max_pixels=max_pixels).save(converted, "JPEG", quality=90)
    return converted.getvalue(), "image/jpeg", content.sha256
