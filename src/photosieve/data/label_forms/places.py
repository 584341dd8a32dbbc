"""Labels in the names of folders, and in a text file beside each photo."""

from __future__ import annotations

import re
import shutil
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from photosieve.data.folders import PhotoFile, walk
from photosieve.data.label_files import LabelEntry
from photosieve.data.label_forms.forms import FolderForm, Labeled, check_words, read_text
from photosieve.data.names import FileNames, label_key
from photosieve.data.photos import content_hash
from photosieve.errors import LabelsError

_MOST_TEXT = 64 * 2**10
_NO_NAME = re.compile(r'[/\\:*?"<>|]|^\.|[. ]$')
"""Characters and endings that some system forbids in the name of a folder, or hides."""


def copied(out: Path, photos: Sequence[Labeled]) -> dict[Path, Path]:
    """Copy photos into a folder, each at its own name below it, and return the copies.

    Raises
    ------
    OSError
        If one cannot be copied.
    """
    copies = {item.photo: out / item.name for item in photos}
    for photo, copy in copies.items():
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(photo, copy)
    return copies


def _read_folders(folder: Path) -> list[LabelEntry]:
    """Read a folder for each class: the label of a photo is the first folder on its path.

    A photo with several labels is there several times, with one name and the same bytes.
    """
    photos = [item for item in walk(folder) if isinstance(item, PhotoFile) and "/" in item.path]
    alike: defaultdict[tuple[str, int], list[str]] = defaultdict(list)
    for item in sorted(photos):
        alike[item.path.rpartition("/")[2], item.size].append(item.path)
    entries: dict[tuple[str, str], LabelEntry] = {}
    for (name, _), paths in alike.items():
        for path in paths:
            label = path.partition("/")[0].replace("_", " ").strip()
            # A single photo of this name is not read.
            key = (name, content_hash(folder / path)) if len(paths) > 1 else (path, "")
            known = entries.setdefault(key, LabelEntry(path, []))
            assert isinstance(known.value, list)  # noqa: S101
            known.value.append(label)
    return list(entries.values())


def _write_folders(out: Path, photos: Sequence[Labeled]) -> dict[Path, Path]:
    copies: dict[Path, Path] = {}
    spellings: dict[str, str] = {}
    for item in photos:
        for label in item.verdicts.yes:
            if _NO_NAME.search(label):
                raise LabelsError(f"the label {label!r} cannot be the name of a folder.")
            place = out / spellings.setdefault(label_key(label), label)
            copy = place / item.name.replace("/", "__")  # most readers want photos right in it
            if copy.exists():
                raise LabelsError(f"{copy} would be there twice: rename one of the photos.")
            place.mkdir(parents=True, exist_ok=True)
            shutil.copy2(item.photo, copy)
            copies[item.photo] = min(copies.get(item.photo, copy), copy, key=str)  # as it is read
    return copies


def _read_texts(folder: Path) -> list[LabelEntry]:
    """Read the text file beside each photo, ``photo.txt`` or ``photo.jpg.txt``."""
    entries, files = [], FileNames(folder)
    for item in sorted(item for item in walk(folder) if isinstance(item, PhotoFile)):
        photo = PurePosixPath(item.path)
        names = (photo.with_suffix(".txt"), photo.with_name(photo.name + ".txt"))
        texts = (folder / found for found in map(files.find, map(str, names)) if found)
        for text in (path for path in texts if path.is_file()):
            content = read_text(text, _MOST_TEXT)
            labels = [label for label in re.split(r"[,;\r\n]", content) if label.strip()]
            check_words(labels, str(text))
            entries.append(LabelEntry(item.path, labels))
            break
    return entries


def _write_texts(out: Path, photos: Sequence[Labeled]) -> dict[Path, Path]:
    copies = copied(out, photos)
    for item in photos:
        lines = "".join(label + "\n" for label in item.verdicts.yes)
        copies[item.photo].with_suffix(".txt").write_text(lines, "utf-8")
    return copies


FOLDERS = FolderForm(
    "folders", "one folder for each label", _read_folders, _write_folders, one_building=True
)
TXT = FolderForm("txt", "text files beside the photos", _read_texts, _write_texts)
