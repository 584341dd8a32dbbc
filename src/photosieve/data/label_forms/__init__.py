"""Labels in the forms of other programs: recognized, read and written.

`FILE_FORMS` are recognized by their content. `FOLDER_FORMS` have to be named, since any folder of
photos could be meant so; text files and keywords are found where there is no labels file at all.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from fnmatch import fnmatch
from pathlib import Path

from photosieve.data.label_files import LabelEntry, read_entries
from photosieve.data.label_forms import tables
from photosieve.data.label_forms.coco import COCO, is_coco
from photosieve.data.label_forms.forms import FileForm, FolderForm, read_text
from photosieve.data.label_forms.keywords import KEYWORDS
from photosieve.data.label_forms.label_studio import LABEL_STUDIO
from photosieve.data.label_forms.places import FOLDERS, TXT
from photosieve.data.label_forms.tables import COLUMNS, METADATA_CSV, METADATA_JSONL
from photosieve.errors import LabelsError, UsageError

FILE_FORMS = (METADATA_CSV, METADATA_JSONL, COLUMNS, COCO, LABEL_STUDIO)
FOLDER_FORMS = (FOLDERS, TXT, KEYWORDS)
UNASKED_FORMS = (TXT, KEYWORDS)
"""Forms that are read unasked where there is no labels file."""

FILE_ENDINGS = (".json", ".csv", ".jsonl")

_NAMES = (
    "metadata.csv", "metadata.jsonl", "*labels.csv", "_classes.csv", "*annotations*.json",
    "*coco*.json", "instances_*.json", "*label*studio*.json", "project-*.json", "result.json",
)  # fmt: skip
"""Usual names of files in these forms; a file with another name has to be given itself."""


def folder_form(name: str) -> FolderForm:
    """Return a form by its name.

    Raises
    ------
    UsageError
        If there is none.
    """
    for form in FOLDER_FORMS:
        if form.name == name:
            return form
    names = ", ".join(form.name for form in FOLDER_FORMS)
    raise UsageError(
        f'labels are read from {names}, not from "{name}"; a file of labels is recognized by itself'
    )


def recognize(file: Path) -> FileForm | None:
    """Return the form of a file; None if it is of our own form, of none, or cannot be read."""
    try:
        text = read_text(file)
    except LabelsError:
        return None
    return _form(file.suffix.lower(), text)


def _form(ending: str, text: str, *, captions: bool = True) -> FileForm | None:
    if ending == ".json":
        if re.match(r"\s*\[\s*{", text):
            return LABEL_STUDIO
        return COCO if is_coco(text) else None
    if ending == ".csv" and _is_own(text):
        return None
    if ending not in FILE_ENDINGS:
        return None
    return tables.recognize(text, lines=ending == ".jsonl", captions=captions)


def _is_own(text: str) -> bool:
    columns = r"[^\w;\t]*photo[^\w;\t]+labels([^\w;\t]+no)?[^\w;\t]*"
    return re.fullmatch(columns, text.partition("\n")[0].lower()) is not None


def likely_files(folder: Path, names: Iterable[str]) -> list[str]:
    """Return which of a folder's files have labels, by their names and their content."""
    found = []
    for name in names:
        if any(fnmatch(name, pattern) for pattern in _NAMES):
            with suppress(LabelsError):  # a user who names the file itself gets the error
                ending, text = Path(name).suffix.lower(), read_text(folder / name)
                if _form(ending, text, captions=False) or (ending == ".csv" and _is_own(text)):
                    found.append(name)
    return found


def read(file: Path) -> tuple[Path, list[LabelEntry]]:
    """Read a file of labels in any form; return the folder that its names are below, too.

    Raises
    ------
    LabelsError
        If it cannot be used.
    """
    form = recognize(file)
    if form is None and file.suffix.lower() == ".jsonl":
        form = METADATA_JSONL  # it says what is wrong
    if form is None:
        return file.parent, read_entries(file)
    folder = file.parent
    if form is COCO and folder.name == "annotations":  # its usual place, beside the photos' folders
        folder = folder.parent
    return folder, form.read(file, folder)
