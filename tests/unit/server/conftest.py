"""Served collections: one for each test that changes it, and one for all tests that only read."""

import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2 as httpx
import pytest
from fastapi.testclient import TestClient

from photosieve.data.dataset import Dataset
from photosieve.index.index import Index
from photosieve.server import trainer
from photosieve.server.app import create_app
from photosieve.server.guard import Rules
from photosieve.server.library import Library
from photosieve.sieve import saved
from photosieve.sieve.sieve import Sieve
from tests.conftest import QUICK, FakeEncoder, write_building
from tests.library import fake_by_name

TOKEN = "correct horse battery"


@pytest.fixture(scope="package", autouse=True)
def _by_name() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(saved, "load_encoder", fake_by_name)
        # A process of its own does not know the encoder of the tests: this one takes any task.
        patch.setattr(
            trainer, "WORKER", (sys.executable, "-S", "-c", "import sys; sys.stdin.read()")
        )
        yield


@pytest.fixture(scope="package")
def trained(tmp_path_factory: pytest.TempPathFactory, listings: Path) -> Path:
    folder = tmp_path_factory.mktemp("trained") / "sieve"
    Sieve.fit(Dataset.load(listings / "train"), FakeEncoder(), recipe=QUICK).save(folder)
    return folder


def collection(folder: Path, trained: Path) -> Library:
    """Two labeled buildings, one of them for testing, and one without labels."""
    photos = folder / "secret-place"
    write_building(photos / "house-1", "train_labels.json", seed=1)
    write_building(photos / "house-2", "test_labels.json", seed=2)
    write_building(photos / "house-3", "labels.json", seed=3)
    (photos / "house-3" / "labels.json").unlink()
    sieve = folder / "sieve"
    Sieve.load(trained).save(sieve)
    Index(folder / "index").update(sieve, photos)
    return Library(sieve, str(folder / "index"))


@pytest.fixture
def library(tmp_path: Path, trained: Path) -> Library:
    """A collection of the test's own, to be changed."""
    return collection(tmp_path, trained)


@pytest.fixture
def client(library: Library) -> Iterator[TestClient]:
    yield from served(library)


@pytest.fixture(scope="package")
def shared(tmp_path_factory: pytest.TempPathFactory, trained: Path) -> Library:
    """A collection that no test changes."""
    return collection(tmp_path_factory.mktemp("shared"), trained)


@pytest.fixture(scope="package")
def reader(shared: Library) -> Iterator[TestClient]:
    """For questions that change nothing."""
    yield from served(shared)


def served(library: Library, rules: Rules | None = None) -> Iterator[TestClient]:
    app = create_app(library, rules)
    with TestClient(app, base_url="http://127.0.0.1:8765", raise_server_exceptions=False) as client:
        yield client


def ids(client: TestClient, group: str) -> dict[str, str]:
    """Ids of a group's photos by their names."""
    photos = client.get("/photos", params={"group": group}).json()["photos"]
    return {photo["name"]: photo["id"] for photo in photos}


def assert_problem(answer: httpx.Response, status: int, *words: str) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == status
    assert problem["title"]
    for word in words:
        assert word in problem["detail"], problem["detail"]
