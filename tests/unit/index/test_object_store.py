"""An index and photos in an object store: a real S3 server on loopback."""

import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyarrow import fs

from photosieve.errors import PhotoIndexError, UsageError
from photosieve.index import lock
from photosieve.index.index import Index
from photosieve.index.store import Store
from tests.library import CountingEncoder, photo, photos, rows


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a server, which the environment names as well."""
    log = tmp_path_factory.mktemp("s3") / "log"
    with log.open("w") as file:
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]
        process = subprocess.Popen(command, stdout=file, stderr=file)
    try:
        deadline = time.monotonic() + 60
        while "Running on http://" not in log.read_text():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        address = "http://" + log.read_text().rpartition("Running on http://")[2].split()[0]
        with pytest.MonkeyPatch.context() as patch:
            for name, value in {
                "AWS_ENDPOINT_URL": address,
                "AWS_ENDPOINT": address,
                "AWS_ALLOW_HTTP": "true",
                "AWS_ACCESS_KEY_ID": "somebody",
                "AWS_SECRET_ACCESS_KEY": "something",
                "AWS_REGION": "us-east-1",
                "AWS_DEFAULT_REGION": "us-east-1",
            }.items():
                patch.setenv(name, value)
            yield address
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def bucket(server: str, tmp_path: Path) -> str:
    """A new bucket."""
    name = f"bucket-{abs(hash(str(tmp_path))):x}"
    urllib.request.urlopen(urllib.request.Request(f"{server}/{name}", method="PUT"))
    return f"s3://{name}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return photos(tmp_path / "listings", 20)


def test_an_index_in_a_bucket_is_like_one_in_a_folder(
    bucket: str, folder: Path, sieve: Path, tmp_path: Path
) -> None:
    there, here = Index(f"{bucket}/index"), Index(tmp_path / "index")
    assert there.update(sieve, folder).added == here.update(sieve, folder).added == 20
    for query in ("red", "garden -blue", "word 3"):
        found, wanted = there.search(query), here.search(query)
        assert [hit.path for hit in found] == [hit.path for hit in wanted]
        assert found.looked_at == wanted.looked_at
    assert there.search("red", where="width = 16", within=["house-0"]).looked_at == 5
    photo(folder / "house-0" / "photo-0000.png", 99)
    (folder / "house-1" / "photo-0001.png").unlink()
    (folder / "house-2").rename(folder / "house-6")
    CountingEncoder.embedded.clear()
    done = there.update()
    assert (done.changed, done.deleted, done.moved, done.added) == (1, 1, 5, 0)
    assert len(CountingEncoder.embedded) == 1
    here.update()
    there.compact()
    assert rows(there) == rows(here)
    assert not there.verify()


def test_two_readers_see_whole_versions_while_one_writes(
    bucket: str, folder: Path, sieve: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("photosieve.index.update.COMMIT_SECONDS", 0.0)
    writer = Index(f"{bucket}/index")
    writer.update(sieve, folder)
    readers = [Index(writer.address), Index(writer.address)]
    for number in range(100, 106):
        photo(folder / "house-5" / f"{number}.png", number)
    seen: list[tuple[int, ...]] = []

    def look(stage: str, *_: int) -> None:
        if stage.startswith("indexing"):
            seen.append(tuple(reader.search("red").looked_at for reader in readers))

    assert writer.update(None, folder, progress=look).added == 6
    assert all(first == second for first, second in seen)
    assert seen == sorted(seen)
    assert {reader.search("red").looked_at for reader in readers} == {26}


def test_a_writer_that_lives_keeps_others_out(
    bucket: str, folder: Path, sieve: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "RENEW_SECONDS", 0.2)
    index = Index(f"{bucket}/index")
    with (
        lock.writing(index.address),
        pytest.raises(PhotoIndexError, match=r"another photosieve \(.*process \d+\) is writing"),
    ):
        index.update(sieve, folder)
    assert index.update(sieve, folder).added == 20


@pytest.mark.kill
def test_a_killed_writer_is_replaced_and_nothing_is_lost_or_twice(
    bucket: str, folder: Path, sieve: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "EXPIRE_SECONDS", 2.0)
    address = f"{bucket}/index"
    command = [sys.executable, "-m", "tests.library", address, str(sieve), str(folder), "0.4"]
    with subprocess.Popen([*command, "update"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        reader = Index(address, sieve)
        deadline = time.monotonic() + 30
        while not (reader.store.exists() and len(reader.search("red", top=50))):
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.05)
        os.kill(process.pid, signal.SIGKILL)
    part = len(rows(reader))
    assert 0 < part < 20
    CountingEncoder.embedded.clear()
    done = Index(address).update(sieve, folder)
    assert done.added == 20 - part
    assert len(CountingEncoder.embedded) == 20 - part
    assert len({path for path, _ in rows(reader)}) == len(rows(reader)) == 20


@pytest.mark.parametrize("began", ["before", "after"])
def test_a_holder_that_stood_still_harms_nothing_when_it_wakes(
    bucket: str, folder: Path, sieve: Path, monkeypatch: pytest.MonkeyPatch, began: str
) -> None:
    """It wakes with a commit that began before or after the lease was taken over."""
    monkeypatch.setattr(lock, "EXPIRE_SECONDS", 1.0)
    monkeypatch.setattr(lock, "RENEW_SECONDS", 3600.0)
    index = Index(f"{bucket}/index")
    index.update(sieve, folder)
    paused, successor = Store(index.address), Index(index.address)
    (folder / "house-0" / "photo-0000.png").unlink()
    with lock.writing(index.address) as guard:
        paused.guard = (lambda: None) if began == "before" else guard
        gone = [(str(folder), "house-1/photo-0001.png")]
        assert paused.photos.count_rows() == 20
        assert successor.update().deleted == 1  # it takes over
        with pytest.raises(PhotoIndexError, match=r"Incompatible|taken it over|lease is gone"):
            paused.delete(gone)
        with pytest.raises(PhotoIndexError):
            paused.upsert(paused.photos.search().limit(1).to_arrow())
        assert len(rows(successor)) == 19
        with lock.writing(index.address) as another:
            another()  # its own lease is that of the newest holder
    assert len(rows(Index(index.address))) == 19


def test_photos_in_a_bucket(bucket: str, folder: Path, sieve: Path, tmp_path: Path) -> None:
    (folder / "house-0" / "bad.jpg").write_bytes(b"no photo")
    fs.copy_files(str(folder), f"{bucket}/listings")
    index = Index(tmp_path / "index")
    done = index.update(sieve, f"{bucket}/listings")
    assert (done.added, len(done.skipped)) == (20, 1)
    assert str(done.skipped[0]).startswith(f"skipped {bucket}/listings/house-0/bad.jpg: ")
    CountingEncoder.embedded.clear()
    assert index.update().added == 0
    found = index.search("red", within=["house-0"]).to_dict()["hits"]
    assert len(found) == 5
    assert all(hit["path"].startswith(f"{bucket}/listings/house-0/photo-") for hit in found)
    assert not index.verify()
    with pytest.raises(UsageError, match="does not exist"):
        index.update(None, f"{bucket}/nothing")


def test_a_bucket_that_is_not_there(server: str, sieve: Path, folder: Path) -> None:
    assert server
    with pytest.raises(PhotoIndexError, match="specified bucket does not exist"):
        Index("s3://no-such-bucket/index").update(sieve, folder)
    with pytest.raises(PhotoIndexError):
        Index("s3://no-such-bucket/index", sieve).search("red")
