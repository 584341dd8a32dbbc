"""Colors of a photo with an embedded profile, such as Display P3 or Adobe RGB, in sRGB."""

from __future__ import annotations

import functools
import io
from contextlib import suppress

import numpy as np
from PIL import Image, ImageCms

_MOST_BYTES = 4 * 2**20
"""Real profiles have half a kilobyte to three megabytes."""

_MODES = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}
"""Pillow's mode for each color space that a profile of a photo can be about."""

_EQUAL = 2
"""A profile that moves no color by more gray levels than this is sRGB for our purposes."""


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
