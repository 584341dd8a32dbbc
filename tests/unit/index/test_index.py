"""An index holds what its folders hold, and answers as a search in the folders would."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest

from photosieve.data.photos import Bytes
from photosieve.decision.cut import Cut
from photosieve.encoders.embedding import embed_photos, embed_texts, photo_features
from photosieve.encoders.protocol import Float32Array
from photosieve.encoders.words import general_words
from photosieve.errors import PhotoIndexError, UsageError
from photosieve.index import neighbors as ann
from photosieve.index import snapshot, store
from photosieve.index import sources as roots_module
from photosieve.index import update as update_module
from photosieve.index.candidates import candidates
from photosieve.index.index import Index
from photosieve.index.lock import writing
from photosieve.sieve import saved as storage
from photosieve.sieve.scorer import matches
from photosieve.sieve.sieve import Sieve
from photosieve.sieve.untrained import untrained
from photosieve.storage import CACHE
from photosieve.training.features import Prepared
from photosieve.training.recipes import get_recipe
from photosieve.training.run import Run
from tests.conftest import QUICK, FakeEncoder
from tests.library import CountingEncoder, age, fake_by_name, photo, photos, rows

QUERIES = ("red", "blue", "garden", "word 3", "red -blue", "red + blue", "red|blue")


@pytest.fixture(scope="session")
def sieve(prepared: Prepared, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved sieve of the fake encoder."""
    folder = tmp_path_factory.mktemp("sieves") / "sieve"
    Sieve.fit_prepared(FakeEncoder(), prepared, Run(QUICK)).save(folder)
    return folder


@pytest.fixture(autouse=True)
def _by_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(storage, "load_encoder", fake_by_name)
    monkeypatch.setenv(CACHE, str(tmp_path / "cache"))
    CountingEncoder.embedded.clear()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return photos(tmp_path / "listings", 40)


@pytest.fixture
def index(folder: Path, sieve: Path, tmp_path: Path) -> Index:
    found = Index(tmp_path / "index")
    assert found.update(sieve, folder).added == 40
    CountingEncoder.embedded.clear()
    return found


def counts(index: Index, *folders: Path, **options: object) -> dict[str, int]:
    """What an update did, without what did not happen."""
    done = index.update(None, *folders, **options).to_dict()  # type: ignore[arg-type]
    assert done["photos"] == len(rows(index))
    names = ("added", "changed", "moved", "deleted")
    return {name: done[name] for name in names if done[name]}


# What it answers


@pytest.mark.parametrize("query", QUERIES)
@pytest.mark.parametrize("top", [None, 3])
def test_it_answers_as_the_folders_do(
    index: Index, folder: Path, sieve: Path, query: str, top: int | None
) -> None:
    loaded = Sieve.load(sieve)
    for found, wanted in (
        (index.search(query, top=top), loaded.search(query, folder, top=top)),
        (
            index.search(query, top=top, within=["house-1", "house-3"]),
            loaded.search(query, folder / "house-1", folder / "house-3", top=top),
        ),
    ):
        assert [hit.path for hit in found] == [hit.path for hit in wanted]
        assert [hit.reason for hit in found] == [hit.reason for hit in wanted]
        np.testing.assert_allclose(
            [hit.probability for hit in found], [hit.probability for hit in wanted], atol=1e-5
        )
        assert found.left_out == len(wanted.hidden)
        assert found.looked_at == wanted.looked_at
        assert found.best_hidden == pytest.approx(wanted.best_hidden, abs=1e-5)


def test_something_is_found(index: Index) -> None:
    found = index.search("red")
    assert 8 <= len(found) <= 12
    assert all(int(hit.path.stem[-4:]) % 4 == 0 for hit in found)
    assert not index.search("word 3").hits
    assert len(index.search("red", top=3)) == 3
    assert found.explain()["photos"]


def test_a_group_and_those_below_it(tmp_path: Path, sieve: Path) -> None:
    for number, name in enumerate(("", "a/", "a/b/", "a/b/c/", "ab/")):
        photo(tmp_path / "listings" / f"{name}p{number}.png", 4 * number)
    found = Index(tmp_path / "index")
    found.update(sieve, tmp_path / "listings")

    def names(*within: str) -> set[str]:
        result = found.search("red", within=within, top=9)
        return {hit.path.name for hit in result}

    assert names() == {"p0.png", "p1.png", "p2.png", "p3.png", "p4.png"}
    assert names("a") == {"p1.png", "p2.png", "p3.png"}
    assert names("a/b/") == {"p2.png", "p3.png"}
    assert names("listings", "ab") == {"p0.png", "p4.png"}
    with pytest.raises(UsageError, match=r'no group "a/d" in the index; near are: .*a/b'):
        found.search("red", within=["a/d"])


def test_wrong_questions(index: Index, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="top must be 1 or more"):
        index.search("red", top=0)
    with pytest.raises(UsageError, match="the query is empty"):
        index.search(" ")
    with pytest.raises(UsageError, match=r'"price < 3" cannot be used .*columns are root, path'):
        index.search("red", where="price < 3")
    with pytest.raises(UsageError, match="cannot be used"):
        index.search("red", where="width <<< 3")
    with pytest.raises(PhotoIndexError, match="there is no index here; make one with"):
        Index(tmp_path / "none").search("red")
    assert not (tmp_path / "none").exists()
    with pytest.raises(PhotoIndexError, match="there is no index here"):
        Index(tmp_path / "none").update(None)


def test_another_cut_than_the_learned_one(index: Index) -> None:
    every = {hit.path: hit.probability for hit in index.search("red", top=40)}
    for threshold in (0.0, 0.3, 0.9, 1.0):
        found = index.search("red", cut=Cut.threshold(threshold))
        kept = {path for path, probability in every.items() if probability >= threshold}
        assert {hit.path for hit in found} == kept
        assert found.cut == Cut.threshold(threshold)


@pytest.mark.parametrize("query", QUERIES)
def test_all_that_can_reach_the_cut_is_looked_at(index: Index, query: str) -> None:
    """Whichever of gate and floor is lower; and hardly anything else."""
    scorer, vectors = index.sieve.scorer, index.snapshot.vectors
    readings = scorer.read(query)
    terms = tuple(reading.term for reading in readings)
    values = matches(terms, scorer.probabilities(readings, vectors))
    low, high = np.sort(values)[[10, 30]]
    for cut in (Cut(low, high), Cut(high, low), Cut(high, high)):
        found = candidates(vectors, scorer, readings, cut, rows=slice(None), beside=0)
        reached = np.flatnonzero(values >= min(cut.gate, cut.floor))
        assert set(reached.tolist()) <= set(found.tolist())
        assert len(found) <= len(reached) + 1


def test_as_many_of_the_others_as_asked_for(index: Index) -> None:
    found = index.search("red", hidden=40)
    assert len(found) + len(found.hidden) == 40
    for count in (1, 5):
        few = index.search("red", hidden=count)
        assert [hit.path for hit in few.hidden] == [hit.path for hit in found.hidden[:count]]
        assert few.left_out == found.left_out


def test_an_empty_scope(index: Index) -> None:
    found = index.search("red", where="width > 1000")
    assert (len(found), found.left_out, found.best_hidden) == (0, 0, None)


# What it holds after its folders have changed


def test_nothing_new_costs_nothing(
    index: Index, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stamp = index.snapshot.stamp
    again = Index(index.address)
    monkeypatch.setitem(sys.modules, "lancedb", None)  # not even the table is opened
    assert counts(again, folder) == {}
    assert again.snapshot.stamp == stamp
    assert not CountingEncoder.embedded


def test_every_kind_of_change(index: Index, folder: Path, sieve: Path, tmp_path: Path) -> None:
    house = folder / "house-0"
    os.utime(house / "photo-0000.png")  # touched
    photo(house / "photo-0004.png", 99)  # changed
    age(house / "photo-0004.png")
    (house / "photo-0008.png").rename(house / "new name.png")
    shutil.copy2(house / "photo-0012.png", house / "copy.png")
    (house / "photo-0016.png").unlink()
    photo(folder / "house-9" / "new.png", 100)
    photo(folder / "house-9" / "same as new.png", 100)
    (folder / "house-1").rename(folder / "house-7")
    assert counts(index) == {"changed": 1, "moved": 11, "added": 3, "deleted": 1}
    assert len(CountingEncoder.embedded) == 2
    fresh = Index(tmp_path / "fresh")
    fresh.update(sieve, folder)
    assert rows(index) == rows(fresh)
    assert [hit.path for hit in index.search("red")] == [hit.path for hit in fresh.search("red")]


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


def test_a_change_within_the_clocks_tick_is_seen(tmp_path: Path, sieve: Path) -> None:
    path = tmp_path / "listings" / "p.bmp"
    photo(path, 0)
    index = Index(tmp_path / "index")
    index.update(sieve, path.parent)
    before = path.stat()
    photo(path, 1)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size
    assert counts(index) == {"changed": 1}


def test_a_clock_that_goes_backwards(
    index: Index, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "time_ns", lambda: 10**18)
    path = folder / "house-0" / "photo-0000.png"
    photo(path, 55)  # its time lies years ahead now
    assert counts(index) == {"changed": 1}
    photo(path, 56)
    age(path, 10**6)  # and goes back
    assert counts(index) == {"changed": 1}
    assert counts(index) == {}


def test_folders_come_and_go(index: Index, folder: Path, tmp_path: Path) -> None:
    other = photos(tmp_path / "more", 8)
    assert counts(index, other) == {"added": 8}
    assert len(rows(index)) == 48
    shutil.rmtree(other)
    with pytest.raises(UsageError, match="does not exist"):
        index.update(None, other)
    other.mkdir()
    with pytest.raises(UsageError, match=r"no photo any more.*is a disk missing.*--prune"):
        index.update(None, other)
    assert len(rows(index)) == 48
    shutil.rmtree(other)
    assert counts(index, other, prune=True) == {"deleted": 8}
    # A folder above one that is there takes its photos over, without embedding them again.
    CountingEncoder.embedded.clear()
    assert counts(index, folder.parent) == {"moved": 40}
    assert not CountingEncoder.embedded
    assert index.status()["folders"] == [str(tmp_path)]
    assert index.search("red", within=["listings/house-0"]).hits
    assert counts(index, folder) == {}  # it is a part of the other
    assert index.status()["folders"] == [str(tmp_path)]


def test_a_folder_that_may_not_be_listed_keeps_its_photos(
    index: Index, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.scandir

    def refuse(path: str) -> object:
        if str(path).endswith("house-2"):
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr("photosieve.data.folders.os.scandir", refuse)
    (folder / "house-1" / "photo-0001.png").unlink()
    done = index.update()
    assert (done.deleted, done.photos) == (1, 39)
    assert [skip.reason for skip in done.skipped] == ["it cannot be listed (Permission denied)"]


# Whose vectors they are


def test_a_retrained_sieve_costs_no_embedding(
    index: Index, prepared: Prepared, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    Sieve.fit_prepared(FakeEncoder(), prepared, Run(get_recipe("notebook"))).save(other)
    before = np.array(index.snapshot.vectors)
    shared = Index(index.address, other)
    assert [h.path for h in shared.search("red", top=40)]
    assert counts(shared) == {}
    assert not CountingEncoder.embedded
    assert not np.allclose(before, shared.snapshot.vectors, atol=1e-3)
    loaded = Sieve.load(other)
    paths = [Path(g.root, p) for g in shared.snapshot.groups for p in shared.snapshot.paths(g)]
    features = photo_features(loaded.encoder, paths).features
    assert np.array_equal(shared.snapshot.vectors, loaded.encoder.head.project_photos(features))
    assert Index(index.address).status()["sieve"] == str(other)


def test_another_model_is_refused(
    index: Index, folder: Path, sieve: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CountingEncoder, "trunk_fingerprint", "another")
    monkeypatch.setattr(CountingEncoder, "fingerprint", "another")
    monkeypatch.setattr(storage, "load_encoder", lambda *_: CountingEncoder())
    description = sieve / "sieve.json"
    text = description.read_text()
    changed = json.loads(text) | {"fingerprint": "another"}
    try:
        description.write_text(json.dumps(changed))
        foreign = Index(index.address, sieve)
        with pytest.raises(PhotoIndexError, match=r"made with another model .* --reencode"):
            foreign.search("red")
        with pytest.raises(PhotoIndexError, match=r"made with another model .* --reencode"):
            foreign.update(sieve, folder)
        assert foreign.update(sieve, folder, reencode=True).added == 40
        assert len(foreign.search("red", top=40)) == 40
    finally:
        description.write_text(text)


def test_a_sieve_that_is_gone(index: Index, folder: Path, sieve: Path, tmp_path: Path) -> None:
    moved = shutil.copytree(sieve, tmp_path / "moved")
    index.update(moved, folder)
    shutil.rmtree(moved)
    with pytest.raises(PhotoIndexError, match=r"moved, which is gone; name another .* --sieve"):
        Index(index.address).search("red")
    assert Index(index.address, sieve).search("red").hits


# Several processes


def test_one_writer_at_a_time(index: Index, folder: Path) -> None:
    with (
        writing(index.address),
        pytest.raises(PhotoIndexError, match="another photosieve is writing"),
    ):
        index.update(None, folder)
    index.update(None, folder)


def test_readers_see_whole_commits_while_one_writes(
    index: Index, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(update_module, "COMMIT_SECONDS", 0.0)
    for number in range(100, 110):
        photo(folder / "house-5" / f"{number}.png", number)
    reader, seen = Index(index.address), []

    def look(stage: str, *_: int) -> None:
        if stage.startswith("indexing"):
            seen.append(reader.search("red").looked_at)

    assert index.update(None, folder, progress=look).added == 10
    assert seen == list(range(40, 50))  # a photo is committed after it is counted
    assert reader.search("red").looked_at == 50


def test_a_reader_that_stays_sees_what_others_write(index: Index, folder: Path) -> None:
    reader = Index(index.address)
    assert reader.search("red", where="width = 16").looked_at == 40
    photo(folder / "house-5" / "new.png", 100)
    index.update()
    assert reader.search("red", where="width = 16").looked_at == 41
    index.compact()
    assert reader.search("red", where="path = 'house-5/new.png'").looked_at == 1


KILLS = 4


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
    assert len(again.search("red", top=500)) >= 30  # whatever is there can be read
    again.update(sieve, folder)
    fresh = Index(tmp_path / "fresh")
    fresh.update(sieve, folder)
    assert rows(again) == rows(fresh)
    assert not again.verify()


def test_interrupted_it_keeps_what_is_done(index: Index, folder: Path) -> None:
    for number in range(200, 230):
        photo(folder / "house-5" / f"{number}.png", number)

    def stop(stage: str, done: int, _: int) -> None:
        if stage == "indexing" and done == 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        index.update(None, folder, progress=stop)
    assert len(rows(Index(index.address))) == 60
    assert counts(index) == {"added": 10}


def test_a_first_run_that_is_interrupted_can_be_searched(
    folder: Path, sieve: Path, tmp_path: Path
) -> None:
    def stop(stage: str, done: int, _: int) -> None:
        if stage == "indexing" and done == 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Index(tmp_path / "first").update(sieve, folder, progress=stop)
    assert Index(tmp_path / "first").search("red").looked_at == 20


def test_a_full_disk(index: Index, folder: Path, sieve: Path) -> None:
    for number in range(200, 260):
        photo(folder / "house-5" / f"{number}.png", number)
    before = rows(index)
    code = f"""
import resource, sys
from photosieve.sieve import saved as storage
from tests.library import fake_by_name
from photosieve.index.index import Index
from photosieve.errors import PhotosieveError
storage.load_encoder = fake_by_name
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


def test_an_index_that_may_only_be_read(index: Index, sieve: Path) -> None:
    """As another user, with and without a snapshot beside the table."""
    nobody = 65534 if os.getuid() == 0 else os.getuid()
    wanted = f"{len(index.search('red'))}\n"
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
from photosieve.sieve import saved as storage
from photosieve.index.index import Index
from photosieve.training.recipes import get_recipe
from photosieve.training.run import Run
from tests.library import fake_by_name
storage.load_encoder = fake_by_name
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
        assert done.stdout == f"{wanted}[]\n{wanted}['indexes']\n"


# Photos that cannot be used


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
    real = roots_module.Folder.read

    def note(self: roots_module.Folder, path: str, max_pixels: int) -> Bytes:
        read.append(path)
        return real(self, path, max_pixels)

    monkeypatch.setattr(roots_module.Folder, "read", note)
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


def test_a_good_photo_that_went_bad_leaves_the_index(index: Index, folder: Path) -> None:
    path = folder / "house-0" / "photo-0000.png"
    path.write_bytes(path.read_bytes()[:50])
    done = index.update()
    assert (done.deleted, done.photos, len(done.skipped)) == (1, 39, 1)
    assert counts(index) == {}


def test_odd_files(tmp_path: Path, sieve: Path) -> None:
    folder = photos(tmp_path / "listings", 4, groups=1)
    house, outside = folder / "house-0", tmp_path / "outside.png"
    photo(outside, 50)
    photo(tmp_path / "far" / "away.png", 51)
    os.mkfifo(house / "pipe.jpg")
    (house / "loop").symlink_to(folder)
    (house / "loop.png").symlink_to("loop.png")
    (house / "inside.png").symlink_to("photo-0000.png")
    (house / "out.png").symlink_to(outside)
    (house / "far").symlink_to(tmp_path / "far")
    with (house / "huge.jpg").open("wb") as file:
        file.truncate(2**30)
    names = ("it's.png", 'a "b".png', "ü ö 漢.png", "two\nlines.png", "per%cent.png")
    for number, name in enumerate(names):
        photo(house / name, 60 + number)
    photo(house / "temporary.png", 70)
    (house / "temporary.png").rename(os.fsdecode(os.fsencode(house) + b"/bad-\xff.png"))
    photo(folder / ".hidden" / "p.png", 71)

    index = Index(tmp_path / "index")
    done = index.update(sieve, folder)
    assert {path for path, _ in rows(index)} == {
        *(f"house-0/{name}" for name in names),
        *(f"house-0/photo-000{number}.png" for number in range(4)),
        "house-0/inside.png",
    }
    reasons = {skip.path.name: skip.reason.partition(" (")[0] for skip in done.skipped}
    assert reasons == {
        "pipe.jpg": "it is not a regular file",
        "loop.png": "it cannot be read",
        "out.png": "it is a link to another place",
        "huge.jpg": "the file has 1,073,741,824 bytes, more than a photo of 64,000,000 pixels "
        "can need",
        "bad-\ufffd.png": "its name is not valid UTF-8",
    }
    assert not index.verify()
    assert {hit.path.name for hit in index.search("red", top=20)} >= {"it's.png", "two\nlines.png"}
    (house / "it's.png").unlink()
    assert counts(index) == {"deleted": 1}

    followed = index.update(None, folder, follow_links=True)
    assert followed.added == 2
    assert {"house-0/out.png", "house-0/far/away.png"} <= {path for path, _ in rows(index)}


def test_a_folder_whose_name_is_no_text(tmp_path: Path, sieve: Path) -> None:
    folder = photos(Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9")), 1)
    with pytest.raises(UsageError, match="caf\ufffd: this name is not valid UTF-8"):
        Index(tmp_path / "index").update(sieve, folder)


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

    def go(self: update_module.Run, entry: object) -> object:
        (house / "going.png").unlink(missing_ok=True)
        return load(self, entry)  # type: ignore[arg-type]

    load = update_module.Run.load
    with monkeypatch.context() as patch:
        patch.setattr("photosieve.data.photos.os.fstat", grow)
        patch.setattr(update_module.Run, "load", go)
        done = index.update()
    assert (done.added, done.changed, done.deleted, done.photos) == (0, 0, 0, 40)
    assert {skip.path.name: skip.reason for skip in done.skipped} == {
        "growing.png": "it was changed while it was read",
        "photo-0000.png": "it was changed while it was read",
        "going.png": "there is no such file",
    }
    assert counts(index) == {"added": 1, "changed": 1}


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


# Columns of the user's


def test_metadata_of_groups_and_photos(index: Index, folder: Path, tmp_path: Path) -> None:
    table = tmp_path / "listing.csv"
    table.write_text("group,price,town\nhouse-0,250000,Ulm\nhouse-1,400000.5,\nhouse-99,1,x\n")
    assert counts(index, folder, metadata=table) == {}

    def found(where: str) -> tuple[int, set[str]]:
        result = index.search("red", where=where, top=99)
        return result.looked_at, {hit.path.parent.name for hit in result}

    assert found("price < 300000") == (10, {"house-0"})
    assert found("price > 0 and width = 16") == (20, {"house-0", "house-1"})
    assert found("town = 'Ulm'") == (10, {"house-0"})
    assert index.search("red", where="price > 0", within=["house-1", "house-2"]).looked_at == 10
    version = index.store.stamp()
    assert counts(index, folder, metadata=table) == {}
    assert index.store.stamp() == version  # nothing to write

    table.write_text("group,price\nhouse-0,350000\n")
    photo(folder / "house-0" / "new.png", 300)
    assert counts(index, folder, metadata=table) == {"added": 1}
    assert found("price = 350000") == (11, {"house-0"})
    assert found("price = 400000.5") == (10, {"house-1"})

    by_photo = tmp_path / "photo.csv"
    by_photo.write_text("photo,rating\nhouse-0/photo-0000.png,5\nhouse-2/photo-0002.png,4\n")
    index.update(None, folder, metadata=by_photo)
    assert found("rating >= 4") == (2, {"house-0", "house-2"})
    assert index.status()["columns"] == ["price", "town", "rating"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "cannot be read as a CSV"),
        ("house,price\na,1\n", 'the first column is "house"; call it "group"'),
        ("group,width\na,1\n", 'the column "width" has a name that an index uses'),
        ("group,price,price\na,1,2\n", 'the column "price" has a name'),
        ("group,price\na,1\na,2\n", "a group stands there twice"),
        ("group,price\na,1,2\n", "cannot be read as a CSV"),
    ],
)
def test_wrong_metadata(index: Index, tmp_path: Path, text: str, message: str) -> None:
    table = tmp_path / "listing.csv"
    table.write_text(text)
    with pytest.raises(UsageError, match=message):
        index.update(None, metadata=table)


def test_a_column_keeps_its_kind(index: Index, tmp_path: Path) -> None:
    table = tmp_path / "listing.csv"
    table.write_text("group,price\nhouse-0,1\n")
    index.update(None, metadata=table)
    table.write_text("group,price\nhouse-0,cheap\n")
    with pytest.raises(UsageError, match='"price" held values of the type int64 so far'):
        index.update(None, metadata=table)


# Keeping it


def test_verify_names_what_is_wrong(index: Index, folder: Path) -> None:
    assert not index.verify()
    changed, gone = (folder / "house-0" / f"photo-000{n}.png" for n in "04")
    photo(changed, 5)
    gone.unlink()
    assert [(p.path.name, p.reason) for p in index.verify()] == [
        ("photo-0000.png", "it has changed since"),
        ("photo-0004.png", "there is no such file"),
    ]


def test_compaction_changes_no_answer(
    index: Index, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(update_module, "COMMIT_SECONDS", 0.0)
    for number in range(300, 312):
        photo(folder / "house-5" / f"{number}.png", number)
    index.update()
    before, files = rows(index), index.store.photos.stats()["fragment_stats"]["num_fragments"]
    assert files > 5
    index.compact()
    assert rows(index) == before
    assert index.store.photos.stats()["fragment_stats"]["num_fragments"] == 1
    assert index.search("red", where="width = 16").looked_at == 52
    assert counts(index) == {}


def test_many_updates_are_compacted_by_themselves(
    index: Index, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("photosieve.index.index.MANY_PARTS", 3)
    for number in range(300, 305):
        photo(folder / "house-5" / f"{number}.png", number)
        index.update()
    assert index.store.photos.stats()["fragment_stats"]["num_fragments"] <= 4
    assert counts(index) == {}


@pytest.mark.parametrize("damage", ["gone", "no notes", "short"])
def test_a_damaged_snapshot_is_made_again(index: Index, damage: str) -> None:
    (found,) = Path(index.address).glob("snapshot-*")
    wanted = [hit.path for hit in index.search("red")]
    if damage == "gone":
        shutil.rmtree(found)
    elif damage == "no notes":
        (found / "snapshot.json").write_text("{")
    else:
        (found / "vectors.npy").write_bytes(b"\x93NUMPY")
    assert [hit.path for hit in Index(index.address).search("red")] == wanted
    Index(index.address).update()
    assert len(list(Path(index.address).glob("snapshot-*"))) == 1
    assert not CountingEncoder.embedded


def test_a_table_of_others_is_refused(tmp_path: Path, sieve: Path) -> None:
    import lancedb
    import pyarrow as pa

    lancedb.connect(tmp_path / "theirs").create_table("photos", pa.table({"x": [1]}))
    with pytest.raises(PhotoIndexError, match="not an index of photosieve"):
        Index(tmp_path / "theirs", sieve).search("red")


def test_a_newer_index_is_refused(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "FORMAT", 0)
    monkeypatch.setattr(snapshot, "FORMAT", 0)
    with pytest.raises(PhotoIndexError, match="made by a newer photosieve"):
        Index(index.address, index._sieve_folder).search("red")


# More photos than are compared one by one


def test_neighbors_are_measured_without_labels_too(
    index: Index, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("photosieve.sieve.untrained.load_encoder", lambda _: CountingEncoder())
    untrained(sorted(folder.rglob("*.png"))).save(tmp_path / "untrained")
    queries: list[Float32Array] = []
    monkeypatch.setattr(ann, "FROM", 20)
    monkeypatch.setattr(ann, "make", lambda _, __, asked, ___: queries.append(asked))
    index.update(tmp_path / "untrained", folder)
    words = general_words()[::20]
    assert np.array_equal(queries[0], embed_texts(CountingEncoder(), words))


def test_neighbors_give_the_exact_answer(
    index: Index, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ann, "FROM", 500)
    monkeypatch.setattr(ann, "_FIRST", 20)
    for number in range(1000, 3000):
        photo(folder / "many" / f"{number}.png", number)
    index.update()
    neighbors = index.snapshot.neighbors
    assert neighbors is not None
    assert neighbors.recall >= ann.RECALL
    assert index.status()["recall"] == neighbors.recall

    def answers() -> list[list[Path]]:
        return [
            [hit.path for hit in index.search(query, top=top)]
            for query in QUERIES
            for top in (None, 5)
        ]

    before = answers()
    (folder / "many" / "1000.png").unlink()
    photo(folder / "many" / "0.png", 5000)  # red: in no list
    index.update()
    carried = index.snapshot.neighbors
    assert carried is not None
    assert carried.loose.tolist() != []
    after = answers()
    monkeypatch.setattr(type(index.snapshot), "neighbors", None)
    assert after == answers()
    assert before != after
    assert folder / "many" / "0.png" in after[0]
