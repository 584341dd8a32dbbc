"""All errors that photosieve raises on purpose.

::

    PhotosieveError        a sentence that is safe to show to a user
    ├── UsageError         an argument has a value that makes no sense; exit status 2
    ├── PhotoError         one photo cannot be read; carries path, reason and remedy
    ├── LabelsError        a labels file cannot be used
    ├── EncoderError       a model cannot be loaded
    ├── TrainingError      training cannot start or went wrong
    ├── GuaranteeError     the labels are too few for what was asked to be promised
    ├── SieveError         a saved sieve is missing, damaged or does not fit
    └── PhotoIndexError    an index is missing, damaged, busy or belongs to another model

The command line turns them into one line on stderr and an exit status; a server turns them into
a status code. Anything else that escapes is a bug.
"""

from pathlib import Path


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
        What is wrong with it, such as "the file is empty".
    remedy : str
        What its owner can do about it.
    """

    def __init__(self, path: Path, reason: str, remedy: str) -> None:
        super().__init__(f"{path}: {reason}; {remedy}")
        self.path = path
        self.reason = reason
        self.remedy = remedy


class LabelsError(PhotosieveError):
    """A labels file cannot be used."""


class EncoderError(PhotosieveError):
    """A model cannot be loaded."""


class TrainingError(PhotosieveError):
    """Training cannot start or went wrong."""


class GuaranteeError(PhotosieveError):
    """The labels are too few for what was asked to be promised."""


class SieveError(PhotosieveError):
    """A saved sieve is missing, damaged or does not fit."""


class PhotoIndexError(PhotosieveError):
    """An index is missing, damaged, busy or belongs to another model."""
