"""Pixels of any mode and with any embedded profile, such as Display P3 or Adobe RGB, in sRGB.

They are converted some rows at a time: a conversion takes several copies.
"""

from __future__ import annotations

import functools
import io
from contextlib import suppress

import numpy as np
from PIL import Image, ImageCms

BLOCK_BYTES = 32 * 2**20
"""Memory for the conversion of some rows of a photo, about."""

_MOST_BYTES = 4 * 2**20
"""Real profiles have half a kilobyte to three megabytes."""

_MODES = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}
"""Pillow's mode for each color space that a profile of a photo can be about."""

_EQUAL = 2
"""A profile that moves no color by more gray levels than this is sRGB for our purposes."""


def in_rgb(image: Image.Image, factor: int) -> Image.Image:
    """Convert a photo to sRGB, smaller by a whole factor.

    Parameters
    ----------
    image : PIL.Image.Image
        Decoded; its profile and its transparency are in its `info`.
    factor : int
        1 keeps the size.

    Returns
    -------
    PIL.Image.Image
        In mode RGB.
    """
    width, height = image.size
    rows = max(1, BLOCK_BYTES // (40 * width * factor)) * factor
    if image.mode in ("I", "F"):
        image.info["range"] = _gray_range(image, rows)
    if rows >= height:
        whole = _to_rgb(image)
        return whole if factor == 1 else whole.reduce(factor)
    result = Image.new("RGB", (-(-width // factor), -(-height // factor)))
    for top in range(0, height, rows):
        block = _to_rgb(image.crop((0, top, width, min(top + rows, height))))
        result.paste(block if factor == 1 else block.reduce(factor), (0, top // factor))
    return result


def _to_rgb(image: Image.Image) -> Image.Image:
    profile = image.info.get("icc_profile")
    if profile:
        return to_srgb(image if image.mode == "CMYK" else _plain_rgb(image), profile)
    return _plain_rgb(image)


def _plain_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith(("I", "F")):
        return _deep_gray(image).convert("RGB")
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        paper = Image.new("RGB", layer.size, "white")
        paper.paste(layer, mask=layer.getchannel("A"))
        return paper
    # A copy even where the mode fits: the pixels must outlive the file.
    return image.copy() if image.mode == "RGB" else image.convert("RGB")


def _deep_gray(image: Image.Image) -> Image.Image:
    """Scale gray of 16 or 32 bits to 8 bits; Pillow's own conversion clips some of it to white."""
    gray = np.asarray(image)
    if image.mode.startswith("I;16"):
        return Image.fromarray(((gray.astype(np.uint32) + 128) // 257).astype(np.uint8))
    # 32-bit integers and floats have no agreed white, so the photo's own range is used.
    low, high = image.info["range"]
    gray = np.nan_to_num(gray.astype(np.float64), posinf=0, neginf=0)
    return Image.fromarray(((gray - low) * (255 / max(high - low, 1e-300))).astype(np.uint8))


def _gray_range(image: Image.Image, rows: int) -> tuple[float, float]:
    """Return the lowest and the highest value of a gray image, read some rows at a time."""
    ranges = []
    for top in range(0, image.height, rows):
        block = np.asarray(image.crop((0, top, image.width, min(top + rows, image.height))))
        finite = np.nan_to_num(block.astype(np.float64), posinf=0, neginf=0)
        ranges.append((finite.min(), finite.max()))
    return min(low for low, _ in ranges), max(high for _, high in ranges)


def to_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    """Convert a photo by its embedded profile; where that makes no sense, it counts as sRGB.

    Photos of an sRGB profile keep their pixels.

    Parameters
    ----------
    image : PIL.Image.Image
        In mode RGB or CMYK.
    profile : bytes
        From a file, so anything at all.

    Returns
    -------
    PIL.Image.Image
        In mode RGB.
    """
    known = _transform(profile) if len(profile) <= _MOST_BYTES else None
    if known is not None and (known[0] == "CMYK") == (image.mode == "CMYK"):
        mode, transform = known
        with suppress(ImageCms.PyCMSError, ValueError):
            return ImageCms.applyTransform(image.convert(mode), transform) or image
    return image if image.mode == "RGB" else image.convert("RGB")


@functools.lru_cache(maxsize=8)
def _transform(profile: bytes) -> tuple[str, ImageCms.ImageCmsTransform] | None:
    """Return the mode that a profile is about, and the way to sRGB; None for sRGB or no profile.

    Photos of one camera have the same profile, and a transform is slow to make. Threads may share
    it: Little CMS copies the state of a transform for each call.
    """
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        mode = _MODES[source.profile.xcolor_space.strip()]
        target = ImageCms.createProfile("sRGB")
        transform = ImageCms.buildTransform(source, target, mode, "RGB")
        return None if _is_srgb(mode, transform) else (mode, transform)
    except Exception:
        return None  # a photo with a damaged profile is still a photo


def _is_srgb(mode: str, transform: ImageCms.ImageCmsTransform) -> bool:
    if mode == "CMYK":
        return False
    levels = np.linspace(0, 255, 16).astype(np.uint8)
    grid = np.stack(np.meshgrid(levels, levels, levels), -1).reshape(64, 64, 3)
    before = Image.fromarray(grid).convert(mode)
    after = ImageCms.applyTransform(before, transform)
    moved = np.asarray(after, np.int16) - np.asarray(before.convert("RGB"), np.int16)
    return bool(np.abs(moved).max() <= _EQUAL)
