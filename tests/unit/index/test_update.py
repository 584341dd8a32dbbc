"""A run can be stopped at any moment, and one bad photo stops nothing."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from photosieve.data.photos import Bytes
from photosieve.encoders.embedding import embed_photos
from photosieve.index import sources
from photosieve.index import update as update_module
from photosieve.index.index import Index
from tests.library import age, counts, embed_after, photo, photos, rows


@pytest.mark.parametrize("seconds", [60.0, 0.0], ids=["in one commit", "one by one"])
def test_contents_that_change_places(
    seconds: float, index: Index, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A is replaced by a new photo, and B gets what A was: nothing of A's old row may be used."""
    monkeypatch.setattr(update_module, "COMMIT_SECONDS", seconds)
    a, b, c = (folder / "house-0" / f"photo-000{digit}.png" for digit in "048")
    old, other = a.read_bytes(), b.read_bytes()
    a.write_bytes(other)
    b.write_bytes(old)
    photo(c, 77)
    assert counts(index) == {"changed": 3}
    assert not index.verify()
    paths = [Path(g.root, p) for g in index.snapshot.groups for p in index.snapshot.paths(g)]
    expected = embed_photos(index.sieve.encoder, paths).features
    np.testing.assert_allclose(index.snapshot.vectors, expected, atol=1e-6)


def stop(stage: str, done: int, _: int) -> None:
    """Interrupt an update after 20 photos."""
    if stage == "indexing" and done == 20:
        raise KeyboardInterrupt


def test_interrupted_it_keeps_what_is_done(index: Index, folder: Path) -> None:
    for number in range(200, 230):
        photo(folder / "house-5" / f"{number}.png", number)

    with pytest.raises(KeyboardInterrupt):
        index.update(None, folder, progress=stop)
    assert len(rows(Index(index.address))) == 60
    assert counts(index) == {"added": 10}


def test_a_first_run_that_is_interrupted_can_be_searched(
    folder: Path, sieve: Path, tmp_path: Path
) -> None:
    with pytest.raises(KeyboardInterrupt):
        Index(tmp_path / "first").update(sieve, folder, progress=stop)
    assert Index(tmp_path / "first").search("red").looked_at == 20


@pytest.mark.long
def test_a_full_disk(index: Index, folder: Path, sieve: Path) -> None:
    for number in range(200, 260):
        photo(folder / "house-5" / f"{number}.png", number)
    before = rows(index)
    code = f"""
import resource, sys
from photosieve.sieve import saved
from tests.library import fake_by_name
from photosieve.index.index import Index
from photosieve.errors import PhotosieveError
saved.load_encoder = fake_by_name
index = Index({index.address!r})
index.store.photos
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
try:
    index.update({str(sieve)!r}, {str(folder)!r})
except PhotosieveError as error:
    sys.exit(str(error))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "the index fails" in done.stderr
    assert "run again" in done.stderr
    assert "Traceback" not in done.stderr
    assert rows(Index(index.address)) == before
    assert counts(index) == {"added": 60}


KILLS = 4


@pytest.mark.kill
@pytest.mark.parametrize(
    "kill", [*range(KILLS), *(pytest.param(k, marks=pytest.mark.slow) for k in range(KILLS, 50))]
)
def test_killed_at_any_moment_the_next_run_goes_on(
    kill: int, index: Index, folder: Path, sieve: Path, tmp_path: Path
) -> None:
    """In the midst of new, changed, moved and deleted photos; every third time, of a compaction."""
    for number in range(200, 260):
        photo(folder / "house-5" / f"{number}.png", number)
    photo(folder / "house-0" / "photo-0004.png", 99)
    (folder / "house-1").rename(folder / "house-7")
    (folder / "house-0" / "photo-0016.png").unlink()
    job = "compact" if kill % 3 == 2 else "update"
    command = [sys.executable, "-m", "tests.library", index.address, str(sieve), str(folder)]
    with subprocess.Popen([*command, "0.05", job], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(np.random.default_rng(kill).uniform(0, 2.0 if job == "update" else 0.5))
        process.kill()
    again = Index(index.address)
    # Whatever is there can be read; 11 of the 40 photos were renamed or deleted.
    assert len(again.search("red", top=500)) >= 29
    again.update(sieve, folder)
    fresh = Index(tmp_path / "fresh")
    fresh.update(sieve, folder)
    assert rows(again) == rows(fresh)
    assert not again.verify()


SLOWLY = """
import sys, time
from tests.library import CountingEncoder, fake_by_name
from photosieve.index.index import Index
from photosieve.sieve import saved

vars(saved)["load_encoder"] = fake_by_name

def bind(folder, max_pixels):
    def embed(photos, load, other):
        for found in CountingEncoder().stream(photos, load, other):
            time.sleep(0.1)
            yield found
            print(time.time(), flush=True)
    return embed

index, sieve, folder = sys.argv[1:]
Index(index).update(sieve, folder, embed=bind)
"""


@pytest.mark.kill
@pytest.mark.long
def test_a_killed_run_loses_less_than_five_seconds(index: Index, folder: Path, sieve: Path) -> None:
    for number in range(200, 300):
        photo(folder / "house-5" / f"{number}.png", number)
    command = [sys.executable, "-c", SLOWLY, index.address, str(sieve), str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        embedded = [float(process.stdout.readline()) for _ in range(70)]
        process.kill()
        killed = time.time()
    long_ago = sum(moment < killed - 5 for moment in embedded)
    assert long_ago >= 5
    assert Index(index.address).store.photos.count_rows() - 40 >= long_ago


def test_bad_photos_are_named_and_not_read_again(
    index: Index, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = folder / "house-0" / "bad.jpg"
    bad.write_bytes(b"no photo")
    shutil.copy(bad, folder / "house-0" / "bad too.jpg")
    (folder / "house-0" / "empty.jpg").touch()
    for path in folder.rglob("*.jpg"):
        age(path)
    first = index.update()
    assert [skip.path.name for skip in first.skipped] == ["bad too.jpg", "bad.jpg", "empty.jpg"]
    assert len({skip.reason for skip in first.skipped}) == 2

    read: list[str] = []
    real = sources.Folder.read

    def note(self: sources.Folder, path: str, max_pixels: int) -> Bytes:
        read.append(path)
        return real(self, path, max_pixels)

    monkeypatch.setattr(sources.Folder, "read", note)
    again = Index(index.address).update()
    assert sorted(map(str, again.skipped)) == sorted(map(str, first.skipped))
    assert read == ["house-0/empty.jpg"]  # that costs nothing
    assert index.status()["unusable"] == 2
    photo(folder.parent / "more" / "p.png", 6)
    assert not index.update(None, folder.parent / "more").skipped
    assert index.status()["unusable"] == 2  # of other folders, what is known stays
    photo(folder / "house-0" / "photo.png", 5)
    (folder / "house-0" / "photo.png").rename(bad)
    mended = index.update(None, folder)
    assert (mended.added, len(mended.skipped)) == (1, 2)


@pytest.mark.long
def test_a_format_is_read_once_its_decoder_is_installed(index: Index, folder: Path) -> None:
    """Named so or not: the advice has to help although the files stay the same."""
    pytest.importorskip("pillow_heif").register_heif_opener()
    for number, name in enumerate(("a.heic", "b.jpg", "c.jpg")):
        with (folder / "house-0" / name).open("wb") as file:
            Image.new("RGB", (32, 32), (200, number // 2, 0)).save(file, "HEIF")  # b is as a
        age(folder / "house-0" / name)
    code = f"""
import sys
sys.modules["pillow_heif"] = None  # as if it were not installed
from photosieve.errors import unread_formats
from photosieve.index.index import Index
from photosieve.sieve import saved
from tests.library import fake_by_name
saved.load_encoder = fake_by_name
for _ in range(2):
    update = Index({index.address!r}).update(None, {str(folder)!r})
    print(update.added, *unread_formats(update.skipped))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    said = "0 3 HEIC files left out: pip install photosieve[heif]\n"
    assert done.stdout == 2 * said, done.stderr
    assert Index(index.address).update(None, folder).added == 3


def test_a_good_photo_that_went_bad_leaves_the_index(index: Index, folder: Path) -> None:
    path = folder / "house-0" / "photo-0000.png"
    path.write_bytes(path.read_bytes()[:50])
    done = index.update()
    assert (done.deleted, done.photos, len(done.skipped)) == (1, 39, 1)
    assert counts(index) == {}


def test_photos_that_change_or_go_while_they_are_read(
    index: Index, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = folder / "house-0"
    photo(house / "growing.png", 80)
    photo(house / "going.png", 81)
    photo(house / "photo-0000.png", 82)
    real = os.fstat

    def grow(descriptor: int) -> os.stat_result:
        status = real(descriptor)
        name = Path(f"/proc/self/fd/{descriptor}")
        if name.exists() and name.resolve().name in ("growing.png", "photo-0000.png"):
            os.utime(name.resolve())
        return status

    with monkeypatch.context() as patch:
        patch.setattr(os, "fstat", grow)
        done = index.update(embed=embed_after(lambda: (house / "going.png").unlink(True)))
    assert (done.added, done.changed, done.deleted, done.photos) == (0, 0, 0, 40)
    assert {skip.path.name: skip.reason for skip in done.skipped} == {
        "growing.png": "it was changed while it was read",
        "photo-0000.png": "it was changed while it was read",
        "going.png": "there is no such file",
    }
    assert counts(index) == {"added": 1, "changed": 1}


@pytest.mark.long
def test_ten_thousand_files_of_which_five_hundred_are_bad(tmp_path: Path, sieve: Path) -> None:
    folder = tmp_path / "listings"
    originals = photos(tmp_path / "originals", 4, groups=1)
    contents = [path.read_bytes() for path in sorted(originals.rglob("*.png"))]
    for number in range(10_000):
        house = folder / f"house-{number // 50}"
        house.mkdir(parents=True, exist_ok=True)
        good = contents[number % 4] + number.to_bytes(4)  # no two are the same
        path = house / f"{number}.png"
        path.write_bytes(good if number % 20 else good[: 60 + number // 1000])
    index = Index(tmp_path / "index")
    done = index.update(sieve, folder)
    assert (done.added, done.photos, len(done.skipped)) == (9_500, 9_500, 500)
    assert all(skip.reason and skip.remedy for skip in done.skipped)
