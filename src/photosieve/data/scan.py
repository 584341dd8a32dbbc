"""Everything that folders say of photos and labels, with every problem on the way."""

import glob
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from photosieve.data.folders import find
from photosieve.data.label_files import (
    ENDINGS,
    EXAMPLE,
    clean,
    holds,
    label_key,
    leaves,
    read,
    standing,
)
from photosieve.errors import LabelsError, UsageError


@dataclass(frozen=True)
class Problem:
    """Something about labels or photos that their owner should know.

    Parameters
    ----------
    kind : str
        One of "unsafe name", "missing photo", "unlisted photo", "duplicate key",
        "similar labels", "repeated photo", "unreadable photo", "invalid labels file",
        "rare label", "no labels", "kept for testing".
    fatal : bool
        Whether `Dataset.load` refuses the data because of it.
    message : str
        One sentence.
    paths : tuple of str
        The files it is about.
    """

    kind: str
    fatal: bool
    message: str
    paths: tuple[str, ...] = ()


@dataclass(frozen=True)
class Listed:
    """A photo that exists and is listed in a labels file.

    Parameters
    ----------
    photo : Path
        The photo.
    labels : tuple of str
        Its labels, as first written anywhere, without repeats.
    group : str
        The name of its building.
    file : Path
        The labels file.
    """

    photo: Path
    labels: tuple[str, ...]
    group: str
    file: Path


@dataclass(frozen=True)
class Scan:
    """Everything that was found, whether or not a Dataset could be made of it.

    Parameters
    ----------
    root : Path
        The folder that holds all of it.
    listed : tuple of Listed
        The listed photos, in the order of the labels files.
    unlisted : tuple of Path
        Photos beside them that no labels file lists.
    problems : tuple of Problem
        What is wrong with it.
    """

    root: Path
    listed: tuple[Listed, ...]
    unlisted: tuple[Path, ...]
    problems: tuple[Problem, ...]


def scan(paths: Sequence[str | Path]) -> Scan:
    """Read everything that can be read, and note every problem on the way.

    Parameters
    ----------
    paths : sequence of str or Path
        As for `Dataset.load`.

    Raises
    ------
    UsageError
        A path does not exist or a pattern matches nothing.
    """
    given = _expand(paths)
    scanner = _Scanner()
    for path in given:
        scanner.add(path)
    return scanner.result([path if path.is_dir() else path.parent for path in given])


@dataclass
class _Entry:
    """A photo on its way to become a Listed; `root` is the folder that the user named."""

    photo: Path
    root: Path
    file: Path
    labels: list[str]


class _Scanner:
    """Collects photos and problems from one path after the other."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.listed: dict[Path, _Entry] = {}  # by absolute path: two ways may lead to one photo
        self.folders: dict[Path, None] = {}  # where unlisted photos may lie, in order
        self.files: dict[Path, Path] = {}
        self.without_labels: list[Path] = []

    def note(self, kind: str, message: str, *paths: Path, fatal: bool = False) -> None:
        self.problems.append(Problem(kind, fatal, message, tuple(map(str, paths))))

    def add(self, path: Path) -> None:
        if path.is_dir():
            files = self._labels_files(path)
        else:
            files = [path] if path.suffix.lower() in {".json", ".csv"} else []
        if not files:
            self.without_labels.append(path)
        for file in files:
            if _place(file) not in self.files:
                self.files[_place(file)] = file
                self._add_file(file, path if path.is_dir() else path.parent)

    def _labels_files(self, folder: Path) -> list[Path]:
        found = []
        for parent, folders, names in os.walk(folder):
            fitting = [Path(parent, name) for name in standing(names)]
            found += fitting[:1]
            if len(fitting) > 1:
                both = " and ".join(file.name for file in fitting)
                message = f"{parent} has several labels files, {both}: pass the one you want."
                self.note("invalid labels file", message, *fitting, fatal=True)
            # What lies below a labels file belongs to it.
            visible = sorted(name for name in folders if not name.startswith("."))
            folders[:] = [] if fitting else visible
        return found

    def _add_file(self, file: Path, root: Path) -> None:
        try:
            entries = read(file)
        except LabelsError as error:
            self.note("invalid labels file", str(error), file, fatal=True)
            return
        self.folders[file.parent] = None
        for name, value in entries:
            photo = file.parent / name
            if leaves(file.parent, name):
                message = f"{file}: the entry {name!r} leads outside its folder; take it out."
                self.note("unsafe name", message, file, fatal=True)
                continue
            try:
                labels = clean(value)
            except ValueError as error:
                message = f"{file}: the entry {name!r} {error}."
                self.note("invalid labels file", message, file, fatal=True)
                continue
            if not holds(photo.is_file):
                message = f"{file} lists {name!r}, which does not exist; its labels are ignored."
                self.note("missing photo", message, photo)
                continue
            if known := self.listed.get(_place(photo)):
                place = "twice" if known.file == file else f"and so does {known.file}"
                message = f"{file} lists {name!r} {place}; the labels of both entries count."
                self.note("duplicate key", message, photo)
            self.folders[photo.parent] = None
            entry = self.listed.setdefault(_place(photo), _Entry(photo, root, file, []))
            entry.labels += labels

    def result(self, roots: list[Path]) -> Scan:
        found = list(self.listed.values())
        self._note_nothing_found()
        unlisted = [
            photo
            for folder in self.folders
            for photo in find(folder)
            if _place(photo) not in self.listed
        ]
        for photo in unlisted:
            message = f"{photo} is in no labels file; its labels count as unknown."
            self.note("unlisted photo", message, photo)
        labels = self._as_first_written([entry.labels for entry in found])
        return Scan(
            root=roots[0] if len(roots) == 1 else Path(os.path.commonpath(roots)),
            listed=tuple(
                Listed(entry.photo, own, group, entry.file)
                for entry, own, group in zip(found, labels, _groups(found), strict=True)
            ),
            unlisted=tuple(unlisted),
            problems=tuple(self.problems),
        )

    def _note_nothing_found(self) -> None:
        nothing = not self.listed and not any(problem.fatal for problem in self.problems)
        for path in self.without_labels:
            if path.is_file():
                message = f"{path} is not a labels file: give a .json or .csv file, or a folder."
            elif find(path, recursive=True):
                message = (
                    f"{path} has photos but no labels file: add train_labels.json to each folder "
                    f"of photos, {EXAMPLE}, or label them in the browser: photosieve serve."
                )
            else:
                message = f"{path} holds no photos: give a folder with photos and a labels file."
            self.note("no labels", message, path, fatal=nothing and not self.files)
        if nothing and self.files:
            files = " and ".join(map(str, self.files.values()))
            message = f"{files}: no photo that is listed exists; put photos beside their labels."
            self.note("no labels", message, *self.files.values(), fatal=True)

    def _as_first_written(self, lists: list[list[str]]) -> list[tuple[str, ...]]:
        spellings: dict[str, list[str]] = {}
        for label in (label for labels in lists for label in labels):
            known = spellings.setdefault(label_key(label), [])
            if label not in known:
                known.append(label)
        for first, *others in spellings.values():
            if others:
                names = ", ".join(map(repr, others))
                message = f"{first!r} is also written {names}; they count as one label."
                self.note("similar labels", message)
        return [
            tuple(dict.fromkeys(spellings[label_key(label)][0] for label in labels))
            for labels in lists
        ]


def _expand(paths: Sequence[str | Path]) -> list[Path]:
    """The paths as given; each pattern is replaced by the folders and labels files it matches."""
    if not paths:
        raise UsageError("No path given: name a folder with photos and a labels file.")
    found: list[Path] = []
    for path in map(Path, paths):
        # A folder may be called "flat [2]", so what exists is never read as a pattern.
        if holds(path.exists):
            found.append(path)
            continue
        if not any(sign in str(path) for sign in "*?["):
            raise UsageError(f"{path} does not exist: give a folder of photos or a labels file.")
        # Path.glob takes no absolute pattern.
        matches = sorted(map(Path, glob.glob(str(path), recursive=True)))  # noqa: PTH207
        usable = [m for m in matches if m.is_dir() or m.name.endswith(ENDINGS)]
        if not usable:
            raise UsageError(f"The pattern {path} matches no folder and no labels file.")
        found += usable
    # Relative and absolute paths have no common folder that could be the root.
    if any(path.is_absolute() for path in found):
        found = [_place(path) for path in found]
    return found


def _groups(found: list[_Entry]) -> tuple[str, ...]:
    """Per photo the end of its folder's path, from the given folder down.

    Where two folders would get one name, their names start further up until they differ.
    """
    parts = [_place(entry.photo.parent).parts for entry in found]
    depths: dict[tuple[str, ...], int] = {}
    for entry, folder in zip(found, parts, strict=True):
        depths.setdefault(folder, max(1, len(entry.photo.parent.relative_to(entry.root).parts)))
    while True:
        names = {folder: "/".join(folder[-depth:]) for folder, depth in depths.items()}
        uses = Counter(names.values())
        clashing = [folder for folder, name in names.items() if uses[name] > 1]
        if not clashing:
            return tuple(names[folder] for folder in parts)
        for folder in clashing:
            depths[folder] += 1


def _place(path: Path) -> Path:
    """Where a file is by name; `resolve` would also follow links and so rename buildings."""
    return Path(os.path.abspath(path))  # noqa: PTH100
