"""An index of vectors from elsewhere: files are read, vectors are taken by path."""

from pathlib import Path

import numpy as np
import pytest

from photosieve.encoders.vectors import VectorEncoder
from photosieve.errors import SieveError
from photosieve.index.index import Index
from photosieve.sieve.untrained import untrained
from tests.library import age, counts, photo

TEXTS = {"red": np.array([3.0, 0, 0]), "blue": np.array([0, 3.0, 0])}
WORDS = {f"word {number}": row for number, row in enumerate(np.eye(3) + 0.1)}


@pytest.fixture
def photos(folder: Path) -> dict[str, list[float]]:
    """Vectors of the forty photos: each fourth one is red."""
    paths = sorted(folder.glob("*/*.png"))
    return {
        f"{path.parent.name}/{path.name}": [float(int(path.stem[-4:]) % 4 == 0), 0.1, 0.5]
        for path in paths
    }


def test_vectors_are_taken_by_path(
    photos: dict[str, list[float]], folder: Path, tmp_path: Path
) -> None:
    late = "house-1/photo-0009.png"
    few = {key: row for key, row in photos.items() if key != late}
    encoder = VectorEncoder("x", few, TEXTS, words=WORDS)
    untrained(sorted(folder.glob("*/*.png")), encoder).save(tmp_path / "sieve")
    with pytest.raises(SieveError, match="vectors of your own"):
        Index(tmp_path / "index").update(tmp_path / "sieve", folder)

    index = Index(tmp_path / "index", encoder=encoder)
    done = index.update(tmp_path / "sieve", folder)
    assert (done.photos, [skip.reason for skip in done.skipped]) == (39, ["it has no vector"])
    assert {hit.path for hit in index.search("red", top=10)} == set(folder.glob("house-0/*"))

    # It gets its vector later, and its file stays as it is; a broken file is skipped as ever.
    later = Index(tmp_path / "index", encoder=VectorEncoder("x", photos, TEXTS, words=WORDS))
    assert counts(later) == {"added": 1}
    found = later.search("blue", within=["house-1"], top=10)
    assert folder / late in {hit.path for hit in found}
    broken = folder / "house-0" / "photo-0000.png"
    broken.write_bytes(b"no photo")
    assert counts(later) == {"deleted": 1}
    photo(broken, 123)
    age(broken)
    assert counts(later) == {"added": 1}
