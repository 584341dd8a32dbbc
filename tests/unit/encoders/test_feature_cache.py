"""Features of searched folders are kept, and never those of another photo."""

import os
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from photosieve.encoders.embedding import PhotoFeatures, photo_features
from photosieve.encoders.feature_cache import FeatureCache
from photosieve.storage import CACHE
from tests.conftest import FakeEncoder

COLORS = ("red", "green", "blue")


class Counting(FakeEncoder):
    """Counts the photos that it is given."""

    seen = 0

    def stream(self, items, load, other):  # type: ignore[no-untyped-def]
        listed = list(items)
        type(self).seen += len(listed)
        return super().stream(listed, load, other)


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    monkeypatch.setenv(CACHE, str(tmp_path / "cache"))
    monkeypatch.setattr(Counting, "seen", 0)
    found = [tmp_path / f"{color}.png" for color in COLORS]
    for path in found:
        Image.new("RGB", (20, 20), path.stem).save(path)
    later = time.time_ns() + 5_000_000_000
    monkeypatch.setattr(time, "time_ns", lambda: later)  # else they are too new to be kept
    return found


def embed(paths: Sequence[Path]) -> PhotoFeatures:
    return photo_features(Counting(), paths, keep=FeatureCache())


def test_a_photo_is_embedded_once(paths: list[Path]) -> None:
    first = embed(paths)
    again = embed([paths[2], paths[0]])
    assert Counting.seen == 3
    np.testing.assert_array_equal(again.features, first.features[[2, 0]])


def test_a_photo_that_changed_is_embedded_again(paths: list[Path]) -> None:
    before = embed(paths).features
    times = paths[0].stat()
    paths[0].write_bytes(paths[1].read_bytes().ljust(times.st_size, b"\0")[: times.st_size])
    os.utime(paths[0], ns=(times.st_atime_ns, times.st_mtime_ns))  # as some programs do
    after = embed(paths).features
    assert Counting.seen == 4
    np.testing.assert_array_equal(after[0], before[1])


def test_one_that_has_just_changed_is_not_kept(
    paths: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    monkeypatch.setenv(CACHE, str(paths[0].parent / "cache"))
    seen = Counting.seen
    for path in paths:
        path.touch()
    embed(paths)
    embed(paths)
    assert Counting.seen - seen in (3, 6)  # 3 if this machine took two seconds in between


@pytest.mark.parametrize("damage", ["text", "bytes"])
def test_a_damaged_database_costs_time_and_nothing_else(paths: list[Path], damage: str) -> None:
    right = embed(paths).features
    file = FeatureCache().file
    data = bytearray(file.read_bytes())
    if damage == "text":
        data[:] = b"no database at all" * 100
    else:
        at = data.index(right[1].tobytes()[:64])
        data[at : at + 8] = b"\x11" * 8
    file.write_bytes(data)
    for _ in range(2):
        np.testing.assert_array_equal(embed(paths).features, right)
    assert Counting.seen > 3


def test_the_oldest_go_where_there_are_too_many(
    paths: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("photosieve.encoders.feature_cache.SHARE", 0.0)
    embed(paths[:1])
    embed(paths[:1])
    assert Counting.seen == 2


def test_where_nothing_can_be_written(paths: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CACHE, str(paths[0] / "below-a-file"))
    assert len(embed(paths).features) == 3
