"""The page of guarantees is true: behind each line stands a test that exists."""

import ast
import re
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
PAGE = TESTS.parent / "docs" / "reliability.md"

ROWS = [
    (promise.strip(), re.findall(r"`([\w/]+\.py)::(\w+)`", tests))
    for promise, tests in re.findall(r"^\| (.+?) \|(.*)\|$", PAGE.read_text("utf-8"), re.MULTILINE)
    if promise not in ("guarantee", "limit")
]


def test_the_page_has_promises() -> None:
    assert len(ROWS) > 15


@pytest.mark.parametrize(("promise", "named"), ROWS, ids=[promise[:40] for promise, _ in ROWS])
def test_each_promise_has_tests_that_exist(promise: str, named: list[tuple[str, str]]) -> None:
    assert named, promise
    for file, name in named:
        tree = ast.parse((TESTS / file).read_text("utf-8"))
        found = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
        assert name in found, f"{file} has no {name}"
