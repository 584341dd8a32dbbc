"""The labels of photos in folders, to look up and to change, with a history that can be undone.

A change goes to the history first, and then into the labels files. A change that was interrupted is
carried out at the next start. The labels of a photo are in the file that `Dataset.load` reads them
from; a folder of photos without one gets a ``labels.json``.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from photosieve.data.dataset import Dataset
from photosieve.data.label_files import LabelEntry, Verdicts, write_entries
from photosieve.data.label_forms import read, recognize
from photosieve.data.label_history import Change, LabelHistory
from photosieve.data.names import FileNames, label_key
from photosieve.data.notes import missing_note, rare_note
from photosieve.data.scan import NEW_LABELS, TEST_LABELS, labels_files_in
from photosieve.errors import LabelsError

Labels = tuple[str, ...]


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
        If a labels file or the history cannot be read.
    """

    def __init__(self, history: Path, folders: Mapping[Path, Path]) -> None:
        self._history = LabelHistory(history)
        self._home: dict[Path, Path] = {}
        """For each folder of photos, the folder whose labels file covers it."""
        self._files: dict[Path, Path] = {}
        """The labels file of each such folder; it need not exist."""
        self._cache: dict[Path, tuple[int, dict[str, Verdicts]]] = {}
        """For each labels file that was read, its time of change and the verdicts by name."""
        known: dict[Path, Path | None] = {}
        for folder, root in folders.items():
            self._home[folder] = self._cover(folder, root, known)
        self._above_labels = {
            parent for folder in known if known[folder] for parent in folder.parents
        }
        for home in set(self._home.values()):
            self._files[home] = known.get(home) or home / NEW_LABELS
        with suppress(LabelsError):  # labels can be read although a change cannot be finished now
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

    def labels(self, photo: Path) -> Labels | None:
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
        if photo.parent not in self._home:
            return None
        file = self.file_of(photo)
        return self._listed(file).get(photo.relative_to(file.parent).as_posix())

    def listed(self, *, test: bool | None = None) -> dict[Path, Verdicts]:
        """Return what is known of all listed photos, or of those kept for testing, or not."""
        return {
            file.parent / name: verdicts
            for file in sorted(self._files.values())
            if test is None or test == (file.name == TEST_LABELS)
            for name, verdicts in self._listed(file).items()
        }

    def counts(self) -> dict[str, int]:
        """Return how many photos have each label, the most frequent first."""
        spellings: dict[str, str] = {}
        total: Counter[str] = Counter()
        for verdicts in self.listed().values():
            for label in verdicts.yes:
                total[spellings.setdefault(label_key(label), label)] += 1
        return dict(sorted(total.items(), key=lambda item: (-item[1], item[0])))

    def dataset(self, *, test: bool, groups: Mapping[Path, str]) -> Dataset | None:
        """Return the listed photos that are kept for testing, or the others; None without any.

        Parameters
        ----------
        test : bool
        groups : mapping
            The group of each photo that counts; others are left out.
        """
        every = self.listed(test=test)
        listed = {photo: own for photo, own in every.items() if photo in groups}
        missing = [photo for photo in every if photo not in groups]
        if not listed:
            return None
        spellings: dict[str, str] = {}
        for label in (label for own in listed.values() for label in own.yes):
            spellings.setdefault(label_key(label), label)
        labels = tuple(
            tuple(dict.fromkeys(spellings[label_key(label)] for label in own.yes))
            for own in listed.values()
        )
        own_groups = tuple(groups[photo] for photo in listed)
        notes = rare_note(labels, own_groups)
        if missing:
            notes.insert(0, missing_note(len(missing), len(every), missing[0].name))
        return Dataset(
            root=Path(os.path.commonpath([photo.parent for photo in listed])),
            photos=tuple(listed),
            labels=labels,
            groups=own_groups,
            noes=tuple(own.no for own in listed.values()),
            notes=tuple(notes),
        )

    def _listed(self, file: Path) -> dict[str, Verdicts]:
        """Return the verdicts in a file by name; it is read again when it has changed."""
        try:
            changed = file.stat().st_mtime_ns
        except OSError:
            return {}
        known = self._cache.get(file)
        if known is None or known[0] != changed:
            known = changed, _usable(file, read(file)[1])
            self._cache[file] = known
        return known[1]

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
        new: dict[Path, Verdicts | None] = {}
        for photo, own in labels.items():
            try:
                new[photo] = None if own is None else _normalized(photo, own)
            except ValueError as error:
                raise LabelsError(f"{photo.name} {error}.") from None
            home = self._home.get(photo.parent)
            if home in self._above_labels and not self.file_of(photo).exists():
                raise LabelsError(
                    f"{photo.name}: a labels file in its folder would hide those in the folders "
                    "below it; put the photo into a folder of its own."
                )
        with self._history.lock():
            self._recover()
            old = {photo: self.verdicts(photo) for photo in new}
            for photo, own in new.items():
                before = old[photo]
                if own is not None and own.no is None and before is not None:
                    new[photo] = before.with_yes(own.yes)
            return self._carry_out({photo: (old[photo], own) for photo, own in new.items()}, None)

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
            for photo, (_, after) in last.photos.items():
                if self.verdicts(photo) != after:
                    raise LabelsError(
                        f"{photo.name}: its labels were changed elsewhere since; "
                        "nothing was taken back."
                    )
            back = {photo: (after, before) for photo, (before, after) in last.photos.items()}
            return self._carry_out(back, last.number)

    def _carry_out(
        self, photos: Mapping[Path, tuple[Verdicts | None, Verdicts | None]], undoes: int | None
    ) -> Change:
        change = self._history.begin(photos, undoes)
        try:
            self._apply(change)
        except LabelsError:  # left as it is, it would be tried again at each start
            with suppress(LabelsError):
                self._apply(Change(change.number, {p: both[::-1] for p, both in photos.items()}))
            self._history.fail(change)
            raise
        self._history.finish(change)
        return change

    def _apply(self, change: Change) -> None:
        """Write the new labels of a change into the labels files."""
        by_file: dict[Path, dict[str, Verdicts | None]] = {}
        for photo, (_, after) in change.photos.items():
            file = self.file_of(photo)
            name = photo.relative_to(file.parent).as_posix()
            by_file.setdefault(file, {})[name] = after
        _check_own(by_file)
        for file, new in by_file.items():
            entries = read(file)[1] if file.exists() else []
            left = {name: own for name, own in new.items() if own is not None}
            kept: list[LabelEntry] = []
            files = FileNames(file.parent)
            for entry in entries:
                name = _path(entry, files)
                if name not in new:
                    kept.append(entry)
                elif name in left:  # in its place, and once even if it stood there twice
                    kept.append(entry.rewritten(left.pop(name)))
            kept += [LabelEntry.of(name, own) for name, own in left.items()]
            write_entries(file, kept)
            self._cache.pop(file, None)

    def _recover(self) -> None:
        """Carry out a change that was noted and then interrupted."""
        change = self._history.unfinished()
        if change:
            known = {p: own for p, own in change.photos.items() if p.parent in self._home}
            self._apply(Change(change.number, known))
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
    return Verdicts(_once(yes), None if no is None else _once(no))


def _once(labels: Labels) -> Labels:
    return tuple(dict.fromkeys(labels))


def _path(entry: LabelEntry, files: FileNames) -> str:
    """Return the path of an entry's photo below the folder; its name if it has none there."""
    with suppress(ValueError):
        return entry.path_in(files)
    return entry.name


def _usable(file: Path, entries: Iterable[LabelEntry]) -> dict[str, Verdicts]:
    """Return the verdicts by path; entries that cannot be used say nothing and are left out."""
    verdicts: dict[str, Verdicts] = {}
    files = FileNames(file.parent)
    for entry in entries:
        with suppress(ValueError):
            own, name = entry.verdicts(), entry.path_in(files)
            before = verdicts.get(name)
            verdicts[name] = own if before is None else before.joined(own)
    return verdicts
