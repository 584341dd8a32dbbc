"""Small pictures of photos, made once and stored."""

from __future__ import annotations

import io
import threading
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


def thumbnail(view: View, photo: Photo, folder: Path, max_pixels: int) -> Path:
    """Return the file of a photo's thumbnail; make it first if it is missing.

    Where the folder cannot be written, it is kept in the user's cache folder.

    Raises
    ------
    PhotoError
        If the photo cannot be read any more, or there is no room for its thumbnail.
    """
    name = view.sha256(photo.row)
    folders = (folder, cache_folder() / "thumbnails")
    files = [place / name[:2] / f"{name}-{SIDE}.jpg" for place in folders]
    for file in files:
        if file.exists():
            return file
    with _decoding:
        data = view.read(photo, max_pixels).data
        picture = decode(photo.path, data=data, shortest_side=SIDE, max_pixels=max_pixels)
        picture.thumbnail((SIDE, SIDE))
        for file in files:
            with suppress(OSError), draft_file(file) as draft:
                picture.save(draft, "JPEG", quality=82)
                return file
    raise PhotoError(photo.path, "there is no room for its thumbnail", "make room on the disk")


def whole(view: View, photo: Photo, max_pixels: int) -> tuple[bytes, str]:
    """Return a photo's bytes and their type, in a format that browsers show.

    Raises
    ------
    PhotoError
        If the photo cannot be read any more.
    """
    data = view.read(photo, max_pixels).data
    try:
        with Image.open(io.BytesIO(data), formats=tuple(BROWSER_FORMATS)) as image:
            return data, BROWSER_FORMATS[str(image.format)]
    except (OSError, ValueError, SyntaxError):  # another format, or no photo; decode tells which
        pass
    converted = io.BytesIO()
    decode(photo.path, data=data, max_pixels=max_pixels).save(converted, "JPEG", quality=90)
    return converted.getvalue(), "image/jpeg"
