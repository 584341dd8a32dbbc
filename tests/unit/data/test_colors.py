"""Photos with an embedded color profile become sRGB; all others keep their pixels."""

import io
import struct
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms

from photosieve.data.photos import decode

# Columns: the red, green and blue of each space in XYZ for D50, as ICC profiles have them.
SRGB = np.array([[0.4360, 0.3851, 0.1431], [0.2225, 0.7169, 0.0606], [0.0139, 0.0971, 0.7141]])
DISPLAY_P3 = np.array(
    [[0.5151, 0.2920, 0.1571], [0.2412, 0.6922, 0.0666], [-0.0011, 0.0419, 0.7841]]
)
ADOBE_RGB = np.array([[0.6097, 0.2053, 0.1492], [0.3111, 0.6257, 0.0632], [0.0195, 0.0609, 0.7446]])
PROPHOTO = np.array([[0.7977, 0.1352, 0.0313], [0.2880, 0.7119, 0.0001], [0.0, 0.0, 0.8249]])


def fixed(value: float) -> bytes:
    return struct.pack(">i", round(value * 65536))


def srgb_curve() -> bytes:
    """The transfer function of sRGB as a parametric curve of type 3."""
    numbers = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
    return b"para" + bytes(4) + struct.pack(">HH", 3, 0) + b"".join(map(fixed, numbers))


def power_curve(gamma: float) -> bytes:
    return b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256)) + bytes(2)


def profile(space: str, curve: bytes, primaries: NDArray[np.float64] | None = None) -> bytes:
    """A small ICC profile: by matrix and curve, or of gray by the curve alone."""

    def xyz(values: NDArray[np.float64]) -> bytes:
        return b"XYZ " + bytes(4) + b"".join(map(fixed, values))

    tags = {b"wtpt": xyz(np.array([0.9642, 1.0, 0.8249]))}
    if space == "CMYK":
        tags[b"A2B0"] = curve
    elif primaries is None:
        tags[b"kTRC"] = curve
    else:
        for name, column in zip("rgb", primaries.T, strict=True):
            tags[f"{name}XYZ".encode()], tags[f"{name}TRC".encode()] = xyz(column), curve
    table, data, at = b"", b"", 132 + 12 * len(tags)
    for tag, value in tags.items():
        table += tag + struct.pack(">II", at + len(data), len(value))
        data += value
    head = bytes(4) + struct.pack(">I", 0x04200000) + b"mntr" + space.ljust(4).encode()
    head += b"Lab " if space == "CMYK" else b"XYZ "
    head += bytes(12) + b"acsp" + bytes(28) + b"".join(map(fixed, (0.9642, 1.0, 0.8249)))
    body = head.ljust(124, b"\0") + struct.pack(">I", len(tags)) + table + data
    return struct.pack(">I", len(body) + 4) + body


def colors() -> Image.Image:
    """Blocks of 8 x 8 pixels in colors that every one of the spaces has."""
    rng = np.random.default_rng(0)
    return Image.fromarray(rng.integers(70, 190, (6, 6, 3), np.uint8).repeat(8, 0).repeat(8, 1))


def linear(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def in_space(
    photo: Image.Image, primaries: NDArray[np.float64], gamma: float | None
) -> Image.Image:
    """The numbers of the same colors in another space; with the curve of sRGB, or a power."""
    light = linear(np.asarray(photo) / 255) @ SRGB.T @ np.linalg.inv(primaries).T
    light = light.clip(0, 1)
    curved = (
        np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
        if gamma is None
        else light ** (1 / gamma)
    )
    return Image.fromarray((curved * 255).round().astype(np.uint8))


SPACES = {
    "Display P3": (DISPLAY_P3, None),
    "Adobe RGB": (ADOBE_RGB, 2.2),
    "ProPhoto": (PROPHOTO, 1.8),
}


def farthest(one: Image.Image, other: Image.Image) -> int:
    return int(np.abs(np.asarray(one, np.int16) - np.asarray(other, np.int16)).max())


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("form", ["PNG", "JPEG", "TIFF", "WEBP", "AVIF"])
def test_colors_come_back(tmp_path: Path, space: str, form: str) -> None:
    primaries, gamma = SPACES[space]
    stored = in_space(colors(), primaries, gamma)
    assert farthest(stored, colors()) > 10  # taken for sRGB, they would be wrong
    icc = profile("RGB", srgb_curve() if gamma is None else power_curve(gamma), primaries)
    exact = {"PNG": {}, "TIFF": {}, "JPEG": {"quality": 100, "subsampling": 0}}
    options = exact.get(form, {"quality": 100})
    stored.save(tmp_path / "x", form, icc_profile=icc, **options)
    found = decode(tmp_path / "x")
    middle = (slice(3, None, 8), slice(3, None, 8))  # away from the edges of the blocks
    apart = np.abs(np.asarray(found, float)[middle] - np.asarray(colors(), float)[middle])
    assert apart.mean() < (1 if form in ("PNG", "TIFF") else 3)
    assert found.info.keys() == {"full_size"}


def test_a_smaller_decode_converts_as_well(tmp_path: Path) -> None:
    big = Image.new("RGB", (800, 600), (200, 80, 60))
    icc = profile("RGB", srgb_curve(), DISPLAY_P3)
    in_space(big, DISPLAY_P3, None).save(tmp_path / "x.jpg", quality=100, icc_profile=icc)
    small = decode(tmp_path / "x.jpg", shortest_side=75)
    assert small.size == (100, 75)
    assert farthest(small, Image.new("RGB", (100, 75), (200, 80, 60))) <= 3


def test_a_profile_of_gray(tmp_path: Path) -> None:
    gray = Image.new("L", (8, 8), 100)
    gray.save(tmp_path / "x.png", icc_profile=profile("GRAY", power_curve(1.0)))
    expected = 255 * (1.055 * (100 / 255) ** (1 / 2.4) - 0.055)  # from light to sRGB
    assert abs(np.asarray(decode(tmp_path / "x.png"), float) - expected).max() <= 1
    gray.save(tmp_path / "x.png", icc_profile=profile("GRAY", srgb_curve()))
    assert np.asarray(decode(tmp_path / "x.png")).tolist() == [[[100] * 3] * 8] * 8


def test_a_profile_of_printing_colors(tmp_path: Path) -> None:
    """Paper has a lightness of 100, full ink of any color has 0: half the black has 50."""
    straight = bytes(range(256))
    corners = b"\xff\x80\x80" + b"\x00\x80\x80" * 15  # of 2 x 2 x 2 x 2, as L, a and b
    matrix = b"".join(map(fixed, (1, 0, 0, 0, 1, 0, 0, 0, 1)))
    table = (
        b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + matrix + straight * 4 + corners + straight * 3
    )
    ink = Image.new("CMYK", (8, 8), (0, 0, 0, 128))
    ink.save(tmp_path / "x.tif", icc_profile=profile("CMYK", table))
    assert abs(np.asarray(decode(tmp_path / "x.tif"), float) - 118).max() <= 2
    ink.save(tmp_path / "x.tif")
    assert np.asarray(decode(tmp_path / "x.tif")).max() == 127


def test_transparent_parts_are_white_with_a_profile_too(tmp_path: Path) -> None:
    icc = profile("RGB", srgb_curve(), DISPLAY_P3)
    clear = Image.new("RGBA", (8, 8), (200, 80, 60, 0))
    clear.save(tmp_path / "x.png", icc_profile=icc)
    assert decode(tmp_path / "x.png").getpixel((3, 3)) == (255, 255, 255)


SRGB_PROFILES = {
    "little-cms": ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(),
    "by-hand": profile("RGB", srgb_curve(), SRGB),
}


@pytest.mark.parametrize("icc", SRGB_PROFILES.values(), ids=SRGB_PROFILES)
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_with_a_profile_of_srgb_no_pixel_changes(tmp_path: Path, icc: bytes, mode: str) -> None:
    photo = colors().convert(mode)
    photo.save(tmp_path / "plain.jpg")
    photo.save(tmp_path / "tagged.jpg", icc_profile=icc)
    for side in (None, 8):
        plain, tagged = (
            decode(tmp_path / name, shortest_side=side) for name in ("plain.jpg", "tagged.jpg")
        )
        assert farthest(plain, tagged) == 0


WHOLE = profile("RGB", srgb_curve(), DISPLAY_P3)


@pytest.mark.parametrize(
    "icc",
    [
        b"no profile",
        WHOLE[:200],
        WHOLE[:128] + b"\xff" * (len(WHOLE) - 128),
        WHOLE.replace(b"RGB ", b"CMYK", 1),
        WHOLE.replace(b"mntr", b"link", 1).replace(b"RGB ", b"Lab ", 1),
        WHOLE + bytes(5 * 2**20),
    ],
    ids=["text", "cut-short", "no-tags", "of-cmyk", "of-lab", "huge"],
)
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_a_senseless_profile_does_not_lose_the_photo(tmp_path: Path, icc: bytes, mode: str) -> None:
    photo = colors().convert(mode)
    photo.save(tmp_path / "plain.jpg")
    photo.save(tmp_path / "tagged.jpg", icc_profile=icc)
    assert farthest(decode(tmp_path / "plain.jpg"), decode(tmp_path / "tagged.jpg")) == 0


def test_any_profile_gives_a_photo(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    for _ in range(150):
        bad = bytearray(WHOLE)
        for place in rng.integers(0, len(bad), rng.integers(1, 9)):
            bad[place] = rng.integers(256)
        file = io.BytesIO()
        colors().save(file, "PNG", icc_profile=bytes(bad))
        assert decode(tmp_path, data=file.getvalue()).size == (48, 48)


def test_threads_share_a_profile(tmp_path: Path) -> None:
    in_space(colors(), DISPLAY_P3, None).save(tmp_path / "x.png", icc_profile=WHOLE)
    one = decode(tmp_path / "x.png")
    with ThreadPoolExecutor(4) as pool:
        for other in pool.map(decode, [tmp_path / "x.png"] * 100):
            assert farthest(one, other) == 0
