"""How a training went, as figures for programs and as a picture."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from photosieve.report import plots
from photosieve.report.files import write_whole
from photosieve.training.run import History


def write_training(history: History, folder: Path) -> None:
    """Write ``training.json`` and ``training.svg`` into a folder.

    Raises
    ------
    UsageError
        If they cannot be written.
    """
    text = json.dumps(asdict(history), indent=1, allow_nan=False) + "\n"
    write_whole(folder / "training.json", lambda file: file.write(text.encode()))
    held_out = [max(row) for row in history.held_out_f1]
    picture = plots.training(history.losses, held_out, history.epochs)
    write_whole(folder / "training.svg", lambda file: file.write(picture.encode()))
