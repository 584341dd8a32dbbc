"""One labels file, read without trusting it; `photosieve.data.label_edits` changes it.

The name of a photo is the key of an entry. A plain list says yes to its labels and no to all
other labels that plain lists name. An object ``{"yes": [...], "no": [...]}`` is exact: the labels
that it does not name are unknown. A label that only exact entries name is unknown on photos with a
plain list; see `opened_labels`.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path, PureWindowsPath
from typing import Any, NamedTuple

from photosieve.data.names import FileNames, label_key, visible
from photosieve.errors import LabelsError

EXAMPLE = '{"photo.jpg": ["kitchen", "stove"]}'
MARK = "\ufeff"
"""Some programs begin UTF-8 text with it."""

NO_TO_NOTHING = "-"
"""A cell "no" of a CSV file that says no to nothing; an empty one says no to all other labels."""

EXACT_EXAMPLE = '{"yes": ["kitchen"], "no": ["window"]}'


class Verdicts(NamedTuple):
    """The labels that a photo has, and those that it is known not to have.

    Parameters
    ----------
    yes : tuple of str
    no : tuple of str or None
        None: all other labels but those of `opened_labels`. Otherwise the labels in neither are
        unknown.
    """

    yes: tuple[str, ...]
    no: tuple[str, ...] | None = None

    def joined(self, other: Verdicts) -> Verdicts:
        """Return what two entries say together; where they disagree, yes counts."""
        no = None if self.no is None or other.no is None else self.no + other.no
        return Verdicts(self.yes + other.yes, no)

    def with_yes(self, yes: Sequence[str]) -> Verdicts:
        """Return the verdicts with these yes labels; a former yes label becomes a no."""
        if self.no is None:
            return Verdicts(tuple(yes))
        keys = {label_key(label) for label in yes}
        rest = dict.fromkeys(x for x in (*self.no, *self.yes) if label_key(x) not in keys)
        return Verdicts(tuple(yes), tuple(rest))


def opened_labels(every: Iterable[Verdicts]) -> frozenset[str]:
    """Return the keys of the labels that plain lists say nothing about.

    These are the labels that only exact entries name: nobody looked for them on the photos of the
    plain lists. So a label can be added later, and is unknown on all photos that were listed
    before. Where no list names any label, an empty list keeps its meaning: none at all.
    """
    every = tuple(every)
    listed = {label_key(label) for own in every if own.no is None for label in own.yes}
    if not listed:
        return frozenset()
    exact = (own for own in every if own.no is not None)
    return frozenset(label_key(x) for own in exact for x in own.yes + (own.no or ())) - listed


class LabelEntry(NamedTuple):
    """One entry of a labels file.

    Parameters
    ----------
    name : str
        The photo's path below the file's folder.
    value : object
        Its labels as written: a list, a text, or a tuple of pairs for an object; or anything else
        where the file is wrong.
    """

    name: str
    value: object

    @classmethod
    def of(cls, name: str, verdicts: Verdicts) -> LabelEntry:
        """Return a new entry."""
        if verdicts.no is None:
            return cls(name, list(verdicts.yes))
        return cls(name, (("yes", list(verdicts.yes)), ("no", list(verdicts.no))))

    def verdicts(self) -> Verdicts:
        """Return what the entry says, with all labels normalized.

        Raises
        ------
        ValueError
            If the value has another form, or a label is both yes and no; the message completes
            "the entry 'photo.jpg'".
        """
        if not isinstance(self.value, tuple):
            return Verdicts(_labels(self.value, "its labels"))
        names = [name for name, _ in self.value]
        if not {"yes", "no"} & set(names):
            raise ValueError(f'has an object without "yes" or "no"; write {EXACT_EXAMPLE}')
        for name in ("yes", "no"):
            if names.count(name) > 1:
                raise ValueError(f'has "{name}" twice; keep one of them')
        members = dict(self.value)
        yes = _labels(members.get("yes", []), 'its "yes" labels')
        no = _labels(members.get("no", []), 'its "no" labels')
        keys = {label_key(label) for label in yes}
        for label in no:
            if label_key(label) in keys:
                raise ValueError(f"has {label!r} as both yes and no; remove one of them")
        return Verdicts(yes, no)

    def labels(self) -> list[str]:
        """Return the labels that the photo has, normalized; see `verdicts`."""
        return list(self.verdicts().yes)

    def path_in(self, files: FileNames) -> str:
        """Return the photo's path below the folder of its labels file, with "/" between the parts.

        Backslashes, as Windows writes them, count as slashes unless a file has them in its name. An
        absolute path inside the folder is shortened. The path is spelled as on the disk if there is
        such a photo.

        Parameters
        ----------
        files : FileNames
            The files below that folder.

        Raises
        ------
        ValueError
            If it is not below the folder; the message completes "the entry 'photo.jpg'".
        """
        name, folder = self.name, files.folder
        home = os.path.abspath(folder)  # noqa: PTH100  # `resolve` follows links
        if not _possible(name):
            raise ValueError("cannot be the name of a file; take it out")
        if not os.path.lexists(os.path.join(home, name)):  # noqa: PTH118
            name = name.replace("\\", "/")
            if os.name != "nt" and PureWindowsPath(name).drive:
                advice = f"write its path below {folder.name or folder}, such as house/photo.jpg"
                raise ValueError(f"is a path of another computer; {advice}")
        place = Path(os.path.normpath(os.path.join(home, name)))  # noqa: PTH118
        real_home = Path(os.path.realpath(home))
        inside = next((h for h in (Path(home), real_home) if place.is_relative_to(h)), None)
        if inside is None:
            raise ValueError("leads outside its folder; take it out")
        path = place.relative_to(inside).as_posix()
        path = files.find(path) or path
        if not Path(os.path.realpath(Path(home, path))).is_relative_to(real_home):
            raise ValueError("is a link that leads outside its folder; copy the photo there")
        return path


def _possible(name: str) -> bool:
    """Whether a file can have this name on any system."""
    try:
        return b"\0" not in os.fsencode(name)
    except UnicodeEncodeError:  # half of a character
        return False


def _labels(value: object, place: str) -> tuple[str, ...]:
    """Return a list of labels, or a text with commas, normalized; else raise ValueError."""
    if isinstance(value, str):
        value = [piece for piece in re.split("[,;]", value) if piece.strip()]
    if not isinstance(value, list):
        raise ValueError(f'has {_kind(value)} for {place}; write ["kitchen", "stove"]')
    labels = []
    for item in value:
        if not isinstance(item, str):
            raise ValueError(f"has {_kind(item)} among {place}; a label is text in quotes")
        label = visible(item)
        if not label:
            raise ValueError("has an empty label; remove it")
        if any(unicodedata.category(letter) in {"Cc", "Cs"} for letter in label):
            raise ValueError(f"has a label with an unprintable character, {label!r}")
        labels.append(label)
    return tuple(labels)


def read_entries(file: Path) -> list[LabelEntry]:
    """Read all entries, in order and with repeats.

    Raises
    ------
    LabelsError
        If the file cannot be read, or is neither JSON nor CSV of labels.
    """
    return parse_entries(file, read_text(file))


def read_text(file: Path) -> str:
    """Read the text of a file, with each line end, and with the mark of UTF-8 if it has one.

    Raises
    ------
    LabelsError
        If the file cannot be read, or is not text.
    """
    if not os.path.isfile(file):  # noqa: PTH113  # Path.is_file fails on an impossible name
        raise LabelsError(f"{file} is not a regular file: give a labels file or a folder.")
    try:
        return file.read_bytes().decode()
    except UnicodeDecodeError as error:
        place = f"byte {error.start + 1}"
        raise LabelsError(f"{file} is not UTF-8 text ({place}): save it as UTF-8.") from error
    except OSError as error:
        raise LabelsError(f"{file} cannot be read ({error.strerror}).") from error


def is_csv(file: Path) -> bool:
    """Whether a labels file is CSV, by its name; otherwise it is JSON."""
    return file.suffix.lower() == ".csv"


def parse_entries(file: Path, text: str) -> list[LabelEntry]:
    """Read all entries from the text of a file; see `read_entries`."""
    text = text.removeprefix(MARK)
    return _read_csv(file, text) if is_csv(file) else _read_json(file, text)


def _read_json(file: Path, text: str) -> list[LabelEntry]:
    try:
        data = _parse(text)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        before = text[: error.pos].rstrip()
        comma = ", take away the comma before it" if before.endswith(",") else ""
        message = (
            f"{file}, {place}: not valid JSON ({error.msg}{comma}); it should look like {EXAMPLE}."
        )
        raise LabelsError(message) from error
    except RecursionError as error:
        raise LabelsError(f"{file} is nested too deeply; it should look like {EXAMPLE}.") from error
    if not isinstance(data, tuple):
        raise LabelsError(f"{file} holds {_kind(data)}; it should look like {EXAMPLE}.")
    return [LabelEntry(name, value) for name, value in data]


def _parse(text: str) -> Any:
    # Pairs, since a dict would hide repeated keys; floats, since an int may be too long.
    return json.loads(text, object_pairs_hook=tuple, parse_int=float)


def _read_csv(file: Path, text: str) -> list[LabelEntry]:
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    entries: list[LabelEntry] = []
    try:
        header = [cell.strip().lower() for cell in next(rows, [])]
        if header[:2] != ["photo", "labels"] or header[2:] not in ([], ["no"]):
            raise LabelsError(
                f"{file}, line 1: the first line must be photo,labels or photo,labels,no."
            )
        for row in rows:
            if row and len(row) not in (2, len(header)):
                hint = 'write photo.jpg,"kitchen, stove" or photo.jpg,kitchen;stove'
                raise LabelsError(f"{file}, line {rows.line_num}: {len(row)} cells; {hint}.")
            if row:
                entries.append(LabelEntry(row[0].strip(), _csv_value(row[1:])))
    except csv.Error as error:
        message = f"{file}, line {rows.line_num}: not valid CSV ({error})."
        raise LabelsError(message) from error
    return entries


def _csv_value(cells: Sequence[str]) -> object:
    """Return the value of an entry: a text, or yes and no as in a JSON object."""
    yes, no = (*cells, "")[:2]
    if not no.strip():
        return yes
    return ("yes", yes), ("no", "" if no.strip() == NO_TO_NOTHING else no)


def csv_cells(name: str, verdicts: Verdicts) -> list[str]:
    """Return the cells of a CSV row that `read_entries` reads as these verdicts."""
    cells = [name, ", ".join(verdicts.yes)]
    if verdicts.no is not None:
        cells.append(", ".join(verdicts.no) or NO_TO_NOTHING)
    return cells


def _kind(value: object) -> str:
    kinds = {str: "a text", list: "a list", tuple: "an object", bool: "true or false"}
    return "nothing (null)" if value is None else kinds.get(type(value), "a number")
