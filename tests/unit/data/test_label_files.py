"""A labels file is read entry by entry, and written with all of them."""

import json
import random
import tempfile
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from photosieve.data.dataset import Dataset
from photosieve.data.label_book import LabelBook
from photosieve.data.label_files import LabelEntry, Verdicts, read_entries, write_entries
from photosieve.data.names import label_key
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

NAMES = [f"{number}.jpg" for number in range(4)]
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=4,
)
CSV_TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\r"))
"""Without the carriage return, which ends a line."""


def plain(entries: list[LabelEntry]) -> list[tuple[str, object]]:
    return [(entry.name, entry.value) for entry in entries]


ENTRIES = {
    "labels.json": st.tuples(st.sampled_from(NAMES) | st.text(), JSON_VALUES),
    # Spaces around a name are not read from CSV.
    "labels.csv": st.tuples(st.sampled_from(NAMES) | CSV_TEXT.map(str.strip), CSV_TEXT),
}
LABEL = st.text(st.characters(categories=["L", "N"]), min_size=1).map(
    lambda text: unicodedata.normalize("NFC", text)
)


@pytest.mark.parametrize("name", ENTRIES)
def test_written_and_read_again_entries_are_the_same(name: str) -> None:
    @settings(max_examples=50, deadline=None)
    @given(st.lists(ENTRIES[name], max_size=6))
    def check(entries: list[tuple[str, object]]) -> None:
        with tempfile.TemporaryDirectory() as scratch:
            file = Path(scratch, name)
            write_entries(file, [LabelEntry(*entry) for entry in entries])
            assert plain(read_entries(file)) == entries

    check()


@pytest.mark.parametrize("name", ENTRIES)
def test_a_change_leaves_every_other_entry_as_it_is(name: str) -> None:
    changes = st.dictionaries(st.sampled_from(NAMES), st.none() | st.lists(LABEL), min_size=1)

    @settings(max_examples=50, deadline=None)
    @given(st.lists(ENTRIES[name], max_size=6), changes)
    def check(entries: list[tuple[str, object]], new: dict[str, list[str] | None]) -> None:
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch, "photos")
            folder.mkdir()
            file = folder / name
            write_entries(file, [LabelEntry(*entry) for entry in entries])
            book = LabelBook(Path(scratch, "history"), {folder: folder})
            book.change({folder / photo: labels for photo, labels in new.items()})
            others = [entry for entry in entries if entry[0] not in new]
            kept = [entry for entry in read_entries(file) if entry.name not in new]
            assert plain(kept) == others
            for photo, labels in new.items():
                expected = None if labels is None else tuple(dict.fromkeys(labels))
                assert book.labels(folder / photo) == expected

    check()


JSON_OBJECTS = st.recursive(
    JSON_VALUES, lambda inner: st.dictionaries(st.text(), inner, max_size=3), max_leaves=6
)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(LABEL, max_size=2),
    st.dictionaries(st.text().filter(lambda key: key not in ("yes", "no")), JSON_OBJECTS),
    st.sampled_from([None, 1, "\t"]),
    st.booleans(),
)
def test_what_else_an_exact_entry_holds_stays_byte_for_byte(
    labels: list[str], rest: dict[str, object], indent: int | str | None, ascii_only: bool
) -> None:
    def dump(value: object) -> str:
        return json.dumps(value, indent=indent, ensure_ascii=ascii_only)

    parts = {key: dump(value) for key, value in rest.items()}
    members = [f"{json.dumps(key)}:{part}" for key, part in parts.items()]
    exact = "{" + " , ".join([*members, '"yes": [ "a" ]', '"no" :"b;c"']) + "}"
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch, "labels.json")
        file.write_text(f'{{"0.jpg": {exact}, "1.jpg": {exact}}}', "utf-8", newline="")
        book = LabelBook(Path(scratch, "history"), {Path(scratch): Path(scratch)})
        book.change({Path(scratch, "1.jpg"): labels})
        one, other = read_entries(file)
        assert one.source == exact
        assert isinstance(other.value, tuple)
        assert dict(other.value).keys() == {*rest, "yes", "no"}
        assert all(part in other.source for part in parts.values())
        keys = set(map(label_key, labels))
        noes = tuple(label for label in ("b", "c", "a") if label not in keys)
        assert other.verdicts() == (tuple(dict.fromkeys(labels)), noes)


def test_a_csv_file_has_no_place_for_yes_and_no(tmp_path: Path) -> None:
    building(tmp_path, "photo,labels\na.jpg,sofa\n", "a.jpg", file="labels.csv")
    book = LabelBook(tmp_path / "history", {tmp_path: tmp_path})
    with pytest.raises(LabelsError, match="use a JSON file"):
        book.change({tmp_path / "a.jpg": Verdicts(("sofa",), ("bed",))})
    assert book.verdicts(tmp_path / "a.jpg") == Verdicts(("sofa",))
    book.change({tmp_path / "a.jpg": ["bed"]})
    assert book.verdicts(tmp_path / "a.jpg") == Verdicts(("bed",))


def test_drafts_of_a_killed_writer_are_neither_read_nor_kept(tmp_path: Path) -> None:
    building(tmp_path, {"a.jpg": ["sofa"]})
    draft = tmp_path / ".labels.json-0123456789ab"
    draft.write_text('{"a.jpg": ["half')
    assert Dataset.load(tmp_path).labels == (("sofa",),)
    write_entries(tmp_path / "labels.json", [LabelEntry("a.jpg", ["bed"])])
    assert not draft.exists()
    assert Dataset.load(tmp_path).labels == (("bed",),)


def test_a_folder_that_is_gone_is_not_made_again(tmp_path: Path) -> None:
    with pytest.raises(LabelsError, match="cannot be written"):
        write_entries(tmp_path / "gone" / "labels.json", [])
    assert not (tmp_path / "gone").exists()
