"""Each message that the page quotes is one of the program, so that people find it."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from photosieve.data import DEFAULT_MEGAPIXELS

ROOT = Path(__file__).resolve().parents[2]


def text(node: ast.AST) -> str:
    """A text of the program, with three dots for each value."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(text(part) for part in node.values)
    return "..."


def texts() -> Iterator[str]:
    for module in (ROOT / "src" / "photosieve").rglob("*.py"):
        for node in ast.walk(ast.parse(module.read_text("utf-8"))):
            yield text(node)


def messages() -> list[str]:
    """The first cells of the tables that are code, but for commands."""
    page = (ROOT / "docs" / "troubleshooting.md").read_text("utf-8")
    return re.findall(r"^\| `([^`]*)` \|", page, re.MULTILINE)


def test_quoted_messages_are_those_of_the_program() -> None:
    said = "\n".join(texts())
    quoted = messages()
    assert len(quoted) >= 30
    # A message that the program puts together from two texts is quoted with dots in between.
    assert [message for message in quoted if message.strip(". ") not in said] == []


def test_pages_name_the_largest_photo_that_is_read() -> None:
    pages = (ROOT / "docs" / f"{name}.md" for name in ("reliability", "service", "troubleshooting"))
    named = [re.findall(r"([\d.]+) megapixels", page.read_text("utf-8")) for page in pages]
    assert named == [[f"{DEFAULT_MEGAPIXELS:g}"]] * 3
