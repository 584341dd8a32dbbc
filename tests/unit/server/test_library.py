"""The collection follows its index, and its ids stay."""

import threading
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


def test_a_key_that_a_full_disk_has_cut_short_is_made_again(library: Library) -> None:
    library.state.mkdir(parents=True, exist_ok=True)
    for damaged in (b"", b"short"):
        (library.state / "ids.key").write_bytes(damaged)
        key = Library(library.sieve_folder, library.address).view().key
        assert len(key) == 32
        assert (library.state / "ids.key").read_bytes() == key
        assert (library.state / "ids.key").stat().st_mode & 0o077 == 0


def test_servers_that_start_together_have_one_key(library: Library) -> None:
    keys: list[bytes] = []

    def start() -> None:
        keys.append(Library(library.sieve_folder, library.address).view().key)

    threads = [threading.Thread(target=start) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(keys) == 6
    assert len(set(keys)) == 1
