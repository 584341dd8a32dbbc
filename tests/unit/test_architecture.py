"""The page about the architecture is true: its picture, its rule, and the files that it names."""

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

from tests.unit.test_imports import PACKAGES, ROOT, sources

DOCS = Path(__file__).resolve().parents[2] / "docs"
TEXT = (DOCS / "architecture.md").read_text("utf-8")

FILE = re.compile(r"`((?:\w+/)*\w+\.(?:py|js|j2|html\.j2))`")


@pytest.fixture(scope="module")
def drawing() -> ModuleType:
    spec = importlib.util.spec_from_file_location("drawing", DOCS / "make_architecture.py")
    assert spec
    assert spec.loader
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


@pytest.mark.long
def test_the_picture_is_up_to_date(drawing: ModuleType) -> None:
    assert drawing.PAGE.read_text("utf-8") == drawing.page(), (
        "run: python docs/make_architecture.py"
    )


def test_page_and_picture_have_the_lines_of_the_rule(drawing: ModuleType) -> None:
    assert [set(line.split()) for line in PACKAGES] == [set(line) for line in drawing.LINES]
    (rule,) = re.findall(r"^```text\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)
    assert [sorted(line.split()) for line in rule.splitlines()] == [
        sorted(line.split()) for line in PACKAGES
    ]


def test_the_counts(drawing: ModuleType) -> None:
    numbers = [int(number) for number in re.findall(r"\d+", drawing.counts())]
    assert numbers[0] == len(" ".join(PACKAGES).split()) + 2  # __init__ and __main__
    assert numbers[1] == len(PACKAGES) + 1
    assert numbers[3] == len(sources()) + 1
    assert drawing.counts() in drawing.page()


def test_an_arrow_that_follows_from_others_is_left_out(drawing: ModuleType) -> None:
    drawn = drawing.page().count('class="arrow"')
    uses = drawing.arrows(drawing.rooms())
    assert len(PACKAGES) <= drawn < sum(map(len, uses.values()))
    assert drawing.floors({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == 3


def test_each_file_that_the_page_names_exists() -> None:
    named = FILE.findall(TEXT)
    assert len(named) > 50
    project = DOCS.parent
    missing = [name for name in named if not (ROOT / name).exists()]
    assert [name for name in missing if not (project / name).exists()] == []


def test_each_name_that_the_table_gives_is_in_its_file() -> None:
    """Such as `decode` after `data/photos.py`."""
    for row in re.findall(r"^\|[^|]+\|(.+)\|$", TEXT, re.MULTILINE):
        for file, names in re.findall(r"`([\w/]+\.py)`:((?:,? `\w+`)+)", row):
            text = (ROOT / file).read_text("utf-8")
            for name in re.findall(r"\w+", names):
                assert re.search(rf"\b{name}\b", text), (file, name)
