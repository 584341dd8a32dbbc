"""A saved sieve of the fake encoder, and an index of forty photos."""

from pathlib import Path

import pytest

from photosieve.index.index import Index
from photosieve.sieve import saved
from photosieve.sieve.sieve import Sieve
from photosieve.training.features import Prepared
from tests.conftest import FakeEncoder
from tests.library import CountingEncoder, fake_by_name, photos


@pytest.fixture(scope="session")
def sieve(prepared: Prepared, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved sieve of the fake encoder, by the default recipe."""
    folder = tmp_path_factory.mktemp("sieves") / "sieve"
    Sieve.fit_prepared(FakeEncoder(), prepared).save(folder)
    return folder


@pytest.fixture(autouse=True)
def _by_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(saved, "load_encoder", fake_by_name)
    monkeypatch.setenv("PHOTOSIEVE_CACHE", str(tmp_path / "cache"))
    CountingEncoder.embedded.clear()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return photos(tmp_path / "listings", 40)


@pytest.fixture
def index(folder: Path, sieve: Path, tmp_path: Path) -> Index:
    made = Index(tmp_path / "index")
    assert made.update(sieve, folder).added == 40
    CountingEncoder.embedded.clear()
    return made
