"""A check reports everything that is wrong, and stops at nothing."""

import json
from pathlib import Path

import pytest
from PIL import Image

from photosieve.data.check import CheckReport, check
from photosieve.data.notes import Finding
from photosieve.errors import UsageError


def building(folder: Path, labels: object, photos: dict[str, str], *, file: str) -> Path:
    """A labels file and photos, each of one color; one color is one content."""
    folder.mkdir(parents=True)
    text = labels if isinstance(labels, str) else json.dumps(labels)
    (folder / file).write_text(text)
    for name, color in photos.items():
        Image.new("RGB", (8, 8), color).save(folder / name)
    return folder


def of_kind(report: CheckReport, kind: str) -> list[Finding]:
    return [problem for problem in report.problems if problem.kind == kind]


@pytest.fixture
def messy(tmp_path: Path) -> Path:
    """One of everything, in four buildings."""
    building(
        tmp_path / "train/one",
        '{"a.jpg": ["Sofa", "box"], "a.jpg": ["sofa"], "gone.jpg": ["bed"], "../x.jpg": ["bed"],'
        ' "b.jpg": ["sofa", "boxes", "view"], "c.jpg": 5}',
        {"a.jpg": "red", "b.jpg": "blue", "c.jpg": "green", "unlisted.jpg": "white"},
        file="train_labels.json",
    )
    (tmp_path / "train/one/unlisted.jpg").write_bytes(b"no photo")
    building(tmp_path / "train/two", "{oops", {"a.jpg": "red"}, file="train_labels.json")
    building(
        tmp_path / "test/three",
        {"a.jpg": ["view"], "b.jpg": [], "cut.jpg": ["sofa", "box", "boxes"]},
        {"a.jpg": "red", "b.jpg": "pink", "cut.jpg": "black"},
        file="test_labels.json",
    )
    cut = tmp_path / "test/three/cut.jpg"
    cut.write_bytes(cut.read_bytes()[:-60])
    building(
        tmp_path / "test/four",
        {"b.jpg": ["view", "garden"]},
        {"b.jpg": "pink"},
        file="test_labels.json",
    )
    return tmp_path


def test_every_problem_is_reported(messy: Path) -> None:
    report = check([messy / "train", messy / "test"])
    assert report.counts() == {
        "invalid labels file": 2,
        "unsafe name": 1,
        "duplicate key": 1,
        "missing photo": 1,
        "unlisted photo": 2,
        "similar labels": 2,
        "never trained": 1,
        "rare label": 7,
        "unreadable photo": 2,
        "repeated photo": 2,
    }
    assert report.fatal
    assert (report.photos, report.labels, report.buildings) == (6, 5, 3)
    fatal = [problem.fatal for problem in report.problems]
    assert fatal == sorted(fatal, reverse=True)


def test_a_photo_in_training_and_in_test_is_called_a_leak(messy: Path) -> None:
    leak, copy = of_kind(check([messy / "train", messy / "test"]), "repeated photo")
    assert "is in training and in test" in leak.message
    assert leak.paths == (str(messy / "train/one/a.jpg"), str(messy / "test/three/a.jpg"))
    assert "is in 2 buildings" in copy.message
    assert copy.paths == (str(messy / "test/four/b.jpg"), str(messy / "test/three/b.jpg"))


@pytest.mark.parametrize("names", [("train", "test"), ("training-set", "held-out")])
def test_the_folders_or_the_file_names_tell_training_from_test(
    tmp_path: Path, names: tuple[str, str]
) -> None:
    files = (
        ("labels.json",) * 2 if names[0] == "train" else ("train_labels.json", "test_labels.json")
    )
    for name, file in zip(names, files, strict=True):
        building(tmp_path / name, {"a.jpg": []}, {"a.jpg": "red"}, file=file)
    (problem,) = check([tmp_path / name for name in names]).problems
    assert "is in training and in test" in problem.message


def test_a_photo_twice_in_one_building(tmp_path: Path) -> None:
    labels = {"a.jpg": ["sofa"], "b.jpg": ["sofa"], "c.jpg": ["sofa"]}
    photos = {"a.jpg": "red", "b.jpg": "red", "c.jpg": "blue"}
    (problem,) = check([building(tmp_path / "x", labels, photos, file="labels.json")]).problems
    assert problem.kind == "repeated photo"
    assert "is 2 times in x" in problem.message
    assert not problem.fatal


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (["sofa", "sofas"], True),
        (["Box", "boxes"], True),
        (["balconies", "balcony"], True),
        (["Couch", "COUCHES"], True),
        (["house", "houses"], True),
        (["sofa", "Sofa"], True),
        (["glass", "gla"], False),
        (["bed", "bedroom"], False),
        (["garden", "garage"], False),
    ],
)
def test_similar_labels(tmp_path: Path, labels: list[str], expected: bool) -> None:
    folder = building(
        tmp_path / "x",
        {"a.jpg": labels, "b.jpg": labels[:1], "c.jpg": labels[1:]},
        {"a.jpg": "red", "b.jpg": "blue", "c.jpg": "green"},
        file="labels.json",
    )
    report = check([folder])
    assert report.counts() == ({"similar labels": 1} if expected else {})
    assert not report.fatal
    for problem in report.problems:
        assert all(repr(label) in problem.message for label in labels)


def test_unreadable_photos_name_reason_and_remedy(messy: Path) -> None:
    cut, text = sorted(
        of_kind(check([messy]), "unreadable photo"), key=lambda problem: problem.paths
    )
    assert "cut.jpg: it is cut short" in cut.message
    assert "unlisted.jpg: it is not a photo" in text.message


def test_the_pixel_cap_is_the_callers(tmp_path: Path) -> None:
    folder = building(tmp_path / "x", {"a.jpg": []}, {"a.jpg": "red"}, file="labels.json")
    assert check([folder], max_pixels=64).problems == ()
    (problem,) = check([folder], max_pixels=63).problems
    assert "the cap is 63" in problem.message


def test_the_report_as_json_keeps_numbers_as_numbers(messy: Path) -> None:
    report = check([messy])
    data = json.loads(json.dumps(report.to_dict()))
    assert data["photos"] == 6
    assert data["fatal"] is True
    assert data["counts"]["invalid labels file"] == 2
    assert len(data["problems"]) == len(report.problems)
    assert data["problems"][0] == {
        "kind": report.problems[0].kind,
        "fatal": True,
        "message": report.problems[0].message,
        "paths": list(report.problems[0].paths),
        "file": report.problems[0].file,
        "hint": "",
    }
    assert data["roles"].keys() == {"train", "test"}
    assert (data["roles"]["train"]["photos"], data["roles"]["test"]["photos"]) == (2, 4)


def test_the_summary_shows_ten_examples_of_a_kind(tmp_path: Path) -> None:
    labels = dict.fromkeys(["a.jpg", *(f"gone-{i}.jpg" for i in range(12))], "")
    folder = building(tmp_path / "x", labels, {"a.jpg": "red"}, file="labels.json")
    lines = check([folder]).summary().splitlines()
    assert lines[:2] == ["1 photo, 0 labels, 1 building", "missing photo: 12"]
    assert len(lines) == 2 + 10 + 1
    assert lines[-1] == "  and 2 more"


def roles(folder: Path) -> Path:
    """Training and test buildings: together no label is rare, and by themselves two are."""
    train = {"a.jpg": ["sofa", "bed"], "b.jpg": ["sofa"], "gone.jpg": []}
    test = {"a.jpg": ["bed", "tub"], "b.jpg": ["tub", "sofa"], "c.jpg": ["Sofa"]}
    colors = {"a.jpg": "red", "b.jpg": "blue"}
    building(folder / "one", train, colors, file="train_labels.json")
    building(
        folder / "two", test, {"a.jpg": "pink", "b.jpg": "gray", "c.jpg": "white"},
        file="test_labels.json",
    )  # fmt: skip
    return folder


def test_each_role_is_reported_by_itself(tmp_path: Path) -> None:
    report = check([roles(tmp_path)])
    train, test = report.parts
    assert [(part.role, part.photos, part.labels, part.buildings) for part in report.parts] == [
        ("train", 2, 2, 1),
        ("test", 3, 3, 1),
    ]
    assert train.counts() == {"missing photo": 1, "rare label": 1}
    assert test.counts() == {"rare label": 1}
    assert report.counts() == {
        "similar labels": 1, "never trained": 1, "missing photo": 1, "rare label": 2,
    }  # fmt: skip
    (never,) = of_kind(report, "never trained")
    assert never.message == (
        "'tub' is on 2 test photos and on no training photo: it is not learned, and not tested."
    )
    lines = report.summary().splitlines()
    starts = [line for line in lines if line.startswith(("train:", "test:", "all together:"))]
    assert starts == [
        "train: 2 photos, 2 labels, 1 building",
        "test: 3 photos, 3 labels, 1 building",
        "all together:",
    ]
    assert lines.index("missing photo: 1") < lines.index(starts[1])
    assert lines.index("never trained: 1") > lines.index(starts[2])


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (("labels.json", "test_labels.json"), ["train", "test"]),
        (("train_labels.json", "labels.json"), ["train", "other"]),
        (("labels.json", "labels.json"), []),
        (("test_labels.json", "test_labels.json"), []),
    ],
)
def test_the_role_of_files_without_one(
    tmp_path: Path, files: tuple[str, str], expected: list[str]
) -> None:
    for number, file in enumerate(files):
        building(tmp_path / f"{number}", {"a.jpg": []}, {"a.jpg": "red"}, file=file)
    assert [part.role for part in check([tmp_path]).parts] == expected


def test_clean_data_have_no_problems(tmp_path: Path) -> None:
    folder = building(tmp_path / "x", {"a.jpg": []}, {"a.jpg": "red"}, file="labels.json")
    report = check([folder])
    assert report.problems == ()
    assert not report.fatal
    assert report.summary().splitlines()[-1] == "no problems found"


def test_yes_no_and_unknown_are_counted_where_something_is_unknown(tmp_path: Path) -> None:
    labels = {"a.jpg": ["Sofa"], "b.jpg": {"yes": ["bed"], "no": ["tub"]}, "c.jpg": ["bed"]}
    colors = {"a.jpg": "red", "b.jpg": "blue", "c.jpg": "green"}
    folder = building(tmp_path / "x", labels, colors, file="labels.json")
    report = check([folder])
    assert report.verdicts == {
        "Sofa": {"yes": 1, "no": 1, "unknown": 1},
        "bed": {"yes": 2, "no": 1, "unknown": 0},
    }
    (never_yes,) = of_kind(report, "never yes")
    assert "'tub'" in never_yes.message
    assert not of_kind(report, "never no")
    assert "  Sofa: 1 yes, 1 no, 1 unknown" in report.summary().splitlines()
    partial = check([folder], partial_labels=True)
    assert partial.verdicts == {
        "Sofa": {"yes": 1, "no": 0, "unknown": 2},
        "bed": {"yes": 2, "no": 0, "unknown": 1},
    }
    assert len(of_kind(partial, "never no")) == 2
    assert partial.to_dict()["verdicts"] == partial.verdicts


def test_fatal_problems_are_marked_in_the_summary(messy: Path) -> None:
    assert "invalid labels file: 2, must be repaired" in check([messy]).summary()


def test_nothing_found_is_a_fatal_problem_and_not_an_error(tmp_path: Path) -> None:
    report = check([tmp_path])
    assert [(problem.kind, problem.fatal) for problem in report.problems] == [("no labels", True)]
    with pytest.raises(UsageError, match="does not exist"):
        check([tmp_path / "gone"])
