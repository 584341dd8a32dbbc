"""Folders with labels files and small photos."""

import json
from collections.abc import Mapping
from pathlib import Path

from PIL import Image

from photosieve.data.dataset import Dataset


def building(
    folder: Path,
    labels: Mapping[str, object] | str | bytes,
    *photos: str,
    file: str = "labels.json",
) -> Path:
    """A folder with a labels file and small photos: those named, or those that are listed."""
    folder.mkdir(parents=True, exist_ok=True)
    if isinstance(labels, bytes):
        (folder / file).write_bytes(labels)
    else:
        text = labels if isinstance(labels, str) else json.dumps(labels)
        (folder / file).write_text(text, encoding="utf-8")
    for name in photos or (labels if isinstance(labels, Mapping) else ()):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), "red").save(folder / name)
    return folder


def kinds(dataset: Dataset) -> list[str]:
    return [problem.kind for problem in dataset.problems]
