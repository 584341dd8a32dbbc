"""The notebook runs from top to bottom, shows what it stored, and is the script."""

from pathlib import Path
from typing import Any, cast

import jupytext
import nbformat
import pytest
from nbclient import NotebookClient

from tests.e2e.conftest import SAMPLES
from tests.e2e.pages import without_digits

EXAMPLES = SAMPLES.parent / "examples"

Outputs = list[tuple[str, str]]


@pytest.fixture
def stored() -> Any:
    return cast(Any, nbformat).read(EXAMPLES / "listings.ipynb", as_version=4)


def shown(notebook: Any) -> Outputs:
    """What stands below each cell, as kind and text; a picture is one whatever it shows.

    What a cell prints comes in one piece or in several, as time has it.
    """
    found: Outputs = []
    for cell in notebook.cells:
        pieces = cell.get("outputs", ())
        for name in dict.fromkeys(piece.name for piece in pieces if piece.output_type == "stream"):
            text = "".join(piece.text for piece in pieces if piece.get("name") == name)
            found.append((name, without_digits(text)))
        for output in pieces:
            if output.output_type != "stream":
                found.append((output.output_type, ",".join(sorted(output.get("data", {})))))
    return found


def test_notebook_and_script_are_the_same(stored: Any) -> None:
    script = jupytext.read(EXAMPLES / "listings.py")
    cells = [[(cell.cell_type, cell.source) for cell in book.cells] for book in (stored, script)]
    assert len(cells[0]) > 20
    assert cells[0] == cells[1], "run: make notebook"


def test_the_notebook_shows_what_it_does(stored: Any, tmp_path: Path) -> None:
    """Executed anew it shows what is stored: texts but for their digits, and as many pictures."""
    (tmp_path / "samples").symlink_to(SAMPLES)
    before = shown(stored)
    assert before.count(("display_data", "image/png,text/plain")) == 6
    NotebookClient(stored, timeout=300, resources={"metadata": {"path": tmp_path}}).execute()
    assert shown(stored) == before
    made = {path.name for path in (tmp_path / "listings-example").iterdir()}
    assert {"sieve", "report.html", "report.xlsx", "cut.png", "data.png"} <= made
