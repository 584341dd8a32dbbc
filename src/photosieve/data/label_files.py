"""One labels file: read without trusting it, and written whole.

The name of a photo is the key of an entry. An entry is kept as it is written, and a file that is
rewritten has every entry that nobody changed in its old form.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path, PureWindowsPath
from typing import NamedTuple

from photosieve.errors import LabelsError
from photosieve.storage import draft_file, remove_drafts

EXAMPLE = '{"photo.jpg": ["kitchen", "stove"]}'


class LabelEntry(NamedTuple):
    """One entry of a labels file.

    Parameters
    ----------
    name : str
        The photo's path below the file's folder.
    value : object
        Its labels as written: a list or a text, or anything else where the file is wrong.
    """

    name: str
    value: object

    def labels(self) -> list[str]:
        """Return the labels, normalized.

        Raises
        ------
        ValueError
            If the value is not a list of labels; the message completes "the entry 'photo.jpg'".
        """
        value = self.value
        if isinstance(value, str):
            value = [piece for piece in re.split("[,;]", value) if piece.strip()]
        if not isinstance(value, list):
            raise ValueError(f'has {_kind(value)} for its labels; write ["kitchen", "stove"]')
        labels = []
        for item in value:
            if not isinstance(item, str):
                raise ValueError(f"has {_kind(item)} among its labels; a label is text in quotes")
            label = unicodedata.normalize("NFC", " ".join(item.split()))
            if not label:
                raise ValueError("has an empty label; remove it")
            if any(unicodedata.category(letter) in {"Cc", "Cs"} for letter in label):
                raise ValueError(f"has a label with an unprintable character, {label!r}")
            labels.append(label)
        return labels

    def leads_outside(self, folder: Path) -> bool:
        """Whether the name could lead out of the file's folder, on any system."""
        windows = PureWindowsPath(self.name)  # understands both kinds of slash
        if windows.anchor or ".." in windows.parts or "\\" in self.name or "\0" in self.name:
            return True
        try:
            return not (folder / self.name).resolve().is_relative_to(folder.resolve())
        except (OSError, RuntimeError, ValueError):  # a link to itself, or no possible file name
            return True


def label_key(label: str) -> str:
    """Return the form that all spellings of a label share: upper and lower case are the same."""
    return unicodedata.normalize("NFC", label.casefold())


def read_entries(file: Path) -> list[LabelEntry]:
    """Read all entries, in order and with repeats.

    Raises
    ------
    LabelsError
        If the file cannot be read, or is neither JSON nor CSV of labels.
    """
    if not os.path.isfile(file):  # noqa: PTH113  # Path.is_file fails on an impossible name
        raise LabelsError(f"{file} is not a regular file: give a labels file or a folder.")
    try:
        text = file.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        place = f"byte {error.start + 1}"
        raise LabelsError(f"{file} is not UTF-8 text ({place}): save it as UTF-8.") from error
    except OSError as error:
        raise LabelsError(f"{file} cannot be read ({error.strerror}).") from error
    return _read_csv(file, text) if file.suffix.lower() == ".csv" else _read_json(file, text)


def _read_json(file: Path, text: str) -> list[LabelEntry]:
    try:
        # Pairs, since a dict would hide repeated keys; floats, since an int may be too long.
        data = json.loads(text, object_pairs_hook=tuple, parse_int=float)
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


def _read_csv(file: Path, text: str) -> list[LabelEntry]:
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    entries: list[LabelEntry] = []
    try:
        header = [cell.strip().lower() for cell in next(rows, [])]
        if header != ["photo", "labels"]:
            raise LabelsError(f"{file}, line 1: the first line must be photo,labels.")
        for row in rows:
            if row and len(row) != 2:
                hint = 'write photo.jpg,"kitchen, stove" or photo.jpg,kitchen;stove'
                raise LabelsError(f"{file}, line {rows.line_num}: {len(row)} cells; {hint}.")
            if row:
                entries.append(LabelEntry(row[0].strip(), row[1]))
    except csv.Error as error:
        message = f"{file}, line {rows.line_num}: not valid CSV ({error})."
        raise LabelsError(message) from error
    return entries


def _kind(value: object) -> str:
    kinds = {str: "a text", list: "a list", tuple: "an object", bool: "true or false"}
    return "nothing (null)" if value is None else kinds.get(type(value), "a number")


def write_entries(file: Path, entries: Sequence[LabelEntry]) -> None:
    """Replace a labels file, in one step that survives a crash.

    Drafts of the file that killed writers left are removed, so there may be only one writer at a
    time.

    Raises
    ------
    LabelsError
        If it cannot be written; the old file is still there.
    """
    content = _csv(entries) if file.suffix.lower() == ".csv" else _json(entries)
    try:
        file.parent.stat()  # a folder that is gone is not made again
        remove_drafts(file)
        with draft_file(file) as draft:
            # JSON can name half of a character, which UTF-8 cannot: it is written as in JSON.
            draft.write(content.encode(errors="backslashreplace"))
    except OSError as error:
        raise LabelsError(
            f"{file} cannot be written ({error.strerror or error}): "
            "make room, or allow this user to write there."
        ) from error


def _csv(entries: Sequence[LabelEntry]) -> str:
    text = io.StringIO(newline="")
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["photo", "labels"])
    rows.writerows(
        [name, value if isinstance(value, str) else ", ".join(map(str, value))]
        for name, value in entries
        if isinstance(value, str | list | tuple)
    )
    return text.getvalue()


def _json(entries: Sequence[LabelEntry]) -> str:
    lines = [
        f"  {json.dumps(name, ensure_ascii=False)}: {json.dumps(value, ensure_ascii=False)}"
        for name, value in entries
    ]
    return "{\n" + ",\n".join(lines) + "\n}\n"
