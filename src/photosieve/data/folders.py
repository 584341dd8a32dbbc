"""Find the photo files in folders, without following links to other places."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from photosieve.data.formats import READ, SUFFIXES, UNREAD, name_of
from photosieve.data.names import NO_TEXT, NO_TEXT_REMEDY, is_text
from photosieve.data.photos import head
from photosieve.errors import PhotoError, Skipped, UsageError, one_line, printable, unread_formats

_SYSTEM_FOLDERS = frozenset(
    {
        *("@eadir", "@tmp", "@recycle", "@recently-snapshot", "#recycle", "#snapshot"),  # NAS
        *("$recycle.bin", "recycler", "system volume information"),  # Windows
        *("__macosx", "network trash folder", "temporary items"),  # macOS
        "lost+found",  # Linux
    }
)
"""Folders of a system, in lower case: what is in them is a thumbnail, a copy or deleted."""


def is_ignored(name: str) -> bool:
    """Whether a file or folder is passed over by its name: hidden, or a folder of a system."""
    return name.startswith(".") or name.lower() in _SYSTEM_FOLDERS


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

    Hidden files and folders are left out, and so are those of a system, such as the thumbnails in
    ``@eaDir`` of a NAS. A link to a photo counts while it stays inside `folder`; linked folders are
    not entered, since their photos are either found at their own place or lie outside. A photo file
    that cannot be used is given as `Skipped`, and so are a picture in a format that is not read and
    a folder that cannot be listed.

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
    home = _home(folder)
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
                if is_ignored(name):
                    continue
                if not is_text(name):
                    yield from _unnamed(entry, Path(place, printable(name)), follow_links)
                    continue
                if _is_folder(entry, follow_links):
                    if recursive and _is_new(entry, entered, follow_links):
                        waiting.append((entry.path, f"{prefix}{name}/"))
                    continue
                suffix = os.path.splitext(name)[1].lower()  # noqa: PTH122  # Path takes long
                if suffix in SUFFIXES:
                    yield _look(entry, prefix + name, home, follow_links)
                elif suffix in UNREAD or not suffix:
                    yield from _look_inside(entry, prefix + name, home, follow_links)


def unread(path: Path) -> Skipped:
    """Return the record of a picture whose name ends as those of `UNREAD` do."""
    return Skipped.of_format(path, path.suffix[1:].upper(), UNREAD[path.suffix.lower()])


def _is_photo(path: Path) -> bool:
    """Whether the first bytes of a file of an unknown or unread kind are those of a photo."""
    try:
        name = name_of(head(path))
    except PhotoError:
        return False
    # A raw photo of a camera is a TIFF file, too; what TIFF decoders show of it is a thumbnail.
    return name in READ and not (name == "TIFF" and path.suffix)


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
    photos: list[Path] = []
    skipped: list[Skipped] = []
    for folder in map(Path, folders):
        entries = list(walk(folder))
        photos += sorted(folder / entry.path for entry in entries if isinstance(entry, PhotoFile))
        skipped += (entry for entry in entries if isinstance(entry, Skipped))
    if not folders:
        raise UsageError("no folder is given: name the folders of photos to search")
    if not photos:
        left_out = "".join(f"; {sentence}" for sentence in unread_formats(skipped))
        raise UsageError(
            f"there is no photo in {', '.join(map(str, folders))}; "
            f"name a folder with jpg, png, webp, avif, jp2, bmp, tif or gif files{left_out}"
        )
    return list(dict.fromkeys(photos)), tuple(dict.fromkeys(skipped))


def _unnamed(entry: os.DirEntry[str], shown: Path, follow_links: bool) -> Iterator[Skipped]:
    """Give a photo or folder whose name is arbitrary bytes: no table or JSON file can hold it."""
    if _is_folder(entry, follow_links):
        yield Skipped(shown, NO_TEXT, NO_TEXT_REMEDY, "folder")
    elif Path(entry.name).suffix.lower() in SUFFIXES or _is_photo(Path(entry.path)):
        yield Skipped(shown, NO_TEXT, NO_TEXT_REMEDY)


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


def _home(folder: Path) -> Path:
    """Return the real path of a folder that can be listed; raises `UsageError`."""
    shown = printable(str(folder))
    try:
        if not folder.is_dir():
            problem = "is not a folder" if folder.exists() else "does not exist"
            raise UsageError(f"{shown} {problem}: give a folder of photos.")
        with os.scandir(folder):
            home = folder.resolve()  # an error of a folder below it is a Skipped
    except (OSError, ValueError) as error:
        raise UsageError(f"{shown} cannot be listed ({one_line(error)}).") from error
    if not is_text(str(folder)):
        raise UsageError(f"{shown}: {NO_TEXT}; {NO_TEXT_REMEDY}.")
    return home


def _look_inside(
    entry: os.DirEntry[str], path: str, home: Path, follow_links: bool
) -> Iterator[PhotoFile | Skipped]:
    """Give a file as a photo if its content is one; else as skipped, if it is called a picture."""
    found = _look(entry, path, home, follow_links)
    if isinstance(found, PhotoFile) and _is_photo(Path(entry.path)):
        yield found
    elif Path(path).suffix:
        yield unread(Path(entry.path))


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
