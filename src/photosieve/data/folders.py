"""Find the photo files in folders, without following links to other places."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from photosieve.data.photos import SUFFIXES
from photosieve.errors import Skipped, UsageError, one_line


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


class PhotoFile(NamedTuple):
    """A photo file as its folder lists it.

    Parameters
    ----------
    path : str
        Below the folder that was searched, with "/" between the parts.
    size : int
        In bytes.
    mtime_ns : int
        When it was last changed, in nanoseconds.
    """

    path: str
    size: int
    mtime_ns: int


def walk(
    folder: Path, *, recursive: bool = True, follow_links: bool = False
) -> Iterator[PhotoFile | Skipped]:
    """Go through the photo files of a folder, in no order.

    Hidden files and folders are left out. A link to a photo counts while it stays inside `folder`;
    linked folders are not entered, since their photos are either found at their own place or lie
    outside. A photo file that cannot be used is given as `Skipped`, and so is a folder that cannot
    be listed.

    Parameters
    ----------
    folder : Path
    recursive : bool
        Look in the sub-folders too, at any depth.
    follow_links : bool
        Also take links to photos and folders outside; each folder is entered once.

    Raises
    ------
    UsageError
        If `folder` does not exist, is not a folder or cannot be listed.
    """
    try:
        if not folder.is_dir():
            problem = "is not a folder" if folder.exists() else "does not exist"
            raise UsageError(f"{folder} {problem}: give a folder of photos.")
        home = folder.resolve()
        with os.scandir(folder):
            pass  # an error of the folder itself is raised, one below it is a Skipped
    except (OSError, ValueError) as error:
        raise UsageError(f"{folder} cannot be listed ({one_line(error)}).") from error

    entered = {os.path.realpath(home)} if follow_links else set()
    waiting = [(str(folder), "")]
    while waiting:
        place, prefix = waiting.pop()
        try:
            entries = os.scandir(place)
        except OSError as error:
            reason = f"it cannot be listed ({one_line(error)})"
            yield Skipped(Path(place), reason, "allow this user to list it", "folder")
            continue
        with entries:
            for entry in entries:
                name = entry.name
                if name[0] == ".":
                    continue
                if _is_folder(entry, follow_links):
                    if recursive and _is_new(entry, entered, follow_links):
                        waiting.append((entry.path, f"{prefix}{name}/"))
                elif os.path.splitext(name)[1].lower() in SUFFIXES:  # noqa: PTH122  # Path takes long
                    yield _look(entry, prefix + name, home, follow_links)


def find(folder: Path, *, recursive: bool = False) -> list[Path]:
    """Return the photo files of a folder, sorted; those that `walk` skips are left out.

    Raises
    ------
    UsageError
        If `folder` does not exist, is not a folder or cannot be listed.
    """
    entries = walk(folder, recursive=recursive)
    return sorted(folder / entry.path for entry in entries if isinstance(entry, PhotoFile))


def find_all(folders: Sequence[str | Path]) -> list[Path]:
    """Return the photo files of several folders with all their sub-folders, each once.

    Raises
    ------
    UsageError
        If there is none, or a folder cannot be listed.
    """
    paths = [path for folder in folders for path in find(Path(folder), recursive=True)]
    if not paths:
        raise UsageError(
            f"there is no photo in {', '.join(map(str, folders)) or 'no folder'}; "
            "name a folder with jpg, png, webp, bmp, tif or gif files"
        )
    return list(dict.fromkeys(paths))


def _is_folder(entry: os.DirEntry[str], follow_links: bool) -> bool:
    try:
        return entry.is_dir(follow_symlinks=follow_links)
    except OSError:  # a link that leads to itself
        return False


def _is_new(entry: os.DirEntry[str], entered: set[str], follow_links: bool) -> bool:
    """Whether a folder was not entered yet; without links no folder comes twice."""
    if not follow_links:
        return True
    real = os.path.realpath(entry.path)
    if real in entered:
        return False
    entered.add(real)
    return True


def _look(
    entry: os.DirEntry[str], path: str, home: Path, follow_links: bool
) -> PhotoFile | Skipped:
    try:
        linked = entry.is_symlink() and not follow_links
        if linked and not Path(entry.path).resolve().is_relative_to(home):
            return Skipped(Path(entry.path), "it is a link to another place", "copy the photo here")
        if not entry.is_file():
            return Skipped(Path(entry.path), "it is not a regular file", "give a photo file")
        status = entry.stat()
    except (OSError, RuntimeError) as error:  # RuntimeError: a link that leads to itself
        return Skipped(
            Path(entry.path), f"it cannot be read ({one_line(error)})", "check its name and disk"
        )
    return PhotoFile(path, status.st_size, status.st_mtime_ns)
