"""Labels files: read one without trusting it, and write one whole."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from fnmatch import fnmatch
from pathlib import Path, PureWindowsPath

from photosieve.errors import LabelsError

NEW = "labels.json"
"""What a labels file is called that the product makes."""

TEST = "test_labels.json"
"""The labels file of photos that are kept for testing."""

ENDINGS = ("labels.json", "labels.csv")
EXAMPLE = '{"photo.jpg": ["kitchen", "stove"]}'

# Which file of a folder holds its labels: the first of these that any file fits.
_STANDINGS = (("train_labels.json", TEST), ("*labels.json",), ("labels.csv",))

Entry = tuple[str, object]
"""The name of a photo, below the file's folder, and its labels as they are written."""


def standing(names: Iterable[str]) -> list[str]:
    """Return which of a folder's file names are of its labels file: one, if all is well."""
    visible = sorted(name for name in names if not name.startswith("."))
    for masks in _STANDINGS:
        fitting = [name for name in visible if any(fnmatch(name, mask) for mask in masks)]
        if fitting:
            return fitting
    return []


def label_key(label: str) -> str:
    """What two spellings of one label have in common: upper and lower case are the same."""
    return unicodedata.normalize("NFC", label.casefold())


def leaves(folder: Path, name: str) -> bool:
    """Whether a name from a labels file could lead out of the file's folder, on any system."""
    windows = PureWindowsPath(name)  # understands both kinds of slash
    if windows.anchor or ".." in windows.parts or "\\" in name or "\0" in name:
        return True
    try:
        return not (folder / name).resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError, ValueError):  # a link to itself, or no possible file name
        return True


def holds(test: Callable[[], bool]) -> bool:
    """A question to the file system, such as `path.is_file`; no where it cannot be asked."""
    try:
        return test()
    except (OSError, ValueError):
        return False


def read(file: Path) -> list[Entry]:
    """(photo name, its labels as written) for each entry, in order and with repeats."""
    if not holds(file.is_file):
        raise LabelsError(f"{file} is not a regular file: give a labels file or a folder.")
    try:
        text = file.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        place = f"byte {error.start + 1}"
        raise LabelsError(f"{file} is not UTF-8 text ({place}): save it as UTF-8.") from error
    except OSError as error:
        raise LabelsError(f"{file} cannot be read ({error.strerror}).") from error
    return _read_csv(file, text) if file.suffix.lower() == ".csv" else _read_json(file, text)


def _read_json(file: Path, text: str) -> list[Entry]:
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
    return list(data)


def _read_csv(file: Path, text: str) -> list[Entry]:
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    entries: list[Entry] = []
    try:
        header = [cell.strip().lower() for cell in next(rows, [])]
        if header != ["photo", "labels"]:
            raise LabelsError(f"{file}, line 1: the first line must be photo,labels.")
        for row in rows:
            if row and len(row) != 2:
                hint = 'write photo.jpg,"kitchen, stove" or photo.jpg,kitchen;stove'
                raise LabelsError(f"{file}, line {rows.line_num}: {len(row)} cells; {hint}.")
            if row:
                entries.append((row[0].strip(), row[1]))
    except csv.Error as error:
        message = f"{file}, line {rows.line_num}: not valid CSV ({error})."
        raise LabelsError(message) from error
    return entries


def clean(value: object) -> list[str]:
    """Labels as written in a file -> normalized; ValueError says what is wrong with them."""
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


def _kind(value: object) -> str:
    kinds = {str: "a text", list: "a list", tuple: "an object", bool: "true or false"}
    return "nothing (null)" if value is None else kinds.get(type(value), "a number")


def write(file: Path, entries: Sequence[Entry]) -> None:
    """Replace a labels file, in one step that survives a crash.

    Raises
    ------
    LabelsError
        If it cannot be written; what stood there before is still there.
    """
    if file.suffix.lower() == ".csv":
        text = io.StringIO(newline="")
        rows = csv.writer(text, lineterminator="\n")
        rows.writerow(["photo", "labels"])
        rows.writerows(
            [name, value if isinstance(value, str) else ", ".join(map(str, value))]
            for name, value in entries
            if isinstance(value, str | list | tuple)
        )
        content = text.getvalue()
    else:
        lines = [
            f"{json.dumps(name, ensure_ascii=False)}: {json.dumps(value, ensure_ascii=False)}"
            for name, value in entries
        ]
        content = "{\n" + ",\n".join(f"  {line}" for line in lines) + "\n}\n"
    try:
        mode = file.stat().st_mode if file.exists() else 0o644
        draft = file.with_name(f".{file.name}.new")  # one that a killed writer left goes
        draft.unlink(missing_ok=True)
        try:
            # Half of a character, which JSON may hold, is written as JSON has it.
            with draft.open("x", encoding="utf-8", errors="backslashreplace", newline="") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            draft.chmod(mode & 0o777)
            draft.replace(file)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise
        _sync(file.parent)
    except OSError as error:
        raise LabelsError(
            f"{file} cannot be written ({error.strerror or error}): "
            "make room, or allow this user to write there."
        ) from error


def _sync(folder: Path) -> None:
    """Make a new name in a folder last."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
