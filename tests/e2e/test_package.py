"""What is published works on its own: the wheel, installed where nothing else is."""

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.pages import ROOT, assert_printed, blocks

MOST_BYTES = 12_000_000
NOT_COPIED = shutil.ignore_patterns(
    ".git", ".venv", ".*_cache", "__pycache__", "*.egg-info", "build", "dist", "photosieve-demo"
)


@pytest.fixture
def checkout(tmp_path: Path) -> Iterator[Path]:
    """A copy of the checkout after `make dist`; the work of others there is not disturbed."""
    copy = tmp_path / "checkout"
    shutil.copytree(ROOT, copy, ignore=NOT_COPIED)
    # With the environment that runs the tests, whatever its age.
    tools = Path(sys.executable).parent
    command = ["make", "--assume-old=.venv/developed", "dist", f"BIN={tools}"]
    try:
        done = subprocess.run(command, cwd=copy, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stdout + done.stderr
        yield copy
    finally:
        shutil.rmtree(copy)  # it takes gigabytes, and pytest would keep three of them


def installed(checkout: Path, folder: Path, *arguments: str) -> str:
    """What the installed command prints in another folder, with an environment of nothing."""
    done = subprocess.run(
        [checkout / "build" / "env" / "bin" / "photosieve", *arguments],
        cwd=folder,
        env={"PATH": os.defpath, "HOME": str(folder)},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_wheel_does_the_whole_job_by_itself(checkout: Path, tmp_path: Path) -> None:
    """One test for all of it: to build and install takes most of a minute."""
    (wheel,) = (checkout / "dist").glob("*.whl")
    (sdist,) = (checkout / "dist").glob("*.tar.gz")
    version = wheel.name.split("-")[1]
    assert wheel.stat().st_size < MOST_BYTES

    inside = set(zipfile.ZipFile(wheel).namelist())
    assert {
        "photosieve/py.typed",
        "photosieve/encoders/imagenet.txt",
        "photosieve/report/templates/report.html.j2",
        "photosieve/server/static/css/base.css",
        "photosieve/server/templates/page.html.j2",
        "photosieve/samples/CREDITS.md",
        "photosieve/samples/train/harbour-view/train_labels.json",
        "photosieve/samples/test/rosewood-villa/photo-01.jpg",
        f"photosieve-{version}.dist-info/licenses/LICENSE",
    } <= inside
    assert {name.split("/")[0] for name in inside} == {
        "photosieve", f"photosieve-{version}.dist-info",
    }  # fmt: skip
    with tarfile.open(sdist) as archive:
        source = {name.partition("/")[2] for name in archive.getnames()}
    assert {
        "LICENSE", "README.md", "CHANGELOG.md", "CITATION.cff", "Makefile", "constraints.txt",
        "pyproject.toml", "docs/licenses.md", "tests/e2e/test_package.py",
        "src/photosieve/py.typed", "samples/test/rosewood-villa/photo-01.jpg",
    } <= source  # fmt: skip

    bill = json.loads((checkout / "dist" / "sbom.cdx.json").read_text())
    assert (bill["bomFormat"], bill["metadata"]["component"]["name"]) == ("CycloneDX", "photosieve")
    listed = {part["name"].lower().replace("_", "-") for part in bill["components"]}
    page = (checkout / "dist" / "licenses.md").read_text("utf-8")
    rows = re.findall(r"^\| ([\w.-]+) +\| ", page, re.MULTILINE)[1:]
    assert {row.lower().replace("_", "-") for row in rows} == listed
    assert page == (checkout / "docs" / "licenses.md").read_text("utf-8"), "run: make licenses"
    assert "torch" in listed
    assert "pytest" not in listed
    assert "Apache License" in (checkout / "dist" / "licenses.txt").read_text("utf-8")

    folder = tmp_path / "elsewhere"
    folder.mkdir()
    assert installed(checkout, folder, "--version") == f"photosieve {version}\n"
    shown = installed(checkout, folder, "demo", "--seeds", "1")
    sessions = [step for block in blocks("README.md") for step in block.session()]
    (output,) = [output for command, output in sessions if command == "make demo"]
    assert_printed(shown.replace(f"{folder.resolve()}/", ""), output, "make demo")
    assert "No matches in 9 photos" in shown
    assert (folder / "photosieve-demo" / "report.html").stat().st_size > 100_000
