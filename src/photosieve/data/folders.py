"""Find the photo files in folders, without following links to other places."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from photosieve.data.names import is_text, readable
from photosieve.data.photos import SUFFIXES
from photosieve.errors import Skipped, UsageError, one_line


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
    ctime_ns, inode : int
        When the file system last changed its record of the file, and the number of that record;
        0 where this is not known.
    """

    path: str
    size: int
    mtime_ns: int
    ctime_ns: int = 0
    inode: int = 0


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
    home = _resolved(folder)
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
                if not is_text(name):
                    yield from _unnamed(entry, Path(place, readable(name)), follow_links)
                elif _is_folder(entry, follow_links):
                    if recursive and _is_new(entry, entered, follow_links):
                        waiting.append((entry.path, f"{prefix}{name}/"))
                elif os.path.splitext(name)[1].lower() in SUFFIXES:  # noqa: PTH122  # Path takes long
                    yield _look(entry, prefix + name, home, follow_links)


def _resolved(folder: Path) -> Path:
    """Return the real path of a folder that can be listed."""
    try:
        if not folder.is_dir():
            problem = "is not a folder" if folder.exists() else "does not exist"
            raise UsageError(f"{readable(str(folder))} {problem}: give a folder of photos.")
        home = folder.resolve()
        with os.scandir(folder):
            pass  # an error of the folder itself is raised, one below it is a Skipped
    except (OSError, ValueError) as error:
        raise UsageError(f"{folder} cannot be listed ({one_line(error)}).") from error
    if not is_text(str(folder)):
        shown = readable(str(folder))
        raise UsageError(f"{shown}: its name is not valid UTF-8; give it another name.")
    return home


def find(folder: Path, *, recursive: bool = False) -> list[Path]:
    """Return the photo files of a folder, sorted; those that `walk` skips are left out.

    Raises
    ------
    UsageError
        If `folder` does not exist, is not a folder or cannot be listed.
    """
    entries = walk(folder, recursive=recursive)
    return sorted(folder / entry.path for entry in entries if isinstance(entry, PhotoFile))


def find_all(folders: Sequence[str | Path]) -> tuple[list[Path], tuple[Skipped, ...]]:
    """Return the photo files of several folders with all their sub-folders, each once.

    Returns
    -------
    photos : list of Path
        Sorted in each folder.
    skipped : tuple of Skipped
        Files and folders that cannot be used.

    Raises
    ------
    UsageError
        If there is no photo, or a folder cannot be listed.
    """
    paths: list[Path] = []
    skipped: list[Skipped] = []
    for folder in map(Path, folders):
        entries = list(walk(folder))
        paths += sorted(folder / entry.path for entry in entries if isinstance(entry, PhotoFile))
        skipped += (entry for entry in entries if isinstance(entry, Skipped))
    if not paths:
        raise UsageError(
            f"there is no photo in {', '.join(map(str, folders)) or 'no folder'}; "
            "name a folder with jpg, png, webp, bmp, tif or gif files"
        )
    return list(dict.fromkeys(paths)), tuple(dict.fromkeys(skipped))


def _unnamed(entry: os.DirEntry[str], shown: Path, follow_links: bool) -> Iterator[Skipped]:
    """Give a photo or folder whose name is arbitrary bytes: no table or JSON file can hold it."""
    folder = _is_folder(entry, follow_links)
    if folder or os.path.splitext(entry.name)[1].lower() in SUFFIXES:  # noqa: PTH122
        kind: Literal["photo", "folder"] = "folder" if folder else "photo"
        yield Skipped(shown, "its name is not valid UTF-8", "give it another name", kind)


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
    inode = status.st_ino & (2**63 - 1)  # a signed integer of 64 bits holds it
    return PhotoFile(path, status.st_size, status.st_mtime_ns, status.st_ctime_ns, inode)
