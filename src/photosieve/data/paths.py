"""Paths that users give: patterns are expanded, and folders give buildings their names."""

from __future__ import annotations

import glob
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from photosieve.errors import UsageError

_ENDINGS = ("labels.json", "labels.csv", "metadata.csv", "metadata.jsonl")


def expanded(paths: Sequence[str | Path]) -> list[Path]:
    """Replace each pattern by the folders and labels files that match it.

    Raises
    ------
    UsageError
        If there is no path, one does not exist, or a pattern matches nothing.
    """
    if not paths:
        raise UsageError("No path given: name a folder with photos and a labels file.")
    found: list[Path] = []
    for path in map(Path, paths):
        # A folder may be called "flat [2]", so an existing path is never read as a pattern.
        if os.path.exists(path):  # noqa: PTH110  # Path.exists fails on an impossible name
            found.append(path)
            continue
        if not any(sign in str(path) for sign in "*?["):
            raise UsageError(f"{path} does not exist: give a folder of photos or a labels file.")
        # Path.glob takes no absolute pattern.
        matches = sorted(map(Path, glob.glob(str(path), recursive=True)))  # noqa: PTH207
        usable = [m for m in matches if m.is_dir() or m.name.endswith(_ENDINGS)]
        if not usable:
            raise UsageError(f"The pattern {path} matches no folder and no labels file.")
        found += usable
    # Relative and absolute paths have no common folder that could be the root.
    if any(path.is_absolute() for path in found):
        found = [absolute(path) for path in found]
    return found


def building_names(folders: Sequence[tuple[Path, Path]]) -> tuple[str, ...]:
    """Name each building: its folder's path, from the given folder down.

    Where two folders would get one name, their names start further up until they differ.

    Parameters
    ----------
    folders : sequence of (Path, Path)
        The folder of a building, and the folder that the user gave.
    """
    parts = [absolute(folder).parts for folder, _ in folders]
    depths: dict[tuple[str, ...], int] = {}
    for (folder, root), own in zip(folders, parts, strict=True):
        depths.setdefault(own, max(1, len(folder.relative_to(root).parts)))
    names = distinct_names(depths)
    return tuple(names[own] for own in parts)


def distinct_names(depths: Mapping[tuple[str, ...], int]) -> dict[tuple[str, ...], str]:
    """Name folders by the last parts of their paths.

    Where two folders would get one name, their names start further up until they differ.

    Parameters
    ----------
    depths : mapping
        For each folder, as the parts of its path, the least number of parts in its name.
    """
    depths = dict(depths)
    while True:
        names = {folder: "/".join(folder[-depth:]) for folder, depth in depths.items()}
        uses = Counter(names.values())
        clashing = [
            folder
            for folder, name in names.items()
            if uses[name] > 1 and depths[folder] < len(folder)
        ]
        if not clashing:
            return names
        for folder in clashing:
            depths[folder] += 1


def absolute(path: Path) -> Path:
    """Return the absolute path; `resolve` would also follow links and so rename buildings."""
    return Path(os.path.abspath(path))  # noqa: PTH100
