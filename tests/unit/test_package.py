"""What the package says about itself is true: its licenses, its citation, its version."""

import importlib.util
import tomllib
from importlib.metadata import Distribution
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def licenses() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "make_licenses", ROOT / "docs" / "make_licenses.py"
    )
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


def test_the_page_about_licenses_is_what_is_installed(licenses: ModuleType) -> None:
    text = (ROOT / "docs" / "licenses.md").read_text("utf-8")
    assert text == licenses.page(), "run: python docs/make_licenses.py"
    assert "| torch | " in text
    assert "| pytest | " not in text  # only for developing
    assert not licenses.incompatible(licenses.closure("photosieve[ray]"))


@pytest.mark.parametrize(
    ("metadata", "good"),
    [
        ("License-Expression: MIT", True),
        ("License: MPL-2.0 AND MIT", True),
        ("Classifier: License :: OSI Approved :: BSD License", True),
        ("License-Expression: GPL-3.0-or-later", False),
        ("License-Expression: MIT AND LGPL-2.1-only", False),
        ("Classifier: License :: OSI Approved :: GNU Affero General Public License v3", False),
        ("Classifier: License :: OSI Approved\nLicense: as you like", False),
        ("Summary: no word about it", False),
    ],
)
def test_a_license_that_does_not_go_together_is_named(
    licenses: ModuleType, tmp_path: Path, metadata: str, good: bool
) -> None:
    (tmp_path / "METADATA").write_text(f"Metadata-Version: 2.4\nName: other\n{metadata}\n")
    found = licenses.incompatible({"other": Distribution.at(tmp_path)})
    assert bool(found) is not good
    assert all(line.startswith("other: ") for line in found)


def test_the_citation_names_this_version() -> None:
    citation: dict[str, Any] = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert citation["cff-version"] == "1.2.0"
    assert {"message", "title", "authors"} <= citation.keys()  # what the format asks for
    assert citation["title"] == project["name"]
    assert citation["version"] == project["version"]
    assert citation["license"] == project["license"]
    assert citation["abstract"].strip() == project["description"]
