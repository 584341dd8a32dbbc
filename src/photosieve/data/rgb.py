"""Pixels of any mode in RGB, some rows at a time: a conversion takes several copies."""

from __future__ import annotations

import numpy as np
from PIL import Image

from photosieve.data.colors import to_srgb

BLOCK_BYTES = 32 * 2**20
"""Memory for the conversion of some rows of a photo, about."""


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
