"""Find labels files and their photos in folders, and collect every problem on the way.

This is where it is decided which file of a folder holds its labels, which photos are listed and
to which building each belongs. `photosieve.data.label_files` reads a single file, and
`photosieve.data.label_forms` one of another program.
"""

import os
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from photosieve.data.folders import PhotoFile, find, is_ignored, walk
from photosieve.data.label_files import LabelEntry, Verdicts
from photosieve.data.label_forms import (
    FILE_ENDINGS,
    UNASKED_FORMS,
    folder_form,
    likely_files,
    read,
)
from photosieve.data.label_forms.forms import FolderForm
from photosieve.data.label_forms.places import FOLDERS
from photosieve.data.names import (
    NO_TEXT,
    NO_TEXT_REMEDY,
    FileNames,
    as_first_written,
    closest_names,
    is_text,
)
from photosieve.data.notes import Finding, no_labels_message
from photosieve.data.paths import absolute, building_names, expanded
from photosieve.errors import LabelsError, PhotoError, UsageError, printable

NEW_LABELS = "labels.json"
"""Name of a labels file that the product makes."""

TEST_LABELS = "test_labels.json"
"""Name of the labels file of photos that are kept for testing."""

_RANKED_NAMES = (("train_labels.json", TEST_LABELS), ("*labels.json",), ("labels.csv",))
"""Patterns for labels files: of a folder's files those count that fit the first with any."""


def labels_files_in(folder: Path, names: Iterable[str]) -> list[str]:
    """Return the names of a folder's labels files: at most one, unless two have the same rank.

    Files of other names and of other programs count where there is none with our usual names.
    """
    visible = sorted(name for name in names if not name.startswith("."))
    for patterns in _RANKED_NAMES:
        fitting = [name for name in visible if any(fnmatch(name, p) for p in patterns)]
        if fitting:
            return fitting
    return likely_files(folder, visible)


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
    without_file : tuple of Path
        Photos in folders without a labels file.
    """

    root: Path
    listed: tuple[ListedPhoto, ...]
    problems: tuple[Finding, ...]
    entries: Mapping[str, int]
    without_file: tuple[Path, ...]


def scan(paths: Sequence[str | Path], labels_from: str | None = None) -> Scan:
    """Read all labels files that can be read, and note every problem on the way.

    Parameters
    ----------
    paths : sequence of str or Path
        As for `Dataset.load`.
    labels_from : str, optional
        As for `Dataset.load`.

    Raises
    ------
    UsageError
        If a path does not exist, a pattern matches nothing, or labels cannot be read from there.
    """
    form = folder_form(labels_from) if labels_from else None
    scanner = _Scanner(form)
    given = [path for path in expanded(paths) if scanner.can_name(path)]
    if not given:
        raise UsageError(scanner.problems[0].message)
    for path in given:
        scanner.add(path)
    return scanner.result([path if path.is_dir() else path.parent for path in given])


@dataclass
class _Collected:
    """A photo with its labels so far.

    `building` is the folder that its building is named after, and `root` the one that the user
    named.
    """

    photo: Path
    building: Path
    root: Path
    file: Path
    verdicts: Verdicts


class _Scanner:
    """Collects photos and problems from one path after the other."""

    def __init__(self, form: FolderForm | None) -> None:
        self.form = form
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
        self.without_file: list[Path] = []

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

    def can_name(self, path: Path, file: Path | None = None) -> bool:
        """Whether a path is text, which saved files and reports can hold; if not, it is noted."""
        if is_text(str(path)):
            return True
        shown = printable(str(path))
        message = f"{shown}: {NO_TEXT}; {NO_TEXT_REMEDY}."
        self.note("unusable name", message, Path(shown), file=file)
        return False

    def add(self, path: Path) -> None:
        if self.form and path.is_dir():
            if not self._add_folder(path, self.form):
                self.without_labels.append(path)
            return
        if path.is_dir():
            files = self._labels_files(path)
        else:
            files = [path] if path.suffix.lower() in FILE_ENDINGS else []
        if not files:
            self.without_labels.append(path)
        for file in files:
            if absolute(file) not in self.files:
                self.files[absolute(file)] = file
                self._add_file(file, path if path.is_dir() else path.parent)

    def _labels_files(self, folder: Path) -> list[Path]:
        chosen: list[Path] = []
        covers: dict[Path, Path | None] = {}
        """For each folder, the labels file in it or above it."""
        for parent, folders, names in os.walk(folder):
            place = Path(parent)
            visible = sorted(name for name in folders if not is_ignored(name))
            folders[:] = [name for name in visible if self.can_name(place / name)]
            cover = covers.get(place.parent)
            files = [place / name for name in labels_files_in(place, names)]
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
            folder, entries = read(file)
        except LabelsError as error:
            self.note("invalid labels file", str(error), file, fatal=True, file=file)
            return
        self.entries[str(file)] = len(entries)
        self.folders[folder] = file
        root = root if folder.is_relative_to(root) else folder
        files = FileNames(folder)
        for entry in entries:
            self._add_entry(file, files, entry, root)
        for name, found in files.in_other_case.items():
            message = f"{file} lists {name!r}, and the file is {found!r}; the photo is used."
            self.note("other case", message, folder / found, file=file, hint=name)

    def _add_folder(self, folder: Path, form: FolderForm) -> int:
        """Add the photos of a folder that have labels in some form; return how many."""
        try:
            entries = form.read(folder)
        except (LabelsError, PhotoError) as error:
            self.note("invalid labels file", str(error), folder, fatal=True, file=folder)
            return 0
        self.entries[str(folder)] = len(entries)
        files = FileNames(folder)
        for entry in entries:
            building = folder if form.one_building else (folder / entry.name).parent
            self._add_entry(folder, files, entry, folder, building)
        if entries and not form.one_building:
            self.folders |= {photo.parent: folder for photo in find(folder, recursive=True)}
        return len(entries)

    def _add_unasked(self) -> None:
        """Where there is no labels file at all, read labels in or beside the photos, and say so."""
        for path in [path for path in self.without_labels if path.is_dir()]:
            for form in UNASKED_FORMS:
                count = self._add_folder(path, form)
                if count:
                    message = (
                        f"{path} has no labels file; the labels of {count} photos are read from "
                        f"{form.title} (--labels-from {form.name})."
                    )
                    self.note("labels found", message, path)
                    self.without_labels.remove(path)
                    break

    def _add_entry(
        self,
        file: Path,
        files: FileNames,
        entry: LabelEntry,
        root: Path,
        building: Path | None = None,
    ) -> None:
        name = entry.name
        try:
            photo = files.folder / entry.path_in(files)
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
        if not self.can_name(photo, file):
            return
        if not os.path.isfile(photo):  # noqa: PTH113  # Path.is_file fails on an impossible name
            self.missing[file].append((name, photo))
            return
        known = self.listed.get(absolute(photo))
        if known is not None:
            again = "twice" if known.file == file else f"and so does {known.file}"
            message = f"{file} lists {name!r} {again}; the labels of both entries count."
            self.note("duplicate key", message, photo, file=file)
        place = building or photo.parent
        self.folders[place] = self.folders.get(place) or file
        if known is None:
            self.listed[absolute(photo)] = _Collected(
                photo, building or photo.parent, root, file, verdicts
            )
        else:
            known.verdicts = known.verdicts.joined(verdicts)

    def result(self, roots: list[Path]) -> Scan:
        if not self.form and not self.files:
            self._add_unasked()
        listed = list(self.listed.values())
        unlisted = self._look_into_folders()
        self._note_missing(unlisted)
        self._note_nothing_listed()
        groups = building_names([(photo.building, photo.root) for photo in listed])
        labels, alike = as_first_written([photo.verdicts.yes for photo in listed])
        for message in alike:
            self.note("similar labels", message)
        return Scan(
            root=roots[0] if len(roots) == 1 else Path(os.path.commonpath(roots)),
            listed=tuple(
                ListedPhoto(photo.photo, own, group, photo.file, photo.verdicts.no)
                for photo, own, group in zip(listed, labels, groups, strict=True)
            ),
            problems=tuple(self.problems),
            entries=self.entries,
            without_file=tuple(self.without_file),
        )

    def _look_into_folders(self) -> dict[Path, list[Path]]:
        """Note all that is not listed or not read, and return it by labels file."""
        unlisted: dict[Path, list[Path]] = defaultdict(list)
        named = {absolute(photo) for missing in self.missing.values() for _, photo in missing}
        named.update(self.listed)
        unusable = [one for one in self.problems if one.kind == "unusable name"]
        named.update(absolute(Path(path)) for one in unusable for path in one.paths)
        for folder, file in self.folders.items():
            entries = sorted(walk(folder, recursive=False), key=lambda entry: str(entry.path))
            photos = [folder / entry.path for entry in entries if isinstance(entry, PhotoFile)]
            new = [photo for photo in photos if absolute(photo) not in named]
            if file is None and new:
                self.note("no labels", no_labels_message(folder), folder)
                self.without_file += new
            if file is None or str(file) not in self.entries:  # the second cannot be read
                continue
            unlisted[file] += new
            for photo in new:
                message = f"{photo} is in no labels file; its labels count as unknown."
                self.note("unlisted photo", message, photo, file=file)
            for skip in entries:
                if isinstance(skip, PhotoFile) or absolute(skip.path) in named:
                    continue
                unnamed = "unusable name" if skip.reason == NO_TEXT else "unreadable photo"
                kind = "unread format" if skip.form else unnamed
                message = f"{skip.path}: {skip.reason}; {skip.remedy}."
                self.note(kind, message, skip.path, file=file, hint=skip.remedy)
                unlisted[file].append(skip.path)
        return unlisted

    def _note_missing(self, unlisted: Mapping[Path, list[Path]]) -> None:
        for file, missing in self.missing.items():
            near = closest_names((photo for _, photo in missing), unlisted.get(file, ()))
            for name, photo in missing:
                other = near.get(photo)
                hint = f"did you mean {os.path.relpath(other, file.parent)}?" if other else ""
                message = f"{file} lists {name!r}, which does not exist; its labels are ignored"
                message += f"; {hint}" if hint else "."
                self.note("missing photo", message, photo, file=file, hint=hint)

    def _note_nothing_listed(self) -> None:
        nothing = not self.listed and not any(problem.fatal for problem in self.problems)
        for path in self.without_labels:
            if path.is_file():
                message = f"{path} is not a labels file: give a .json or .csv file, or a folder."
            elif self.form:
                message = f"{path} has no photo with labels in this form: {self.form.title}."
            elif photos := find(path, recursive=True):
                self.without_file += photos
                message = no_labels_message(path)
                if any(photo.parent != path for photo in photos):
                    message += (
                        " If the names of its folders are the labels, add "
                        f"--labels-from {FOLDERS.name}."
                    )
            else:
                message = f"{path} holds no photos: give a folder with photos and a labels file."
            self.note("no labels", message, path, fatal=nothing and not self.files)
        if nothing and self.files:
            files = " and ".join(map(str, self.files.values()))
            hints = [problem.hint for problem in self.problems if problem.kind == "missing photo"]
            hint = next(filter(None, hints), "put photos beside their labels.")
            message = f"{files}: no photo that is listed exists; {hint}"
            self.note("no labels", message, *self.files.values(), fatal=True)
