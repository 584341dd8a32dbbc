"""Reports as files: an evaluation as CSV, workbook or page, and a search as page."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from photosieve.data.formats import SUFFIXES
from photosieve.data.scan import labels_files_in
from photosieve.errors import UsageError, one_line
from photosieve.storage import draft_file

AUTHOR = "photosieve"

_MARKS = (
    f'<meta name="generator" content="{AUTHOR}">'.encode(),
    f">{AUTHOR}</dc:creator>".encode(),
    b"building,label,train,test,",
)
"""One of them is near the beginning of each report: of a page, a workbook or a table."""

_NEAR = 2048


def check_report(*paths: Path | None) -> None:
    """Refuse places that a report must not overwrite, before any work depends on it.

    Parameters
    ----------
    paths : Path or None
        None is left out.

    Raises
    ------
    UsageError
        If something else than a report of this program is there, a name is that of a photo or a
        labels file, or two paths are the same.
    """
    files = [Path(path) for path in paths if path is not None]
    for path in files:
        if labels_files_in(path.parent, [path.name]) or path.suffix.lower() in SUFFIXES:
            raise UsageError(
                f"{path}: this is the name of a labels file or of a photo; choose another name"
            )
        try:
            free = not path.exists() or (path.is_file() and _is_report(path))
        except OSError as error:
            raise UsageError(
                f"{path}: the file cannot be read ({one_line(error)}); choose another name"
            ) from None
        if not free:
            raise UsageError(
                f"{path}: there is something else than a report here; choose another name"
            )
    if len({path.resolve() for path in files}) < len(files):
        raise UsageError(f"{files[0]}: two reports cannot be one file; choose another name")


def _is_report(path: Path) -> bool:
    """Whether a file is an earlier report, or empty."""
    with path.open("rb") as file:
        start = file.read(_NEAR)
    if start.startswith(b"PK"):
        try:
            with zipfile.ZipFile(path) as book, book.open("docProps/core.xml") as about:
                start = about.read(_NEAR)
        except (zipfile.BadZipFile, KeyError, NotImplementedError, RuntimeError):
            return False
    return not start or any(mark in start for mark in _MARKS)


@contextmanager
def report_file(path: Path) -> Iterator[BinaryIO]:
    """Open a draft of a report, which replaces an earlier one when the block ends without an error.

    Raises
    ------
    UsageError
        If something else than a report is there, or the file cannot be written; the old file is
        still there.
    """
    check_report(path)
    with written_file(path) as file:
        yield file


@contextmanager
def written_file(path: Path) -> Iterator[BinaryIO]:
    """Open a draft of a file, which replaces any file when the block ends without an error.

    Raises
    ------
    UsageError
        If the file cannot be written; the old file is still there.
    """
    try:
        with draft_file(Path(path)) as file:
            yield file
    except OSError as error:
        raise UsageError(
            f"{path}: the file cannot be written ({error.strerror or error}); "
            "choose a place that you may write to"
        ) from None
