"""Features of photos, kept on the disk while a training reads its photos, to resume from."""

from __future__ import annotations

import hashlib
import time
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from photosieve.encoders.protocol import Float32Array
from photosieve.errors import EncoderError, one_line
from photosieve.storage import draft_file, parsing_literals


class KeptFeatures:
    """Features of a list of photos, in files of a few seconds of work each.

    A photo is known by its path, size and time of change.

    Parameters
    ----------
    folder : Path
    seconds : float
        Least time between two files.
    """

    def __init__(self, folder: Path, seconds: float) -> None:
        self.folder, self.seconds = folder, seconds
        self._keys: list[str] = []
        self._new: list[tuple[str, Float32Array]] = []
        self._saved = time.monotonic()

    def known(
        self, paths: Sequence[Path], purpose: str, shape: tuple[int, ...]
    ) -> Iterator[tuple[int, Float32Array]]:
        """Give the position and the features of each photo that was embedded before.

        Parameters
        ----------
        paths : sequence of Path
            The photos to embed; `add` takes positions in this list.
        purpose : str
            Names all that decides the features besides the photo.
        shape : tuple of int
            Of a photo's features.
        """
        self._keys = [_key(path, purpose) for path in paths]
        places = {key: index for index, key in enumerate(self._keys) if key}
        for file in sorted(self.folder.glob("features-*.checkpoint")):
            keys, table = [], np.zeros((0, *shape), np.float32)
            with (
                suppress(OSError, ValueError, KeyError, zipfile.BadZipFile),  # it is done again
                file.open("rb") as opened,
                parsing_literals,
                np.load(opened) as saved,
            ):
                keys, table = saved["keys"].tolist(), saved["features"]
            if table.shape[1:] == shape and table.dtype == np.float32:
                for key, features in zip(keys, table, strict=False):
                    if key in places:
                        yield places.pop(key), features

    def add(self, index: int, features: Float32Array) -> None:
        """Keep the features of a photo; they are written after some seconds, or by `save`.

        Raises
        ------
        EncoderError
            If they cannot be written.
        """
        if self._keys[index]:
            self._new.append((self._keys[index], features))
        if time.monotonic() - self._saved >= self.seconds:
            self.save()

    def save(self) -> None:
        """Write what is not written yet; see `add`."""
        if self._new:
            keys, tables = zip(*self._new, strict=True)
            number = len(list(self.folder.glob("features-*.checkpoint")))
            try:
                with draft_file(self.folder / f"features-{number:06}.checkpoint") as file:
                    np.savez(file, keys=np.array(keys), features=np.stack(tables))
            except OSError as error:
                raise EncoderError(
                    f"{self.folder}: features cannot be kept here ({one_line(error)}); make room "
                    "there, then go on with --resume"
                ) from None
        self._new, self._saved = [], time.monotonic()


def _key(path: Path, purpose: str) -> str:
    """Return the key of a photo as it is now; an empty text if it is not there."""
    try:
        found = path.stat()
    except (OSError, ValueError):
        return ""
    parts = (purpose, str(path.absolute()), found.st_size, found.st_mtime_ns)
    return hashlib.sha256(repr(parts).encode()).hexdigest()
