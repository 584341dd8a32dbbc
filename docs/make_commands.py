"""Write docs/commands.md from what each command says of itself: `python docs/make_commands.py`."""

from __future__ import annotations

from pathlib import Path

import typer.main
from typer.testing import CliRunner

from photosieve.cli.commands import app

PAGE = Path(__file__).with_name("commands.md")

HEAD = """# Commands

Which commands and options are there? This page has the output of `photosieve COMMAND --help`.
`docs/make_commands.py` writes it, and a test compares it with the program.

- **Results** go to stdout; progress and skipped photos go to stderr, so that results can be piped.
- **Progress** is one bar for the whole command, with its stage and the time left. Where stderr is
  no terminal, it is a line every 30 seconds. `train` says how long it will take once the first
  photos are read.
- **JSON**: every command has `--json`, but for `serve`.
- **Exit status**: 0 done, also with an empty result; 1 failed; 2 wrong usage; 130 interrupted.
- **Errors** are one sentence. With `--debug`, anywhere among the arguments, the traceback is
  printed, too.
"""


def page() -> str:
    """Ask the program, and then each command, for help."""
    parts = [HEAD, _help()]
    for name, command in typer.main.get_command(app).commands.items():  # type: ignore[attr-defined]
        # Of a group, such as `labels`, each command.
        words = [(name, inner) for inner in getattr(command, "commands", ())]
        if not words or command.invoke_without_command:
            words.insert(0, (name,))
        parts += [f"\n## {' '.join(each)}\n\n{_help(*each)}" for each in words]
    return "\n".join(parts)


def _help(*command: str) -> str:
    done = CliRunner().invoke(
        app, [*command, "--help"], prog_name="photosieve", env={"COLUMNS": "80"}
    )
    return f"```text\n{done.stdout.strip()}\n```\n"


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
