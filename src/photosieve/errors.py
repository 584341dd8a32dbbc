"""All errors that photosieve raises on purpose.

::

    PhotosieveError        a sentence that is safe to show to a user
    ├── UsageError         an argument has a value that makes no sense; exit status 2
    ├── PhotoError         one photo cannot be read; carries path, reason and remedy
    ├── LabelsError        a labels file cannot be used
    ├── EncoderError       a model cannot be loaded
    ├── TrainingError      training cannot start or went wrong
    ├── GuaranteeError     the labels are too few for the guarantee
    ├── SieveError         a saved sieve is missing, damaged or does not fit
    └── PhotoIndexError    an index is missing, damaged, busy or belongs to another model

The command line turns them into one line on stderr and an exit status; a server turns them into
a status code. Anything else that escapes is a bug.
"""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal


class PhotosieveError(Exception):
    """Base of all: its text is one clear sentence for the person who uses the program."""


class UsageError(PhotosieveError):
    """An argument has a value that makes no sense."""


class PhotoError(PhotosieveError):
    """One photo cannot be read; a run skips it and goes on.

    Parameters
    ----------
    path : Path
        The file.
    reason : str
        The problem, such as "the file is empty".
    remedy : str
        The next step for its owner.
    form : str
        The name of its format, such as "HEIC", if that is the reason.
    """

    def __init__(self, path: Path, reason: str, remedy: str, form: str = "") -> None:
        super().__init__(f"{path}: {reason}; {remedy}")
        self.path = path
        self.reason = reason
        self.remedy = remedy
        self.form = form


class LabelsError(PhotosieveError):
    """A labels file cannot be used."""


class EncoderError(PhotosieveError):
    """A model cannot be loaded."""


class TrainingError(PhotosieveError):
    """Training cannot start or went wrong."""


class GuaranteeError(PhotosieveError):
    """The labels are too few for the guarantee."""


class SieveError(PhotosieveError):
    """A saved sieve is missing, damaged or does not fit."""


class PhotoIndexError(PhotosieveError):
    """An index is missing, damaged, busy or belongs to another model."""


@dataclass(frozen=True)
class Skipped:
    """A photo or folder that a run left out, and why.

    Parameters
    ----------
    path : Path
        The file or folder.
    reason : str
        The problem.
    remedy : str
        The next step for its owner.
    kind : str
        "photo", or "folder" for a folder that cannot be listed: its photos are unknown.
    form : str
        The name of its format, such as "HEIC", if that is the reason.
    """

    path: Path
    reason: str
    remedy: str
    kind: Literal["photo", "folder"] = "photo"
    form: str = ""

    @classmethod
    def of_format(cls, path: Path, form: str, remedy: str) -> "Skipped":
        """The record of a photo in a format that is not read."""
        return cls(path, f"{form} files are not read here", remedy, form=form)

    @classmethod
    def from_error(cls, error: PhotoError) -> "Skipped":
        """The record of a photo that could not be read."""
        return cls(error.path, error.reason, error.remedy, form=error.form)

    def to_dict(self) -> dict[str, str]:
        """Return a form for JSON."""
        return {
            "path": shown(self.path),
            "kind": self.kind,
            "reason": self.reason,
            "remedy": self.remedy,
        }

    def __str__(self) -> str:
        # A file name may hold a line break, and a log or a terminal must not see two lines.
        return " ".join(f"skipped {shown(self.path)}: {self.reason}; {self.remedy}".split())


def unread_formats(skipped: Iterable[Skipped]) -> dict[str, int]:
    """Count the photos that were left out for their format, with a sentence for each format."""
    counts = Counter((skip.form, skip.remedy) for skip in skipped if skip.form)
    return {
        f"{counted(count, f'{form} file')} left out: {remedy}": count
        for (form, remedy), count in sorted(counts.items())
    }


def shown(path: Path) -> str:
    """Return a path as text, with both slashes of ``s3://``, of which `Path` removes one."""
    return re.sub(r"^(\w{2,}):/(?=[^/])", r"\1://", str(path))


def printable(text: str) -> str:
    """Return a text with the mark "\ufffd" for each piece of a file name that is no UTF-8."""
    return re.sub("[\ud800-\udfff]", "\ufffd", text)


def one_line(error: BaseException) -> str:
    """Say an error in at most 200 characters without a line break."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(text.split())[:200] or type(error).__name__


def counted(number: int, noun: str) -> str:
    """Return a number with its noun."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
