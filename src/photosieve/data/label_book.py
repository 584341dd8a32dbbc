"""The labels of photos in folders, to look up and to change, with a history that can be undone.

A change goes to the history first, and then into the labels files. A change that was interrupted is
carried out at the next start. The labels of a photo are in the file that `Dataset.load` reads them
from; a folder of photos without one gets a ``labels.json``.

A labels file is locked from the moment that its labels are read for a change until the changed file
is in its place. So two processes, and two indexes of the same photos, lose nothing of each other.
"""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from photosieve.data.dataset import Dataset
from photosieve.data.label_edits import change_entries, locked
from photosieve.data.label_files import LabelEntry, Verdicts, opened_labels
from photosieve.data.label_forms import read, recognize
from photosieve.data.label_history import Change, LabelHistory
from photosieve.data.names import FileNames, label_key
from photosieve.data.scan import NEW_LABELS, TEST_LABELS, labels_files_in
from photosieve.errors import LabelsError

_Changes = Mapping[Path, tuple[Verdicts | None, Verdicts | None]]
"""The verdicts on photos, before and after."""

_NONE: dict[str, Verdicts] = {}
"""The verdicts of a labels file that does not exist."""

Stamp = tuple[int, int, int]
"""Time, size and number of a file, one of which differs after each change."""


class LabelBook:
    """Labels of the photos of some folders.

    Parameters
    ----------
    history : Path
        The file of the history; see `LabelHistory`.
    folders : mapping of Path to Path
        The folders that hold photos, and for each the folder that was indexed: labels files above
        that one are not read.

    Raises
    ------
    LabelsError
        If a labels file cannot be read.
    """

    def __init__(self, history: Path, folders: Mapping[Path, Path]) -> None:
        self._history = LabelHistory(history)
        self._home: dict[Path, Path] = {}
        """For each folder of photos, the folder whose labels file covers it."""
        self._files: dict[Path, Path] = {}
        """The labels file of each such folder; it need not exist."""
        self._cache: dict[Path, tuple[Stamp, dict[str, Verdicts]]] = {}
        """For each labels file that was read, its stamp and the verdicts by path."""
        self._joined: dict[bool | None, tuple[list[dict[str, Verdicts]], dict[Path, Verdicts]]] = {}
        """The last results of `listed`, and what each was made of."""
        self._paths: dict[Path, dict[str, str]] = {}
        """For each labels file, the paths that its names mean."""
        self._below: dict[Path, FileNames] = {}
        """For each labels file, the names of the files below its folder."""
        known: dict[Path, Path | None] = {}
        for folder, root in folders.items():
            self._home[folder] = self._cover(folder, root, known)
        self._above_labels = {
            parent for folder in known if known[folder] for parent in folder.parents
        }
        for home in set(self._home.values()):
            self._files[home] = known.get(home) or home / NEW_LABELS
        self._sorted = sorted(self._files.values())
        if self._history.unfinished():
            # Labels can be read where nothing can be written now.
            with suppress(LabelsError), self._history.lock():
                self._recover()

    @staticmethod
    def _cover(folder: Path, root: Path, known: dict[Path, Path | None]) -> Path:
        """Return the uppermost folder with a labels file, from the root down, or the folder itself.

        `known` has the labels file of each folder that was listed so far, and None without one.
        """
        chain = [folder, *folder.parents]
        down = reversed(chain[: chain.index(root) + 1] if root in chain else [folder])
        for place in down:
            if place not in known:
                inside = place.iterdir() if place.is_dir() else ()
                names = labels_files_in(place, (path.name for path in inside))
                known[place] = place / names[0] if names else None
            if known[place]:
                return place
        return folder

    def __contains__(self, folder: Path) -> bool:
        return folder in self._home

    def file_of(self, photo: Path) -> Path:
        """Return the labels file of a photo, which need not exist.

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
        return self.file_of(photo).name == TEST_LABELS

    def labels(self, photo: Path) -> tuple[str, ...] | None:
        """Return the labels that a photo has; None if it is not listed; see `verdicts`."""
        verdicts = self.verdicts(photo)
        return None if verdicts is None else verdicts.yes

    def verdicts(self, photo: Path) -> Verdicts | None:
        """Return the labels that a photo has and has not; None if it is not listed.

        Raises
        ------
        LabelsError
            If its labels file cannot be read.
        """
        home = self._home.get(photo.parent)
        if home is None:
            return None
        # Asked for every photo that is shown: `relative_to` takes longer than all the rest.
        return self._listed(self._files[home]).get(str(photo).removeprefix(str(home)).lstrip("/"))

    def verdicts_in(self, folder: Path, names: Iterable[str]) -> list[Verdicts]:
        """Return what is known of the listed ones of a folder's photos; its file is read once."""
        if folder not in self._home:
            return []
        file = self.file_of(folder / "photo")
        listed, place = self._listed(file), folder.relative_to(file.parent)
        start = "" if place == Path() else f"{place.as_posix()}/"
        return [listed[start + name] for name in names if start + name in listed]

    def listed(self, *, test: bool | None = None) -> Mapping[Path, Verdicts]:
        """Return what is known of all listed photos, or of those kept for testing, or not.

        It is the same object until a labels file changes.
        """
        files = [f for f in self._sorted if test is None or test == (f.name == TEST_LABELS)]
        parts = [self._listed(file) for file in files]
        last = self._joined.get(test)
        if last is None or not all(map(operator.is_, last[0], parts)):
            named = zip(files, parts, strict=True)
            joined = {file.parent / name: own for file, part in named for name, own in part.items()}
            last = self._joined[test] = parts, joined
        return last[1]

    def counts(self) -> dict[str, int]:
        """Return how many photos have each label, the most frequent first."""
        spellings: dict[str, str] = {}
        total: Counter[str] = Counter()
        for verdicts in self.listed().values():
            for label in verdicts.yes:
                total[spellings.setdefault(label_key(label), label)] += 1
        return dict(sorted(total.items(), key=lambda item: (-item[1], item[0])))

    def dataset(self, *, test: bool | None, groups: Mapping[Path, str]) -> Dataset | None:
        """Return the listed photos that are kept for testing, or the others; None without any.

        Parameters
        ----------
        test : bool or None
            None: all.
        groups : mapping
            The group of each photo that counts; others are left out.
        """
        every = self.listed(test=test)
        if not any(photo in groups for photo in every):
            return None
        return Dataset.of_verdicts(every, groups, opened_labels(self.listed().values()))

    def _listed(self, file: Path) -> dict[str, Verdicts]:
        """Return the verdicts in a file by name; it is read again when it has changed."""
        try:
            found = file.stat()
        except OSError:
            return _NONE
        changed = found.st_mtime_ns, found.st_size, found.st_ino
        known = self._cache.get(file)
        if known is None or known[0] != changed:
            known = changed, self._usable(file, read(file)[1])
            self._cache[file] = known
        return known[1]

    def _usable(self, file: Path, entries: Iterable[LabelEntry]) -> dict[str, Verdicts]:
        """Return the verdicts by path; entries that cannot be used say nothing and are left out."""
        verdicts: dict[str, Verdicts] = {}
        for entry in entries:
            with suppress(ValueError):
                own, name = entry.verdicts(), self._path(file, entry.name)
                if name:
                    before = verdicts.get(name)
                    verdicts[name] = own if before is None else before.joined(own)
        return verdicts

    def _path(self, file: Path, name: str) -> str:
        """Return the path of an entry's photo below its file's folder; empty if there is none."""
        paths = self._paths.setdefault(file, {})
        if name not in paths:  # found once, as it takes long
            found = ""
            files = self._below.setdefault(file, FileNames(file.parent))
            with suppress(ValueError):
                found = LabelEntry(name, None).path_in(files)
            paths[name] = found  # not before it is known: other threads read it, too
        return paths[name]

    def change(self, labels: Mapping[Path, Sequence[str] | Verdicts | None]) -> Change:
        """Set the labels of photos, all or none.

        Parameters
        ----------
        labels : mapping
            For each photo its labels. Where its entry is exact, it stays so: a label that the photo
            had and has no longer becomes a no. Verdicts make an entry exact. None takes the photo
            out of its file.

        Raises
        ------
        LabelsError
            If a label or a photo cannot be used, or a file cannot be written.
        """
        return self.revise(labels, lambda photo, _: labels[photo])

    def revise(
        self,
        photos: Iterable[Path],
        revised: Callable[[Path, Verdicts | None], Sequence[str] | Verdicts | None],
    ) -> Change:
        """Set the labels of photos to others that depend on those they have, all or none.

        Parameters
        ----------
        photos : iterable of Path
        revised : callable
            Gets a photo and what its labels file says of it, and returns its labels as for
            `change`. No other process changes the file in the meantime.

        Raises
        ------
        LabelsError
            If a label or a photo cannot be used, or a file cannot be written.
        """
        photos = list(photos)
        for photo in photos:
            home = self._home.get(photo.parent)
            if home in self._above_labels and not self.file_of(photo).exists():
                raise LabelsError(
                    f"{photo.name}: a labels file in its folder would hide those in the folders "
                    "below it; put the photo into a folder of its own."
                )
        files = self._files_of(photos)
        with self._history.lock():
            self._recover()
            with locked(files):
                new = {photo: self._revision(photo, revised) for photo in photos}
                return self._carry_out(new, None)

    def _revision(
        self,
        photo: Path,
        revised: Callable[[Path, Verdicts | None], Sequence[str] | Verdicts | None],
    ) -> tuple[Verdicts | None, Verdicts | None]:
        """Return the verdicts of a photo before and after a change."""
        before = self.verdicts(photo)
        own = revised(photo, before)
        if own is None:
            return before, None
        try:
            after = _normalized(photo, own)
        except ValueError as error:
            raise LabelsError(f"{photo.name} {error}.") from None
        if after.no is None and before is not None:
            after = before.with_yes(after.yes)
        return before, after

    def undo(self) -> Change | None:
        """Take back the last change that was not taken back yet; None if there is none.

        Raises
        ------
        LabelsError
            If the labels of the same photos were changed elsewhere since.
        """
        with self._history.lock():
            self._recover()
            last = self._history.last()
            if last is None:
                return None
            with locked(self._files_of(last.photos)):
                for photo, (_, after) in last.photos.items():
                    if self.verdicts(photo) != after:
                        raise LabelsError(
                            f"{photo.name}: its labels were changed elsewhere since; "
                            "nothing was taken back."
                        )
                back = {photo: (after, before) for photo, (before, after) in last.photos.items()}
                return self._carry_out(back, last.number)

    def _files_of(self, photos: Iterable[Path]) -> list[Path]:
        return sorted({self.file_of(photo) for photo in photos})

    def _carry_out(self, photos: _Changes, undoes: int | None) -> Change:
        change = self._history.begin(photos, undoes)
        try:
            self._write({photo: after for photo, (_, after) in photos.items()})
        except LabelsError:  # left as it is, it would be tried again at each start
            self._take_back(photos)
            self._history.fail(change)
            raise
        self._history.finish(change)
        return change

    def _take_back(self, photos: _Changes) -> None:
        """Give photos that were changed their former labels, as far as that is possible."""
        for photo, (before, after) in photos.items():
            with suppress(LabelsError):
                if self.verdicts(photo) == after:
                    self._write({photo: before})

    def _write(self, labels: Mapping[Path, Verdicts | None]) -> None:
        by_file: dict[Path, dict[str, Verdicts | None]] = {}
        for photo, own in labels.items():
            file = self.file_of(photo)
            by_file.setdefault(file, {})[photo.relative_to(file.parent).as_posix()] = own
        _check_own(by_file)
        for file, new in by_file.items():
            change_entries(file, new, partial(self._path, file))

    def _recover(self) -> None:
        """Carry out a change that was noted and then interrupted.

        A photo that has other labels by now keeps these. Where a file cannot be written, the change
        counts as never made: nobody was told that it was.
        """
        change = self._history.unfinished()
        if change is None:
            return
        photos = {p: both for p, both in change.photos.items() if p.parent in self._home}
        files = self._files_of(photos)
        try:
            with locked(files):
                self._write(
                    {
                        p: after
                        for p, (before, after) in photos.items()
                        if self.verdicts(p) == before
                    }
                )
        except LabelsError:
            for file in files:
                with suppress(LabelsError), locked([file]):
                    self._take_back({p: photos[p] for p in photos if self.file_of(p) == file})
            self._history.fail(change)
        else:
            self._history.finish(change)


def _check_own(files: Iterable[Path]) -> None:
    """Refuse to change labels files of other programs."""
    for file in files:
        if form := recognize(file):
            raise LabelsError(
                f"{file} is {form.title}, which photosieve reads and does not change. "
                f"Convert it first: photosieve labels export {file.parent} --to json"
            )


def _normalized(photo: Path, labels: Sequence[str] | Verdicts) -> Verdicts:
    """Return labels as they are stored, without repeats; ValueError if one cannot be used."""
    exact = labels if isinstance(labels, Verdicts) else Verdicts(tuple(labels))
    yes, no = LabelEntry.of(photo.name, exact).verdicts()
    return Verdicts(tuple(dict.fromkeys(yes)), None if no is None else tuple(dict.fromkeys(no)))
