"""Small pictures of photos, and pictures that browsers show: made once and stored."""

from __future__ import annotations

from pathlib import Path

from photosieve.data.headers import inspect
from photosieve.server.decoding import decoder
from photosieve.server.library import Photo, View
from photosieve.storage import draft_file

SIDE = 480
"""Pixels on the longer side of a thumbnail."""

VIEW_SIDES = 1500, 3000
"""Pixels on the shorter side, at least, and on the longer side, at most, of a converted photo."""

BROWSER_FORMATS = {
    "JPEG": "image/jpeg",
    "PNG": "image/png",
    "WEBP": "image/webp",
    "GIF": "image/gif",
}
"""Formats that every browser shows; other formats are converted."""


def thumbnail(view: View, photo: Photo, folder: Path) -> Path:
    """Return the file of a photo's thumbnail; make it first if it is missing.

    Raises
    ------
    PhotoError
        If the photo cannot be read any more, or is too large.
    """
    return _stored(view, photo, folder, SIDE, SIDE, quality=82)


def whole(view: View, photo: Photo, folder: Path) -> tuple[Path | bytes, str]:
    """Return a photo's file, or its bytes if they are elsewhere, and their type.

    A photo in another format than those of browsers is converted first.

    Raises
    ------
    PhotoError
        If the photo cannot be read any more, or is too large.
    """
    path, data = view.locate(photo)
    kind = BROWSER_FORMATS.get(inspect(path, data=data).format)
    if kind is None:
        return _stored(view, photo, folder, *VIEW_SIDES, quality=90), "image/jpeg"
    return path if data is None else data, kind


def _stored(
    view: View, photo: Photo, folder: Path, shorter: int, longer: int, quality: int
) -> Path:
    name = view.sha256(photo.row)
    file = folder / name[:2] / f"{name}-{longer}.jpg"
    if file.exists():
        return file
    path, data = view.locate(photo)
    with decoder(path, data, shortest_side=shorter) as decode:
        if not file.exists():  # another request may have made it meanwhile
            picture = decode()
            picture.thumbnail((longer, longer))
            with draft_file(file) as draft:
                picture.save(draft, "JPEG", quality=quality)
    return file
