"""What follows from a model's weights is computed once on a machine, and never trusted blindly."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from photosieve import storage
from photosieve.encoders import derived, starter
from photosieve.encoders.protocol import Float32Array
from photosieve.encoders.words import general_words, word_features
from photosieve.storage import CACHE
from tests.conftest import FakeEncoder

TABLE = np.arange(6, dtype=np.float32).reshape(2, 3)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(CACHE, str(tmp_path))
    return tmp_path / derived.FOLDER


@dataclass(frozen=True)
class Counting(FakeEncoder):
    """Notes how many texts it embeds at once."""

    asked: list[int] = field(default_factory=list)
    sign: float = 1.0

    def text_features(self, texts: Sequence[str]) -> Float32Array:
        self.asked.append(len(texts))
        return np.asarray(self.sign * super().text_features(texts), np.float32)


def test_arrays_are_found_again_under_their_key() -> None:
    derived.keep("words", "a model", {"features": TABLE})
    found = derived.find("words", "a model")
    assert found is not None
    assert_array_equal(found["features"], TABLE)
    assert derived.find("words", "another model") is None


@pytest.mark.parametrize("place", [0.1, 0.5, 0.9])
def test_a_damaged_file_is_as_good_as_none(cache: Path, place: float) -> None:
    derived.keep("words", "a model", {"features": np.zeros((100, 100), np.float32)})
    (file,) = cache.iterdir()
    data = bytearray(file.read_bytes())
    data[int(place * len(data))] ^= 1
    file.write_bytes(data)
    assert derived.find("words", "a model") is None
    file.write_bytes(data[: len(data) // 2])
    assert derived.find("words", "a model") is None


def test_numbers_that_are_none_are_not_used() -> None:
    derived.keep("words", "a model", {"features": TABLE * np.nan})
    assert derived.find("words", "a model") is None


def test_large_arrays_are_not_kept(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    monkeypatch.setattr(derived, "MOST_BYTES", TABLE.nbytes - 1)
    derived.keep("words", "a model", {"features": TABLE})
    assert not cache.exists()


def test_a_cache_that_cannot_be_written_costs_time_alone(cache: Path) -> None:
    cache.write_bytes(b"a file, no folder")
    derived.keep("words", "a model", {"features": TABLE})
    assert derived.find("words", "a model") is None


def test_general_words_are_embedded_once_on_a_machine() -> None:
    first, second = Counting(), Counting()
    assert_array_equal(word_features(first), word_features(second))
    assert first.asked == [len(general_words())]
    assert second.asked == [8]  # those that are checked


def test_a_model_that_embeds_otherwise_gets_features_of_its_own() -> None:
    """Its maker forgot to change the fingerprint."""
    word_features(Counting())
    other = Counting(sign=-1.0)
    assert_array_equal(word_features(other), other.text_features(general_words()))


@pytest.mark.long
def test_the_starter_is_joined_once_on_a_machine(
    monkeypatch: pytest.MonkeyPatch, towers_folder: Path
) -> None:
    monkeypatch.setenv(CACHE, str(towers_folder))  # with the text tower
    networks = starter.NETWORKS["starter-small"]
    first = starter._kept_join(networks)
    monkeypatch.setattr(starter, "join", None)
    assert starter._kept_join(networks).fingerprint() == first.fingerprint()
    monkeypatch.setattr(storage, "cache_folder", lambda: towers_folder / "elsewhere")
    with pytest.raises(TypeError):  # nothing is kept there
        starter._kept_join(networks)
