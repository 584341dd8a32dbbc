"""Format of a photo, and the memory that decoding it takes, from its first bytes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from photosieve.data.colors import BLOCK_BYTES
from photosieve.data.photos import (
    DEFAULT_MAX_PIXELS,
    JPEG_FORMATS,
    draft,
    opened,
    reduction,
)

MOST_WORK = 12
"""Bytes that a decoder takes for a pixel, beside the pixel itself."""


@dataclass(frozen=True)
class Header:
    """Facts from the first bytes of a photo.

    Parameters
    ----------
    format : str
        Its name in Pillow.
    memory : int
        Most bytes that `decode` with `shrink` takes for it.
    """

    format: str
    memory: int


def inspect(
    path: Path,
    *,
    data: bytes | None = None,
    shortest_side: int | None = None,
    max_pixels: int = DEFAULT_MAX_PIXELS,
) -> Header:
    """Read the header of a photo; the arguments are those of `decode`.

    Raises
    ------
    PhotoError
        If the file cannot be read, or is no photo.
    """
    with opened(path, data, max_pixels) as image:
        try:
            work = _work_bytes(image)
        except Exception:  # a header can hold anything
            work = MOST_WORK * image.width * image.height
        draft(image, shortest_side)
        result = image.width * image.height // reduction(image, shortest_side) ** 2
        # Pillow holds a pixel in 4 bytes; the result is turned upright in a copy.
        memory = work + 4 * image.width * image.height + 8 * result + BLOCK_BYTES
        return Header(str(image.format), memory)


def _work_bytes(image: Image.Image) -> int:
    """Bytes that the decoder of a format takes beside the pixels, at most."""
    pixels = image.width * image.height
    known: Any = image  # each format has attributes of its own
    if image.format in JPEG_FORMATS:  # a progressive one is kept as coefficients of two bytes
        areas = [across * down for _, across, down, _ in known.layer]
        return 2 * pixels * sum(areas) // max(areas) if "progressive" in image.info else 0
    if image.format == "TIFF":  # a compressed one is read in strips
        tags = known.tag_v2
        raw, rows = tags.get(259, 1) == 1, tags.get(278, image.height)
        bits = max(tags.get(258, (8,))) * tags.get(277, 1)
        return 0 if raw else min(rows, image.height) * image.width * bits // 8
    # A HEIC photo of 49 megapixels took 8.1 bytes a pixel in all, one of 24 megapixels 8.4.
    return {"PNG": 1, "BMP": 0, "GIF": 2, "HEIF": 5}.get(str(image.format), MOST_WORK) * pixels
