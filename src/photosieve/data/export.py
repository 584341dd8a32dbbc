"""Labels written in another form, with a list of the labels that this form cannot hold."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from photosieve.data.dataset import Dataset
from photosieve.data.label_files import LabelEntry, Verdicts, opened_labels
from photosieve.data.label_forms import FILE_FORMS, FOLDER_FORMS
from photosieve.data.label_forms.forms import FolderForm, Labeled
from photosieve.data.label_forms.own import CSV, JSON
from photosieve.data.names import label_key
from photosieve.errors import LabelsError, UsageError, one_line
from photosieve.storage import draft_file

_BY_NAME = {form.name: form for form in (JSON, CSV, *FILE_FORMS, *FOLDER_FORMS)}

FORMS = tuple(_BY_NAME)
"""Names of the forms that `export_labels` writes."""


@dataclass(frozen=True)
class Export:
    """Labels that were written.

    Parameters
    ----------
    path : Path
        The file or folder.
    photos, labels : int
        How many of them were given.
    lost : tuple of str
        A sentence for each kind of difference that a reader of the new form meets.
    """

    path: Path
    photos: int
    labels: int
    lost: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return a form for JSON."""
        return {
            "path": str(self.path),
            "photos": self.photos,
            "labels": self.labels,
            "lost": list(self.lost),
        }


def export_labels(dataset: Dataset, to: str, out: str | Path | None = None) -> Export:
    """Write labels in another form, read them again, and compare.

    Parameters
    ----------
    dataset : Dataset
    to : str
        A name in `FORMS`. For "folders", "txt" and "keywords" the photos are copied.
    out : str or Path, optional
        The new file, or the folder for copies of the photos. By default a file with a usual name in
        the folder of the data. Names in the file are below that folder, wherever the file is.

    Raises
    ------
    UsageError
        If the form is not known, or `out` is missing or exists.
    LabelsError
        If it cannot be written.
    """
    base = Path(os.path.commonpath([dataset.root, *(photo.parent for photo in dataset.photos)]))
    noes = dataset.noes or (None,) * len(dataset)
    items = [
        Labeled(photo, photo.relative_to(base).as_posix(), Verdicts(yes, no))
        for photo, yes, no in zip(dataset.photos, dataset.labels, noes, strict=True)
    ]
    spellings = {label_key(label): label for label in dataset.vocabulary}
    for label in (label for no in noes for label in no or ()):
        spellings.setdefault(label_key(label), label)
    labels = list(spellings.values())
    exact = _exact(items, labels, dataset.opened)
    if to not in ("json", "csv"):  # other forms have lists that say no to all other labels
        items = exact
    form = _BY_NAME.get(to)
    if form is None:
        raise UsageError(f'"{to}" is no form of labels; choose from {", ".join(FORMS)}')
    try:
        if isinstance(form, FolderForm):
            place = _new_folder(to, out)
            copies = form.write(place, items)
            names = {p: copy.relative_to(place).as_posix() for p, copy in copies.items()}
            written = form.read(place)
        else:
            place = _new_file(Path(out) if out else base / form.file, Path(form.file).suffix)
            names = {item.photo: item.name for item in items}
            with draft_file(place) as draft:
                # JSON can name half of a character, which UTF-8 cannot: it is written as in JSON.
                draft.write(form.write(items, labels).encode(errors="backslashreplace"))
            written = form.read(place, base)
    except OSError as error:
        raise LabelsError(f"the labels cannot be written as {to} ({one_line(error)}).") from error
    return Export(place, len(items), len(labels), tuple(_lost(to, exact, names, written, labels)))


def _exact(
    items: Sequence[Labeled], labels: Sequence[str], opened: frozenset[str]
) -> list[Labeled]:
    """Write out the labels that plain lists say no to, where they do not say no to all."""
    if not opened:
        return list(items)
    keys = {label_key(label): label for label in labels if label_key(label) not in opened}
    exact = []
    for item in items:
        yes, no = item.verdicts
        if no is None:
            own = set(map(label_key, yes))
            no = tuple(label for key, label in keys.items() if key not in own)
        exact.append(item._replace(verdicts=Verdicts(yes, no)))
    return exact


def _new_folder(to: str, out: str | Path | None) -> Path:
    if out is None:
        raise UsageError(f"{to} is written with copies of the photos: add --out with a new folder")
    if Path(out).exists() and (not Path(out).is_dir() or any(Path(out).iterdir())):
        raise UsageError(f"{out} is there already: name a new folder")
    return Path(out)


def _new_file(file: Path, ending: str) -> Path:
    if file.suffix.lower() != ending:
        raise UsageError(f"{file} does not end in {ending}: name another file with --out")
    if file.exists():
        raise UsageError(f"{file} is there already: remove it, or name another file with --out")
    return file


def _lost(
    to: str,
    items: Iterable[Labeled],
    names: dict[Path, str],
    written: Iterable[LabelEntry],
    labels: Iterable[str],
) -> list[str]:
    """Compare what is known of each photo and label before and after."""
    found = {entry.name: entry.verdicts() for entry in written}
    opened = opened_labels(found.values())
    keys = [label_key(label) for label in labels]
    changes: Counter[tuple[str, str]] = Counter()
    left_out = 0
    for item in items:
        after = found.get(names.get(item.photo, ""))
        if after is None:
            left_out += 1
        else:
            before = _states(item.verdicts, keys)
            changes.update(zip(before, _states(after, keys, opened), strict=True))
    lost = [f"{left_out} photos without labels are not in it, and so unknown."] if left_out else []
    for (old, new), count in sorted(changes.items()):
        if old != new:
            hint = "; read it with --partial-labels" if (old, new) == ("unknown", "no") else ""
            pairs = "1 pair" if count == 1 else f"{count} pairs"
            lost.append(f"{pairs} of photo and label: {old} before, {new} in {to}{hint}.")
    return lost


def _states(
    verdicts: Verdicts, keys: Sequence[str], opened: frozenset[str] = frozenset()
) -> list[str]:
    yes = set(map(label_key, verdicts.yes))
    no = set(keys) - opened if verdicts.no is None else set(map(label_key, verdicts.no))
    absent = ["no" if key in no else "unknown" for key in keys]
    return ["yes" if key in yes else state for key, state in zip(keys, absent, strict=True)]
