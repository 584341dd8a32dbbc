"""The real command line on the real starter model: what a user types, in a subprocess."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from playwright.sync_api import Browser, sync_playwright

from tests.e2e.browsing import serving

SAMPLES = Path(__file__).resolve().parents[2] / "samples"


@dataclass(frozen=True)
class Outcome:
    """What a command left behind."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    def assert_one_sentence(self, status: int, *words: str) -> None:
        """Check that it failed as a user should see it: one line after the notes, no traceback."""
        assert self.status == status, self
        assert "Traceback" not in self.err
        lines = [line for line in self.err.splitlines() if not line.startswith("note: ")]
        assert len(lines) == 1, self.err
        for word in words:
            assert word in self.err, (word, self.err)


Run = Callable[..., Outcome]


@pytest.fixture(scope="session")
def run() -> Run:
    def run(*arguments: object, cwd: Path | None = None, **environment: str) -> Outcome:
        done = subprocess.run(
            [sys.executable, "-W", "error", "-m", "photosieve", *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=240,
            cwd=cwd,
            env={**os.environ, **environment},
        )
        return Outcome(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture(scope="session")
def sieve(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sieve trained on the sample listings, once for all processes of the tests; read only."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    folder = shared / "sieves" / "listing-sieve"
    with FileLock(shared / "sieve.lock"):
        if not folder.exists():
            done = run("train", SAMPLES / "train", "--out", folder, "--json")
            assert done.status == 0, done.err
            assert done.json["sieve"] == str(folder)
    return folder


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium; `make test` installs it where it is missing."""
    found = shutil.which("chromium") or shutil.which("google-chrome")
    assert found, "there is no Chromium: install it, as in: apt-get install chromium"
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def address(tmp_path_factory: pytest.TempPathFactory, sieve: Path) -> Iterator[str]:
    """All sample listings, with the sieve trained on some of them. Tests may change labels."""
    folder = tmp_path_factory.mktemp("served")
    shutil.copytree(SAMPLES, folder / "photos")
    shutil.copytree(sieve, folder / "sieve")
    with serving(
        folder / "photos", "--sieve", folder / "sieve", "--index", folder / "index"
    ) as address:
        yield address
