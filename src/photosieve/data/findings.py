"""Findings of a check of labels and photos."""

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Finding:
    """Something about labels or photos that their owner should know.

    Parameters
    ----------
    kind : str
        One of "unsafe name", "missing photo", "unlisted photo", "unread format", "duplicate key",
        "similar labels", "repeated photo", "unreadable photo", "invalid labels file",
        "rare label", "never yes", "never no", "never trained", "no labels", "kept for testing",
        "labels found", "other case", "unusable name".
    fatal : bool
        Whether `Dataset.load` refuses the data because of it.
    message : str
        One sentence.
    paths : tuple of str
        The files it is about.
    file : str
        The labels file that covers them; "" if there is none, or several.
    hint : str
        What to do about it, or the photo that is meant, where it is known.
    """

    kind: str
    fatal: bool
    message: str
    paths: tuple[str, ...] = ()
    file: str = ""
    hint: str = ""

    @property
    def name(self) -> str:
        """The first path as its labels file would write it."""
        return (
            os.path.relpath(self.paths[0], Path(self.file).parent) if self.file else self.paths[0]
        )
