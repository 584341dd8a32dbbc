"""The cache as a whole: what it holds, what goes first, and what stays."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from photosieve import cache
from photosieve.errors import UsageError
from photosieve.storage import CACHE

HOLD = "import sys; from pathlib import Path; from photosieve import cache"
HOLD += "; cache.hold(Path(sys.argv[1])); print('held', flush=True); sys.stdin.read()"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(CACHE, str(tmp_path))
    return tmp_path


def put(path: Path, megabytes: int, days_ago: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(os.urandom(megabytes * 2**20))
    for each in (path, path.parent):
        used = each.stat().st_mtime - days_ago * 86_400
        os.utime(each, (used, used))
    return path


def test_the_least_recently_used_goes_first(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = put(folder / "clip-0123456789abcdef" / "tower.bin", 2, 9)
    middle = put(folder / "indexes" / "aa" / "vectors.npy", 2, 5)
    new = put(folder / "features" / "features.sqlite", 2, 1)
    monkeypatch.setenv(cache.LIMIT, str(5 / 1024))
    cache.trim()
    assert (old.exists(), middle.exists(), new.exists()) == (False, True, True)
    monkeypatch.setenv(cache.LIMIT, str(3 / 1024))
    cache.trim()
    assert (middle.exists(), new.exists()) == (False, True)


def test_what_a_process_uses_stays(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    used = put(folder / "clip-0123456789abcdef" / "tower.bin", 1, 9)
    other = put(folder / "clip-fedcba9876543210" / "tower.bin", 1, 1)
    monkeypatch.setenv(cache.LIMIT, "0")
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(used.parent)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == b"held\n"
        cache.trim()
        assert [entry.path for entry in cache.clear()] == []
        assert (used.exists(), other.exists()) == (True, False)
        process.communicate()
    assert [entry.path for entry in cache.clear()] == [used.parent]


def test_the_history_of_labels_is_no_cache(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    history = put(folder / "served" / "aa" / "labels-history.jsonl", 1, 99)
    monkeypatch.setenv(cache.LIMIT, "0")
    cache.trim()
    cache.clear()
    assert history.exists()
    with pytest.raises(UsageError, match="no served to remove"):
        cache.clear("served")


def test_kinds(folder: Path) -> None:
    put(folder / "clip-0123456789abcdef" / "tower.bin", 1, 9)
    put(folder / "texts-0123456789abcdef.json", 1, 2)
    put(folder / "thumbnails" / "ab" / "abcd.jpg", 1, 3)
    found = cache.summary()
    assert {name: kind["entries"] for name, kind in found["kinds"].items()} == {
        "models": 1, "texts": 1, "thumbnails": 1
    }  # fmt: skip
    assert found["bytes"] == pytest.approx(3 * 2**20, rel=0.1)
    assert cache.clear("texts")
    assert set(cache.summary()["kinds"]) == {"models", "thumbnails"}
    with pytest.raises(UsageError, match="no pears to remove; there are: models, thumbnails"):
        cache.clear("pears")


@pytest.mark.parametrize("text", ["five", "-1", "nan", "inf"])
def test_a_limit_that_is_no_size(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv(cache.LIMIT, text)
    with pytest.raises(UsageError, match="give the most GiB"):
        cache.limit()
