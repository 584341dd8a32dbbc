"""The last to hear of errors: one sentence, an exit status, and no traceback."""

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

COMMAND = [sys.executable, "-W", "error", "-m", "photosieve"]

# A command that fails as a bug does, and one that runs out of memory.
FAILING = """
import sys
from photosieve.cli.commands import app
from photosieve.cli.main import main

@app.command()
def bug() -> None:
    {}["no such key"]

@app.command()
def memory() -> None:
    raise RuntimeError("std::bad_alloc")

@app.command()
def disk() -> None:
    raise OSError(28, "No space left on device", "/some/file")

main()
"""

# Ctrl-C at the moment when a library is loaded; a careless one makes an error of its own of it.
INTERRUPTED = """
import importlib.abc, os, signal, sys

class Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name != {name!r}:
            return None
        sys.meta_path.remove(self)
        try:
            os.kill(os.getpid(), signal.SIGINT)
        except KeyboardInterrupt:
            if {careless}:
                raise ImportError("initialization failed")
            raise

sys.meta_path.insert(0, Finder())
from photosieve.cli.main import main
main()
"""


def run(
    command: list[str], *arguments: object, limit: int = 0, **environment: str
) -> tuple[int, str, str]:
    """Run a command, with a limit of the address space in megabytes, if one is given."""

    def prepare() -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        if limit:
            resource.setrlimit(resource.RLIMIT_AS, (limit * 10**6, limit * 10**6))

    done = subprocess.run(
        [*command, *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        preexec_fn=prepare,
    )
    return done.returncode, done.stdout, done.stderr


def failing(*arguments: str) -> tuple[int, str, str]:
    return run([sys.executable, "-c", FAILING], *arguments)


@pytest.mark.long
def test_a_bug_is_one_sentence_that_says_where_to_report_it() -> None:
    status, out, err = failing("bug")
    assert (status, out) == (1, "")
    (line,) = err.splitlines()
    assert line.startswith("photosieve: this is a bug in photosieve ")
    for word in ("KeyError", "no such key", "please report it", "--debug"):
        assert word in line


@pytest.mark.long
@pytest.mark.parametrize("arguments", [("--debug", "bug"), ("bug", "--debug")])
def test_debug_prints_the_traceback_wherever_it_stands(arguments: tuple[str, str]) -> None:
    status, _, err = failing(*arguments)
    assert status == 1
    assert err.startswith("Traceback")
    assert "KeyError: 'no such key'\n" in err
    assert err.splitlines()[-1].startswith("photosieve: this is a bug")


@pytest.mark.long
def test_errors_of_the_system_are_no_bugs() -> None:
    status, _, err = failing("memory")
    assert (status, err.count("\n")) == (1, 1)
    assert err.startswith("photosieve: there is not enough memory; ")
    status, _, err = failing("disk")
    assert (status, err.count("\n")) == (1, 1)
    assert err.startswith("photosieve: /some/file: it cannot be used (No space left on device); ")


@pytest.mark.long
@pytest.mark.parametrize("command", ["--help", "--version", "recipes", "recipes --json"])
def test_output_that_cannot_be_written(command: str) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*COMMAND, *command.split()], stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "No space left on device" in line
    reader, writer = os.pipe()
    os.close(reader)  # as with: photosieve recipes | true
    done = subprocess.run(
        [*COMMAND, *command.split()], stdout=writer, stderr=subprocess.PIPE, text=True
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, "")
    done = subprocess.run(
        [*COMMAND, *command.split()],
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: os.close(1),
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.long
@pytest.mark.parametrize("careless", [False, True])
@pytest.mark.parametrize("name", ["typer", "photosieve.cli.commands", "numpy", "PIL"])
def test_an_interrupt_while_libraries_load(name: str, careless: bool, tmp_path: Path) -> None:
    code = INTERRUPTED.format(name=name, careless=careless)
    status, out, err = run([sys.executable, "-c", code], "check", tmp_path)
    assert (status, out) == (130, "")
    assert err == "photosieve: interrupted; unfinished work is discarded\n"


@pytest.mark.long
@pytest.mark.parametrize("size", ["inf", "nan", "-inf", "0", "-1", "1e999", "many"])
def test_megapixels_that_make_no_sense(size: str, tmp_path: Path) -> None:
    status, _, err = run(COMMAND, "check", tmp_path, "--max-megapixels", size)
    assert status == 2
    assert "'--max-megapixels'" in err.splitlines()[-1]


@pytest.mark.long
@pytest.mark.parametrize("limit", [100, 300, 900])
def test_a_limit_of_the_address_space(limit: int, tmp_path: Path) -> None:
    """Libraries would print messages of their own, and end the process."""
    where = ("sofa", tmp_path, "--sieve", tmp_path)
    status, _, err = run(COMMAND, "search", *where, limit=limit)
    assert (status, err.count("\n")) == (1, 1)
    assert f"needs 3 GB of address space, and the limit is {limit / 1000:.1f} GB" in err
    status, _, err = run(COMMAND, "check", tmp_path, limit=limit)
    assert (status, err.count("\n")) in ((1, 1), (1, 0))


@pytest.mark.long
def test_names_that_are_no_text_are_printed(tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"h\xe4user")
    folder.mkdir()
    Image.new("RGB", (8, 8)).save(folder / os.fsdecode(b"\xff.png"))
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    (tmp_path / "train_labels.json").write_text('{"a.png": ["sofa"]}')
    status, out, err = run(COMMAND, "check", tmp_path, PYTHONUTF8="1")
    assert (status, err) == (0, "")
    assert "h\ufffduser: its name is not valid UTF-8; give it another name." in out


@pytest.mark.long
@pytest.mark.skipif(os.getuid() != 0, reason="only root can become a user without a home")
def test_without_a_home_there_is_a_passing_cache() -> None:
    code = """
import os, platformdirs
from photosieve.storage import cache_folder
os.setuid(54321)
print(cache_folder() == cache_folder(), cache_folder().is_dir(), cache_folder())
"""
    command = [sys.executable, "-W", "error", "-c", code]
    status, out, err = run(command, HOME="", XDG_CACHE_HOME="", PHOTOSIEVE_CACHE="")
    assert (status, err) == (0, "")
    same, there, folder = out.split()
    assert (same, there) == ("True", "True")
    assert not Path(folder).exists()  # gone with the process
