"""Reports as files: an evaluation as CSV, workbook or page, and a search as page."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from photosieve.errors import UsageError
from photosieve.storage import draft_file


@contextmanager
def report_file(path: Path) -> Iterator[BinaryIO]:
    """Open a draft of a report, which replaces the file when the block ends without an error.

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
