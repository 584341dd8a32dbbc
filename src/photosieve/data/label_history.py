"""A history of changes to labels, in a file that is only appended to.

A change is noted before any labels file is touched, and noted again when it is done or has failed.
So a change that was interrupted is found at the next start.

The file is read from its end, no further than needed. A line that is damaged is left out.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from photosieve.data.label_files import LabelEntry, Verdicts
from photosieve.errors import LabelsError, one_line
from photosieve.storage import locked_file

BLOCK_BYTES = 2**16
"""The file is read so many bytes at a time."""

MOST_BYTES = 2**26
"""A longer line is no change of labels."""

log = logging.getLogger("photosieve")


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


class _End(NamedTuple):
    """The note that a change was carried out, or that it failed."""

    number: int
    failed: bool


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
        """Hold the history against other processes and threads.

        Raises
        ------
        LabelsError
            If its folder cannot be written, or another process holds it for too long.
        """
        with ExitStack() as held:
            try:
                self._file.parent.mkdir(parents=True, exist_ok=True)
                held.enter_context(locked_file(self._file))
            except OSError as error:
                raise self._unwritable(error) from error
            yield

    def begin(
        self, photos: Mapping[Path, tuple[Verdicts | None, Verdicts | None]], undoes: int | None
    ) -> Change:
        """Note a change that is about to be carried out.

        Raises
        ------
        LabelsError
            If the history cannot be written.
        """
        change = Change(self._newest_number() + 1, photos, undoes)
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
        change, end = next(self._changes(), (None, None))
        return None if end else change

    def last(self) -> Change | None:
        """Return the last change that was not taken back; None if there is none."""
        taken_back = set()
        for change, end in self._changes():
            if end and end.failed:
                continue
            if change.undoes is not None:
                taken_back.add(change.undoes)
            elif change.number not in taken_back:
                return change
        return None

    def _newest_number(self) -> int:
        newest = 0
        for record in self._records():
            newest = max(newest, record.number)
            if isinstance(record, Change):
                break
        return newest

    def _append(self, line: Mapping[str, Any]) -> None:
        try:
            if self._file.exists() and not self._file.is_file():
                raise OSError(0, "it is no regular file")
            with self._file.open("a", encoding="utf-8") as file:
                # A line of its own even after one that was cut short.
                file.write("\n" + json.dumps(line, ensure_ascii=False) + "\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise self._unwritable(error) from error

    def _unwritable(self, error: OSError) -> LabelsError:
        return LabelsError(
            f"{self._file} cannot be written ({one_line(error)}): make room there, or allow this "
            "user to write it; nothing was changed."
        )

    def _changes(self) -> Iterator[tuple[Change, _End | None]]:
        """Give the changes from the newest to the oldest, each with its end."""
        ends: dict[int, _End] = {}
        for record in self._records():
            if isinstance(record, Change):
                yield record, ends.pop(record.number, None)
            else:
                ends.setdefault(record.number, record)

    def _records(self) -> Iterator[Change | _End]:
        """Give what the lines say, from the newest to the oldest."""
        for line in self._lines():
            if line.strip():
                try:
                    yield _record(line)
                except (ValueError, TypeError, KeyError, RecursionError):
                    # Cut short by a kill before any labels file was touched, or damaged.
                    log.warning("%s: a damaged line is left out", self._file)

    def _lines(self) -> Iterator[bytes]:
        if not self._file.is_file():
            return
        try:
            with self._file.open("rb") as file:
                place, rest = file.seek(0, os.SEEK_END), b""
                while place and len(rest) < MOST_BYTES:
                    step = min(place, max(BLOCK_BYTES, len(rest)))  # a long line takes few steps
                    place = file.seek(place - step)
                    rest, *lines = (file.read(step) + rest).split(b"\n")
                    yield from reversed(lines)
                yield rest
        except OSError as error:
            log.warning("%s cannot be read (%s)", self._file, one_line(error))


def _record(line: bytes) -> Change | _End:
    """Read a line; raises ValueError, TypeError or KeyError if it is damaged."""
    noted = json.loads(line)
    if "done" in noted or "failed" in noted:
        failed = "failed" in noted
        return _End(_whole(noted["failed" if failed else "done"]), failed)
    photos = {Path(p): (_verdicts(old), _verdicts(new)) for p, old, new in noted["photos"]}
    undoes = noted["undoes"]
    return Change(_whole(noted["step"]), photos, None if undoes is None else _whole(undoes))


def _whole(number: object) -> int:
    if not isinstance(number, int):
        raise TypeError("a step has a number")
    return number


def _plain(verdicts: Verdicts | None) -> list[str] | dict[str, Any] | None:
    """Return a form for JSON: as in a labels file."""
    if verdicts is None or verdicts.no is None:
        return None if verdicts is None else list(verdicts.yes)
    return verdicts._asdict()


def _verdicts(value: object) -> Verdicts | None:
    """Read that form, as a labels file is read."""
    if value is None:
        return None
    return LabelEntry("", tuple(value.items()) if isinstance(value, dict) else value).verdicts()
