"""Labels can be changed: whole, with a way back, even when the process is killed."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from photosieve.data.dataset import Dataset
from photosieve.data.label_book import LabelBook
from photosieve.data.label_edits import change_entries
from photosieve.data.label_files import Verdicts
from photosieve.errors import LabelsError

KILLED = """
import sys, itertools
from pathlib import Path
from photosieve.data.label_book import LabelBook
root = Path(sys.argv[1])
book = LabelBook(root / ".state" / "history.jsonl", {root / h: root for h in ("a", "b")})
for number in itertools.count():
    book.change({root / h / f"{p}.jpg": [f"step {number}"] for h in ("a", "b") for p in range(20)})
    print(number, flush=True)
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for house in ("a", "b"):
        for number in range(20):
            (tmp_path / house).mkdir(exist_ok=True)
            (tmp_path / house / f"{number}.jpg").touch()
    return tmp_path


def book_of(root: Path, *houses: str) -> LabelBook:
    return LabelBook(root / ".state" / "history.jsonl", {root / h: root for h in houses})


def test_a_folder_without_labels_gets_a_file(root: Path) -> None:
    book = book_of(root, "a", "b")
    photo = root / "a" / "0.jpg"
    assert book.labels(photo) is None
    book.change({photo: ["sofa ", "sofa", "view"], root / "b" / "1.jpg": []})
    assert json.loads((root / "a" / "labels.json").read_text()) == {"0.jpg": ["sofa", "view"]}
    assert book.labels(photo) == ("sofa", "view")
    assert book.labels(root / "b" / "1.jpg") == ()
    assert book.counts() == {"sofa": 1, "view": 1}
    found = Dataset.load(root)
    assert found.counts() == {"sofa": 1, "view": 1}
    assert len(found) == 2


def test_an_existing_file_keeps_its_form_its_order_and_its_other_entries(root: Path) -> None:
    file = root / "train_labels.json"
    file.write_text('{"b/3.jpg": "sofa, view", "gone.jpg": ["x"], "a/0.jpg": ["Küche"]}')
    book = book_of(root, "a", "b")
    assert book.labels(root / "b" / "3.jpg") == ("sofa", "view")
    book.change({root / "a" / "0.jpg": ["bath"], root / "a" / "1.jpg": ["bath"]})
    assert file.read_text() == (
        '{"b/3.jpg": "sofa, view", "gone.jpg": ["x"], "a/0.jpg": ["bath"], "a/1.jpg": ["bath"]}'
    )
    book.change({root / "a" / "0.jpg": None})
    assert "a/0.jpg" not in file.read_text()
    assert not (root / "a" / "labels.json").exists()


def test_a_csv_file_stays_one(root: Path) -> None:
    (root / "a" / "labels.csv").write_text('photo,labels\n0.jpg,"sofa, view"\n')
    book = book_of(root, "a")
    book.change({root / "a" / "1.jpg": ["bath", "tub"]})
    assert (root / "a" / "labels.csv").read_text() == (
        'photo,labels\n0.jpg,"sofa, view"\n1.jpg,"bath, tub"\n'
    )
    assert Dataset.load(root / "a").labels == (("sofa", "view"), ("bath", "tub"))


def test_steps_are_taken_back_one_by_one_in_another_process_too(root: Path) -> None:
    photo = root / "a" / "0.jpg"
    book = book_of(root, "a")
    for labels in (["one"], ["two"], []):
        book.change({photo: labels})
    for expected in (("two",), ("one",), None):
        step = book_of(root, "a").undo()
        assert step is not None
        assert book.labels(photo) == expected
    assert book.undo() is None
    book.change({photo: ["three"]})
    book.undo()
    assert book.labels(photo) is None


def test_changes_from_elsewhere_are_seen_and_not_taken_back(root: Path) -> None:
    photo, file = root / "a" / "0.jpg", root / "a" / "labels.json"
    book = book_of(root, "a")
    book.change({photo: ["one"]})
    file.write_text('{"0.jpg": ["other"], "1.jpg": []}')
    assert book.labels(photo) == ("other",)
    with pytest.raises(LabelsError, match=r"0\.jpg: its labels were changed elsewhere"):
        book.undo()
    book.change({root / "a" / "1.jpg": ["x"]})
    assert json.loads(file.read_text()) == {"0.jpg": ["other"], "1.jpg": ["x"]}


def test_labels_and_places_that_cannot_be(root: Path) -> None:
    book = book_of(root, "a")
    with pytest.raises(LabelsError, match="empty label"):
        book.change({root / "a" / "0.jpg": ["sofa", " "], root / "a" / "1.jpg": ["sofa"]})
    with pytest.raises(LabelsError, match="unprintable"):
        book.change({root / "a" / "0.jpg": ["so\0fa"]})
    with pytest.raises(LabelsError, match="in no folder of this collection"):
        book.change({root / "b" / "0.jpg": ["sofa"]})
    assert not (root / "a" / "labels.json").exists()


def test_a_file_that_would_hide_others_is_not_made(root: Path) -> None:
    (root / "photo.jpg").touch()
    (root / "a" / "labels.json").write_text('{"0.jpg": ["sofa"]}')
    book = LabelBook(root / "h.jsonl", {root / "a": root, root: root})
    with pytest.raises(LabelsError, match="would hide"):
        book.change({root / "photo.jpg": ["sofa"]})
    assert not (root / "labels.json").exists()


def test_photos_for_testing_are_apart(root: Path) -> None:
    (root / "b" / "test_labels.json").write_text('{"0.jpg": ["sofa"]}')
    book = book_of(root, "a", "b")
    book.change({root / "a" / "0.jpg": ["Sofa"], root / "a" / "1.jpg": ["sofa"]})
    assert book.is_test(root / "b" / "5.jpg")
    assert not book.is_test(root / "a" / "5.jpg")
    groups = {root / h / f"{n}.jpg": h for h in ("a", "b") for n in range(20)}
    test, train = book.dataset(test=True, groups=groups), book.dataset(test=False, groups=groups)
    assert test is not None
    assert train is not None
    assert test.photos == (root / "b" / "0.jpg",)
    assert train.counts() == {"Sofa": 2}
    assert set(train.groups) == {"a"}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written(root: Path) -> None:
    (root / "a").chmod(0o500)
    with pytest.raises(LabelsError, match="cannot be written"):
        book_of(root, "a").change({root / "a" / "0.jpg": ["x"]})


def test_a_step_that_was_noted_is_carried_out_by_the_next(root: Path) -> None:
    """Of two files one is written when the power goes."""
    photos = [root / house / "0.jpg" for house in ("a", "b")]
    history = root / ".state" / "history.jsonl"
    book = book_of(root, "a", "b")
    book.change(dict.fromkeys(photos, ("one",)))
    before = (root / "b" / "labels.json").read_bytes()
    book.change(dict.fromkeys(photos, ("two",)))
    (root / "b" / "labels.json").write_bytes(before)
    text = history.read_text().rstrip()
    assert text.endswith('{"done": 2}')
    history.write_text(text.removesuffix('{"done": 2}'))
    read = [json.loads((root / house / "labels.json").read_text())["0.jpg"] for house in "ab"]
    assert sorted(read) == [["one"], ["two"]]
    again = book_of(root, "a", "b")
    assert [again.labels(photo) for photo in photos] == [("two",)] * 2
    assert again.undo() is not None
    assert [again.labels(photo) for photo in photos] == [("one",)] * 2


def test_a_photo_that_is_listed_twice_is_listed_once_when_it_changes(root: Path) -> None:
    file = root / "a" / "labels.json"
    file.write_text('{"0.jpg": ["one"], "1.jpg": ["x"], "0.jpg": ["two"]}')
    book = book_of(root, "a")
    assert book.labels(root / "a" / "0.jpg") == ("one", "two")
    book.change({root / "a" / "0.jpg": ["three"]})
    assert file.read_text() == '{"0.jpg": ["three"], "1.jpg": ["x"]}'


def test_entries_that_no_text_can_hold_stay(root: Path) -> None:
    """JSON may name half of a character, which cannot be written as UTF-8."""
    file = root / "a" / "labels.json"
    file.write_text('{"\\ud800.jpg": ["x"], "k\u00fcche.jpg": ["y"]}', "utf-8")
    book_of(root, "a").change({root / "a" / "0.jpg": ["one"]})
    assert file.read_text("utf-8") == (
        '{"\\ud800.jpg": ["x"], "k\u00fcche.jpg": ["y"], "0.jpg": ["one"]}'
    )


def test_a_labels_file_keeps_its_permissions(root: Path) -> None:
    file = root / "a" / "labels.json"
    file.write_text("{}")
    file.chmod(0o640)
    book_of(root, "a", "b").change({root / h / "0.jpg": ["one"] for h in ("a", "b")})
    assert file.stat().st_mode & 0o777 == 0o640
    assert (root / "b" / "labels.json").stat().st_mode & 0o777 == 0o644


def test_a_file_that_cannot_be_written_leaves_nothing_behind(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "a" / "labels.json").write_text('{"0.jpg": ["one"]}')
    book = book_of(root, "a")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(LabelsError, match=r"cannot be written \(No space left on device\)"):
            change_entries(root / "a" / "labels.json", {"0.jpg": Verdicts(("two",))})
        with pytest.raises(LabelsError, match=r"cannot be written .* nothing was changed"):
            book.change({root / "a" / "0.jpg": ["two"]})
    assert book.labels(root / "a" / "0.jpg") == ("one",)
    assert [p.name for p in (root / "a").iterdir() if p.suffix != ".jpg"] == ["labels.json"]


def test_a_step_that_fails_is_as_if_it_had_never_been(root: Path) -> None:
    """One of two folders is gone for a while: neither changes, and all goes on without it."""
    photos = [root / house / "0.jpg" for house in ("a", "b")]
    book = book_of(root, "a", "b")
    book.change(dict.fromkeys(photos, ("one",)))
    away = (root / "b").rename(root / "away")
    with pytest.raises(LabelsError, match="cannot be written"):
        book.change(dict.fromkeys(photos, ("two",)))
    away.rename(root / "b")
    again = book_of(root, "a", "b")
    assert [again.labels(photo) for photo in photos] == [("one",)] * 2
    again.change({photos[0]: ["three"]})
    assert again.labels(photos[0]) == ("three",)
    for expected in (("one",), None):
        assert again.undo() is not None
        assert again.labels(photos[0]) == expected
    assert again.undo() is None


def test_an_exact_entry_stays_exact_and_steps_are_taken_back(root: Path) -> None:
    file, photo = root / "a" / "labels.json", root / "a" / "0.jpg"
    text = '{"yes": ["bed"], "by": "Ann", "no": ["sofa", "tub"]}'
    file.write_text(f'{{"0.jpg": {text}}}')
    book = book_of(root, "a")
    book.change({photo: ["Sofa", "lamp"]})
    assert book.labels(photo) == ("Sofa", "lamp")
    assert json.loads(file.read_text())["0.jpg"] == {
        "yes": ["Sofa", "lamp"],
        "by": "Ann",
        "no": ["tub", "bed"],
    }
    assert book_of(root, "a").undo() is not None
    assert file.read_text() == f'{{"0.jpg": {text}}}'


def test_an_entry_becomes_exact_and_plain_again(root: Path) -> None:
    file, photo = root / "a" / "labels.json", root / "a" / "0.jpg"
    book = book_of(root, "a")
    book.change({photo: ["bed"]})
    book.change({photo: Verdicts(("bed",), ("sofa ", "sofa"))})
    assert json.loads(file.read_text()) == {"0.jpg": {"yes": ["bed"], "no": ["sofa"]}}
    assert book.listed() == {photo: Verdicts(("bed",), ("sofa",))}
    with pytest.raises(LabelsError, match=r"0\.jpg has 'BED' as both yes and no"):
        book.change({photo: Verdicts(("bed",), ("BED",))})
    book.undo()
    assert json.loads(file.read_text()) == {"0.jpg": ["bed"]}
    found = book.dataset(test=False, groups={photo: "a"})
    assert found is not None
    assert found.known(["bed", "sofa"]).all()


def test_an_entry_that_cannot_be_used_is_not_taken_for_no(root: Path) -> None:
    file = root / "a" / "labels.json"
    file.write_text('{"0.jpg": {"yes": 7}, "1.jpg": {"yes": ["bed"]}}')
    book = book_of(root, "a")
    assert book.verdicts(root / "a" / "0.jpg") is None
    found = book.dataset(test=False, groups={root / "a" / f"{n}.jpg": "a" for n in range(2)})
    assert found is not None
    assert found.known(["bed", "sofa"]).tolist() == [[True, False]]


@pytest.mark.kill
@pytest.mark.parametrize("steps", [1, 2, 4])
def test_a_killed_process_leaves_whole_steps(root: Path, steps: int) -> None:
    command = [sys.executable, "-c", KILLED, str(root)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for _ in range(steps):
            process.stdout.readline()
        time.sleep(0.003 * steps)
        os.kill(process.pid, signal.SIGKILL)
    book = book_of(root, "a", "b")  # this finishes the change that was begun
    found = {book.labels(root / h / f"{p}.jpg") for h in ("a", "b") for p in range(20)}
    assert len(found) == 1, found
    (labels,) = found
    assert labels is not None
    assert int(labels[0].split()[1]) >= steps - 1
    book.change({root / house / "0.jpg": ["after"] for house in ("a", "b")})
    for house in ("a", "b"):  # nothing but the file is left
        assert [p.name for p in (root / house).iterdir() if p.suffix != ".jpg"] == ["labels.json"]
    assert book_of(root, "a", "b").labels(root / "a" / "0.jpg") == ("after",)


ADDING = """
import sys
from pathlib import Path
from photosieve.data.label_book import LabelBook
root, name = Path(sys.argv[1]), sys.argv[2]
book = LabelBook(root / f".state-{name}" / "history.jsonl", {root / "a": root})
for number in range(20):
    added = f"{name} {number}"
    book.revise([root / "a" / "0.jpg"], lambda _, own: [*(own.yes if own else ()), added])
    book.change({root / "a" / f"{number}.jpg": [added]} if number else {})
    LabelBook(root / f".state-{name}" / "history.jsonl", {root / "a": root})
"""


@pytest.mark.kill
def test_two_indexes_over_the_same_photos_lose_nothing_of_each_other(root: Path) -> None:
    """Each has a history of its own. Both add labels to one photo, and both start again often."""
    processes = [
        subprocess.Popen([sys.executable, "-c", ADDING, str(root), name], stderr=subprocess.PIPE)
        for name in ("one", "two", "two")
    ]
    for process in processes:
        assert process.communicate()[1] == b""
    labels = book_of(root, "a").labels(root / "a" / "0.jpg")
    assert labels is not None
    assert sorted(labels) == sorted(f"{n} {i}" for n in ("one", "two") for i in range(20))
    assert [p.name for p in (root / "a").iterdir() if p.suffix != ".jpg"] == ["labels.json"]


def test_recovery_leaves_later_changes_alone(root: Path) -> None:
    """A change was noted and interrupted; then the same photo got other labels elsewhere."""
    photos = [root / "a" / f"{number}.jpg" for number in range(2)]
    history = root / ".state" / "history.jsonl"
    book_of(root, "a").change(dict.fromkeys(photos, ("one",)))
    book_of(root, "a").change(dict.fromkeys(photos, ("two",)))
    history.write_text(history.read_text().rstrip().removesuffix('{"done": 2}'))
    (root / "a" / "labels.json").write_text('{"0.jpg": ["by hand"], "1.jpg": ["one"]}')
    book = book_of(root, "a")
    assert [book.labels(photo) for photo in photos] == [("by hand",), ("two",)]


def test_recovery_waits_for_the_writer_that_is_at_work(root: Path) -> None:
    """A book that opens between the two files of a change does not carry it out itself."""
    photos = [root / house / "0.jpg" for house in ("a", "b")]
    opened: list[threading.Thread] = []
    book = book_of(root, "a", "b")

    def revised(photo: Path, _: Verdicts | None) -> list[str]:
        if photo == photos[1]:
            opened.append(threading.Thread(target=book_of, args=(root, "a", "b")))
            opened[0].start()
        return ["two"]

    for number in range(5):
        book.revise(photos, revised)
        opened.pop().join()
        book.change({photo: [f"three {number}"] for photo in photos})
        assert {book.labels(photo) for photo in photos} == {(f"three {number}",)}


def test_a_change_that_cannot_be_recovered_blocks_no_other(root: Path) -> None:
    photos = [root / house / "0.jpg" for house in ("a", "b")]
    history = root / ".state" / "history.jsonl"
    book_of(root, "a", "b").change(dict.fromkeys(photos, ("one",)))
    book_of(root, "a", "b").change(dict.fromkeys(photos, ("two",)))
    history.write_text(history.read_text().rstrip().removesuffix('{"done": 2}'))
    (root / "b" / "labels.json").write_text('{"0.jpg": ["one"')
    book = book_of(root, "a", "b")
    assert book.labels(photos[0]) == ("one",)  # of the change, all or nothing
    book.change({photos[0]: ["three"]})
    assert book_of(root, "a", "b").labels(photos[0]) == ("three",)


def test_threads_that_read_a_file_first_at_the_same_time_see_all_of_it(root: Path) -> None:
    entries = {f"{number}.jpg": ["sofa"] for number in range(20)}
    (root / "a" / "labels.json").write_text(json.dumps(entries))
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as pool:
            for _ in range(5):
                seen = list(pool.map(LabelBook.counts, [book_of(root, "a")] * 4))
                assert seen == [{"sofa": 20}] * 4
    finally:
        sys.setswitchinterval(before)


def test_an_entry_in_another_spelling_is_that_of_the_photo(tmp_path: Path) -> None:
    photo = tmp_path / "a" / unicodedata.normalize("NFD", "Küche.JPG")
    photo.parent.mkdir()
    photo.touch()
    file = photo.parent / "labels.json"
    file.write_text('{"Küche.jpg": ["kitchen"]}', "utf-8")
    book = book_of(tmp_path, "a")
    assert book.labels(photo) == ("kitchen",)
    assert list(book.listed()) == [photo]
    book.change({photo: ["sofa"]})
    assert json.loads(file.read_text("utf-8")) == {"Küche.jpg": ["sofa"]}
