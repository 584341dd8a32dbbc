"""Checkpoints: what an interrupted training goes on from."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from photosieve.errors import TrainingError

SECONDS = 2.0
"""Epochs that are faster share a checkpoint: writing must not take longer than training."""


class Checkpoint:
    """The latest state of one training, in one file.

    Parameters
    ----------
    path : Path
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._written = time.monotonic()

    def load(self, key: str) -> dict[str, Any] | None:
        """Read the state; None if there is none.

        Parameters
        ----------
        key : str
            Of the data, recipe and seed. A state that was saved under another one is refused.

        Raises
        ------
        TrainingError
            If it belongs to another training, or is damaged.
        """
        if not self.path.exists():
            return None
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

    def due(self, last: bool) -> bool:
        """Whether it is time to save again; always so after the last epoch."""
        return last or time.monotonic() - self._written >= SECONDS

    def save(self, key: str, state: Mapping[str, Any]) -> None:
        """Replace the state; whatever happens, either the old one or the new one is there.

        Raises
        ------
        TrainingError
            If it cannot be written, for want of room perhaps.
        """
        draft = self.path.with_name(f"{self.path.name}.new")
        try:
            with draft.open("wb") as file:
                torch.save({"key": key, "state": dict(state)}, file)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self.path)
        except (OSError, RuntimeError) as error:
            draft.unlink(missing_ok=True)
            # What torch says of a full disk is about its own code.
            reason = error.strerror if isinstance(error, OSError) else "not all of it fits"
            raise TrainingError(
                f"{self.path}: the checkpoint cannot be written ({reason}); make room there, "
                "then go on with --resume"
            ) from None
        self._written = time.monotonic()


class Checkpoints:
    """A folder with a checkpoint for each training of one run: of the folds and the final one.

    Parameters
    ----------
    folder : Path
        Made if it is not there.
    resume : bool
        Whether to go on from what is there; otherwise it is removed first.

    Raises
    ------
    TrainingError
        If the folder cannot be used.
    """

    def __init__(self, folder: Path, *, resume: bool = False) -> None:
        self.folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if not resume:
                self._clear()
        except OSError as error:
            raise TrainingError(
                f"{folder}: checkpoints cannot be kept here ({error.strerror}); "
                "choose another place for the sieve"
            ) from None

    def of(self, training: str) -> Checkpoint:
        """Return the checkpoint of a training, by a name that makes a file name."""
        return Checkpoint(self.folder / f"{training}.checkpoint")

    def remove(self) -> None:
        """Remove all of them, and the folder if nothing else is in it."""
        self._clear()
        if not any(self.folder.iterdir()):
            self.folder.rmdir()

    def _clear(self) -> None:
        for path in [*self.folder.glob("*.checkpoint"), *self.folder.glob("*.checkpoint.new")]:
            path.unlink()
