"""The history of a training as figures for programs and as a picture."""

from __future__ import annotations

import json
from dataclasses import asdict, astuple
from pathlib import Path

from photosieve.errors import printable
from photosieve.report import plots, written_file
from photosieve.training.run import History


def write_training(history: History, folder: Path) -> None:
    """Write ``training.json`` and ``training.svg`` into a folder.

    Raises
    ------
    UsageError
        If they cannot be written.
    """
    text = json.dumps(asdict(history), indent=1, allow_nan=False) + "\n"
    with written_file(folder / "training.json") as file:
        file.write(text.encode())
    if history.tried and history.probe and not history.losses:
        picture = plots.probes(history.tried, astuple(history.probe))
    else:
        held_out = [max(row) for row in history.held_out_f1]
        picture = plots.training(history.losses, held_out, history.epochs)
    with written_file(folder / "training.svg") as file:
        file.write(printable(picture).encode())
