"""The content of a file decides how it is read; other formats have a name and a remedy."""

import subprocess
import sys
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from photosieve.data.folders import find, walk
from photosieve.data.formats import HEAD_BYTES, READ, name_of
from photosieve.data.photos import decode
from photosieve.errors import PhotoError, Skipped, unread_formats

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "AVIF", "JPEG2000")
SUFFIXES = (".jpg", ".JFIF", ".jpe", ".png", ".webp", ".bmp", ".tiff", ".gif", ".avif", ".jp2")


def content(form: str, color: str = "red") -> bytes:
    file = BytesIO()
    Image.new("RGB", (64, 48), color).save(file, form)
    return file.getvalue()


def heic(*, brand: bytes = b"heic", others: bytes = b"mif1heic") -> bytes:
    """The first bytes of a HEIC file."""
    return (16 + len(others)).to_bytes(4, "big") + b"ftyp" + brand + bytes(4) + others


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("name", ["photo.jpg", "photo.HEIC", "photo.jxl", "photo"])
def test_the_content_decides(tmp_path: Path, form: str, name: str) -> None:
    (tmp_path / name).write_bytes(content(form))
    assert name_of(content(form)[:HEAD_BYTES]) == form
    assert decode(tmp_path / name).size == (64, 48)
    # Raw photos are TIFF files as well, so of a picture that is called otherwise it says nothing.
    found = [] if form == "TIFF" and name == "photo.jxl" else [tmp_path / name]
    if form != "TIFF" or name != "photo.HEIC":
        assert find(tmp_path) == found


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_names_of_photos(tmp_path: Path, suffix: str) -> None:
    (tmp_path / f"a{suffix}").write_bytes(content("JPEG"))
    assert find(tmp_path) == [tmp_path / f"a{suffix}"]


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (heic(), "HEIF"),
        (heic(brand=b"mif1"), "HEIF"),
        (heic(brand=b"mif1", others=b"mif1avif"), "AVIF"),
        (heic(brand=b"avis"), "AVIF"),
        (heic(brand=b"crx ", others=b"crx isom"), "RAW"),
        (heic(brand=b"qt  ", others=b"qt  "), "video"),
        (b"\xff\x0a\xfa\x1f", "JPEG XL"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
        (b"8BPS\0\1", "PSD"),
        (b"words", ""),
        (b"", ""),
    ],
)
def test_names_by_the_first_bytes(tmp_path: Path, head: bytes, name: str) -> None:
    assert name_of(head) == name
    if name not in ("", "HEIF", "AVIF"):
        assert name not in READ
        (tmp_path / "photo.jpg").write_bytes(head)
        with pytest.raises(PhotoError, match=f"it is a {name} file; save as JPEG"):
            decode(tmp_path / "photo.jpg")


def test_formats_that_are_not_read_are_named(tmp_path: Path) -> None:
    for name in ("a.CR2", "b.cr2", "c.jxl", "d.svg", "notes.txt", "README", "clip.mov"):
        (tmp_path / name).write_bytes(b"II*\0 something")
    skipped = [entry for entry in walk(tmp_path) if isinstance(entry, Skipped)]
    assert sorted(skip.path.name for skip in skipped) == ["a.CR2", "b.cr2", "c.jxl", "d.svg"]
    assert list(unread_formats(skipped)) == [
        "2 CR2 files left out: save as JPEG",
        "1 JXL file left out: save as JPEG",
        "1 SVG file left out: save as JPEG",
    ]


def test_heic(tmp_path: Path) -> None:
    pytest.importorskip("pillow_heif").register_heif_opener()
    scene = Image.new("RGB", (64, 48), "red")
    scene.paste("blue", (0, 0, 32, 24))
    exif = Image.Exif()
    exif[0x0112] = 6
    for name in ("a.heic", "b.HEIF", "c.jpg"):
        with (tmp_path / name).open("wb") as file:
            scene.save(file, "HEIF", quality=90, exif=exif.tobytes())
    assert len(find(tmp_path)) == 3
    for path in find(tmp_path):
        image = decode(path, shortest_side=8)
        assert (image.mode, image.size, image.info) == ("RGB", (48, 64), {"full_size": (48, 64)})
        pixels = np.asarray(image)  # turned by a quarter: the blue is at the top right
        assert pixels[8, 40, 2] > 200 > 60 > pixels[8, 40, 0]
        assert pixels[40, 8, 0] > 200 > 60 > pixels[40, 8, 2]
    broken = (tmp_path / "a.heic").read_bytes()
    (tmp_path / "a.heic").write_bytes(broken[: len(broken) // 2])
    with pytest.raises(PhotoError, match=r"it is (damaged|cut short)"):
        decode(tmp_path / "a.heic")


WITHOUT = """
import sys
from pathlib import Path
sys.modules["pillow_heif"] = None  # as if it were not installed
from photosieve.data.folders import walk
from photosieve.data.photos import decode
from photosieve.errors import PhotoError, Skipped, unread_formats
folder = Path(sys.argv[1])
entries = list(walk(folder))
print(sorted(entry.path for entry in entries if not isinstance(entry, Skipped)))
print(*unread_formats(entry for entry in entries if isinstance(entry, Skipped)))
try:
    decode(folder / "called.jpg")
except PhotoError as error:
    print(error.reason, error.remedy, error.form, sep="; ")
"""


def test_without_its_decoder_heic_is_named_with_the_remedy(tmp_path: Path) -> None:
    for name in ("a.HEIC", "b.heic", "called.jpg"):
        (tmp_path / name).write_bytes(heic())
    (tmp_path / "really-a-jpeg.heic").write_bytes(content("JPEG"))
    command = [sys.executable, "-c", WITHOUT, str(tmp_path)]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert lines == [
        "['called.jpg', 'really-a-jpeg.heic']",
        "2 HEIC files left out: pip install photosieve[heif]",
        "it is a HEIC file; pip install photosieve[heif]; HEIC",
    ]
