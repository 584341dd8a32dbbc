"""The architecture holds: imports go down, heavy libraries load late, and modules stay small."""

import ast
import functools
import importlib
import inspect
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import photosieve
from photosieve import errors

ROOT = Path(photosieve.__file__).parent

# Top to bottom: a module imports only what stands on a lower line. Within a line: nothing.
LAYERS = (
    "__main__",
    "cli",
    "cli_serve",
    "cli_search",
    "server.app",
    "server.api server.learning server.pages",
    "server.answers",
    "server.service server.models server.guard server.measure",
    "server.jobs server.worker server.thumbnails server.problems",
    "server.library",
    "terminal options cluster server",
    "demo",
    "compare",
    "index",
    "index.update",
    "review untrained",
    "sieve report",
    "index.marks",
    "report.page report.table report.training",
    "report.files report.plots",
    "storage",
    "hits card index.nearest index.snapshot index.metadata index.lock index.roots",
    "index.ann index.store",
    "scoring evidence",
    "training.folds",
    "training.fit",
    "training.trunk training.losses training.parallel training.batches training.checkpoints",
    "proposals",
    "encoders",
    "encoders.stored",
    "encoders.starter encoders.hub",
    "encoders.textside encoders.tail",
    "encoders.ends",
    "encoders.towers encoders.feed encoders.linear",
    "encoders.inputs encoders.rows",
    "encoders.model",
    "encoders.runtime encoders.checkpoint",
    "tune leaderboard",
    "pairs evaluate guarantee",
    "objective",
    "labelbook",
    "metrics cut labels check calibrate queries",
    "labelscan",
    "labelfiles",
    "folders",
    "photos sievefile",
    "training.recipes",
    "progress training training.recipe",
    "errors",
)
# `encoders` makes the encoder that is asked for, which implements what `encoders` declares.
ALLOWED_UPWARD = {
    ("encoders.starter", "encoders"),
    ("encoders.hub", "encoders"),
    ("encoders.feed", "encoders"),
    ("encoders.stored", "encoders"),
    ("encoders.textside", "encoders"),
    ("encoders.linear", "encoders"),
    ("encoders.towers", "encoders"),
    ("encoders.ends", "encoders"),
    ("encoders.tail", "encoders"),
    ("encoders.model", "encoders"),
}

WITH_TORCH = (
    "encoders.ends", "encoders.hub", "encoders.rows", "encoders.tail", "encoders.towers",
    "training.batches", "training.checkpoints", "training.fit", "training.folds",
    "training.losses", "training.parallel",
)  # fmt: skip
"""Only training, and what models are made of, needs it: nothing else waits for it to load."""

HEAVY = ("torch", "transformers")
MOST_LINES = 400


@functools.cache
def sources() -> dict[str, ast.Module]:
    """Every module but the package root, by its name inside the package."""
    paths = {path: path.relative_to(ROOT).with_suffix("").parts for path in ROOT.rglob("*.py")}
    return {
        ".".join(part for part in parts if part != "__init__"): ast.parse(path.read_text("utf-8"))
        for path, parts in paths.items()
        if parts != ("__init__",)
    }


def imported(module: ast.Module) -> set[str]:
    """What it imports anywhere, inside functions and for type checkers too, as full names."""
    found: set[str] = set()
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def own(module: ast.Module) -> set[str]:
    """The modules of this package that it imports; "" is the package root."""
    found = set()
    for name in imported(module):
        if name == "photosieve" or name.startswith("photosieve."):
            inside = name.removeprefix("photosieve").removeprefix(".")
            while inside not in sources() and inside:
                inside = inside.rpartition(".")[0]  # a name inside a module
            found.add(inside)
    return found


def python(code: str) -> str:
    """What a fresh interpreter prints."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_module_has_its_place() -> None:
    assert sorted(sources()) == sorted(" ".join(LAYERS).split())


@pytest.mark.parametrize("name", sources())
def test_imports_go_down(name: str) -> None:
    depth = {module: row for row, line in enumerate(LAYERS) for module in line.split()}
    upward = {
        other
        for other in own(sources()[name])
        if depth.get(other, -1) <= depth[name] and (name, other) not in ALLOWED_UPWARD
    }
    assert not upward


def test_nothing_imports_the_package_root() -> None:
    assert [name for name, module in sources().items() if "" in own(module)] == []


def test_only_encoders_know_transformers() -> None:
    knowing = {
        name
        for name, module in sources().items()
        if any(other.split(".")[0] == "transformers" for other in imported(module))
    }
    assert knowing
    assert {name.split(".")[0] for name in knowing} == {"encoders"}


@pytest.mark.parametrize("name", sources())
def test_modules_stay_small(name: str) -> None:
    path = ROOT.joinpath(*name.split("."))
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    assert len(file.read_text("utf-8").splitlines()) <= MOST_LINES


def test_no_module_brings_torch_but_those_that_need_it() -> None:
    """Imported in turn into one interpreter, which names the first that brings it."""
    without = sorted(sources().keys() - {*WITH_TORCH, "__main__"})
    code = f"""
import importlib, sys
for name in {without}:
    importlib.import_module("photosieve." + name)
    print(name, *(heavy for heavy in {HEAVY} if heavy in sys.modules), sep=",")
"""
    assert python(code).split() == without


def test_importing_the_package_loads_nothing() -> None:
    code = (
        "import sys; before = set(sys.modules); import photosieve\n"
        "print(*sorted({name.split('.')[0] for name in set(sys.modules) - before}"
        " - set(sys.stdlib_module_names)))"
    )
    assert python(code).split() == ["photosieve"]


def test_help_loads_no_library_that_takes_time() -> None:
    """Of the program and of each command, and the list of recipes."""
    code = """
import json, runpy, sys
from photosieve.cli import app
commands = [command.name or command.callback.__name__ for command in app.registered_commands]
found = {}
for arguments in [["--help"], *([command, "--help"] for command in commands), ["recipes"]]:
    sys.argv = ["photosieve", *arguments]
    try:
        runpy.run_module("photosieve", run_name="__main__")
    except SystemExit as stop:
        heavy = [name for name in ("torch", "transformers", "numpy", "PIL") if name in sys.modules]
        found[" ".join(arguments)] = [stop.code, heavy]
print(json.dumps(found), file=sys.stderr)
sys.stderr.flush()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    found = json.loads(done.stderr)
    assert {"--help", "train --help", "search --help", "recipes"} <= found.keys()
    assert all(result == [0, []] for result in found.values()), found
    for arguments in found:
        if "--help" in arguments:
            assert f"Usage: photosieve {arguments.removesuffix('--help')}".rstrip() in done.stdout


def test_openvino_does_not_report_to_its_maker() -> None:
    code = (
        "import photosieve.encoders.runtime\n"
        "try:\n    import openvino_telemetry\nexcept ImportError:\n    print('blocked')"
    )
    assert python(code).strip() == "blocked"


@pytest.mark.parametrize("name", photosieve.__all__)
def test_public_names_are_there(name: str) -> None:
    value = getattr(photosieve, name)
    assert value.__name__ == name
    assert value is getattr(importlib.import_module(value.__module__), name)


def test_a_name_that_is_not_there() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Sieves'"):
        _ = photosieve.Sieves


def test_the_drawn_tree_of_errors_is_the_real_one() -> None:
    assert errors.__doc__
    drawn = re.findall(r"^ +(├── |└── |)(\w+Error) ", errors.__doc__, re.MULTILINE)
    assert drawn[0] == ("", "PhotosieveError")
    classes = {
        name: kind
        for name, kind in vars(errors).items()
        if inspect.isclass(kind) and kind.__module__ == errors.__name__
    }
    assert sorted(classes) == sorted(name for _, name in drawn)
    for branch, name in drawn:
        parent = errors.PhotosieveError if branch else Exception
        assert classes[name].__bases__ == (parent,)
