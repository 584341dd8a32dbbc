"""Snapshots are made again when they are gone or damaged, and by users who may only read."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from photosieve.index.index import Index
from tests.library import CountingEncoder


@pytest.mark.parametrize("damage", ["gone", "no notes", "short"])
def test_a_damaged_snapshot_is_made_again(index: Index, damage: str) -> None:
    (found,) = Path(index.address).glob("snapshot-*")
    expected = [hit.path for hit in index.search("red")]
    if damage == "gone":
        shutil.rmtree(found)
    elif damage == "no notes":
        (found / "snapshot.json").write_text("{")
    else:
        (found / "vectors.npy").write_bytes(b"\x93NUMPY")
    assert [hit.path for hit in Index(index.address).search("red")] == expected
    Index(index.address).update()
    assert len(list(Path(index.address).glob("snapshot-*"))) == 1
    assert not CountingEncoder.embedded


@pytest.mark.long
def test_an_index_that_may_only_be_read(index: Index, sieve: Path) -> None:
    """As another user, with and without a snapshot beside the table."""
    nobody = 65534 if os.getuid() == 0 else os.getuid()
    expected = f"{len(index.search('red'))}\n"
    with tempfile.TemporaryDirectory() as scratch:  # other users may not look into pytest's
        public = Path(scratch)
        for name, left_out in (("whole", ""), ("bare", "snapshot-*")):
            shutil.copytree(index.address, public / name, ignore=shutil.ignore_patterns(left_out))
        shutil.copytree(sieve, public / "sieve")
        for place in [public, *public.rglob("*")]:
            place.chmod(0o555 if place.is_dir() else 0o444)
        public.chmod(0o755)
        (public / "theirs").mkdir()
        os.chown(public / "theirs", nobody, -1)
        code = f"""
import os
from pathlib import Path
import faiss, lancedb, pyarrow.compute
from photosieve.sieve import saved
from photosieve.index.index import Index
from tests.library import fake_by_name
saved.load_encoder = fake_by_name
public = Path({scratch!r})
os.environ["PHOTOSIEVE_CACHE"] = str(public / "theirs")
os.setuid({nobody})
for name in ("whole", "bare"):
    print(len(Index(public / name, public / "sieve").search("red")))
    print(os.listdir(public / "theirs"))
"""
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=False
        )
        assert done.stderr == ""
        assert done.stdout == f"{expected}[]\n{expected}['indexes']\n"
