"""Find labels files and their photos in folders, and collect every problem on the way.

This is where it is decided which file of a folder holds its labels, which photos are listed and
to which building each belongs. `photosieve.data.label_files` reads a single file.
"""

import glob
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from photosieve.data.folders import PhotoFile, find, walk
from photosieve.data.label_files import EXAMPLE, LabelEntry, Verdicts, read_entries
from photosieve.data.names import FileNames, as_first_written, is_text, readable
from photosieve.errors import LabelsError, UsageError

NEW_LABELS = "labels.json"
"""Name of a labels file that the product makes."""

TEST_LABELS = "test_labels.json"
"""Name of the labels file of photos that are kept for testing."""

_RANKED_NAMES = (("train_labels.json", TEST_LABELS), ("*labels.json",), ("labels.csv",))
"""Patterns for labels files: of a folder's files those count that fit the first with any."""

_ENDINGS = ("labels.json", "labels.csv")


def labels_files_among(names: Iterable[str]) -> list[str]:
    """Return the names of a folder's labels files: at most one, unless two have the same rank."""
    visible = sorted(name for name in names if not name.startswith("."))
    for patterns in _RANKED_NAMES:
        fitting = [name for name in visible if any(fnmatch(name, p) for p in patterns)]
        if fitting:
            return fitting
    return []


@dataclass(frozen=True)
class Finding:
    """Something about labels or photos that their owner should know.

    Parameters
    ----------
    kind : str
        One of "unsafe name", "missing photo", "unlisted photo", "duplicate key",
        "similar labels", "repeated photo", "unreadable photo", "invalid labels file",
        "rare label", "never yes", "never no", "no labels", "kept for testing", "other case",
        "unusable name".
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
class ListedPhoto:
    """A photo that exists and is listed in a labels file.

    Parameters
    ----------
    photo : Path
        The photo.
    labels : tuple of str
        Its labels without repeats, each as it is spelled where it first appears.
    group : str
        The name of its building.
    file : Path
        The labels file.
    noes : tuple of str or None
        Labels that its entry says no to; None for a plain list.
    """

    photo: Path
    labels: tuple[str, ...]
    group: str
    file: Path
    noes: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Scan:
    """All listed photos and all findings, whether or not they can become a Dataset.

    Parameters
    ----------
    root : Path
        The folder that holds all of it.
    listed : tuple of ListedPhoto
        The listed photos, in the order of the labels files.
    unlisted : tuple of Path
        Photos beside them that no labels file lists.
    problems : tuple of Finding
    """

    root: Path
    listed: tuple[ListedPhoto, ...]
    unlisted: tuple[Path, ...]
    problems: tuple[Finding, ...]


def scan(paths: Sequence[str | Path]) -> Scan:
    """Read all labels files that can be read, and note every problem on the way.

    Parameters
    ----------
    paths : sequence of str or Path
        As for `Dataset.load`.

    Raises
    ------
    UsageError
        If a path does not exist or a pattern matches nothing.
    """
    scanner = _Scanner()
    given = [path for path in _expand(paths) if scanner.can_name(path)]
    if not given:
        raise UsageError(scanner.problems[0].message)
    for path in given:
        scanner.add(path)
    return scanner.result([path if path.is_dir() else path.parent for path in given])


@dataclass
class _Collected:
    """A photo with its labels so far; `root` is the folder that the user named."""

    photo: Path
    root: Path
    file: Path
    verdicts: Verdicts


class _Scanner:
    """Collects photos and problems from one path after the other."""

    def __init__(self) -> None:
        self.problems: list[Finding] = []
        # By absolute path, since two of the given paths may lead to one photo or file.
        self.listed: dict[Path, _Collected] = {}
        self.files: dict[Path, Path] = {}
        self.folders: dict[Path, None] = {}  # an ordered set: unlisted photos are looked for here
        self.without_labels: list[Path] = []

    def note(self, kind: str, message: str, *paths: Path, fatal: bool = False) -> None:
        self.problems.append(Finding(kind, fatal, message, tuple(map(str, paths))))

    def can_name(self, path: Path) -> bool:
        """Whether a path is text, which saved files and reports can hold."""
        if is_text(str(path)):
            return True
        shown = readable(str(path))
        message = f"{shown}: its name is not valid UTF-8; give it another name."
        self.note("unusable name", message, Path(shown))
        return False

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
        chosen = []
        for parent, folders, names in os.walk(folder):
            files = [Path(parent, name) for name in labels_files_among(names)]
            chosen += files[:1]
            if len(files) > 1:
                both = " and ".join(file.name for file in files)
                message = f"{parent} has several labels files, {both}: pass the one you want."
                self.note("invalid labels file", message, *files, fatal=True)
            # Folders below a labels file belong to it.
            visible = [] if files else sorted(n for n in folders if not n.startswith("."))
            folders[:] = [name for name in visible if self.can_name(Path(parent, name))]
        return chosen

    def _add_file(self, file: Path, root: Path) -> None:
        try:
            entries = read_entries(file)
        except LabelsError as error:
            self.note("invalid labels file", str(error), file, fatal=True)
            return
        self.folders[file.parent] = None
        files = FileNames(file.parent)
        for entry in entries:
            self._add_entry(file, entry._replace(name=files.find(entry.name) or entry.name), root)
        if files.in_other_case:
            photos = (file.parent / name for name in files.in_other_case.values())
            self.note("other case", f"{file}: {files.describe_case()}", *photos)

    def _add_entry(self, file: Path, entry: LabelEntry, root: Path) -> None:
        name, photo = entry.name, file.parent / entry.name
        if entry.leads_outside(file.parent):
            message = f"{file}: the entry {name!r} leads outside its folder; take it out."
            self.note("unsafe name", message, file, fatal=True)
            return
        try:
            verdicts = entry.verdicts()
        except ValueError as error:
            message = f"{file}: the entry {name!r} {error}."
            self.note("invalid labels file", message, file, fatal=True)
            return
        if not self.can_name(photo):
            return
        if not os.path.isfile(photo):  # noqa: PTH113  # Path.is_file fails on an impossible name
            message = f"{file} lists {name!r}, which does not exist; its labels are ignored."
            self.note("missing photo", message, photo)
            return
        known = self.listed.get(_place(photo))
        if known is not None:
            place = "twice" if known.file == file else f"and so does {known.file}"
            message = f"{file} lists {name!r} {place}; the labels of both entries count."
            self.note("duplicate key", message, photo)
        self.folders[photo.parent] = None
        if known is None:
            self.listed[_place(photo)] = _Collected(photo, root, file, verdicts)
        else:
            known.verdicts = known.verdicts.joined(verdicts)

    def result(self, roots: list[Path]) -> Scan:
        listed = list(self.listed.values())
        self._note_nothing_listed()
        reported = {path for problem in self.problems for path in problem.paths}
        unlisted = []
        for folder in self.folders:
            for entry in walk(folder, recursive=False):
                if isinstance(entry, PhotoFile):
                    unlisted.append(folder / entry.path)
                elif entry.kind == "photo" and str(entry.path) not in reported:
                    message = f"{entry.path}: {entry.reason}; {entry.remedy}."
                    self.note("unreadable photo", message, entry.path)
        unlisted = sorted(photo for photo in unlisted if _place(photo) not in self.listed)
        for photo in unlisted:
            message = f"{photo} is in no labels file; its labels count as unknown."
            self.note("unlisted photo", message, photo)
        labels, alike = as_first_written([photo.verdicts.yes for photo in listed])
        for message in alike:
            self.note("similar labels", message)
        return Scan(
            root=roots[0] if len(roots) == 1 else Path(os.path.commonpath(roots)),
            listed=tuple(
                ListedPhoto(photo.photo, own, group, photo.file, photo.verdicts.no)
                for photo, own, group in zip(listed, labels, _groups(listed), strict=True)
            ),
            unlisted=tuple(unlisted),
            problems=tuple(self.problems),
        )

    def _note_nothing_listed(self) -> None:
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


def _expand(paths: Sequence[str | Path]) -> list[Path]:
    """Replace each pattern by the folders and labels files that match it."""
    if not paths:
        raise UsageError("No path given: name a folder with photos and a labels file.")
    expanded: list[Path] = []
    for path in map(Path, paths):
        # A folder may be called "flat [2]", so an existing path is never read as a pattern.
        if os.path.exists(path):  # noqa: PTH110  # Path.exists fails on an impossible name
            expanded.append(path)
            continue
        if not any(sign in str(path) for sign in "*?["):
            raise UsageError(f"{path} does not exist: give a folder of photos or a labels file.")
        # Path.glob takes no absolute pattern.
        matches = sorted(map(Path, glob.glob(str(path), recursive=True)))  # noqa: PTH207
        usable = [m for m in matches if m.is_dir() or m.name.endswith(_ENDINGS)]
        if not usable:
            raise UsageError(f"The pattern {path} matches no folder and no labels file.")
        expanded += usable
    # Relative and absolute paths have no common folder that could be the root.
    if any(path.is_absolute() for path in expanded):
        expanded = [_place(path) for path in expanded]
    return expanded


def _groups(photos: list[_Collected]) -> tuple[str, ...]:
    """Name each photo's building: its folder's path, from the given folder down.

    Where two folders would get one name, their names start further up until they differ.
    """
    parts = [_place(photo.photo.parent).parts for photo in photos]
    depths: dict[tuple[str, ...], int] = {}
    for photo, folder in zip(photos, parts, strict=True):
        depths.setdefault(folder, max(1, len(photo.photo.parent.relative_to(photo.root).parts)))
    while True:
        names = {folder: "/".join(folder[-depth:]) for folder, depth in depths.items()}
        uses = Counter(names.values())
        clashing = [folder for folder, name in names.items() if uses[name] > 1]
        if not clashing:
            return tuple(names[folder] for folder in parts)
        for folder in clashing:
            depths[folder] += 1


def _place(path: Path) -> Path:
    """Return the absolute path; `resolve` would also follow links and so rename buildings."""
    return Path(os.path.abspath(path))  # noqa: PTH100
