"""The README cannot lie: its commands run, and print what it says but for the digits."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from photosieve.labels import Dataset
from tests.e2e.conftest import SAMPLES, Run

README = SAMPLES.parent / "README.md"
SCALE = SAMPLES.parent / "docs" / "scale.md"
CUTS = SAMPLES.parent / "docs" / "cuts.md"


def blocks(language: str, page: Path = README) -> list[str]:
    """The fenced blocks of a page in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text("utf-8"), re.DOTALL | re.M)


def session(page: Path) -> list[tuple[str, str]]:
    """Each `$ photosieve` command of a page with the output that stands below it."""
    found = []
    for block in blocks("console", page):
        for part in block.split("$ ")[1:]:
            command, _, output = part.partition("\n")
            if command.startswith("photosieve "):
                found.append((command, output))
    return found


def without_digits(text: str) -> str:
    """Digits differ between machines: seconds always, scores in the last place."""
    return re.sub(r" *[-+]?\d[\d.]*", " 0", re.sub(r" +$", "", text, flags=re.M)).strip()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reader")
    (folder / "samples").symlink_to(SAMPLES)
    return folder


def test_commands_print_what_stands_there(run: Run, folder: Path) -> None:
    commands = session(README)
    tuned = [command.split()[1] for command, _ in commands].index("tune")
    commands[tuned:tuned] = session(CUTS)  # with the cut as it was trained
    assert {"check", "train", "tune", "evaluate", "index", "search"} <= {
        c.split()[1] for c, _ in commands
    }
    for command, output in commands:
        done = run(*shlex.split(command)[1:], cwd=folder)
        assert done.status == 0, (command, done.err)
        assert without_digits(done.out) == without_digits(output), command


def test_the_demo_prints_what_stands_there(run: Run, folder: Path) -> None:
    """All but the lines that the README leaves out, and the folder that it runs in."""
    (shown,) = [block for block in blocks("console") if block.startswith("$ make demo")]
    done = run("demo", "--seeds", "1", cwd=folder)
    assert done.status == 0, done.err
    printed = without_digits(done.out.replace(f"{folder.resolve()}/", ""))
    for part in shown.removeprefix("$ make demo\n").split("...\n"):
        for line in part.splitlines():
            assert without_digits(line) in printed, line
    assert "nothing matches; 9 left out" in done.out
    assert (folder / "photosieve-demo" / "report.xlsx").stat().st_size > 10_000


def test_python_runs(folder: Path) -> None:
    (code,) = blocks("python")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "macro F1" in done.stdout
    assert "photo-09.jpg" in done.stdout


def test_the_labels_file_is_one(tmp_path: Path) -> None:
    (example,) = blocks("json")
    for name in json.loads(example):
        (tmp_path / name).touch()
    (tmp_path / "train_labels.json").write_text(example)
    assert Dataset.load(tmp_path).vocabulary[:2] == ("exterior", "garden")


def test_pictures_and_pages_exist() -> None:
    for page in (README, CUTS, SCALE):
        links = re.findall(r"\]\(([^)#:]+)\)", page.read_text("utf-8"))
        assert links
        for link in links:
            assert (page.parent / link).exists(), link
