"""Checkpoints: the saved states that an interrupted training resumes from.

They are at most some seconds old: those of photos that were read, and of each training.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from photosieve.encoders.kept import KeptFeatures
from photosieve.errors import TrainingError
from photosieve.storage import draft_file

SECONDS = 2.0
"""Least time between two checkpoints of one training: writing must not take longer than that."""


class Checkpoint:
    """The latest state of one training, in one file.

    Parameters
    ----------
    path : Path
    seconds : float
        Least time between two saves.
    """

    def __init__(self, path: Path, seconds: float = SECONDS) -> None:
        self.path, self.seconds = path, seconds
        self._saved = time.monotonic()

    def load(self, key: str) -> dict[str, Any] | None:
        """Read the state; None if there is none.

        Parameters
        ----------
        key : str
            Hash of data, recipe and seed. A state that was saved under another key is refused.

        Raises
        ------
        TrainingError
            If it belongs to another training, or is damaged.
        """
        if not self.path.exists():
            return None
        import torch

        try:
            state = torch.load(self.path, map_location="cpu", weights_only=True)
            if state["key"] == key:
                return dict(state["state"])
        except Exception as error:  # torch raises nearly every built-in error on damaged bytes
            raise TrainingError(
                f"{self.path} is damaged ({type(error).__name__}); train again without --resume"
            ) from None
        raise TrainingError(
            f"{self.path} belongs to a training with other photos, labels or settings; "
            "give the same ones, or train again without --resume"
        )

    def due(self) -> bool:
        """Whether it is time to save again."""
        return time.monotonic() - self._saved >= self.seconds

    def save(self, key: str, state: Mapping[str, Any]) -> None:
        """Replace the state; a failure leaves the old one.

        Raises
        ------
        TrainingError
            If it cannot be written, because the disk is full for example.
        """
        import torch

        try:
            self.path.parent.stat()  # a folder that is gone is not made again
            with draft_file(self.path) as file:
                torch.save({"key": key, "state": dict(state)}, file)
        except (OSError, RuntimeError) as error:
            # The message of torch about a full disk speaks of its own code.
            reason = error.strerror if isinstance(error, OSError) else "not all of it fits"
            raise TrainingError(
                f"{self.path}: the checkpoint cannot be written ({reason}); make room there, "
                "then go on with --resume"
            ) from None
        self._saved = time.monotonic()


class Checkpoints:
    """A folder with the checkpoints of one run: one for each fold, and one for the final training.

    Parameters
    ----------
    folder : Path
        Made if it is not there.
    resume : bool
        Whether to resume from the checkpoints there; otherwise they are removed first.
    seconds : float
        Least time between two saves of one training.

    Raises
    ------
    TrainingError
        If the folder cannot be used.
    """

    def __init__(self, folder: Path, *, resume: bool = False, seconds: float = SECONDS) -> None:
        self.folder, self.seconds = folder, seconds
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if not resume:
                self._clear()
        except OSError as error:
            raise TrainingError(
                f"{folder}: checkpoints cannot be kept here ({error.strerror}); "
                "choose another place for the sieve"
            ) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Remove the folder if nothing was saved in it."""
        with suppress(OSError):
            self.folder.rmdir()

    def of(self, training: str) -> Checkpoint:
        """Return the checkpoint of a training, by a name that makes a file name."""
        return Checkpoint(self.folder / f"{training}.checkpoint", self.seconds)

    def features(self) -> KeptFeatures:
        """Return the place for the features of the photos that are trained on."""
        return KeptFeatures(self.folder, self.seconds)

    def remove(self) -> None:
        """Remove all of them, and the folder if nothing else is in it."""
        self._clear()
        if not any(self.folder.iterdir()):
            self.folder.rmdir()

    def _clear(self) -> None:
        for path in [*self.folder.glob("*.checkpoint"), *self.folder.glob(".*.checkpoint-*")]:
            path.unlink()
