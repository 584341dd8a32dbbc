"""Without any label there is a sieve all the same: words only, and a rough cut."""

from pathlib import Path

import pytest

from photosieve.data.dataset import Dataset
from photosieve.errors import SieveError, TrainingError
from photosieve.sieve.sieve import Sieve
from photosieve.sieve.untrained import untrained
from photosieve.training.features import BACKGROUND_PHOTOS
from tests.conftest import COLORS, FakeEncoder


@pytest.fixture
def photos(listings: Path) -> tuple[Path, ...]:
    return Dataset.load(listings / "train").photos


def found(sieve: Sieve, query: str, folder: Path) -> set[str]:
    return {hit.path.name for hit in sieve.search(query, folder)}


@pytest.mark.parametrize("color", COLORS)
def test_a_word_of_the_model_is_found(photos: tuple[Path, ...], listings: Path, color: str) -> None:
    sieve = untrained(photos, FakeEncoder())
    names = found(sieve, color, listings / "test" / "house-8")
    assert {"red": "red.png", "blue": "blue.png", "green": "green.png"}[color] in names
    assert "gray.png" not in names


def test_it_says_that_it_knows_nothing(photos: tuple[Path, ...], listings: Path) -> None:
    sieve = untrained(photos, FakeEncoder())
    assert not sieve.labels
    reading = sieve.scorer.read_word("red")
    assert reading.label is None
    assert "there are no labels yet" in reading.describe()
    with pytest.raises(SieveError, match="not trained on the label"):
        sieve.retune(Dataset.load(listings / "train"))
    with pytest.raises(TrainingError, match="without labels"):
        sieve.evaluate(listings / "test")


def test_saved_and_loaded_it_answers_the_same(
    photos: tuple[Path, ...], listings: Path, tmp_path: Path
) -> None:
    sieve = untrained(photos, FakeEncoder())
    sieve.save(tmp_path / "sieve")
    again = Sieve.load(tmp_path / "sieve", FakeEncoder())
    for query in ("red", "word 3", "red -blue"):
        one = sieve.search(query, listings / "test" / "house-8")
        two = again.search(query, listings / "test" / "house-8")
        assert one.to_dict() == two.to_dict()


def test_few_of_many_photos_are_read(photos: tuple[Path, ...]) -> None:
    sieve = untrained(photos * 20, FakeEncoder())
    assert len(sieve.background) == BACKGROUND_PHOTOS < len(photos) * 20


def test_no_photo_can_be_read(tmp_path: Path) -> None:
    bad = [tmp_path / f"{number}.jpg" for number in range(3)]
    for path in bad:
        path.write_bytes(b"no photo")
    with pytest.raises(TrainingError, match=r"none of 3 photos can be read; the first: .*0\.jpg"):
        untrained(bad, FakeEncoder())
