"""A data set says in a sentence for each kind what of it is not used, and which labels are rare."""

import json
from pathlib import Path

import pytest

from photosieve.data.dataset import Dataset
from photosieve.data.notes import Note, missing_note
from tests.unit.data.buildings import building


def told(dataset: Dataset) -> list[str]:
    return [str(note) for note in dataset.notes]


COMMON = {"a.jpg": ["sofa"], "b.jpg": ["sofa"], "c.jpg": ["sofa"]}


def test_a_data_set_that_is_used_whole_has_no_notes(tmp_path: Path) -> None:
    assert Dataset.load(building(tmp_path, COMMON)).notes == ()


def test_entries_without_a_photo(tmp_path: Path) -> None:
    labels = {**COMMON, "gone.jpg": [], "house/IMG_1.JPEG": ["sofa"]}
    data = Dataset.load(building(tmp_path, labels, *COMMON, "house/IMG_1.jpg"))
    assert told(data) == [
        "2 of 5 entries have no photo, such as house/IMG_1.JPEG; did you mean house/IMG_1.jpg?",
        "1 photo is in no labels file and counts as unlabeled, such as house/IMG_1.jpg",
    ]
    one = Dataset.load(building(tmp_path / "one", {**COMMON, "gone.jpg": []}, *COMMON))
    assert told(one) == ["1 of 4 entries has no photo, such as gone.jpg"]
    assert one.notes[0].to_dict() == {
        "kind": "missing photo",
        "count": 1,
        "message": "1 of 4 entries has no photo, such as gone.jpg",
    }


def test_formats_that_are_not_read(tmp_path: Path) -> None:
    building(tmp_path, COMMON, *COMMON)
    for name in ("x.CR2", "y.cr2", "z.psd"):
        (tmp_path / name).write_bytes(b"II*\0")
    assert told(Dataset.load(tmp_path)) == [
        "2 CR2 files left out: save as JPEG",
        "1 PSD file left out: save as JPEG",
    ]


def test_links_to_other_places(tmp_path: Path) -> None:
    building(tmp_path / "home", COMMON)
    (tmp_path / "home/out.jpg").symlink_to(tmp_path)
    (note,) = Dataset.load(tmp_path / "home").notes
    assert note.fact == "1 photo left out as unusable"
    assert "out.jpg: it is a link to another place; copy the photo here" in str(note)


def test_rare_labels(tmp_path: Path) -> None:
    labels = {**COMMON, "a.jpg": ["sofa", "bed", "tub"], "b.jpg": ["sofa", "bed"]}
    building(tmp_path / "one", labels)
    assert told(Dataset.load(tmp_path)) == [
        "2 labels are on fewer than 3 photos, too few to learn from or to test: bed, tub"
    ]
    building(tmp_path / "two", {"a.jpg": ["bed"]})
    assert told(Dataset.load(tmp_path)) == [
        "2 labels are on fewer than 3 photos or in one building, too few to learn from or to test: "
        "sofa, tub"
    ]
    many = {**COMMON, "a.jpg": ["sofa", *(f"x{n}" for n in range(12))]}
    assert told(Dataset.load(building(tmp_path / "many", many)))[0].endswith("x8, x9 and 2 more")


def test_notes_of_training_are_not_about_test_buildings(tmp_path: Path) -> None:
    building(tmp_path / "one", {**COMMON, "gone.jpg": []}, *COMMON, file="train_labels.json")
    test = {"a.jpg": ["tub"], "lost.jpg": [], "gone.jpg": []}
    building(tmp_path / "two", test, "a.jpg", "new.jpg", file="test_labels.json")
    data = Dataset.load(tmp_path, training=True)
    assert told(data) == [
        "1 of 4 entries has no photo, such as gone.jpg",
        "left out of training, as for testing (test_labels.json): 1 building",
    ]
    assert data.unlisted == ()
    assert data.select([0]).notes == ()


def test_a_note_survives_json_and_a_terminal() -> None:
    note = missing_note(2, 5, "a\x1b[2J\n\udcff.jpg")
    assert str(note) == "2 of 5 entries have no photo, such as a\ufffd[2J\ufffd\ufffd.jpg"
    assert Note.from_dict(json.loads(json.dumps(vars(note)))) == note
    with pytest.raises(KeyError):
        Note.from_dict({"kind": "missing photo"})


def test_a_photo_in_another_format_may_be_meant(tmp_path: Path) -> None:
    building(tmp_path, {**COMMON, "IMG_7.jpg": []}, *COMMON)
    (tmp_path / "IMG_7.psd").write_bytes(b"8BPS")
    assert "such as IMG_7.jpg; did you mean IMG_7.psd?" in told(Dataset.load(tmp_path))[0]


def test_folders_without_a_labels_file(tmp_path: Path) -> None:
    building(tmp_path / "one", COMMON)
    building(tmp_path / "two", {}, "a.jpg", file="notes.txt")
    assert told(Dataset.load(tmp_path)) == [
        f"1 folder has no labels file and counts as unlabeled, such as {tmp_path / 'two'}"
    ]
