"""Read photo files, and decode them to pixels without trusting them."""

import functools
import hashlib
import io
import os
import re
import stat
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from io import BufferedReader
from pathlib import Path
from typing import TypeVar

from PIL import Image, ImageOps, UnidentifiedImageError

from photosieve.data import DEFAULT_MEGAPIXELS
from photosieve.data.colors import in_rgb
from photosieve.data.formats import (
    DECODERS,
    HEAD_BYTES,
    HEIF_REMEDY,
    READ,
    name_of,
    register_heif,
)
from photosieve.errors import PhotoError, one_line

Result = TypeVar("Result")

DEFAULT_MAX_PIXELS = int(DEFAULT_MEGAPIXELS * 1_000_000)

CHANGED = "it was changed while it was read"

# No real photo needs more: 16 bits for each of four channels, uncompressed, and its metadata.
_BYTES_PER_PIXEL = 8
_METADATA_BYTES = 64 * 2**20

JPEG_FORMATS = ("JPEG", "MPO")
"""Pillow's names; an MPO is a JPEG with several pictures, as some cameras write."""

_ORIENTATION_TAG = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


MORE_VIEWS = 5
"""Number of views that `more_views` returns."""


def more_views(photo: Image.Image) -> list[Image.Image]:
    """Return other views of a photo: its mirror image and its four corners, two of them mirrored.

    A corner has 4/5 of both sides, so that labeled objects are hardly ever cut away.
    """
    width, height = photo.size
    inner = max(1, width * 4 // 5), max(1, height * 4 // 5)
    corners = [
        photo.crop((left, top, left + inner[0], top + inner[1]))
        for top in (0, height - inner[1])
        for left in (0, width - inner[0])
    ]
    return [
        ImageOps.mirror(photo),
        corners[0],
        ImageOps.mirror(corners[1]),
        ImageOps.mirror(corners[2]),
        corners[3],
    ]


@dataclass(frozen=True)
class Bytes:
    """The content of a photo file, read once for its hash and its pixels.

    Parameters
    ----------
    data : bytes
    size : int
    mtime_ns : int
        When it was last changed, in nanoseconds.
    ctime_ns, inode : int
        As in `photosieve.data.folders.PhotoFile`.
    """

    data: bytes
    size: int
    mtime_ns: int
    ctime_ns: int = 0
    inode: int = 0

    @functools.cached_property
    def sha256(self) -> str:
        """Hash of the bytes, in hexadecimal."""
        return hashlib.sha256(self.data).hexdigest()


def read(path: Path, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> Bytes:
    """Read a whole photo file, unless its size shows that it is not a photo.

    Raises
    ------
    PhotoError
        If the file cannot be read, is far too large, or changes meanwhile.
    """
    with _open(path) as file:
        before = os.fstat(file.fileno())
        check_bytes(path, before.st_size, max_pixels)
        try:
            data = file.read()
        except (OSError, MemoryError) as error:
            raise _unreadable(path, error) from error
        after = os.fstat(file.fileno())
    if len(data) != before.st_size or after.st_mtime_ns != before.st_mtime_ns:
        raise PhotoError(path, CHANGED, "run again once it is complete")
    inode = before.st_ino & (2**63 - 1)  # a signed integer of 64 bits holds it
    return Bytes(data, before.st_size, before.st_mtime_ns, before.st_ctime_ns, inode)


def reader(max_pixels: int) -> str:
    """Describe what decides which photos can be read: after a change of it they are tried again."""
    versions = f"photosieve {version('photosieve')}, Pillow {version('pillow')}"
    return f"{versions}: {', '.join(READ)} up to {max_pixels} pixels"


def head(path: Path) -> bytes:
    """Return the first bytes of a file, which tell its format.

    Raises
    ------
    PhotoError
        If the file cannot be read.
    """
    return _read_by(lambda file: file.read(HEAD_BYTES), path)


def decode(
    path: Path,
    *,
    data: bytes | None = None,
    shortest_side: int | None = None,
    shrink: bool = False,
    max_pixels: int = DEFAULT_MAX_PIXELS,
) -> Image.Image:
    """Decode a photo to pixels, upright and in sRGB.

    Colors of an embedded profile, such as Display P3, are converted. Transparent parts become
    white, 16-bit gray is scaled to 8 bits, and of an animation or a document of several pages the
    first one is taken. Safe to call from several threads.

    Parameters
    ----------
    path : Path
        The file. Its format follows from its bytes, not from its name.
    data : bytes, optional
        Its content, if it was read already.
    shortest_side : int, optional
        How many pixels the caller needs on the shorter side. A JPEG is then decoded at 1/2, 1/4
        or 1/8 of its size, several times faster, while both sides stay at least this long. The
        caller still does the exact resize.
    shrink : bool
        Whether photos of other formats are made smaller too, by a whole factor, while both sides
        stay at least this long. This saves memory, not time.
    max_pixels : int
        A photo with more pixels is refused from its header, before memory is spent on it.

    Returns
    -------
    PIL.Image.Image
        In mode RGB. Its `info` holds the "full_size" of the photo, (width, height) when upright,
        even if it was decoded at a smaller size.

    Raises
    ------
    PhotoError
        If the file cannot be read or decoded, for any content.
    """
    with opened(path, data, max_pixels) as image:
        _check_pixels(path, image.width * image.height, max_pixels)
        full_size = image.size
        draft(image, shortest_side)
        image.load()
        orientation = _orientation(image)  # conversion may lose the metadata
        upright = in_rgb(image, reduction(image, shortest_side) if shrink else 1)
        if orientation in _UPRIGHT:
            upright = upright.transpose(_UPRIGHT[orientation])
        upright.info.clear()  # a leftover "transparency" would mislead the next reader
        turned = orientation in (5, 6, 7, 8)
        upright.info["full_size"] = full_size[::-1] if turned else full_size
        return upright


@contextmanager
def opened(path: Path, data: bytes | None, max_pixels: int) -> Iterator[Image.Image]:
    """Open a photo without decoding it yet; all that fails in the block is a `PhotoError`."""
    with _open(path) if data is None else io.BytesIO(data) as file:
        check_bytes(path, file.seek(0, os.SEEK_END), max_pixels)
        file.seek(0)
        form = name_of(file.read(HEAD_BYTES))
        formats = _decoders(path, form)
        try:
            with _quiet_pillow(max_pixels), Image.open(file, formats=formats) as image:
                yield image
        except PhotoError:
            raise
        except UnidentifiedImageError as error:
            if form:  # its first bytes are right, and what follows is not
                raise PhotoError(path, "it is damaged", "copy it again from its source") from error
            reason = "it is not a photo in a known format, or its start is damaged"
            raise PhotoError(path, reason, f"save it as one of {', '.join(DECODERS)}") from error
        except Image.DecompressionBombError as error:
            pixels = re.search(r"\d+", str(error))
            raise _too_large(path, int(pixels[0]) if pixels else None, max_pixels) from error
        except MemoryError as error:
            reason = "there is not enough memory to decode it"
            raise PhotoError(path, reason, "save it smaller") from error
        except Exception as error:
            # Pillow's readers raise nearly every built-in error on damaged bytes.
            truncated = "truncated" in str(error).lower()
            reason = f"it is {'cut short' if truncated else 'damaged'} ({one_line(error)})"
            raise PhotoError(path, reason, "copy it again from its source") from error


def _decoders(path: Path, form: str) -> tuple[str, ...]:
    """Return the decoders for a format by its name; of an unknown one, those that know better."""
    if form == "HEIF":
        if not register_heif():
            raise PhotoError(path, "it is a HEIC file", HEIF_REMEDY, "HEIC")
        return ("HEIF",)
    if form and form not in READ:
        raise PhotoError(path, f"it is a {form} file", "save as JPEG", form)
    return DECODERS


def draft(image: Image.Image, shortest_side: int | None) -> None:
    """Let a JPEG be decoded at a part of its size; a HEIC photo would give another picture."""
    if shortest_side is not None and image.format in JPEG_FORMATS:
        image.draft("RGB", (shortest_side, shortest_side))


def reduction(image: Image.Image, shortest_side: int | None) -> int:
    """Return the whole factor by which `decode` makes a photo smaller."""
    return max(1, min(image.size) // shortest_side) if shortest_side else 1


def content_hash(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal.

    Raises
    ------
    PhotoError
        If the file cannot be read.
    """
    return _read_by(lambda file: hashlib.file_digest(file, "sha256").hexdigest(), path)


def _read_by(function: Callable[[BufferedReader], Result], path: Path) -> Result:
    with _open(path) as file:
        try:
            return function(file)
        except OSError as error:
            raise _unreadable(path, error) from error


def _open(path: Path) -> BufferedReader:
    """The file, open for reading; never a pipe or a device, which could block for ever."""
    try:
        file = open(path, "rb", opener=_without_waiting)  # noqa: SIM115  # the caller closes it
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            file.close()
            raise PhotoError(path, "it is not a regular file", "give a photo file")
        return file
    except IsADirectoryError as error:
        raise PhotoError(path, "it is not a regular file", "give a photo file") from error
    except FileNotFoundError as error:
        raise PhotoError(path, "there is no such file", "check its name") from error
    except PermissionError as error:
        raise PhotoError(path, "permission denied", "allow this user to read it") from error
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error


def _without_waiting(path: str, flags: int) -> int:
    """Open a file; a pipe that takes its place at the last moment is not waited for."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _unreadable(path: Path, error: Exception) -> PhotoError:
    return PhotoError(path, f"it cannot be read ({one_line(error)})", "check its name and disk")


def check_bytes(path: Path, size: int, max_pixels: int) -> None:
    """Refuse a file by its size alone, before it is read.

    Raises
    ------
    PhotoError
        If it is empty, or larger than a photo of so many pixels can be.
    """
    if size == 0:
        raise PhotoError(path, "the file is empty", "copy it again from its source")
    cap = max_pixels * _BYTES_PER_PIXEL + _METADATA_BYTES
    if size > cap:
        reason = f"the file has {size:,} bytes, more than a photo of {max_pixels:,} pixels can need"
        raise PhotoError(path, reason, "save it smaller, or raise --max-megapixels")


def _check_pixels(path: Path, pixels: int, max_pixels: int) -> None:
    if pixels == 0:
        raise PhotoError(path, "it has no pixels", "copy it again from its source")
    if pixels > max_pixels:
        raise _too_large(path, pixels, max_pixels)


def _too_large(path: Path, pixels: int | None, max_pixels: int) -> PhotoError:
    amount = f"{pixels:,} pixels" if pixels else "too many pixels"
    reason = f"it has {amount}, the cap is {max_pixels:,}"
    return PhotoError(path, reason, "save it smaller, or raise --max-megapixels")


def _orientation(image: Image.Image) -> object:
    try:
        return image.getexif().get(_ORIENTATION_TAG)
    except Exception:
        return None  # a photo with damaged metadata is still a photo


class _QuietPillow:
    """Hides Pillow's warnings and raises its pixel limit to ours while photos are decoded.

    Both settings belong to the whole process. If each thread changed and restored them, one could
    restore the changed values of another for good. So the first thread to start changes them, and
    the last one to end restores them.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._threads = 0
        self._restore = ExitStack()

    @contextmanager
    def __call__(self, max_pixels: int) -> Iterator[None]:
        with self._lock:
            if self._threads == 0:
                self._restore.enter_context(warnings.catch_warnings())
                self._restore.callback(setattr, Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)
                warnings.filterwarnings("ignore", module=r"PIL\b")
            if Image.MAX_IMAGE_PIXELS is not None:
                Image.MAX_IMAGE_PIXELS = max(Image.MAX_IMAGE_PIXELS, max_pixels)
            self._threads += 1
        try:
            yield
        finally:
            with self._lock:
                self._threads -= 1
                if self._threads == 0:
                    self._restore.close()


_quiet_pillow = _QuietPillow()
