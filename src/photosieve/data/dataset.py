"""A Dataset: photos with their labels and buildings, as arrays and as folds."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from photosieve.data.label_files import Verdicts, opened_labels
from photosieve.data.names import as_first_written, label_key
from photosieve.data.notes import Finding, Note, missing_note, notes_of, rare_note
from photosieve.data.scan import TEST_LABELS, scan
from photosieve.errors import LabelsError, UsageError, counted

_MAX_FOLDS = 10


@dataclass(frozen=True)
class Dataset:
    """Photos with their labels.

    Parameters
    ----------
    root : Path
        The folder that holds all of it.
    photos : tuple of Path
        Every photo that is listed in a labels file and exists.
    labels : tuple of tuple of str
        Per photo, in the order listed and without repeats; `()` where it has none.
    groups : tuple of str
        Per photo the name of its building: the unit of testing and of cross-validation.
    unlisted : tuple of Path
        Photos beside the listed ones, and in folders without a labels file. Their labels are
        unknown: they are never negatives.
    problems : tuple of Finding
        Problems that did not stop the loading.
    noes : tuple of (tuple of str or None)
        Per photo the labels that its entry says no to; None for a plain list. `()` where all are.
    partial_labels : bool
        Whether a plain list says nothing about other labels, if it is not empty.
    opened : frozenset of str
        Keys of labels that plain lists say nothing about; see `label_files.opened_labels`.
    notes : tuple of Note
        A sentence for each kind of photo, entry or label that is not used or too rare.
    """

    root: Path
    photos: tuple[Path, ...]
    labels: tuple[tuple[str, ...], ...]
    groups: tuple[str, ...]
    unlisted: tuple[Path, ...] = ()
    problems: tuple[Finding, ...] = ()
    noes: tuple[tuple[str, ...] | None, ...] = ()
    partial_labels: bool = False
    opened: frozenset[str] = frozenset()
    notes: tuple[Note, ...] = ()

    @classmethod
    def of(cls, *sources: "str | Path | Dataset") -> "Dataset":
        """Return the one dataset that is given, or load one from paths as `load` does.

        Raises
        ------
        UsageError
            If paths and datasets are mixed, or there are several datasets.
        """
        datasets = [source for source in sources if isinstance(source, Dataset)]
        paths = [source for source in sources if not isinstance(source, Dataset)]
        if bool(paths) == bool(datasets) or len(datasets) > 1:
            raise UsageError("give either paths or one Dataset")
        return datasets[0] if datasets else cls.load(*paths)

    @classmethod
    def load(
        cls,
        *paths: str | Path,
        training: bool = False,
        partial_labels: bool = False,
        labels_from: str | None = None,
    ) -> "Dataset":
        """Read labels files and find their photos.

        Parameters
        ----------
        paths : str or Path
            Each a folder with a labels file; a folder of such folders, at any depth; a labels
            file; or a pattern such as "test/*". A folder with a labels file is not searched for
            more of them.
        training : bool
            Leave out buildings with a `test_labels.json` if there are others: a test on photos that
            were trained on proves nothing.
        partial_labels : bool
            Whether a plain list of labels says nothing about all others. An empty list still means
            that the photo has none of them.
        labels_from : str, optional
            Where the labels are instead of a labels file: "folders" for one folder for each label,
            "txt" for text files beside the photos, "keywords" for keywords in the photos.

        Raises
        ------
        LabelsError
            If a labels file cannot be used, an entry points outside its folder, or there is no
            labeled photo.
        UsageError
            If a path does not exist, a pattern matches nothing, or labels cannot be read from
            there.
        """
        scanned = scan(paths, labels_from)
        fatal = [problem.message for problem in scanned.problems if problem.fatal]
        if fatal:
            more = f" (`photosieve check` shows {len(fatal) - 1} more.)" if len(fatal) > 1 else ""
            raise LabelsError(fatal[0] + more)
        listed, problems, entries = scanned.listed, scanned.problems, scanned.entries
        opened = opened_labels(Verdicts(entry.labels, entry.noes) for entry in listed)
        for_test = [entry for entry in listed if entry.file.name == TEST_LABELS]
        if training and 0 < len(for_test) < len(listed):
            listed = tuple(entry for entry in listed if entry.file.name != TEST_LABELS)
            problems = tuple(one for one in problems if Path(one.file).name != TEST_LABELS)
            entries = {file: n for file, n in entries.items() if Path(file).name != TEST_LABELS}
            buildings = counted(len({entry.group for entry in for_test}), "building")
            message = f"left out of training, as for testing ({TEST_LABELS}): {buildings}"
            problems += (Finding("kept for testing", False, message),)
        labels = tuple(entry.labels for entry in listed)
        groups = tuple(entry.group for entry in listed)
        unlisted = tuple(Path(one.paths[0]) for one in problems if one.kind == "unlisted photo")
        return cls(
            root=scanned.root,
            photos=tuple(entry.photo for entry in listed),
            labels=labels,
            groups=groups,
            unlisted=unlisted + scanned.without_file,
            problems=problems,
            noes=tuple(entry.noes for entry in listed),
            partial_labels=partial_labels,
            opened=opened,
            notes=notes_of(problems, sum(entries.values()), labels, groups),
        )

    @classmethod
    def of_verdicts(
        cls, listed: Mapping[Path, Verdicts], groups: Mapping[Path, str], opened: frozenset[str]
    ) -> "Dataset":
        """Make a dataset of photos whose labels are known already.

        Parameters
        ----------
        listed : mapping of Path to Verdicts
        groups : mapping of Path to str
            The group of each photo that counts, at least one of `listed`; others are left out.
        opened : frozenset of str
            See the parameter of that name.
        """
        chosen = {photo: own for photo, own in listed.items() if photo in groups}
        missing = [photo for photo in listed if photo not in groups]
        labels, _ = as_first_written([own.yes for own in chosen.values()])
        own_groups = tuple(groups[photo] for photo in chosen)
        notes = rare_note(labels, own_groups)
        if missing:
            notes.insert(0, missing_note(len(missing), len(listed), missing[0].name))
        return cls(
            root=Path(os.path.commonpath([photo.parent for photo in chosen])),
            photos=tuple(chosen),
            labels=tuple(labels),
            groups=own_groups,
            noes=tuple(own.no for own in chosen.values()),
            opened=opened,
            notes=tuple(notes),
        )

    def __len__(self) -> int:
        return len(self.photos)

    def __repr__(self) -> str:
        """Return one line, for notebooks."""
        facts = (self.photos, "photo"), (self.vocabulary, "label"), (self.group_names, "building")
        counts = ", ".join(counted(len(values), noun) for values, noun in facts)
        return f"<Dataset {self.root}: {counts}>"

    @property
    def vocabulary(self) -> tuple[str, ...]:
        """The labels that some photo has, in order of first appearance and as first written.

        A label that is only ever a no cannot be learned, so it is not among them.
        """
        shown: dict[str, str] = {}
        for label in (label for labels in self.labels for label in labels):
            shown.setdefault(label_key(label), label)
        return tuple(shown.values())

    @property
    def only_exact(self) -> frozenset[str]:
        """Keys of the labels of the vocabulary that no plain list names."""
        if not self.noes:
            return frozenset()
        lists = (own for own, no in zip(self.labels, self.noes, strict=True) if no is None)
        listed = {label_key(label) for own in lists for label in own}
        return frozenset(map(label_key, self.vocabulary)) - listed

    @property
    def group_names(self) -> tuple[str, ...]:
        """The buildings, in order of first appearance."""
        return tuple(dict.fromkeys(self.groups))

    def matrix(self, vocabulary: Sequence[str] | None = None) -> NDArray[np.bool_]:
        """Return whether each photo has each label, (photos, labels).

        Parameters
        ----------
        vocabulary : sequence of str, optional
            The columns; by default the dataset's own vocabulary. Upper and lower case are the
            same. A word that no photo is labeled with gets a column of False.
        """
        return self._cells(self.labels, vocabulary)

    def known(self, vocabulary: Sequence[str] | None = None) -> NDArray[np.bool_]:
        """Return for which pairs `matrix` is known to be right, (photos, labels).

        Parameters
        ----------
        vocabulary : sequence of str, optional
            As for `matrix`.
        """
        noes = self.noes or (None,) * len(self)
        every = self._cells(noes, vocabulary)
        lists = np.array([own is None for own in noes], np.bool_)
        every &= ~(lists[:, None] & self._opened(vocabulary))
        return self.matrix(vocabulary) | (every & ~self.silent(vocabulary))

    def silent(self, vocabulary: Sequence[str] | None = None) -> NDArray[np.bool_]:
        """Return which unknown pairs a partial list leaves out, (photos, labels).

        Nobody said that the photo lacks the label; still, most labels that a list leaves out are
        absent. Of other unknown pairs nothing at all was said.

        Parameters
        ----------
        vocabulary : sequence of str, optional
            As for `matrix`.
        """
        noes = self.noes or (None,) * len(self)
        partial = [
            self.partial_labels and own is None and len(labels) > 0
            for own, labels in zip(noes, self.labels, strict=True)
        ]
        lists = np.array(partial, np.bool_)[:, None]
        return ~self.matrix(vocabulary) & lists & ~self._opened(vocabulary)

    def _opened(self, vocabulary: Sequence[str] | None) -> NDArray[np.bool_]:
        """Return which labels plain lists say nothing about, (labels,)."""
        words = self.vocabulary if vocabulary is None else vocabulary
        return np.array([label_key(word) in self.opened for word in words], np.bool_)

    def _cells(
        self, lists: Iterable[Iterable[str] | None], vocabulary: Sequence[str] | None
    ) -> NDArray[np.bool_]:
        """Return whether each photo's list has each label, (photos, labels); None has them all."""
        columns = [
            label_key(word) for word in (self.vocabulary if vocabulary is None else vocabulary)
        ]
        rows = [None if own is None else {label_key(label) for label in own} for own in lists]
        cells = [row is None or key in row for row in rows for key in columns]
        return np.array(cells, dtype=np.bool_).reshape(len(rows), len(columns))

    def beyond(self, labels: Iterable[str]) -> list[str]:
        """Return the labels of the vocabulary without these; upper and lower case are the same."""
        known = {label_key(label) for label in labels}
        return [label for label in self.vocabulary if label_key(label) not in known]

    def counts(self) -> dict[str, int]:
        """How many photos have each label, in the order of the vocabulary."""
        vocabulary = self.vocabulary
        totals = self.matrix(vocabulary).sum(axis=0)
        return dict(zip(vocabulary, totals.tolist(), strict=True))

    def select(self, chosen: NDArray[np.bool_] | NDArray[np.intp] | Sequence[int]) -> "Dataset":
        """Return some of the photos, by mask (one bool per photo) or by index; none unlisted."""
        indices = np.arange(len(self))[chosen].tolist()
        return replace(
            self,
            photos=tuple(self.photos[i] for i in indices),
            labels=tuple(self.labels[i] for i in indices),
            groups=tuple(self.groups[i] for i in indices),
            unlisted=(),
            problems=(),
            notes=(),
            noes=tuple(self.noes[i] for i in indices) if self.noes else (),
        )

    def folds(self, k: int | None = None, *, seed: int = 0) -> list[NDArray[np.intp]]:
        """Return the photos to hold out, fold by fold; every photo is held out once.

        Whole buildings are held out together, since photos of one building are alike and would
        make held-out scores too good. A single building is split by photos instead, so that the
        photos of a rare label are in different folds.

        Parameters
        ----------
        k : int, optional
            How many folds, at least 2 and at most one per building (or photo). By default one
            per building (or photo), at most 10.
        seed : int
            Decides which buildings (or photos) share a fold.

        Returns
        -------
        list of ndarray of int
            Sorted photo indices; empty for fewer than two photos, where nothing can be held out.
        """
        if len(self) < 2:
            return []
        if len(self.group_names) > 1:
            units = [np.flatnonzero(np.array(self.groups) == name) for name in self.group_names]
            priority = [-len(unit) for unit in units]  # the largest first keeps folds alike in size
        else:
            units = [np.array([index]) for index in range(len(self))]
            # Photos with the same rarest label come one after another, into different folds.
            matrix = self.matrix()
            by_rarity = matrix[:, np.argsort(matrix.sum(axis=0), kind="stable")]
            priority = np.column_stack([by_rarity, np.ones(len(self))]).argmax(axis=1).tolist()

        k = min(max(2, _MAX_FOLDS if k is None else k), len(units))
        folds: list[list[int]] = [[] for _ in range(k)]
        shuffled = np.random.default_rng(seed).permutation(len(units)).tolist()
        for unit in sorted(shuffled, key=lambda unit: priority[unit]):
            min(folds, key=len).extend(units[unit].tolist())
        return [np.array(sorted(fold), dtype=np.intp) for fold in sorted(folds, key=min)]
