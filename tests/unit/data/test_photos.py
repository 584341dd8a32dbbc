"""Photos are found and decoded whatever the files hold."""

import hashlib
import os
import random
import struct
import threading
import warnings
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from photosieve.data import colors
from photosieve.data.photos import MORE_VIEWS, content_hash, decode, more_views
from photosieve.errors import PhotoError, Skipped


def scene(width: int = 64, height: int = 48) -> Image.Image:
    """Smooth colors that differ in every corner, so that a wrong turn shows."""
    across = np.linspace(0, 255, width)[None, :].repeat(height, axis=0)
    down = np.linspace(0, 255, height)[:, None].repeat(width, axis=1)
    return Image.fromarray(np.stack([across, down, 255 - across], axis=2).astype(np.uint8))


def pixels(image: Image.Image) -> NDArray[np.float64]:
    return np.asarray(image).astype(np.float64)


def difference(one: Image.Image, other: Image.Image) -> float:
    """Mean difference of two images of one size, in gray levels."""
    assert one.size == other.size
    return float(np.abs(pixels(one) - pixels(other)).mean())


def encoded(image: Image.Image, form: str, **options: object) -> bytes:
    file = BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds next to nothing."""

    def chunk(name: bytes, data: bytes) -> bytes:
        body = name + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    size = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = zlib.compress(bytes(100))
    signature = b"\x89PNG\r\n\x1a\n"
    return signature + chunk(b"IHDR", size) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


# --- decode: colors and orientation --------------------------------------------------------------


@pytest.mark.parametrize(
    ("form", "tolerance"),
    [
        *(("JPEG", 3), ("PNG", 0), ("WEBP", 6), ("BMP", 0), ("TIFF", 0), ("GIF", 12), ("AVIF", 6)),
        ("JPEG2000", 3),
    ],
)
def test_every_format_gives_the_same_picture(tmp_path: Path, form: str, tolerance: float) -> None:
    path = tmp_path / "photo"  # no suffix: the bytes decide
    path.write_bytes(encoded(scene(), form))
    image = decode(path)
    assert image.mode == "RGB"
    assert difference(image, scene()) <= tolerance


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied(tmp_path: Path, form: str, orientation: int) -> None:
    # How the camera stored the scene, so that the tag's turn brings it back.
    stored = {
        1: lambda image: image,
        2: lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
        3: lambda image: image.transpose(Image.Transpose.ROTATE_180),
        4: lambda image: image.transpose(Image.Transpose.FLIP_TOP_BOTTOM),
        5: lambda image: image.transpose(Image.Transpose.TRANSPOSE),
        6: lambda image: image.transpose(Image.Transpose.ROTATE_90),
        7: lambda image: image.transpose(Image.Transpose.TRANSVERSE),
        8: lambda image: image.transpose(Image.Transpose.ROTATE_270),
    }[orientation](scene())
    exif = Image.Exif()
    exif[0x0112] = orientation
    (tmp_path / "x").write_bytes(encoded(stored, form, exif=exif))
    assert difference(decode(tmp_path / "x"), scene()) < 8


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize(
    "exif",
    [
        b"Exif\x00\x00garbage",
        b"Exif\x00\x00II*\x00\xff\xff\xff\xff",
        b"Exif\x00\x00II*\x00\x08\x00\x00\x00\xff\xff" + b"\x12\x01\x03\x00\xff\xff\xff\x7f" * 3,
        b"Exif\x00\x00MM\x00*\x00\x00\x00\x08\x00\x01\x01\x12\x00\x02\x00\x00\x00\x04abc\x00",
    ],
)
def test_damaged_exif_does_not_lose_the_photo(tmp_path: Path, form: str, exif: bytes) -> None:
    (tmp_path / "x").write_bytes(encoded(scene(), form, exif=exif))
    assert difference(decode(tmp_path / "x"), scene()) < 8


def test_cmyk_jpeg_has_natural_colors(tmp_path: Path) -> None:
    path = tmp_path / "x.jpg"
    scene().convert("CMYK").save(path)
    assert b"Adobe" in path.read_bytes()  # so its values are stored inverted
    assert difference(decode(path), scene()) < 6


def deep_grey(form: str, kind: str) -> bytes:
    ramp = np.linspace(0, 65535, 256)[None, :].repeat(8, axis=0)
    return encoded(Image.fromarray(ramp.astype(kind)), form)


@pytest.mark.parametrize(
    "content",
    [
        deep_grey("PNG", "<u2"),
        deep_grey("TIFF", "<u2"),
        deep_grey("TIFF", ">u2"),
        deep_grey("TIFF", "<i4"),
        deep_grey("TIFF", "<f4"),
    ],
    ids=["png-16", "tiff-16", "tiff-16-big-endian", "tiff-32", "tiff-float"],
)
def test_deep_grey_is_scaled_not_clipped(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x").write_bytes(content)
    row = pixels(decode(tmp_path / "x"))[0]
    expected = np.arange(256)[:, None].repeat(3, axis=1)
    assert np.abs(row - expected).max() <= 1


@pytest.mark.parametrize("value", [0.0, 7.5, float("nan"), float("inf")])
def test_flat_or_senseless_float_grey_decodes(tmp_path: Path, value: float) -> None:
    gray = np.full((8, 8), value, np.float32)
    (tmp_path / "x").write_bytes(encoded(Image.fromarray(gray), "TIFF"))
    assert pixels(decode(tmp_path / "x")).max() == 0


def palette_with_alpha() -> Image.Image:
    image = Image.new("P", (8, 8), 0)
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.paste(1, (4, 0, 8, 8))
    return image


@pytest.mark.parametrize(
    "content",
    [
        encoded(
            Image.fromarray(
                np.array([[[255, 0, 0, 0]] * 4 + [[0, 0, 255, 255]] * 4] * 8, np.uint8), "RGBA"
            ),
            "PNG",
        ),
        encoded(palette_with_alpha(), "PNG", transparency=0),
        encoded(palette_with_alpha(), "PNG", transparency=bytes([0, 255])),
        encoded(palette_with_alpha(), "GIF", transparency=0),
        encoded(palette_with_alpha().convert("RGB"), "PNG", transparency=(255, 0, 0)),
    ],
    ids=["rgba", "palette-index", "palette-bytes", "gif", "rgb-color"],
)
def test_transparent_parts_become_white(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x").write_bytes(content)
    image = decode(tmp_path / "x")
    assert image.getpixel((1, 1)) == (255, 255, 255)
    assert image.getpixel((6, 6)) == (0, 0, 255)
    assert not image.has_transparency_data


@pytest.mark.parametrize("mode", ["LA", "PA"])
def test_half_transparent_grey_is_mixed_with_white(tmp_path: Path, mode: str) -> None:
    gray = Image.new("RGBA", (8, 8), (0, 0, 0, 51))
    form = "PNG" if mode == "LA" else "TIFF"
    (tmp_path / "x").write_bytes(encoded(gray.convert(mode), form))
    assert decode(tmp_path / "x").getpixel((3, 3)) == (204, 204, 204)


@pytest.mark.parametrize("form", ["GIF", "TIFF", "WEBP", "PNG"])
def test_the_first_frame_or_page_counts(tmp_path: Path, form: str) -> None:
    red, blue = Image.new("RGB", (16, 16), "red"), Image.new("RGB", (16, 16), "blue")
    content = encoded(red, form, save_all=True, append_images=[blue])
    (tmp_path / "x").write_bytes(content)
    assert difference(decode(tmp_path / "x"), red) < 8


def test_what_a_file_says_beside_its_pixels_goes(tmp_path: Path) -> None:
    """Its upright size is all that is left of it."""
    exif = Image.Exif()
    exif[0x0112] = 6
    scene(40, 30).save(tmp_path / "x.png", dpi=(72, 72), transparency=(1, 2, 3))
    assert decode(tmp_path / "x.png").info == {"full_size": (40, 30)}
    scene(40, 30).save(tmp_path / "x.jpg", comment="mine", exif=exif)
    assert decode(tmp_path / "x.jpg", shortest_side=8).info == {"full_size": (30, 40)}


def test_more_views_are_the_mirror_image_and_the_corners() -> None:
    photo = scene(50, 40)
    views = [pixels(view) for view in more_views(photo)]
    whole, mirrored = pixels(photo), pixels(photo)[:, ::-1]
    corners = [whole[:32, :40], mirrored[:32, :40], mirrored[8:, 10:], whole[8:, 10:]]
    assert len(views) == MORE_VIEWS == 5
    for view, expected in zip(views, [mirrored, *corners], strict=True):
        np.testing.assert_array_equal(view, expected)
    assert [view.size for view in more_views(scene(1, 1))] == [(1, 1)] * 5


@pytest.mark.parametrize("mode", ["1", "L", "P", "YCbCr"])
def test_other_modes(tmp_path: Path, mode: str) -> None:
    form = "JPEG" if mode == "YCbCr" else "PNG"
    (tmp_path / "x").write_bytes(encoded(Image.new("RGB", (8, 8), "white").convert(mode), form))
    assert pixels(decode(tmp_path / "x")).min() >= 254


# --- decode: size ---------------------------------------------------------------------------------


@pytest.mark.parametrize("shortest_side", [1, 60, 75, 76, 224, 599, 600, 5000])
@pytest.mark.parametrize("size", [(800, 600), (601, 1203)])
def test_a_smaller_decode_is_the_same_picture(
    tmp_path: Path, size: tuple[int, int], shortest_side: int
) -> None:
    path = tmp_path / "x.jpg"
    scene(*size).save(path, quality=95)
    full, small = decode(path), decode(path, shortest_side=shortest_side)
    assert full.size == size
    assert min(small.size) >= min(shortest_side, *size)
    assert difference(full.resize(small.size, Image.Resampling.BOX), small) < 2


def test_a_smaller_decode_is_really_smaller(tmp_path: Path) -> None:
    path = tmp_path / "x.jpg"
    scene(800, 600).save(path)
    assert decode(path, shortest_side=75).size == (100, 75)
    assert decode(path, shortest_side=76).size == (200, 150)


def test_a_smaller_decode_still_turns(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / "x.jpg"
    scene(800, 600).save(path, exif=exif)
    assert decode(path, shortest_side=75).size == (75, 100)


def test_the_pixel_cap_is_exact(tmp_path: Path) -> None:
    path = tmp_path / "x.jpg"
    scene(80, 60).save(path)
    assert decode(path, max_pixels=4800).size == (80, 60)
    with pytest.raises(PhotoError, match=r"4,800 pixels, the cap is 4,799") as caught:
        decode(path, max_pixels=4799, shortest_side=1)
    assert "--max-megapixels" in caught.value.remedy


@pytest.mark.parametrize(
    ("side", "found"), [(10_000, "100,000,000"), (30_000, "900,000,000"), (2**31 - 1, "")]
)
def test_a_bomb_is_refused_from_its_header(tmp_path: Path, side: int, found: str) -> None:
    """Pillow warns about the first, refuses the second, and neither way may escape."""
    (tmp_path / "bomb.png").write_bytes(png_header(side, side))
    with pytest.raises(PhotoError, match=f"{found} pixels, the cap is 64,000,000"):
        decode(tmp_path / "bomb.png")


def test_a_bomb_with_all_its_pixels_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.gif"
    Image.new("1", (9000, 9000)).save(path)
    assert path.stat().st_size < 2**20
    with pytest.raises(PhotoError, match="81,000,000 pixels, the cap is 64,000,000"):
        decode(path)


def test_a_higher_cap_also_lifts_the_limit_of_pillow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.png"
    scene(80, 60).save(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    assert decode(path, max_pixels=4800).size == (80, 60)
    assert Image.MAX_IMAGE_PIXELS == 1000


# --- decode: files that cannot be read ------------------------------------------------------------


def test_missing_and_odd_paths(tmp_path: Path) -> None:
    for path in (tmp_path / "none.jpg", tmp_path / "none" / "x.jpg"):
        with pytest.raises(PhotoError, match="there is no such file"):
            decode(path)
        with pytest.raises(PhotoError, match="there is no such file"):
            content_hash(path)
    with pytest.raises(PhotoError, match="not a regular file"):
        decode(tmp_path)
    (tmp_path / "self.jpg").symlink_to("self.jpg")
    for path in (tmp_path / "a\0b.jpg", tmp_path / ("x" * 5000), tmp_path / "self.jpg"):
        with pytest.raises(PhotoError, match="cannot be read"):
            decode(path)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty"),
        (b"these are only words", "not a photo in a known format"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not a photo in a known format"),
        (encoded(scene(), "PPM"), "not a photo in a known format"),
        (encoded(scene(), "JPEG")[:-400], "it is cut short"),
        (encoded(scene(), "PNG")[:-60], "it is cut short"),
        (png_header(0, 5), "damaged"),
    ],
    ids=["empty", "text", "eps", "ppm", "short-jpeg", "short-png", "no-pixels"],
)
def test_bad_content_names_reason_and_remedy(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(content)
    with pytest.raises(PhotoError, match=reason) as caught:
        decode(path)
    assert caught.value.path == path
    assert caught.value.remedy
    assert "\n" not in str(caught.value)


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.jpg"
    with path.open("wb") as file:
        file.write(encoded(scene(), "JPEG")[:4])
        file.truncate(20 * 2**30)  # sparse: takes no space on the disk
    with pytest.raises(PhotoError, match="21,474,836,480 bytes"):
        decode(path)


def test_permission_denied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.jpg"
    scene().save(path)
    path.chmod(0)
    if os.access(path, os.R_OK):  # the administrator may read everything: play the refusal

        def refuse(*_: object) -> None:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(PhotoError, match="permission denied"):
        decode(path)


SOURCES: dict[str, Callable[[], bytes]] = {
    "jpg": lambda: encoded(scene(), "JPEG", exif=b"Exif\x00\x00II*\x00\x08\x00\x00\x00\x00\x00"),
    "png": lambda: encoded(scene(), "PNG"),
    "png-palette": lambda: encoded(palette_with_alpha(), "PNG", transparency=0),
    "gif": lambda: encoded(scene(), "GIF", save_all=True, append_images=[scene()]),
    "webp": lambda: encoded(scene(), "WEBP"),
    "tiff": lambda: encoded(scene(), "TIFF", compression="tiff_lzw"),
    "tiff-raw": lambda: encoded(scene(), "TIFF"),
    "bmp": lambda: encoded(scene(), "BMP"),
    "avif": lambda: encoded(scene(), "AVIF"),
    "jp2": lambda: encoded(scene(), "JPEG2000"),
}


@pytest.mark.parametrize("source", SOURCES)
def test_any_bytes_give_a_photo_or_a_photo_error(tmp_path: Path, source: str) -> None:
    good = SOURCES[source]()
    rng = random.Random(f"damage {source}")
    path = tmp_path / "photo"
    outcomes = set()
    for _ in range(200):
        bad = bytearray(good)
        for _ in range(rng.choice((1, 1, 2, 8))):
            # Half of the hits go to the header, where they do the most.
            reach = min(len(bad), 80) if rng.random() < 0.5 else len(bad)
            bad[rng.randrange(reach)] = rng.randrange(256)
        if rng.random() < 0.3:
            del bad[rng.randrange(1, len(bad)) :]
        path.write_bytes(bad)
        try:
            image = decode(path, shortest_side=rng.choice((None, 8)), max_pixels=1_000_000)
        except PhotoError:
            outcomes.add("refused")
        else:
            assert image.mode == "RGB"
            assert 0 < image.width * image.height <= 1_000_000
            outcomes.add("decoded")
    assert outcomes == {"refused", "decoded"}


def test_pillow_warnings_are_hidden_and_the_filters_come_back(tmp_path: Path) -> None:
    late_animation = b"\x00\x00\x00\x08acTL" + bytes(8)
    late_animation += struct.pack(">I", zlib.crc32(late_animation[4:]))
    content = encoded(scene(), "PNG")
    (tmp_path / "x.png").write_bytes(content[:-12] + late_animation + content[-12:])
    with pytest.warns(UserWarning, match="APNG"), Image.open(tmp_path / "x.png") as image:
        image.load()  # without care Pillow warns

    before = list(warnings.filters)
    limit = Image.MAX_IMAGE_PIXELS
    threads = [
        threading.Thread(target=lambda: [decode(tmp_path / "x.png") for _ in range(50)])
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(warnings.filters) == before
    assert limit == Image.MAX_IMAGE_PIXELS


# --- the rest -------------------------------------------------------------------------------------


def test_content_hash_is_sha256(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"photo" * 100_000)
    assert content_hash(tmp_path / "x") == hashlib.sha256(b"photo" * 100_000).hexdigest()


def test_skipped_is_one_line() -> None:
    error = PhotoError(Path("a\nb.jpg"), "the file is empty", "remove it")
    skipped = Skipped.from_error(error)
    assert skipped == Skipped(Path("a\nb.jpg"), "the file is empty", "remove it")
    assert str(skipped) == "skipped a b.jpg: the file is empty; remove it"


@pytest.mark.parametrize(
    "mode", ["RGB", "L", "LA", "RGBA", "P", "1", "CMYK", "I", "F", "I;16", "transparent palette"]
)
def test_conversion_in_blocks_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    noise = np.random.default_rng(0).integers(0, 60_000, (70, 41))
    path, options = tmp_path / "photo.tif", dict[str, Any]()
    if mode == "F":
        values = noise.astype(np.float32)
        values[3, 4], values[60, 7] = np.nan, np.inf
        image = Image.fromarray(values)
    elif mode in ("I", "I;16"):
        image = Image.fromarray(noise.astype(np.int32 if mode == "I" else np.uint16))
    else:
        image = Image.fromarray((noise // 256).astype(np.uint8))
        image = image.convert("P" if mode == "transparent palette" else mode)
    if mode == "transparent palette":
        path, options = tmp_path / "photo.png", {"transparency": bytes(range(0, 250, 5))}
    image.save(path, **options)
    whole = decode(path)
    monkeypatch.setattr(colors, "BLOCK_BYTES", 40 * 41 * 8)
    assert whole.tobytes() == decode(path).tobytes()
    small = decode(path, shortest_side=10, shrink=True)
    assert (small.size, small.info["full_size"]) == ((11, 18), (41, 70))
    expected = np.asarray(whole.reduce(4), np.float32)
    assert np.abs(expected - np.asarray(small, np.float32)).max() <= 1
