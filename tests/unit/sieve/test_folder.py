"""A sieve's folder is written whole or not at all, and nothing altered is read."""

import hashlib
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from numpy.typing import NDArray

from photosieve import storage
from photosieve.errors import SieveError, UsageError
from photosieve.sieve import folder as sieve_folder
from photosieve.sieve.folder import ARRAY_TABLES, MANIFEST, Contents, check_target, read

HEAD, OUT_OF_FOLD = "head.safetensors", "out_of_fold.safetensors"

ARRAYS: dict[str, NDArray[Any]] = {
    "scores": np.eye(3)[:, ::-1],
    "none": np.zeros((0, 2), np.float32),
}


def saved(note: str = "first") -> Contents:
    head = {"photo": np.arange(6, dtype=np.float32).reshape(2, 3).T}
    return Contents(
        {"note": note},
        {"head": head, "probe": {}, "background": {}, "out_of_fold": ARRAYS, "hidden_words": {}},
    )


def write(folder: Path, what: Contents) -> None:
    with sieve_folder.draft(folder) as draft:
        sieve_folder.write(draft, what)


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def change_manifest(folder: Path, **changes: Any) -> None:
    manifest = json.loads((folder / MANIFEST).read_text("utf-8"))
    (folder / MANIFEST).write_text(json.dumps(manifest | changes), "utf-8")


@pytest.fixture
def sieve(tmp_path: Path) -> Path:
    write(tmp_path / "sieve", saved())
    return tmp_path / "sieve"


def test_what_is_written_is_read(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folders" / "sieve"
    write(folder, saved())
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        [MANIFEST, "README.md", *(f"{name}.safetensors" for name in ARRAY_TABLES)]
    )
    back = read(folder)
    assert back.manifest["note"] == "first"
    assert_array_equal(back.tables["head"]["photo"], saved().tables["head"]["photo"])
    assert back.tables["out_of_fold"].keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert_array_equal(back.tables["out_of_fold"][name], array)
        assert back.tables["out_of_fold"][name].dtype == array.dtype


def test_form_3_has_no_probe(sieve: Path) -> None:
    (sieve / "probe.safetensors").unlink()
    files = json.loads((sieve / MANIFEST).read_text("utf-8"))["files"]
    del files["probe.safetensors"]
    change_manifest(sieve, files=files)
    with pytest.raises(SieveError, match="the list of files is damaged"):
        read(sieve)
    change_manifest(sieve, format=3)
    assert read(sieve).tables["probe"] == {}


def test_an_older_sieve_is_replaced(sieve: Path) -> None:
    (sieve / "of-its-model.safetensors").touch()
    write(sieve, saved("second"))
    assert read(sieve).manifest["note"] == "second"
    assert not (sieve / "of-its-model.safetensors").exists()
    assert [path.name for path in sieve.parent.iterdir()] == ["sieve"]


def test_files_of_the_user_stay_when_a_sieve_is_saved_again(sieve: Path) -> None:
    (sieve / "notes.txt").write_text("precious")
    (sieve / ".git").mkdir()
    (sieve / ".git" / "HEAD").write_text("ref")
    (sieve / "training.json").write_text("how it went")
    change_manifest(sieve, training=1)
    again = saved("tuned")
    write(sieve, Contents({**again.manifest, "training": 1}, again.tables))
    assert (sieve / "training.json").read_text() == "how it went"
    write(sieve, saved("trained again"))
    assert not (sieve / "training.json").exists()  # it tells of another training
    assert (sieve / "notes.txt").read_text() == "precious"
    assert (sieve / ".git" / "HEAD").read_text() == "ref"
    assert set(json.loads((sieve / MANIFEST).read_text("utf-8"))["files"]) == {
        f"{name}.safetensors" for name in ARRAY_TABLES
    }


def test_a_sieve_that_is_saved_while_it_is_read_is_read_whole(sieve: Path) -> None:
    done = threading.Event()

    def save() -> None:
        for number in range(20):
            head = {"photo": np.full((200, 200), number, np.float32)}
            again = saved(str(number))
            write(sieve, Contents(again.manifest, {**again.tables, "head": head}))
        done.set()

    writer = threading.Thread(target=save)
    writer.start()
    while not done.is_set():
        found = read(sieve)
        if found.manifest["note"] != "first":
            assert found.tables["head"]["photo"][0, 0] == float(found.manifest["note"])
    writer.join()


def test_what_killed_trainings_left_is_removed_before_the_next_one(sieve: Path) -> None:
    for place in (sieve, sieve.with_name("new")):
        left = place.with_name(f".{place.name}-0123456789ab")
        left.mkdir()
        (left / HEAD).write_bytes(b"half")
        check_target(place)
        assert not left.exists()
    (sieve.parent / ".sieve-backup").mkdir()  # somebody else's
    check_target(sieve)
    assert (sieve.parent / ".sieve-backup").exists()


def test_an_empty_folder_may_become_a_sieve(tmp_path: Path) -> None:
    (tmp_path / "sieve").mkdir()
    write(tmp_path / "sieve", saved())
    assert read(tmp_path / "sieve").manifest["note"] == "first"


@pytest.mark.parametrize("name", ["photos", "photos/a.jpg"])
def test_other_folders_and_files_are_not_overwritten(name: str, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").write_bytes(b"precious")
    before = contents(tmp_path)
    for refuse in (check_target, lambda folder: write(folder, saved())):
        with pytest.raises(UsageError, match="there is something else than a sieve here"):
            refuse(tmp_path / name)
    assert contents(tmp_path) == before


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=r"the sieve cannot be saved here \(\w.*\); choose"):
        write(tmp_path / "file" / "sieve", saved())


def full_disk(*_: Any) -> None:
    raise OSError(28, "No space left on device")


def interrupted(*_: Any) -> None:
    raise KeyboardInterrupt


def second_rename_fails(original: Callable[[Path, Path], Path]) -> Callable[[Path, Path], Path]:
    """A rename that fails where the new folder is to take the old one's place."""

    failures = [OSError(28, "No space left on device")]

    def rename(self: Path, target: Path) -> Path:
        if target.name == "sieve" and failures:
            raise failures.pop()
        return original(self, target)

    return rename


@pytest.mark.parametrize("moment", ["arrays", "interrupted", "description", "exchange"])
def test_a_save_that_fails_leaves_the_old_sieve_and_no_litter(
    moment: str, sieve: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents(sieve.parent)
    new = saved("second")
    match moment:
        case "arrays":
            monkeypatch.setattr(sieve_folder, "save_file", full_disk)
        case "interrupted":
            monkeypatch.setattr(sieve_folder, "save_file", interrupted)
        case "description":
            new = Contents({"note": float("nan")}, new.tables)
        case "exchange":
            monkeypatch.setattr(storage, "_exchanged", lambda *_: False)
            monkeypatch.setattr(Path, "rename", second_rename_fails(Path.rename))
    expected = {"interrupted": KeyboardInterrupt, "description": ValueError}
    with pytest.raises(expected.get(moment, UsageError)):
        write(sieve, new)
    monkeypatch.undo()
    assert contents(sieve.parent) == before
    assert list(sieve.parent.iterdir()) == [sieve]


def flip_a_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def with_matching_hash(path: Path, data: bytes) -> None:
    """Damage a file and its hash alike: what a careful vandal would do."""
    path.write_bytes(data)
    manifest = json.loads((path.parent / MANIFEST).read_text("utf-8"))
    files = manifest["files"] | {path.name: hashlib.sha256(data).hexdigest()}
    change_manifest(path.parent, files=files)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f: flip_a_bit(f / HEAD), "head.safetensors: the file was altered"),
        (lambda f: flip_a_bit(f / OUT_OF_FOLD), "out_of_fold.safetensors: the file was altered"),
        (lambda f: (f / HEAD).unlink(), "head.safetensors: the file is missing"),
        (lambda f: (f / OUT_OF_FOLD).unlink(), "out_of_fold.safetensors: the file is missing"),
        (lambda f: (f / MANIFEST).unlink(), "there is no sieve here"),
        (lambda f: (f / MANIFEST).write_text('{"format": 1, '), "sieve.json: the file is damaged"),
        (lambda f: (f / MANIFEST).write_bytes(b"\xff\xfe{"), "sieve.json: the file is damaged"),
        (lambda f: (f / MANIFEST).write_text("[" * 10**5), "sieve.json: the file is damaged"),
        (lambda f: (f / MANIFEST).write_text("[]"), "this is not the description of a sieve"),
        (lambda f: change_manifest(f, format="1"), "this is not the description of a sieve"),
        (lambda f: change_manifest(f, format=5), "saved by a newer photosieve; update with"),
        (lambda f: change_manifest(f, format=2), "saved by an older photosieve"),
        (lambda f: change_manifest(f, files={}), "sieve.json: the list of files is damaged"),
        (lambda f: change_manifest(f, files=[]), "sieve.json: the list of files is damaged"),
        (lambda f: with_matching_hash(f / HEAD, b""), "head.safetensors: cannot be read"),
        (lambda f: with_matching_hash(f / HEAD, b"\xff" * 99), "head.safetensors: cannot be read"),
    ],
)
def test_what_is_damaged_is_refused_in_a_sentence(
    damage: Callable[[Path], object], message: str, sieve: Path
) -> None:
    damage(sieve)
    with pytest.raises(SieveError, match=message) as caught:
        read(sieve)
    assert str(sieve) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["nothing", "file", "file/inside"])
def test_a_place_without_a_sieve(name: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SieveError, match=r"there is no sieve here.*photosieve train"):
        read(tmp_path / name)
