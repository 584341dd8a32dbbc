"""Users import from `photosieve` alone, and find all of that on one page."""

import ast
import re
from pathlib import Path

import pytest

import photosieve
from tests.e2e.pages import ROOT, blocks

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


def test_all_is_sorted_and_names_nothing_twice() -> None:
    assert photosieve.__all__ == sorted(set(photosieve.__all__))


def test_all_is_what_the_page_shows() -> None:
    shown = re.findall(r"^::: (\S+)$", (ROOT / "docs" / "python.md").read_text("utf-8"), re.M)
    assert sorted(shown) == [f"photosieve.{name}" for name in photosieve.__all__]


def test_all_is_what_type_checkers_see() -> None:
    """The imports that run only for them; the others load a name when it is first used."""
    tree = ast.parse(Path(photosieve.__file__).read_text("utf-8"))
    (checked,) = (node for node in tree.body if isinstance(node, ast.If))
    names = [
        (alias.asname or alias.name, f"{node.module}")
        for node in checked.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    ]
    assert sorted(name for name, _ in names) == photosieve.__all__
    for name, module in names:
        assert getattr(photosieve, name).__module__ == module, name


def imported(code: str) -> set[str]:
    """The modules of the product that a program imports from."""
    found = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(str(node.module))
    return {name for name in found if name.split(".")[0] == "photosieve"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pages_import_from_the_package_itself(page: Path) -> None:
    programs = [block.text for block in blocks(str(page)) if block.language == "python"]
    assert set().union(*map(imported, programs)) <= {"photosieve"}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_examples_import_from_the_package_itself(example: Path) -> None:
    assert imported(example.read_text("utf-8")) == {"photosieve"}
