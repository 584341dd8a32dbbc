"""A change of one photo's labels leaves every other byte of its labels file as it is."""

import csv
import io
import json
import tempfile
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from photosieve.data import label_edits
from photosieve.data.dataset import Dataset
from photosieve.data.label_book import LabelBook
from photosieve.data.label_edits import change_entries, edited_text
from photosieve.data.label_files import LabelEntry, Verdicts, read_entries
from photosieve.data.names import label_key
from photosieve.errors import LabelsError
from tests.unit.data.buildings import building

LABELS = Path("labels.json")

FORMS = {
    "one line": '{"a.jpg": ["x"], "b.jpg": {"labels": ["q"], "by": "me"}, "c.jpg": 3}',
    "compact": '{"a.jpg":["x","y"],"b.jpg":3.10,"c.jpg":1e400,"d":NaN}',
    "json.dump(indent=2)": '{\n  "a.jpg": [\n    "x",\n    "y"\n  ],\n  "b.jpg": [],\n  "c": 3\n}',
    "tabs, CRLF": '{\r\n\t"a.jpg" : [ "x" ],\r\n\t"b.jpg" : "sofa, view",\r\n\t"c" : null\r\n}\r\n',
    "mark, escapes": '\ufeff{"a.jpg": ["\\u00fc"], "b.jpg": "\\u00fc", "\\ud800.jpg": ["z"]}\n\n',
}
"""Files as people and programs write them; b.jpg and what follows is never changed here."""


@pytest.mark.parametrize("form", FORMS)
def test_other_entries_keep_their_bytes_and_the_file_its_form(form: str) -> None:
    text = FORMS[form]
    changed = edited_text(LABELS, text, {"a.jpg": Verdicts(("new", "two"))})
    at = text.index('"b.jpg"')
    assert changed.endswith(text[at:])
    assert changed.startswith(text[: text.index("[")])
    # The list is laid out as the old one was.
    old = text[text.index("[") : text.index("]") + 1]
    new = changed[changed.index("[") : changed.index("]") + 1]
    assert new.split('"')[0] == old.split('"')[0]
    assert new.rpartition('"')[2] == old.rpartition('"')[2]
    if '"y"' in old:
        assert new == old.replace('"x"', '"new"').replace('"y"', '"two"')


@pytest.mark.parametrize("form", FORMS)
def test_an_entry_is_added_as_the_others_are_and_removed_again(form: str) -> None:
    text = FORMS[form]
    more = edited_text(LABELS, text, {"new.jpg": Verdicts(("sofa",))})
    end = text.rstrip().removesuffix("}").rstrip()
    assert more.startswith(end)
    assert more.endswith(text[len(end) :])
    added = more[len(end) : len(more) - len(text) + len(end)]
    between = text[text.index("]") + 1 : text.index('"b.jpg"')] if "]" in text else ","
    assert added.startswith(between + '"new.jpg"')
    assert edited_text(LABELS, more, {"new.jpg": None}) == text


def test_removing_the_first_the_last_and_every_entry() -> None:
    text = '{\n  "a.jpg": ["x"],\n  "b.jpg": ["y"],\n  "c.jpg": ["z"]\n}\n'
    assert edited_text(LABELS, text, {"a.jpg": None}) == text.replace('"a.jpg": ["x"],\n  ', "")
    assert edited_text(LABELS, text, {"c.jpg": None}) == text.replace(',\n  "c.jpg": ["z"]', "")
    none = edited_text(LABELS, text, dict.fromkeys(["a.jpg", "b.jpg", "c.jpg"]))
    assert json.loads(none) == {}
    back = edited_text(LABELS, none, {"d.jpg": Verdicts(("x",)), "e.jpg": Verdicts(())})
    assert json.loads(back) == {"d.jpg": ["x"], "e.jpg": []}


def test_an_entry_that_is_not_understood_is_not_changed(tmp_path: Path) -> None:
    """It may hold what cannot be seen here, and could not be given back by an undo."""
    text = '{"a.jpg": {"tags": ["sofa"], "by": "me"}, "b.jpg": ["x"]}'
    building(tmp_path, text, "a.jpg", "b.jpg")
    book = LabelBook(tmp_path / "history", {tmp_path: tmp_path})
    with pytest.raises(LabelsError, match=r"the entry 'a\.jpg' has an object .* nothing was chang"):
        book.change({tmp_path / "a.jpg": ["bed"], tmp_path / "b.jpg": ["bed"]})
    assert next(tmp_path.glob("*.json")).read_text() == text
    book.change({tmp_path / "b.jpg": ["bed"]})
    assert next(tmp_path.glob("*.json")).read_text() == text.replace('["x"]', '["bed"]')


def test_a_name_stays_as_it_is_spelled() -> None:
    text = '{"B.jpg": ["x"], "A.jpg": ["x"], "a.JPG": ["y"], "c.jpg": []}'
    new = {"a.jpg": Verdicts(("z",)), "b.jpg": None, "d.jpg": Verdicts(())}
    changed = edited_text(LABELS, text, new, str.lower)
    assert changed == '{"A.jpg": ["z"], "c.jpg": [], "d.jpg": []}'


def test_a_form_that_only_others_can_write_is_not_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Should more forms be read one day than can be changed."""
    monkeypatch.setattr(label_edits, "parse_entries", lambda *_: [LabelEntry("b.jpg", ["x"])])
    for text in ('[{"file": "b.jpg", "tags": ["x"]}]', "b.jpg: [x]", '"x"', "{"):
        with pytest.raises(LabelsError, match=r"has a form that cannot|cannot hold the entry"):
            edited_text(LABELS, text, {"a.jpg": Verdicts(("y",))})


CSV = '\ufeffPhoto , Labels\r\na.jpg,kitchen;stove\r\n\r\n"b.jpg",  "sofa"\r\nc.jpg,\'x\''


def test_rows_of_a_csv_file_keep_their_bytes() -> None:
    file = Path("labels.csv")
    changed = edited_text(file, CSV, {"a.jpg": Verdicts(("bed", "lamp")), "new.jpg": Verdicts(())})
    assert changed == CSV.replace("kitchen;stove", '"bed, lamp"') + "\r\nnew.jpg,\r\n"
    gone = edited_text(file, changed, {"a.jpg": None, "new.jpg": None})
    assert gone == CSV.replace("a.jpg,kitchen;stove\r\n", "") + "\r\n"


def test_a_label_with_a_comma_is_not_split_in_a_csv_file(tmp_path: Path) -> None:
    file = tmp_path / "labels.csv"
    file.write_text("photo,labels\na.jpg,sofa\n")
    with pytest.raises(LabelsError, match=r"cannot hold 'bed, large', which has a comma"):
        change_entries(file, {"a.jpg": Verdicts(("bed, large",))})
    assert file.read_text() == "photo,labels\na.jpg,sofa\n"


NAMES = [f"{number}.jpg" for number in range(4)]
LABEL = st.text(st.characters(categories=["L", "N"]), min_size=1).map(
    lambda text: unicodedata.normalize("NFC", text)
)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=4,
)
LABEL_LISTS = st.lists(LABEL, max_size=3)
CHANGES = st.dictionaries(st.sampled_from(NAMES), st.none() | LABEL_LISTS, min_size=1)
CSV_TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\r"))
"""Without the carriage return, which ends a line."""


@contextmanager
def changed_by_a_book(name: str, text: str, new: dict[str, list[str] | None]) -> Iterator[Path]:
    """The file, which a book has changed; it left nothing else in the folder."""
    with tempfile.TemporaryDirectory() as scratch:
        history, photos = Path(scratch) / "history", Path(scratch) / "photos"
        photos.mkdir()
        (photos / name).write_text(text, "utf-8", newline="")
        book = LabelBook(history, {photos: photos})
        book.change({photos / photo: labels for photo, labels in new.items()})
        assert [path.name for path in photos.iterdir()] == [name]
        for photo, labels in new.items():
            expected = None if labels is None else tuple(dict.fromkeys(labels))
            assert book.labels(photos / photo) == expected
        yield photos / name


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(NAMES), LABEL_LISTS)
        | st.tuples(st.text().filter(lambda name: name not in NAMES), JSON_VALUES),
        max_size=6,
    ),
    CHANGES,
    st.sampled_from([None, 1, "\t"]),
    st.booleans(),
)
def test_any_json_file(
    entries: list[tuple[str, object]],
    new: dict[str, list[str] | None],
    indent: int | str | None,
    ascii_only: bool,
) -> None:
    def dump(value: object) -> str:
        text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
        return text.encode("utf-8", "backslashreplace").decode()

    members = [f"{dump(name)}: {dump(value)}" for name, value in entries]
    with changed_by_a_book(LABELS.name, "{" + " , ".join(members) + "}", new) as file:
        written, read = file.read_text("utf-8"), read_entries(file)
    place = 0
    for (name, _), member in zip(entries, members, strict=True):
        if name not in new:
            place = written.index(member, place) + len(member)
    others = [entry.name for entry in read if entry.name not in new]
    assert others == [name for name, _ in entries if name not in new]


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(NAMES), LABEL)
        | st.tuples(CSV_TEXT.map(str.strip), CSV_TEXT).filter(lambda row: row[0] not in NAMES),
        max_size=6,
    ),
    CHANGES,
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]),
)
def test_any_csv_file(
    rows: list[tuple[str, str]], new: dict[str, list[str] | None], end: str, quoting: int
) -> None:
    def lines(rows: list[tuple[str, str]]) -> str:
        text = io.StringIO(newline="")
        # The type of `quoting` differs between versions of the type hints.
        csv.writer(text, lineterminator=end, quoting=quoting).writerows(rows)  # type: ignore[arg-type, unused-ignore]
        return text.getvalue()

    assume(all("\n" not in "".join(row) or end == "\n" for row in rows))
    text = lines([("photo", "labels"), *rows])
    with changed_by_a_book("labels.csv", text, new) as file:
        written = file.read_bytes().decode()
    place = 0
    for row in rows:
        if row[0] not in new:
            place = written.index(lines([row]), place) + 1


JSON_OBJECTS = st.recursive(
    JSON_VALUES, lambda inner: st.dictionaries(st.text(), inner, max_size=3), max_leaves=6
)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(LABEL, max_size=2),
    st.dictionaries(st.text().filter(lambda key: key not in ("yes", "no")), JSON_OBJECTS),
    st.sampled_from([None, 1, "\t"]),
)
def test_what_else_an_exact_entry_holds_stays_byte_for_byte(
    labels: list[str], rest: dict[str, object], indent: int | str | None
) -> None:
    members = [f"{json.dumps(key)}:{json.dumps(rest[key], indent=indent)}" for key in rest]
    exact = "{" + " , ".join([*members, '"yes": [ "a" ]', '"no" :"b;c"']) + "}"
    text = f'{{"0.jpg": {exact}, "1.jpg": {exact}}}'
    with changed_by_a_book(LABELS.name, text, {"1.jpg": labels}) as file:
        written, read = file.read_text("utf-8"), read_entries(file)
    start = f'{{"0.jpg": {exact}, "1.jpg": {{' + " , ".join([*members, '"yes": '])
    assert written.startswith(start)
    keys = {label_key(label) for label in labels}
    assert read[1].verdicts() == (
        tuple(dict.fromkeys(labels)),
        tuple(label for label in ("b", "c", "a") if label not in keys),
    )


def test_a_csv_file_has_no_place_for_yes_and_no(tmp_path: Path) -> None:
    building(tmp_path, "photo,labels\na.jpg,sofa\n", "a.jpg", file="labels.csv")
    book = LabelBook(tmp_path / "history", {tmp_path: tmp_path})
    with pytest.raises(
        LabelsError, match=r"Convert it first: photosieve labels export .* --to json"
    ):
        book.change({tmp_path / "a.jpg": Verdicts(("sofa",), ("bed",))})
    assert book.verdicts(tmp_path / "a.jpg") == Verdicts(("sofa",))
    book.change({tmp_path / "a.jpg": ["bed"]})
    assert book.verdicts(tmp_path / "a.jpg") == Verdicts(("bed",))


def test_drafts_of_a_killed_writer_are_neither_read_nor_kept(tmp_path: Path) -> None:
    building(tmp_path, {"a.jpg": ["sofa"]})
    draft = tmp_path / ".labels.json-0123456789ab"
    draft.write_text('{"a.jpg": ["half')
    assert Dataset.load(tmp_path).labels == (("sofa",),)
    change_entries(tmp_path / "labels.json", {"a.jpg": Verdicts(("bed",))})
    assert not draft.exists()


def test_a_folder_that_is_gone_is_not_made_again(tmp_path: Path) -> None:
    with pytest.raises(LabelsError, match="cannot be written"):
        change_entries(tmp_path / "gone" / "labels.json", {"a.jpg": Verdicts(("bed",))})
    assert not (tmp_path / "gone").exists()
