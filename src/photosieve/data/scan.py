"""Find labels files and their photos in folders, and collect every problem on the way.

This is where it is decided which file of a folder holds its labels, which photos are listed and
to which building each belongs. `photosieve.data.label_files` reads a single file.
"""

import glob
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from photosieve.data.findings import Finding
from photosieve.data.folders import PhotoFile, find, is_ignored, walk
from photosieve.data.label_files import EXAMPLE, LabelEntry, Verdicts, label_key, read_entries
from photosieve.data.nearest import closest_names
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
    problems : tuple of Finding
    entries : mapping of str to int
        For each labels file the number of its entries.
    """

    root: Path
    listed: tuple[ListedPhoto, ...]
    problems: tuple[Finding, ...]
    entries: Mapping[str, int]


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
    given = _expand(paths)
    scanner = _Scanner()
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
        self.entries: dict[str, int] = {}
        # For each labels file, the entries without a photo: name as written, and path.
        self.missing: dict[Path, list[tuple[str, Path]]] = defaultdict(list)
        # Unlisted photos are looked for here; for each folder its labels file.
        self.folders: dict[Path, Path | None] = {}
        self.without_labels: list[Path] = []

    def note(
        self,
        kind: str,
        message: str,
        *paths: Path,
        fatal: bool = False,
        file: Path | None = None,
        hint: str = "",
    ) -> None:
        about = tuple(map(str, paths))
        self.problems.append(Finding(kind, fatal, message, about, str(file or ""), hint))

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
        chosen: list[Path] = []
        covers: dict[Path, Path | None] = {}
        """For each folder, the labels file in it or above it."""
        for parent, folders, names in os.walk(folder):
            folders[:] = sorted(name for name in folders if not is_ignored(name))
            place = Path(parent)
            cover = covers.get(place.parent)
            files = [place / name for name in labels_files_among(names)]
            if cover and files:  # labels of their own, such as those of test buildings: not read
                folders.clear()
                continue
            if len(files) > 1:
                both = " and ".join(file.name for file in files)
                message = f"{parent} has several labels files, {both}: pass the one you want."
                self.note("invalid labels file", message, *files, fatal=True)
            chosen += files[:1]
            covers[place] = files[0] if files else cover
        if chosen:
            self.folders |= covers
        return chosen

    def _add_file(self, file: Path, root: Path) -> None:
        try:
            entries = read_entries(file)
        except LabelsError as error:
            self.note("invalid labels file", str(error), file, fatal=True, file=file)
            return
        self.entries[str(file)] = len(entries)
        self.folders[file.parent] = file
        for entry in entries:
            self._add_entry(file, entry, root)

    def _add_entry(self, file: Path, entry: LabelEntry, root: Path) -> None:
        name = entry.name
        try:
            photo = file.parent / entry.path_in(file.parent)
        except ValueError as error:
            message = f"{file}: the entry {name!r} {error}."
            self.note("unsafe name", message, file, fatal=True, file=file)
            return
        try:
            verdicts = entry.verdicts()
        except ValueError as error:
            message = f"{file}: the entry {name!r} {error}."
            self.note("invalid labels file", message, file, fatal=True, file=file)
            return
        if not os.path.isfile(photo):  # noqa: PTH113  # Path.is_file fails on an impossible name
            self.missing[file].append((name, photo))
            return
        known = self.listed.get(_place(photo))
        if known is not None:
            place = "twice" if known.file == file else f"and so does {known.file}"
            message = f"{file} lists {name!r} {place}; the labels of both entries count."
            self.note("duplicate key", message, photo, file=file)
        self.folders.setdefault(photo.parent, file)
        if known is None:
            self.listed[_place(photo)] = _Collected(photo, root, file, verdicts)
        else:
            known.verdicts = known.verdicts.joined(verdicts)

    def result(self, roots: list[Path]) -> Scan:
        listed = list(self.listed.values())
        unlisted = self._look_into_folders()
        self._note_missing(unlisted)
        self._note_nothing_listed()
        labels = self._as_first_written([photo.verdicts.yes for photo in listed])
        return Scan(
            root=roots[0] if len(roots) == 1 else Path(os.path.commonpath(roots)),
            listed=tuple(
                ListedPhoto(photo.photo, own, group, photo.file, photo.verdicts.no)
                for photo, own, group in zip(listed, labels, _groups(listed), strict=True)
            ),
            problems=tuple(self.problems),
            entries=self.entries,
        )

    def _look_into_folders(self) -> dict[Path, list[Path]]:
        """Note all that is not listed or not read, and return it by labels file."""
        unlisted: dict[Path, list[Path]] = defaultdict(list)
        named = {_place(photo) for missing in self.missing.values() for _, photo in missing}
        named.update(self.listed)
        for folder, file in self.folders.items():
            entries = sorted(walk(folder, recursive=False), key=lambda entry: str(entry.path))
            photos = [folder / entry.path for entry in entries if isinstance(entry, PhotoFile)]
            new = [photo for photo in photos if _place(photo) not in named]
            if file is None and new:
                self.note("no labels", _no_labels(folder), folder)
            if file is None or str(file) not in self.entries:  # the second cannot be read
                continue
            unlisted[file] += new
            for photo in new:
                message = f"{photo} is in no labels file; its labels count as unknown."
                self.note("unlisted photo", message, photo, file=file)
            for skip in entries:
                if isinstance(skip, PhotoFile) or _place(skip.path) in named:
                    continue
                kind = "unread format" if skip.form else "unreadable photo"
                message = f"{skip.path}: {skip.reason}; {skip.remedy}."
                self.note(kind, message, skip.path, file=file, hint=skip.remedy)
                unlisted[file].append(skip.path)
        return unlisted

    def _note_missing(self, unlisted: Mapping[Path, list[Path]]) -> None:
        for file, missing in self.missing.items():
            near = closest_names((photo for _, photo in missing), unlisted.get(file, ()))
            for name, photo in missing:
                other = near.get(photo)
                hint = f"did you mean {other.relative_to(file.parent)}?" if other else ""
                message = f"{file} lists {name!r}, which does not exist; its labels are ignored"
                message += f"; {hint}" if hint else "."
                self.note("missing photo", message, photo, file=file, hint=hint)

    def _note_nothing_listed(self) -> None:
        nothing = not self.listed and not any(problem.fatal for problem in self.problems)
        for path in self.without_labels:
            if path.is_file():
                message = f"{path} is not a labels file: give a .json or .csv file, or a folder."
            elif find(path, recursive=True):
                message = _no_labels(path)
            else:
                message = f"{path} holds no photos: give a folder with photos and a labels file."
            self.note("no labels", message, path, fatal=nothing and not self.files)
        if nothing and self.files:
            files = " and ".join(map(str, self.files.values()))
            hints = [problem.hint for problem in self.problems if problem.kind == "missing photo"]
            hint = next(filter(None, hints), "put photos beside their labels.")
            message = f"{files}: no photo that is listed exists; {hint}"
            self.note("no labels", message, *self.files.values(), fatal=True)

    def _as_first_written(self, lists: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
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


def _no_labels(folder: Path) -> str:
    return (
        f"{folder} has photos but no labels file: add train_labels.json to each folder "
        f"of photos, {EXAMPLE}, or label them in the browser: photosieve serve."
    )


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
