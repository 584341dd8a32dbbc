"""Every sieve that was in use stays for a while, so that a person can go back to it."""

from __future__ import annotations

import json
import logging
import os
import shutil
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from photosieve.errors import SieveError, UsageError
from photosieve.sieve import folder
from photosieve.sieve.sieve import Sieve
from photosieve.storage import draft_file, draft_folder

MOST_VERSIONS = 20
"""Versions that stay; the oldest ones that are not in use are deleted."""

FIRST = "first"
"""The version that was in use before anything was learned here."""

log = logging.getLogger("photosieve")


@dataclass(frozen=True)
class Version:
    """A sieve that was in use.

    Parameters
    ----------
    id : str
    made : float
        Seconds since 1970.
    labels : mapping of str to int
        Training photos of each label.
    figures : mapping
        Of `photosieve.sieve.review.Review.to_dict`, or empty.
    """

    id: str
    made: float
    labels: Mapping[str, int] = field(default_factory=dict)
    figures: Mapping[str, Any] = field(default_factory=dict)


class Versions:
    """The versions in a folder.

    Parameters
    ----------
    place : Path
    """

    def __init__(self, place: Path) -> None:
        self._place = place

    def list(self) -> list[Version]:
        """Return the versions, the newest first."""
        found = []
        for file in self._place.glob("*/version.json"):
            try:
                version = Version(**json.loads(file.read_bytes()))
                if version.id != file.parent.name:
                    raise ValueError
            except (OSError, ValueError, TypeError):
                log.warning("%s is damaged and left out", file)
            else:
                found.append(version)
        return sorted(found, key=lambda version: -version.made)

    def get(self, version_id: str) -> Version | None:
        """Return a version by its id."""
        return next((one for one in self.list() if one.id == version_id), None)

    @property
    def used(self) -> str | None:
        """Id of the version in use; None before the first training is kept."""
        with suppress(OSError):
            return (self._place / "used").read_text("utf-8")
        return None

    def _mark(self, version_id: str) -> None:
        """Note which version is in use, and delete the oldest ones."""
        with draft_file(self._place / "used") as draft:
            draft.write(version_id.encode())
        old = [one for one in self.list() if one.id != version_id][MOST_VERSIONS - 1 :]
        for version in old:
            shutil.rmtree(self._place / version.id, ignore_errors=True)

    def add_first(self, sieve_folder: Path, sieve: Sieve) -> None:
        """Keep the sieve that was there before anything was learned here."""
        if self.used is None:
            made = (sieve_folder / folder.MANIFEST).stat().st_mtime
            self._add(Version(FIRST, made, dict(sieve.labels)), sieve_folder)

    def add(self, version_id: str, sieve_folder: Path, result: Mapping[str, Any]) -> None:
        """Keep the sieve of a training.

        Parameters
        ----------
        version_id : str
        sieve_folder : Path
        result : mapping
            Of the training; see `photosieve.server.worker.learn`.
        """
        figures = (result.get("review") or {}).get("figures") or {}
        self._add(Version(version_id, time.time(), result.get("labels", {}), figures), sieve_folder)
        self._mark(version_id)

    def _add(self, version: Version, sieve_folder: Path) -> None:
        try:
            with draft_folder(self._place / version.id) as draft:
                shutil.copytree(sieve_folder, draft / "sieve", copy_function=_linked)
                (draft / "version.json").write_text(json.dumps(asdict(version)), "utf-8")
        except (OSError, shutil.Error) as error:
            reason = getattr(error, "strerror", None) or error
            raise UsageError(
                f"{self._place}: the sieve cannot be kept as a version ({reason}); make room there"
            ) from None

    def restore(self, version: Version, sieve_folder: Path) -> None:
        """Put a version into the place of the sieve in use.

        Raises
        ------
        SieveError
            If it is damaged.
        UsageError
            If that place cannot be written.
        """
        folder.read(self._place / version.id / "sieve")  # before anything is replaced
        copy = self._place / "restored"
        shutil.rmtree(copy, ignore_errors=True)
        try:
            shutil.copytree(self._place / version.id / "sieve", copy, copy_function=_linked)
        except OSError as error:
            raise SieveError(f"the version cannot be read ({error.strerror})") from error
        folder.replace(sieve_folder, copy)
        self._mark(version.id)


def _linked(source: str, target: str) -> None:
    """Share the bytes of arrays, which never change in place, where the disk can do that."""
    try:
        if not source.endswith(".safetensors"):  # a person may edit the others
            raise OSError
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
