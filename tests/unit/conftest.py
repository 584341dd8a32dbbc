"""Marks the tests that `make fast` leaves out, by their folder and by the fixtures they use."""

from pathlib import Path

import pytest

HERE = Path(__file__).parent

BY_FOLDER = {"server": "server"}

BY_FIXTURE = {"zoo": "model", "tower_cache": "model", "server": "server"}
"""The zoo holds transformers models, the cache converted ones; the server is an object store."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE):
            folder = item.path.relative_to(HERE).parts[0]
            marks = {BY_FOLDER.get(folder)}
            marks |= {BY_FIXTURE.get(name) for name in getattr(item, "fixturenames", ())}
            for mark in sorted(filter(None, marks)):
                item.add_marker(mark)
