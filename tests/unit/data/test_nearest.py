"""An entry without a photo names the photo that is probably meant."""

import time
from pathlib import Path

import pytest

from photosieve.data.nearest import closest_names


@pytest.mark.parametrize(
    ("missing", "present", "expected"),
    [
        ("IMG_1.JPG", ["IMG_1.jpg", "IMG_12.jpg"], "IMG_1.jpg"),
        ("IMG_0001.jpg", ["IMG_1.jpeg"], "IMG_1.jpeg"),
        ("kitchen.jpg", ["kichen.png", "garden.png"], "kichen.png"),
        ("house/a-view.jpg", ["a-view.jpg"], "a-view.jpg"),
        ("IMG_12.jpg", ["IMG_13.jpg"], None),
        ("gone.jpg", ["sofa.jpg"], None),
        ("gone.jpg", [], None),
    ],
)
def test_the_closest_name(missing: str, present: list[str], expected: str | None) -> None:
    found = closest_names([Path(missing)], map(Path, present))
    assert found == ({Path(missing): Path(expected)} if expected else {})


def test_long_names_and_many_of_them_take_no_time() -> None:
    names = [
        Path("ab" * 120 + f"{chr(97 + n % 26)}{chr(97 + n // 26 % 26)}.jpg") for n in range(5000)
    ]
    started = time.perf_counter()
    closest_names([Path("ba" * 2000)] * 1000, names)
    assert time.perf_counter() - started < 10
