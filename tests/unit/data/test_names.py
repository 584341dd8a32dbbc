"""One label or file in several spellings."""

import os
import time
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from photosieve.data.names import (
    FileNames,
    Spellings,
    closest_names,
    differs_in_case,
    is_text,
    label_key,
    misspelled,
    one_error_apart,
    plain,
    visible,
)
from photosieve.errors import printable


@pytest.mark.parametrize(
    "spelling",
    [
        "Walk-In Closet",
        "walk-in\u200b closet\ufeff",  # zero-width space, byte order mark
        "walk\u2011in closet",  # non-breaking hyphen
        "walk\u2212in closet",  # minus sign
        "walk\u2013in\u00a0closet",  # en dash, non-breaking space
        "walk-in clo\u00adset",  # soft hyphen
        "ｗａｌｋ－ｉｎ\u3000ｃｌｏｓｅｔ",  # noqa: RUF001  # full-width letters
        "\u202awalk-in closet\u202c",  # direction marks
        "walk-in c\u200dlo\u200cset",  # joiners, which Latin letters do not need
        "walk-in closet\ufe0e\u3164",  # variation selector, filler
    ],
)
def test_spellings_that_look_alike_are_one_label(spelling: str) -> None:
    assert label_key(spelling) == "walk-in closet"


def test_quotes_and_accents_are_one_label() -> None:
    assert label_key("child\u2019s room") == label_key("Child's room")
    assert label_key("\u201eloft\u201c") == label_key('"loft"')
    assert label_key("cafe\u0301") == label_key("CAFÉ")
    assert label_key("ﬁreplace") == label_key("fireplace")


@pytest.mark.parametrize(
    "word",
    ["می\u200cخواهم", "क\u094d\u200dष", "👩\u200d🍳", "🕵\ufe0f\u200d♀\ufe0f"],  # noqa: RUF001
    ids=["Persian", "Hindi", "cook", "detective"],
)
def test_joiners_stay_where_they_are_needed(word: str) -> None:
    assert visible(f" {word}\u200b ") == word
    assert label_key(word) != label_key(word.replace("\u200c", "").replace("\u200d", ""))


def test_what_is_shown_keeps_its_letters() -> None:
    assert visible("m²\u200b  ½ bath\u2013room") == "m² ½ bath\u2013room"
    assert plain("m²\u200b  bath\u2013room") == "m2 bath-room"
    assert visible("\u200b\ufeff\u3164") == ""


@given(st.text(max_size=30))
def test_a_key_is_the_key_of_itself(text: str) -> None:
    assert label_key(label_key(text)) == label_key(text)
    assert visible(visible(text)) == visible(text)


def test_typing_errors_are_found_and_other_words_are_not() -> None:
    names = ["mirror", "miror", "kitchen", "kichen", "kithcen", "living room", "livingroom"]
    assert set(misspelled(names)) == {
        ("mirror", "miror"),
        ("kitchen", "kichen"),
        ("kitchen", "kithcen"),
        ("living room", "livingroom"),
    }
    for one, other in [
        ("bedroom 1", "bedroom 2"),
        ("unit a", "unit b"),
        ("living room", "dining room"),
        ("bathroom", "bedroom"),
        ("hair", "chair"),
        ("bath", "bat"),
        ("sofa", "sofa"),
        ("", "a"),
    ]:
        assert not one_error_apart(one, other), (one, other)


def test_hostile_labels_take_no_quadratic_time() -> None:
    names = ["x" * 100_000, *(f"kitchen{chr(0x4E00 + n)}" for n in range(3000))]
    assert len(list(misspelled(names))) <= 20 * len(names)


def test_a_name_is_found_exactly_then_in_nfc_then_in_another_case() -> None:
    decomposed = unicodedata.normalize("NFD", "Küche.jpg")
    names = Spellings([decomposed, "a.jpg", "A.jpg", "IMG_1.jpg"])
    assert names.find("Küche.jpg") == decomposed
    assert names.find("küche.JPG") == decomposed
    assert names.find("A.jpg") == "A.jpg"
    assert names.find("A.JPG") is None  # two could be meant
    assert names.find("img_1.JPG") == "IMG_1.jpg"
    assert names.find("img_2.jpg") is None
    assert differs_in_case("img_1.JPG", "IMG_1.jpg")
    assert not differs_in_case("Küche.jpg", decomposed)


def test_files_are_found_in_folders_of_another_spelling(tmp_path: Path) -> None:
    folder = unicodedata.normalize("NFD", "Café")
    (tmp_path / folder).mkdir()
    (tmp_path / folder / "P.jpg").touch()
    names = FileNames(tmp_path)
    assert names.find("café/p.JPG") == f"{folder}/P.jpg"
    assert names.find("./café/P.jpg") == f"{folder}/P.jpg"
    for other in ("../secret", "/etc", "café/q.jpg", "none/p.jpg", "café/P.jpg/x"):
        assert names.find(other) is None


def test_bytes_that_are_no_text() -> None:
    name = os.fsdecode(b"caf\xe9.jpg") if os.name == "posix" else "caf\udce9.jpg"
    assert not is_text(name)
    assert is_text("café.jpg")
    assert printable(name) == "caf\ufffd.jpg"
    assert printable("\ud800") == "\ufffd"


@pytest.mark.parametrize(
    ("missing", "present", "expected"),
    [
        ("IMG_1.JPG", ["IMG_1.jpg", "IMG_12.jpg"], "IMG_1.jpg"),
        ("IMG_0001.jpg", ["IMG_1.jpeg"], "IMG_1.jpeg"),
        ("kitchen.jpg", ["kichen.png", "garden.png"], "kichen.png"),
        ("house/a-view.jpg", ["a-view.jpg"], "a-view.jpg"),
        ("IMG_12.jpg", ["IMG_13.jpg"], None),
        ("gone.jpg", ["sofa.jpg"], None),
        ("gone.jpg", [], None),
    ],
)
def test_the_closest_name(missing: str, present: list[str], expected: str | None) -> None:
    found = closest_names([Path(missing)], map(Path, present))
    assert found == ({Path(missing): Path(expected)} if expected else {})


def test_long_names_and_many_of_them_take_no_time() -> None:
    names = [
        Path("ab" * 120 + f"{chr(97 + n % 26)}{chr(97 + n // 26 % 26)}.jpg") for n in range(5000)
    ]
    started = time.perf_counter()
    closest_names([Path("ba" * 2000)] * 1000, names)
    assert time.perf_counter() - started < 10
