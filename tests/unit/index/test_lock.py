"""One process writes at a time."""

from pathlib import Path

import pytest

from photosieve.errors import PhotoIndexError
from photosieve.index.index import Index
from photosieve.index.lock import writing


def test_one_writer_at_a_time(index: Index, folder: Path) -> None:
    with (
        writing(index.address),
        pytest.raises(PhotoIndexError, match="another photosieve is writing"),
    ):
        index.update(None, folder)
    index.update(None, folder)
