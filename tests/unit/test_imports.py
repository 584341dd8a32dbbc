"""The architecture holds: imports go down, heavy libraries load late, and modules stay small."""

import ast
import functools
import graphlib
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
REPOSITORY = Path(__file__).resolve().parents[2]

PACKAGES = (
    "cli",
    "server",
    "index report",
    "sieve",
    "training",
    "encoders",
    "decision data cache",
    "checksums errors progress storage",
)
"""Top to bottom: a package imports only from lines below its own. Within a line: nothing."""

DEPTH = {package: row for row, line in enumerate(PACKAGES) for package in line.split()}

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


def package(module: str) -> str:
    return module.split(".")[0]


def test_every_package_has_its_line() -> None:
    assert {package(name) for name in sources()} - {"__main__"} == DEPTH.keys()


@pytest.mark.parametrize("name", sorted(sources().keys() - {"__main__"}))
def test_imports_go_down(name: str) -> None:
    others = {package(other) for other in own(sources()[name])} - {package(name)}
    assert {other for other in others if DEPTH[other] <= DEPTH[package(name)]} == set()


def test_no_imports_in_a_circle() -> None:
    """Over all modules, with the imports inside functions."""
    graph = {name: own(module) - {name} for name, module in sources().items()}
    assert list(graphlib.TopologicalSorter(graph).static_order())


def test_no_benchmarks_import_one_another_in_a_circle() -> None:
    """Nothing else starts most of them: such a circle stops a script at its first line."""
    files = {path.stem: path for path in (REPOSITORY / "benchmarks").glob("*.py")}
    if not files:
        pytest.skip("the benchmarks do not come with the installed package")
    graph = {
        name: {other.partition(".")[0] for other in imported(ast.parse(path.read_text("utf-8")))}
        & files.keys()
        for name, path in files.items()
    }
    assert list(graphlib.TopologicalSorter(graph).static_order())


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


def test_nothing_is_called_utils() -> None:
    parts = {part for name in sources() for part in name.split(".")}
    assert parts.isdisjoint({"util", "utils", "helper", "helpers", "common", "misc"})


@pytest.mark.long
def test_only_training_and_encoders_bring_torch() -> None:
    """Imported in turn into one interpreter, which names the first that brings it."""
    without = [
        n for n in sorted(sources()) if package(n) not in ("__main__", "encoders", "training")
    ]
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
from photosieve.cli.commands import app
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
        if inspect.isclass(kind) and issubclass(kind, Exception)
    }
    assert sorted(classes) == sorted(name for _, name in drawn)
    for branch, name in drawn:
        parent = errors.PhotosieveError if branch else Exception
        assert classes[name].__bases__ == (parent,)
