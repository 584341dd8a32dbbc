"""The collection follows its index, and its ids stay."""

from pathlib import Path

from fastapi.testclient import TestClient
from PIL import Image

from photosieve.index.index import Index
from photosieve.server.library import Library
from tests.unit.server.conftest import ids


def test_an_index_that_grows_is_seen(client: TestClient, library: Library, tmp_path: Path) -> None:
    before = ids(client, "house-1")
    assert (library.state / "ids.key").stat().st_mode & 0o777 == 0o600  # who has it can tell ids
    Image.new("RGB", (9, 9), "red").save(tmp_path / "secret-place" / "house-1" / "new.png")
    Index(library.address).update()
    after = ids(client, "house-1")
    assert after.keys() - before.keys() == {"new.png"}
    assert before.items() <= after.items()  # ids stay
