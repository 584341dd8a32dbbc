"""The tab key: it offers commands and recipes at once, in every shell."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("torch", "transformers", "numpy", "PIL")

# What the installed command does, and then which libraries it has loaded.
CODE = f"""
import json, sys
from photosieve.cli.main import main
sys.argv[0] = "photosieve"
try:
    main()
except SystemExit as stop:
    loaded = [name for name in {HEAVY} if name in sys.modules]
    print(json.dumps([stop.code, loaded]), file=sys.stderr)
"""


def photosieve(*arguments: str, **environment: str) -> str:
    """What the command prints; it has to end well, and soon."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", CODE, *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stderr.splitlines()[-1]) == [0, []], done.stderr
    return done.stdout


def bash(line: str) -> list[str]:
    """What bash is offered at the end of a line."""
    words = line.count(" ")
    environment = {"COMP_WORDS": line, "COMP_CWORD": str(words)}
    return photosieve(_PHOTOSIEVE_COMPLETE="complete_bash", **environment).split()


def test_commands_and_options() -> None:
    assert {"demo", "train", "search", "serve"} <= set(bash("photosieve "))
    assert bash("photosieve se") == ["search", "serve"]
    assert bash("photosieve train --push") == ["--push-to-hub"]


@pytest.mark.long
def test_recipes_by_name() -> None:
    assert {"balanced", "notebook", "lora"} <= set(bash("photosieve train x --recipe "))
    assert bash("photosieve train x --recipe last") == ["last-2"]


@pytest.mark.long
def test_paths_are_left_to_the_shell() -> None:
    assert bash("photosieve train ") == []


@pytest.mark.long
@pytest.mark.parametrize(
    ("shell", "environment"), [("zsh", {}), ("fish", {"_TYPER_COMPLETE_FISH_ACTION": "get-args"})]
)
def test_other_shells_say_what_a_recipe_does(shell: str, environment: dict[str, str]) -> None:
    offered = photosieve(
        _PHOTOSIEVE_COMPLETE=f"complete_{shell}",
        _TYPER_COMPLETE_ARGS="photosieve train x --recipe lo",
        **environment,
    )
    assert "lora" in offered
    assert "low-rank" in offered
    assert "last-2" not in offered


@pytest.mark.long
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_for_a_shell(shell: str, tmp_path: Path) -> None:
    # Else it looks which shell the test was started from.
    named = {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1", "HOME": str(tmp_path)}
    shown = photosieve("--show-completion", shell, **named)
    assert f"_PHOTOSIEVE_COMPLETE=complete_{shell}" in shown
    installed = photosieve("--install-completion", shell, **named)
    assert f"{shell} completion installed in" in installed
    scripts = [path.read_text() for path in tmp_path.rglob("*") if path.is_file()]
    assert any("_PHOTOSIEVE_COMPLETE" in script for script in scripts)
