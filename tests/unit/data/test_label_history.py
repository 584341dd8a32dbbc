"""A history that is damaged in any way stops nothing, and a long one makes nothing slow."""

import json
import os
import time
from pathlib import Path

import pytest

from photosieve.data.label_book import LabelBook
from photosieve.data.label_files import Verdicts
from photosieve.data.label_history import BLOCK_BYTES, LabelHistory
from photosieve.errors import LabelsError

DAMAGE: dict[str, bytes] = {
    "empty": b"",
    "zeros": bytes(5000),
    "not UTF-8": b"\xff\xfe\x00\xd8",
    "binary": os.urandom(3000),
    "cut short": b'{"step": 1, "time": "2026", "undoes": null, "pho',
    "a list": b'["done", "failed"]',
    "a text": b'"done"',
    "a number": b"7",
    "null": b"null",
    "done without a number": b'{"done": null}',
    "done with a list": b'{"done": [1]}',
    "done with a text": b'{"done": "1"}',
    "failed without a change": b'{"failed": 1}',
    "failed twice": b'{"failed": 1}\n{"failed": 1}',
    "a change without photos": b'{"step": 1, "undoes": null}',
    "a change without a step": b'{"undoes": null, "photos": []}',
    "photos of another form": b'{"step": 1, "undoes": null, "photos": [["a"], 3]}',
    "photos as an object": b'{"step": 1, "undoes": null, "photos": {"a.jpg": [1, 2, 3]}}',
    "labels that are numbers": b'{"step": 1, "undoes": null, "photos": [["%s", null, [3]]]}',
    "unprintable labels": b'{"step": 1, "undoes": null, "photos": [["%s", null, ["\\u0000"]]]}',
    "yes and no": b'{"step": 1, "undoes": null, "photos": [["%s", null, {"yes": "x", "no": "x"}]]}',
    "a photo elsewhere": b'{"step": 1, "undoes": null, "photos": [["/etc/passwd", null, ["x"]]]}',
    "an impossible name": b'{"step": 1, "undoes": null, "photos": [["\\u0000", null, ["x"]]]}',
    "a step that is no number": b'{"step": "one", "undoes": null, "photos": []}',
    "undoes a list": b'{"step": 1, "undoes": [], "photos": []}',
    "nested too deeply": b"[" * 100_000,
    "a huge number": b'{"done": 1' + b"0" * 10_000 + b"}",
    "infinity": b'{"step": Infinity, "undoes": null, "photos": []}',
}


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "labels.json").write_text('{"0.jpg": ["old"]}')
    return tmp_path / "a" / "0.jpg"


def book_of(photo: Path) -> LabelBook:
    history = photo.parents[1] / "state" / "history.jsonl"
    return LabelBook(history, {photo.parent: photo.parent})


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_left_out(photo: Path, damage: str) -> None:
    history = photo.parents[1] / "state" / "history.jsonl"
    history.parent.mkdir()
    history.write_bytes(DAMAGE[damage].replace(b"%s", str(photo).encode()))
    assert book_of(photo).labels(photo) == ("old",)
    if damage in {"a photo elsewhere", "an impossible name"}:
        with pytest.raises(LabelsError, match="in no folder of this collection"):
            book_of(photo).undo()
    else:
        assert book_of(photo).undo() is None
    assert book_of(photo).labels(photo) == ("old",)
    book_of(photo).change({photo: ["new"]})
    with history.open("ab") as file:
        file.write(b"\n" + DAMAGE[damage])
    if damage not in {"a photo elsewhere", "an impossible name"}:
        assert book_of(photo).undo() is not None
        assert book_of(photo).labels(photo) == ("old",)


@pytest.mark.parametrize("kind", ["folder", "pipe", "link to itself"])
def test_something_else_than_a_file(photo: Path, kind: str) -> None:
    history = photo.parents[1] / "state" / "history.jsonl"
    history.parent.mkdir()
    if kind == "folder":
        history.mkdir()
    elif kind == "pipe":
        os.mkfifo(history)
    else:
        history.symlink_to(history)
    book = book_of(photo)
    assert book.labels(photo) == ("old",)
    with pytest.raises(LabelsError, match=r"history\.jsonl cannot be written"):
        book.change({photo: ["new"]})
    assert book.labels(photo) == ("old",)


def test_a_line_longer_than_what_is_read_at_once(photo: Path) -> None:
    many = {photo.with_name(f"{number}.jpg"): ["x" * 50] for number in range(3 * 1000)}
    book_of(photo).change(many)
    assert (photo.parents[1] / "state" / "history.jsonl").stat().st_size > 3 * BLOCK_BYTES
    last = LabelHistory(photo.parents[1] / "state" / "history.jsonl").last()
    assert last is not None
    assert last.photos.keys() == many.keys()


@pytest.mark.long
def test_a_change_takes_no_longer_after_many(photo: Path) -> None:
    def seconds() -> float:
        best = 9.0
        for number in range(5):
            started = time.perf_counter()
            book_of(photo).change({photo: [f"label {number}"]})
            best = min(best, time.perf_counter() - started)
        return best

    first = seconds()
    history = photo.parents[1] / "state" / "history.jsonl"
    with history.open("a") as file:
        for step in range(6, 50_000):
            photos = [[str(photo), ["x"], ["y"]]]
            file.write(json.dumps({"step": step, "undoes": None, "photos": photos}) + "\n")
            file.write(json.dumps({"done": step}) + "\n")
    assert seconds() < 2 * first + 0.05
    last = LabelHistory(history).last()
    assert last is not None
    assert last.number == 50_004
    assert last.photos == {photo: (Verdicts(("label 3",)), Verdicts(("label 4",)))}
