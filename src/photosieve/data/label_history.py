"""A history of changes to labels, in a file that is only appended to.

A change is noted before any labels file is touched, and noted again when it is done or has failed.
So a change that was interrupted is found at the next start.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock

from photosieve.data.label_files import Verdicts
from photosieve.errors import LabelsError


@dataclass(frozen=True)
class Change:
    """One step of the history.

    Parameters
    ----------
    number : int
        Of the step, from 1 on.
    photos : mapping
        For each photo its labels before and after; None where it was not listed.
    undoes : int or None
        The step that this one took back.
    """

    number: int
    photos: Mapping[Path, tuple[Verdicts | None, Verdicts | None]]
    undoes: int | None = None


class LabelHistory:
    """The changes to the labels of a collection.

    Parameters
    ----------
    file : Path
        Made when the first change is noted.
    """

    def __init__(self, file: Path) -> None:
        self._file = file

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Lock the history and the labels files that it is about.

        Raises
        ------
        LabelsError
            If its folder cannot be written.
        """
        lock = FileLock(f"{self._file}.lock", is_singleton=True)
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            lock.acquire()
        except OSError as error:
            raise LabelsError(
                f"{self._file} cannot be written ({error.strerror or error}): allow this user to "
                "write there; nothing was changed."
            ) from None
        try:
            yield
        finally:
            lock.release()

    def begin(
        self, photos: Mapping[Path, tuple[Verdicts | None, Verdicts | None]], undoes: int | None
    ) -> Change:
        """Note a change that is about to be carried out.

        Raises
        ------
        LabelsError
            If the history cannot be written.
        """
        change = Change(len(self._read()[0]) + 1, photos, undoes)
        self._append(
            {
                "step": change.number,
                "time": datetime.now(UTC).isoformat(timespec="seconds"),
                "undoes": undoes,
                "photos": [[str(photo), *map(_plain, both)] for photo, both in photos.items()],
            }
        )
        return change

    def finish(self, change: Change) -> None:
        """Note that a change was carried out."""
        self._append({"done": change.number})

    def fail(self, change: Change) -> None:
        """Note that a change could not be carried out; it counts as never made."""
        self._append({"failed": change.number})

    def unfinished(self) -> Change | None:
        """Return the last change if it was noted and then interrupted."""
        changes, done = self._read()
        return changes[-1] if changes and changes[-1].number not in done else None

    def last(self) -> Change | None:
        """Return the last change that was not taken back; None if there is none."""
        open_changes: list[Change] = []
        for change in self._read()[0]:
            if change.undoes is None:
                open_changes.append(change)
            else:
                open_changes = [other for other in open_changes if other.number != change.undoes]
        return open_changes[-1] if open_changes else None

    def _append(self, line: Mapping[str, Any]) -> None:
        try:
            with self._file.open("a", encoding="utf-8") as file:
                # A line of its own even after one that was cut short.
                file.write("\n" + json.dumps(line, ensure_ascii=False) + "\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise LabelsError(
                f"{self._file} cannot be written ({error.strerror}): make room; "
                "nothing was changed."
            ) from error

    def _read(self) -> tuple[list[Change], set[int]]:
        """Return all changes but failed ones, and the numbers of those that were carried out."""
        changes: list[Change] = []
        done: set[int] = set()
        try:
            lines = self._file.read_text("utf-8").splitlines()
        except FileNotFoundError:
            lines = []
        for line in filter(None, lines):
            try:
                noted = json.loads(line)
            except ValueError:
                continue  # cut short by a kill, before any labels file was touched
            if "done" in noted:
                done.add(noted["done"])
            elif "failed" in noted:
                changes.pop()
            else:
                photos = {
                    Path(p): (_verdicts(old), _verdicts(new)) for p, old, new in noted["photos"]
                }
                changes.append(Change(noted["step"], photos, noted["undoes"]))
        return changes, done


def _plain(verdicts: Verdicts | None) -> list[str] | dict[str, Any] | None:
    """Return a form for JSON: as in a labels file."""
    if verdicts is None or verdicts.no is None:
        return None if verdicts is None else list(verdicts.yes)
    return verdicts._asdict()


def _verdicts(value: Iterable[str] | Mapping[str, Any] | None) -> Verdicts | None:
    if isinstance(value, Mapping):
        return Verdicts(tuple(value["yes"]), tuple(value["no"]))
    return None if value is None else Verdicts(tuple(value))
