"""The pages cannot lie: every block of README and docs runs, and prints what stands there.

A page is read from top to bottom in a folder of its own, as somebody would who types what it says.
Digits may differ: seconds always do, scores from machine to machine in the last place.
"""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import urllib.request
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import typer.main
from filelock import FileLock
from pyarrow import fs

from photosieve.cli.commands import app
from photosieve.data.dataset import Dataset
from photosieve.encoders.words import general_words
from tests.e2e.conftest import SAMPLES, Run
from tests.e2e.pages import ROOT, Block, assert_printed, blocks
from tests.unit.index.test_object_store import server
from tests.zoo import save_model

__all__ = ["server"]  # a fixture

PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for path in (ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *ROOT.glob("examples/*.md"))
)
SHOWN = {"text", "ini", "nginx"}
"""What blocks hold that nobody can run."""

BUILT = {"build", "dist", "site", "photosieve-demo"}
"""What is no part of a fresh clone."""

IN_A_CLONE = re.compile(r"^make \w+$", re.MULTILINE)
"""What builds a clone's own environment, and runs this test among others.

What `make demo` prints is compared in test_package.py, which runs the demo anyway.
"""

# Serving goes on in the background until the block ends, or serves something else.
PRELUDE = """set -euo pipefail -m
server=
stop() { [ -z "$server" ] || { kill -INT $server; wait $server; server=; }; }
photosieve() {
    [ "$1" = serve ] || { command photosieve "$@"; return; }
    stop
    command photosieve "$@" >serve.log 2>&1 & server=$!
    until curl --silent http://127.0.0.1:8765/health >health.log; do
        kill -0 $server 2>/dev/null || { cat serve.log >&2; return 1; }
        sleep 0.1
    done
}
trap '[ -z "$server" ] || kill $server' EXIT
"""


def as_typed(script: str) -> str:
    """What `make` would do to this clone is only looked up."""
    return IN_A_CLONE.sub(r"\g<0> --dry-run", script)


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small CLIP: a folder of that name is found as a model of that name on the hub would be."""
    folder = tmp_path_factory.mktemp("hub") / "clip"
    folder.mkdir()
    save_model("clip", folder)
    return folder


@pytest.fixture(scope="session")
def index(run: Run, sieve: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The index that pages take as made."""
    folder = tmp_path_factory.mktemp("indexes") / "listing-index"
    done = run("index", SAMPLES / "test", "--sieve", sieve, "--index", folder)
    assert done.status == 0, done.err
    return folder


class Reader:
    """Somebody who has a clone, a few photos, and the page before them."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder, self.environment = folder, environment

    def bash(self, script: str) -> str:
        done = subprocess.run(
            ["bash", "-c", PRELUDE + script + "\nstop\n"],
            cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=280,
        )  # fmt: skip
        assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def read(self, page: str, block: Block) -> None:
        """Do what a block says."""
        where = f"{page}:{block.line}"
        match block.language:
            case "console":
                for command, output in block.session():
                    printed = self.bash(as_typed(command))
                    printed = printed.replace(f"{self.folder.resolve()}/", "")
                    if not IN_A_CLONE.fullmatch(command):
                        assert_printed(printed, output, f"{where}: {command}")
            case "sh":
                self.bash(as_typed(block.text))
            case "python":
                done = subprocess.run(
                    [sys.executable, "-W", "error", "-c", block.text],
                    cwd=self.folder, env=self.environment, capture_output=True, text=True,
                )  # fmt: skip
                assert done.returncode == 0, f"{where}\n{done.stderr}"
            case "json":
                self.label(json.loads(block.text))
            case other:
                assert other in SHOWN, f"{where}: who runs {other}?"

    def label(self, labels: dict[str, list[str]]) -> None:
        folder = self.folder / "labeled"
        folder.mkdir(exist_ok=True)
        for name in labels:
            (folder / name).touch()
        (folder / "train_labels.json").write_text(json.dumps(labels))
        assert Dataset.load(folder).vocabulary


@pytest.fixture
def reader(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Reader]:
    """In a folder with what the page takes as there."""
    page, needed = (ROOT / request.param).read_text("utf-8"), request.getfixturevalue
    folder, home = tmp_path / "clone", tmp_path / "home"
    folder.mkdir()
    fill(folder, page)
    made = {
        "listing-sieve": "sieve",
        "listing-index": "index",
        "openai/clip-vit-base-patch32": "clip",
    }
    for name, fixture in made.items():
        own = re.search(rf"--out {name}|^{name}: .* added", page, re.MULTILINE)
        if name in page and not own:
            shutil.copytree(needed(fixture), folder / name)

    if "s3://" in page:
        fill_bucket(needed("server"))

    home.mkdir()
    # A name that stands for the reader's own server, and failures that count as failures.
    (home / ".curlrc").write_text("resolve = photos.example:8765:127.0.0.1\nfail\nshow-error\n")
    bins = [folder / ".venv" / "bin", Path(sys.executable).parent]
    environment = {
        **os.environ,
        "CURL_HOME": str(home),
        "PATH": os.pathsep.join([*map(str, bins), os.environ["PATH"]]),
    }
    # Pages that serve all take the same port.
    alone = FileLock("/tmp/photosieve-docs.lock") if "photosieve serve" in page else nullcontext()
    with alone:
        yield Reader(folder, environment)


def fill(folder: Path, page: str) -> None:
    """Give the reader a clone, and photos of their own."""
    for entry in ROOT.iterdir():
        if not entry.name.startswith(".") and entry.name not in BUILT:
            (folder / entry.name).symlink_to(entry)
    for name, part, number in (("photos", "train", 3), ("other-photos", "test", 2)):
        for building in sorted((SAMPLES / part).iterdir())[:number]:
            shutil.copytree(building, folder / name / building.name)
    if "cp -r samples my-photos" not in page:
        (folder / "my-photos").mkdir()
        for photo in sorted((SAMPLES / "test" / "cedar-heights").glob("*.jpg")):
            shutil.copy(photo, folder / "my-photos")
    if "vectors.npz" in page:
        shutil.copytree(Path(__file__).parent / "stand_ins", folder, dirs_exist_ok=True)
        write_vectors(folder)
    if re.search(r"^```sh\n[^`]*pip install", page, re.MULTILINE):
        lend_packages(folder / ".venv")


def write_vectors(folder: Path) -> None:
    """Write random vectors of the reader's photos, and of all texts that they need."""
    paths = [path for name in ("photos", "other-photos") for path in folder.glob(f"{name}/*/*.jpg")]
    texts = [*Dataset.load(folder / "photos").vocabulary, *general_words()]
    photo_vectors, text_vectors = (
        np.random.default_rng(0).normal(0, 1, (len(keys), 16)) for keys in (paths, texts)
    )
    np.savez(
        folder / "vectors.npz",
        paths=[path.relative_to(folder).as_posix() for path in paths],
        photo_vectors=photo_vectors,
        texts=texts,
        text_vectors=text_vectors,
    )


def lend_packages(venv: Path) -> None:
    """Make an environment that finds what is installed here, so that only the product is installed.

    The package's own test installs everything from nothing.
    """
    subprocess.run([sys.executable, "-m", "venv", venv], check=True)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    lent = venv / "lib" / version / "site-packages" / "lent.pth"
    lent.write_text(sysconfig.get_path("purelib") + "\n")


def fill_bucket(address: str) -> None:
    """Put photos into an object store."""
    urllib.request.urlopen(urllib.request.Request(f"{address}/bucket", method="PUT"))
    fs.copy_files(str(SAMPLES / "test" / "mill-lane-6"), "s3://bucket/photos/mill-lane-6")


RUN = [page for page in PAGES if any(block.language not in SHOWN for block in blocks(page))]


@pytest.mark.parametrize(
    ("reader", "page"), [(page, page) for page in RUN], indirect=["reader"], ids=RUN
)
def test_every_block_runs(reader: Reader, page: str) -> None:
    for block in blocks(page):
        reader.read(page, block)


OPTIONS = re.compile(r"(?<![\w-])--[a-z][\w-]+")


def test_every_option_that_a_page_names_exists() -> None:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]  # it is a group
    known = {
        name: {
            option
            for each in (command, *getattr(command, "commands", {}).values())
            for parameter in each.params
            for option in parameter.opts
        }
        for name, command in commands.items()
    }
    assert "--json" in known["search"]
    every = set().union(*known.values()) | {"--help", "--version", "--debug"}
    every |= {"--install-completion", "--show-completion", "--extra-index-url"}  # the last is pip's
    for page in PAGES:
        text = re.sub(r"^```.*?^```$", "", (ROOT / page).read_text("utf-8"), flags=re.S | re.M)
        for span in re.findall(r"`([^`\n]+)`", text):
            program, *words = span.split()
            options = set(OPTIONS.findall(span))
            if program == "photosieve" and words and re.fullmatch(r"[a-z]+", words[0]):
                assert words[0] in known, f"{page} names a command that is not there: {span}"
                assert options <= known[words[0]] | {"--help"}, (page, span)
            elif program == "photosieve" or program.startswith("--"):
                assert options <= every, (page, span)


def test_every_script_and_target_that_a_page_names_exists() -> None:
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text("utf-8"), re.M))
    named = []
    for page in (*PAGES, "CONTRIBUTING.md"):
        text = (ROOT / page).read_text("utf-8")
        assert set(re.findall(r"`make (\w+)", text)) <= targets, page
        named += re.findall(r"((?:benchmarks|examples|tests|docs)/[\w/]+\.(?:py|ipynb))", text)
    assert len(named) > 10
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_no_page_waits_for_a_figure() -> None:
    for page in PAGES:
        assert not re.search(r"\b[A-Z]+_TABLE\b", (ROOT / page).read_text("utf-8")), page


def test_pictures_and_pages_exist() -> None:
    """Of the README; those of docs/ are checked where the site is built."""
    links = re.findall(r"\]\(([^)#:]+)\)", (ROOT / "README.md").read_text("utf-8"))
    assert len(links) > 8
    assert [link for link in links if not (ROOT / link).exists()] == []


@pytest.mark.parametrize("script", ["make_api.py", "make_commands.py"])
def test_a_page_that_is_made_is_up_to_date(script: str) -> None:
    made = module(ROOT / "docs" / script)
    assert made.PAGE.read_text("utf-8") == made.page(), f"run: python docs/{script}"


def module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec
    assert spec.loader
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


def test_every_page_is_in_the_menu() -> None:
    menu = (ROOT / "mkdocs.yml").read_text("utf-8")
    assert all(f" {Path(page).name}\n" in menu for page in PAGES if page.startswith("docs/"))


def test_extras_that_pages_install_exist() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    for page in PAGES:
        wanted = re.findall(r"pip install .*'\.\[(\w+)\]'", (ROOT / page).read_text("utf-8"))
        assert set(wanted) <= extras.keys()
