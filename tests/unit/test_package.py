"""What the package says about itself is true: its licenses, its citation, its version."""

import importlib.util
import re
import subprocess
import sys
import tomllib
import venv
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.test_imports import imported, sources

ROOT = Path(__file__).resolve().parents[2]


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
    tmp_path: Path, metadata: str, good: bool
) -> None:
    venv.create(tmp_path / "env")
    (packages,) = (tmp_path / "env").glob("lib/*/site-packages")
    (packages / "other-1.0.dist-info").mkdir()
    (packages / "other-1.0.dist-info" / "METADATA").write_text(
        f"Metadata-Version: 2.4\nName: other\nVersion: 1.0\n{metadata}\n"
    )
    tools, python = Path(sys.executable).parent, tmp_path / "env" / "bin" / "python"
    done = subprocess.run(
        ["make", "--silent", "check-licenses", f"BIN={tools}", f"ENV={python}"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode == 0) is good, done.stderr
    assert ("for package other:1.0" in done.stderr) is not good


def test_what_is_imported_is_declared() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    lines = [*project["dependencies"], *extras["heif"], *extras["ray"]]
    declared = {canonical(re.split(r"[^\w.-]", line)[0]) for line in lines}
    homes = packages_distributions()
    imports = set().union(*map(imported, sources().values()))
    libraries = {name.split(".")[0] for name in imports} - sys.stdlib_module_names - {"photosieve"}
    assert len(libraries) > 20
    for library in sorted(libraries):
        assert {canonical(home) for home in homes.get(library, [library])} & declared, library


def test_the_lowest_versions_are_those_of_the_bounds() -> None:
    spec = importlib.util.spec_from_file_location("lowest", ROOT / ".github" / "lowest.py")
    assert spec
    assert spec.loader
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    lines = ["numpy>=2.0", "torch>=2.6", "ray[data]>=2.40", "fixed==0.1"]
    assert made.lowest(lines, ["numpy==2.4", "torch==2.13.0"]) == [
        "torch==2.13.0", "numpy==2.0", "ray==2.40", "fixed==0.1",
    ]  # fmt: skip


def test_make_bench_runs_scripts_that_exist() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8").replace("\\\n", " ")
    (looped,) = re.findall(r"for script in ([\w\s]+);", makefile)
    named = {*looped.split(), *re.findall(r"benchmarks/(\w+)\.py", makefile)}
    assert len(named) > 10
    for name in named:
        assert (ROOT / "benchmarks" / f"{name}.py").exists(), name


def canonical(name: str) -> str:
    return re.sub("[-_.]+", "-", name).lower()


def test_the_citation_names_this_version() -> None:
    citation: dict[str, Any] = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert citation["cff-version"] == "1.2.0"
    assert {"message", "title", "authors"} <= citation.keys()  # what the format asks for
    assert citation["title"] == project["name"]
    assert citation["version"] == project["version"]
    assert citation["license"] == project["license"]
    assert citation["abstract"].strip() == project["description"]
