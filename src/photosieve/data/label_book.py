"""The labels of photos in folders, to look up and to change, with a history that can be undone.

A change is noted in the history first, and on disk, before any labels file is touched: whoever is
killed in between finds the change carried out at the next start. A photo's labels stand in the file
that `Dataset.load` would read them from; a folder of photos without one gets a ``labels.json``.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock

from photosieve.data.dataset import Dataset
from photosieve.data.label_files import (
    NEW,
    TEST,
    Entry,
    clean,
    label_key,
    leaves,
    read,
    standing,
    write,
)
from photosieve.errors import LabelsError

Labels = tuple[str, ...]


@dataclass(frozen=True)
class Change:
    """What one step changed.

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
    photos: Mapping[Path, tuple[Labels | None, Labels | None]]
    undoes: int | None = None


class LabelBook:
    """Labels of the photos of some folders.

    Parameters
    ----------
    history : Path
        A file that notes each change, made when the first one comes.
    folders : mapping of Path to Path
        The folders that hold photos, and for each the folder that it was found from: no labels
        file above that is looked at.

    Raises
    ------
    LabelsError
        If a labels file or the history cannot be read.
    """

    def __init__(self, history: Path, folders: Mapping[Path, Path]) -> None:
        self._history = history
        self._home: dict[Path, Path] = {}
        """For each folder of photos, the folder whose labels file covers it."""
        self._files: dict[Path, Path] = {}
        """The labels file of each such folder; it need not exist."""
        self._read: dict[Path, tuple[int, dict[str, Labels]]] = {}
        looked: dict[Path, Path | None] = {}
        for folder, root in folders.items():
            self._home[folder] = self._cover(folder, root, looked)
        self._shadowed = {
            parent for folder in looked if looked[folder] for parent in folder.parents
        }
        for home in set(self._home.values()):
            self._files[home] = looked.get(home) or home / NEW
        with suppress(LabelsError):  # what cannot be finished now can still be read
            self._recover()

    @staticmethod
    def _cover(folder: Path, root: Path, looked: dict[Path, Path | None]) -> Path:
        """The uppermost folder with a labels file, from the root down; else the folder itself."""
        chain = [folder, *folder.parents]
        down = reversed(chain[: chain.index(root) + 1] if root in chain else [folder])
        for place in down:
            if place not in looked:
                names = standing(entry.name for entry in place.iterdir()) if place.is_dir() else []
                looked[place] = place / names[0] if names else None
            if looked[place]:
                return place
        return folder

    def __contains__(self, folder: Path) -> bool:
        return folder in self._home

    def file_of(self, photo: Path) -> Path:
        """Return the labels file that a photo's labels stand in, or would.

        Raises
        ------
        LabelsError
            If the photo is in none of the folders.
        """
        home = self._home.get(photo.parent)
        if home is None:
            raise LabelsError(f"{photo.name} is in no folder of this collection.")
        return self._files[home]

    def is_test(self, photo: Path) -> bool:
        """Whether a photo is kept for testing, by the name of its labels file."""
        return self.file_of(photo).name == TEST

    def labels(self, photo: Path) -> Labels | None:
        """Return a photo's labels; None if it is not listed.

        Raises
        ------
        LabelsError
            If its labels file cannot be read.
        """
        if photo.parent not in self._home:
            return None
        file = self.file_of(photo)
        return self._listed(file).get(photo.relative_to(file.parent).as_posix())

    def listed(self, *, test: bool | None = None) -> dict[Path, Labels]:
        """Return the labels of all listed photos, or of those that are kept for testing, or not."""
        return {
            file.parent / name: labels
            for file in sorted(self._files.values())
            if test is None or test == (file.name == TEST)
            for name, labels in self._listed(file).items()
        }

    def counts(self) -> dict[str, int]:
        """How many photos have each label, the most frequent first."""
        spelled: dict[str, str] = {}
        total: Counter[str] = Counter()
        for labels in self.listed().values():
            for label in labels:
                total[spelled.setdefault(label_key(label), label)] += 1
        return dict(sorted(total.items(), key=lambda item: (-item[1], item[0])))

    def dataset(self, *, test: bool, groups: Mapping[Path, str]) -> Dataset | None:
        """Return the listed photos that are kept for testing, or the others; None without any.

        Parameters
        ----------
        test : bool
        groups : mapping
            The group of each photo that counts; others are left out.
        """
        found = {p: own for p, own in self.listed(test=test).items() if p in groups}
        if not found:
            return None
        spelled: dict[str, str] = {}
        for label in (label for own in found.values() for label in own):
            spelled.setdefault(label_key(label), label)
        return Dataset(
            root=Path(os.path.commonpath([photo.parent for photo in found])),
            photos=tuple(found),
            labels=tuple(
                tuple(dict.fromkeys(spelled[label_key(label)] for label in own))
                for own in found.values()
            ),
            groups=tuple(groups[photo] for photo in found),
        )

    def _listed(self, file: Path) -> dict[str, Labels]:
        """Labels by name; the file is read again when it has changed."""
        try:
            stamp = file.stat().st_mtime_ns
        except OSError:
            return {}
        known = self._read.get(file)
        if known is None or known[0] != stamp:
            known = stamp, {name: tuple(labels) for name, labels in _usable(file, read(file))}
            self._read[file] = known
        return known[1]

    def change(self, labels: Mapping[Path, Sequence[str] | None]) -> Change:
        """Set the labels of photos, all or none; None takes a photo out of its file.

        Raises
        ------
        LabelsError
            If a label or a photo cannot be used, or a file cannot be written.
        """
        wanted: dict[Path, Labels | None] = {}
        for photo, own in labels.items():
            try:
                cleaned = None if own is None else tuple(dict.fromkeys(clean(list(own))))
            except ValueError as error:
                raise LabelsError(f"{photo.name} {error}.") from None
            wanted[photo] = cleaned
            home = self._home.get(photo.parent)
            if home in self._shadowed and not self.file_of(photo).exists():
                raise LabelsError(
                    f"{photo.name}: a labels file in its folder would hide those in the folders "
                    "below it; put the photo into a folder of its own."
                )
        with self._lock():
            self._recover()
            before = {photo: self.labels(photo) for photo in wanted}
            return self._carry_out(
                {photo: (before[photo], after) for photo, after in wanted.items()}, None
            )

    def undo(self) -> Change | None:
        """Take the last change back that was not; None if there is none.

        Raises
        ------
        LabelsError
            If somebody else has changed the same photos since.
        """
        with self._lock():
            self._recover()
            open_steps: list[Change] = []
            for step in self._steps()[0]:
                if step.undoes is None:
                    open_steps.append(step)
                else:
                    open_steps = [other for other in open_steps if other.number != step.undoes]
            if not open_steps:
                return None
            last = open_steps[-1]
            for photo, (_, after) in last.photos.items():
                if self.labels(photo) != after:
                    raise LabelsError(
                        f"{photo.name}: its labels were changed elsewhere since; "
                        "nothing was taken back."
                    )
            back = {photo: (after, before) for photo, (before, after) in last.photos.items()}
            return self._carry_out(back, last.number)

    def _carry_out(
        self, photos: Mapping[Path, tuple[Labels | None, Labels | None]], undoes: int | None
    ) -> Change:
        step = Change(len(self._steps()[0]) + 1, photos, undoes)
        self._note(
            {
                "step": step.number,
                "time": datetime.now(UTC).isoformat(timespec="seconds"),
                "undoes": undoes,
                "photos": [[str(photo), *both] for photo, both in photos.items()],
            }
        )
        try:
            self._apply(step)
        except LabelsError:  # it would be tried again at each start, and stand in the way
            with suppress(LabelsError):
                self._apply(Change(step.number, {p: both[::-1] for p, both in photos.items()}))
            self._note({"failed": step.number})
            raise
        self._note({"done": step.number})
        return step

    def _apply(self, step: Change) -> None:
        """Write what a step says into the labels files."""
        by_file: dict[Path, dict[str, Labels | None]] = {}
        for photo, (_, after) in step.photos.items():
            file = self.file_of(photo)
            name = photo.relative_to(file.parent).as_posix()
            by_file.setdefault(file, {})[name] = after
        for file, wanted in by_file.items():
            entries = read(file) if file.exists() else []
            kept: list[Entry] = []
            for name, value in entries:
                if name not in wanted:
                    kept.append((name, value))
                elif wanted[name] is not None and all(name != other for other, _ in kept):
                    kept.append((name, wanted[name]))  # in its place, even if it stood there twice
            known = {name for name, _ in entries}
            kept += [(n, own) for n, own in wanted.items() if n not in known and own is not None]
            write(file, kept)
            self._read.pop(file, None)

    def _lock(self) -> FileLock:
        self._history.parent.mkdir(parents=True, exist_ok=True)
        return FileLock(f"{self._history}.lock", is_singleton=True)

    def _note(self, line: Mapping[str, Any]) -> None:
        try:
            with self._history.open("a", encoding="utf-8") as file:
                # A line of its own even after one that was cut short.
                file.write("\n" + json.dumps(line, ensure_ascii=False) + "\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise LabelsError(
                f"{self._history} cannot be written ({error.strerror}): make room; "
                "nothing was changed."
            ) from error

    def _steps(self) -> tuple[list[Change], set[int]]:
        """All steps so far but failed ones, and the numbers of those that were carried out."""
        steps: list[Change] = []
        done: set[int] = set()
        try:
            lines = self._history.read_text("utf-8").splitlines()
        except FileNotFoundError:
            lines = []
        for line in filter(None, lines):
            try:
                noted = json.loads(line)
            except ValueError:
                continue  # who was killed while writing it had changed nothing yet
            if "done" in noted:
                done.add(noted["done"])
            elif "failed" in noted:
                steps.pop()
            else:
                photos = {Path(p): (_labels(old), _labels(new)) for p, old, new in noted["photos"]}
                steps.append(Change(noted["step"], photos, noted["undoes"]))
        return steps, done

    def _recover(self) -> None:
        """Carry out what was noted and then interrupted."""
        steps, done = self._steps()
        if steps and steps[-1].number not in done:
            known = {
                photo: own for photo, own in steps[-1].photos.items() if photo.parent in self._home
            }
            self._apply(Change(steps[-1].number, known))
            self._note({"done": steps[-1].number})


def _labels(value: Iterable[str] | None) -> Labels | None:
    return None if value is None else tuple(value)


def _usable(file: Path, entries: Iterable[Entry]) -> Iterable[tuple[str, list[str]]]:
    """The entries that make sense; `photosieve check` says what is wrong with others."""
    found: dict[str, list[str]] = {}
    for name, value in entries:
        try:
            if not leaves(file.parent, name):
                found.setdefault(name, []).extend(clean(value))
        except ValueError:
            continue
    return found.items()
