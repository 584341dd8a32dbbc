"""A labels file is read entry by entry, and written with all of them."""

import random
from pathlib import Path

import pytest

from photosieve.data.dataset import Dataset
from photosieve.errors import LabelsError
from tests.unit.data.buildings import building, kinds


def test_csv_means_the_same_as_json(tmp_path: Path) -> None:
    text = 'Photo, Labels\r\na.jpg,"kitchen, stove"\r\nb.jpg,sofa;lamp\r\n\r\nc.jpg,\r\n'
    data = Dataset.load(building(tmp_path, text, "a.jpg", "b.jpg", "c.jpg", file="labels.csv"))
    assert data.labels == (("kitchen", "stove"), ("sofa", "lamp"), ())


@pytest.mark.parametrize("file", ["labels.json", "labels.csv"])
def test_a_byte_order_mark_is_no_content(tmp_path: Path, file: str) -> None:
    text = '{"a.jpg": "Küche"}' if file.endswith("json") else "photo,labels\na.jpg,Küche\n"
    building(tmp_path, text.encode("utf-8-sig"), "a.jpg", file=file)
    assert Dataset.load(tmp_path).labels == (("Küche",),)


def test_labels_are_normalized(tmp_path: Path) -> None:
    labels = {
        "a.jpg": ["  living\t room ", "Living Room", "Cafe\u0301", "Straße"],
        "b.jpg": "LIVING ROOM,, café ,STRASSE,",
    }
    data = Dataset.load(building(tmp_path, labels))
    assert data.labels == (("living room", "Café", "Straße"),) * 2
    assert data.vocabulary == ("living room", "Café", "Straße")
    assert kinds(data) == ["similar labels"] * 3


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('{\n  "a.jpg": ["sofa"],\n  "b.jpg": [sofa]\n}', "line 3, column 13"),
        ("", "line 1, column 1"),
        ('{"a.jpg": ["sofa"]', "line 1, column 19"),
        ('{"a.jpg": ["sofa"]} extra', "line 1, column 21"),
    ],
)
def test_malformed_json_names_the_place(tmp_path: Path, text: str, place: str) -> None:
    building(tmp_path, text, "a.jpg")
    with pytest.raises(LabelsError, match=f"labels.json, {place}: not valid JSON"):
        Dataset.load(tmp_path)


def test_a_comma_too_many_is_named(tmp_path: Path) -> None:
    (tmp_path / "labels.json").write_text('{\n  "p.jpg": ["sofa"],\n}')
    with pytest.raises(LabelsError, match="take away the comma before it"):
        Dataset.load(tmp_path)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('["a.jpg"]', "holds a list"),
        ("[]", "holds a list"),
        ("null", "holds nothing"),
        ("9" * 10_000, "holds a number"),
        ("[" * 100_000, "nested too deeply"),
        ('{"a.jpg": ' * 100_000, "nested too deeply"),
        ('{"a.jpg": 7}', "'a.jpg' has a number for its labels"),
        ('{"a.jpg": ' + "9" * 10_000 + "}", "'a.jpg' has a number for its labels"),
        ('{"a.jpg": NaN}', "'a.jpg' has a number for its labels"),
        ('{"a.jpg": null}', r"'a.jpg' has nothing \(null\) for its labels"),
        ('{"a.jpg": {"sofa": 1}}', '\'a.jpg\' has an object without "yes" or "no"; write'),
        ('{"a.jpg": {}}', "'a.jpg' has an object without"),
        ('{"a.jpg": {"yes": 1}}', "'a.jpg' has a number for its \"yes\" labels"),
        ('{"a.jpg": {"no": null}}', r"'a.jpg' has nothing \(null\) for its \"no\" labels"),
        ('{"a.jpg": {"yes": {"yes": []}}}', "'a.jpg' has an object for its \"yes\" labels"),
        ('{"a.jpg": {"no": ["x", ["y"]]}}', "'a.jpg' has a list among its \"no\" labels"),
        ('{"a.jpg": {"yes": [], "yes": []}}', "'a.jpg' has \"yes\" twice"),
        ('{"a.jpg": {"yes": ["Bed"], "no": ["bed "]}}', "'a.jpg' has 'bed' as both yes and no"),
        ('{"a.jpg": true}', "'a.jpg' has true or false for its labels"),
        ('{"a.jpg": ["sofa", 3]}', "'a.jpg' has a number among its labels"),
        ('{"a.jpg": [["sofa"]]}', "'a.jpg' has a list among its labels"),
        ('{"a.jpg": ["sofa", "  "]}', "'a.jpg' has an empty label"),
        ('{"a.jpg": ["so\\u001bfa"]}', "'a.jpg' has a label with an unprintable character"),
        ('{"a.jpg": ["so\\ud800fa"]}', "'a.jpg' has a label with an unprintable character"),
    ],
)
def test_wrong_shapes_name_the_entry(tmp_path: Path, text: str, sentence: str) -> None:
    building(tmp_path, text, "a.jpg")
    with pytest.raises(LabelsError, match=sentence) as caught:
        Dataset.load(tmp_path)
    str(caught.value).encode()  # it can be printed
    assert "labels.json" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "line 1: the first line must be photo,labels"),
        ("a.jpg,sofa\n", "line 1: the first line must be photo,labels"),
        ("photo,labels\nb.jpg,sofa\na.jpg,sofa,lamp\n", "line 3: 3 cells"),
        ("photo,labels\na.jpg\n", "line 2: 1 cells"),
        ("photo,labels,no\na.jpg,sofa,bed,lamp\n", "line 2: 4 cells"),
        ("photo,labels,no\na.jpg,sofa,sofa\n", "'sofa' as both yes and no"),
        ('photo,labels\na.jpg,"sofa\n', "line 2: not valid CSV"),
        ("photo,labels\na.jpg," + "x" * 200_000 + "\n", "line 2: not valid CSV"),
    ],
)
def test_malformed_csv_names_the_line(tmp_path: Path, text: str, sentence: str) -> None:
    building(tmp_path, text, "a.jpg", file="labels.csv")
    with pytest.raises(LabelsError, match=sentence):
        Dataset.load(tmp_path)


def test_other_encodings_are_refused(tmp_path: Path) -> None:
    building(tmp_path, '{"a.jpg": ["Küche"]}'.encode("latin-1"), "a.jpg")
    with pytest.raises(LabelsError, match=r"not UTF-8 text \(byte 14\): save it as UTF-8"):
        Dataset.load(tmp_path)


@pytest.mark.parametrize("file", ["labels.json", "labels.csv"])
def test_any_bytes_give_a_dataset_or_a_labels_error(tmp_path: Path, file: str) -> None:
    good = b'{"a.jpg": ["sofa", "lamp"], "b.jpg": "bed, bath"}'
    if file == "labels.csv":
        good = b'photo,labels\na.jpg,"sofa, lamp"\nb.jpg,bed;bath\n'
    rng = random.Random(f"damage {file}")
    outcomes = set()
    building(tmp_path, good, "a.jpg", "b.jpg", file=file)
    for _ in range(300):
        bad = bytearray(good)
        for _ in range(rng.choice((1, 2, 6))):
            bad[rng.randrange(len(bad))] = rng.choice((rng.randrange(256), *b'",:;[]{}\\\n/.0'))
        if rng.random() < 0.2:
            del bad[rng.randrange(len(bad)) :]
        (tmp_path / file).write_bytes(bad)
        try:
            Dataset.load(tmp_path).matrix()
            outcomes.add("loaded")
        except LabelsError:
            outcomes.add("refused")
    assert outcomes == {"loaded", "refused"}


# Written files
