"""The header of a photo tells its format, and how much memory it takes."""

from pathlib import Path

import pytest
from PIL import Image

from photosieve.data.headers import inspect
from photosieve.errors import PhotoError


@pytest.mark.parametrize(
    "form", ["JPEG", "MPO", "PNG", "WEBP", "BMP", "TIFF", "GIF", "AVIF", "JPEG2000"]
)
def test_a_header_tells_format_and_memory(tmp_path: Path, form: str) -> None:
    path = tmp_path / "photo"
    photo = Image.new("RGB", (400, 300), "red")
    photo.save(
        path, form, **({"save_all": True, "append_images": [photo]} if form == "MPO" else {})
    )
    header = inspect(path, shortest_side=100)
    assert header.format == form
    assert header.memory > 4 * 400 * 300 // (16 if form in ("JPEG", "MPO") else 1)
    assert inspect(path, data=path.read_bytes(), shortest_side=100) == header
    path.write_bytes(b"no photo")
    with pytest.raises(PhotoError, match="not a photo"):
        inspect(path)
    with pytest.raises(PhotoError, match="no such file"):
        inspect(tmp_path / "none")


def test_a_header_that_makes_no_sense_counts_as_the_worst(tmp_path: Path) -> None:
    path = tmp_path / "photo.tif"
    Image.new("RGB", (400, 300)).save(path, compression="tiff_deflate")
    sound = inspect(path).memory
    with Image.open(path) as image:
        entry = image.tag_v2  # type: ignore[attr-defined]
        assert entry[278]
    data = path.read_bytes()
    rows = data.index((278).to_bytes(2, "little") + (3).to_bytes(2, "little"))
    path.write_bytes(data[: rows + 2] + (2).to_bytes(2, "little") + data[rows + 4 :])  # a text
    assert inspect(path).memory > sound
