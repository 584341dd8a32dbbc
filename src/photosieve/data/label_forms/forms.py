"""A form of labels: a file that many photos share, or something that each photo has."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from photosieve.data.label_files import LabelEntry, Verdicts
from photosieve.errors import LabelsError

MAX_BYTES = 256 * 2**20
"""A larger file of labels is refused: read as JSON it would take several gigabytes of memory."""

_MOST_WORDS = 5


class Labeled(NamedTuple):
    """A photo to be written, with its known labels.

    Parameters
    ----------
    photo : Path
    name : str
        Its path below the folder of the data, with "/" between the parts.
    verdicts : Verdicts
    """

    photo: Path
    name: str
    verdicts: Verdicts


@dataclass(frozen=True)
class FileForm:
    """A form in which one file lists many photos.

    Parameters
    ----------
    name : str
        For the command line.
    title : str
        For sentences.
    file : str
        Name of a file that is written.
    read : callable
        Takes a file and the folder that its names are below; raises LabelsError.
    write : callable
        Takes all photos and all labels, and returns the text of a file.
    """

    name: str
    title: str
    file: str
    read: Callable[[Path, Path], list[LabelEntry]]
    write: Callable[[Sequence[Labeled], Sequence[str]], str]


@dataclass(frozen=True)
class FolderForm:
    """A form in which labels are in the photos, beside them, or in the names of folders.

    Parameters
    ----------
    name, title : str
        As for `FileForm`.
    read : callable
        Takes a folder, and returns the photos below it that have labels; raises LabelsError.
    write : callable
        Copies photos with their labels into a folder, and returns the copy of each photo; raises
        LabelsError and OSError.
    one_building : bool
        Whether sub-folders are not buildings.
    """

    name: str
    title: str
    read: Callable[[Path], list[LabelEntry]]
    write: Callable[[Path, Sequence[Labeled]], dict[Path, Path]]
    one_building: bool = False


def read_text(file: Path, most: int = MAX_BYTES) -> str:
    """Read a file of UTF-8 text.

    Raises
    ------
    LabelsError
        If it cannot be read, is longer than `most` bytes, or is other text.
    """
    if not os.path.isfile(file):  # noqa: PTH113  # Path.is_file fails on an impossible name
        raise LabelsError(f"{file} is not a regular file: give a labels file or a folder.")
    try:
        with file.open("rb") as opened:
            content = opened.read(most + 1)
        if len(content) > most:
            raise LabelsError(f"{file} has more than {most:,} bytes: divide it into several.")
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        place = f"byte {error.start + 1}"
        raise LabelsError(f"{file} is not UTF-8 text ({place}): save it as UTF-8.") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise LabelsError(f"{file} cannot be read ({reason}).") from error


def parse_json(text: str) -> Any:
    """Parse JSON from elsewhere; ValueError or RecursionError if it is damaged."""
    return json.loads(text, parse_int=lambda digits: int(digits[:30]))  # an int may be too long


def load_json(file: Path) -> Any:
    """Read a file of JSON.

    Raises
    ------
    LabelsError
        If it cannot be read or is damaged.
    """
    try:
        return parse_json(read_text(file))
    except (ValueError, RecursionError) as error:
        raise LabelsError(f"{file}: not valid JSON ({str(error)[:100]}).") from error


def check_words(labels: Sequence[str], place: str) -> None:
    """Refuse sentences and box coordinates, which other programs keep where labels could be.

    Raises
    ------
    LabelsError
        If there are some; `place` begins the message.
    """
    for label in labels:
        words = label.split()
        if len(words) >= _MOST_WORDS and all(map(_is_number, words)):
            raise LabelsError(
                f"{place} holds boxes as YOLO writes them, without the names of classes: "
                "export the data set as COCO JSON."
            )
        if len(words) > _MOST_WORDS:
            raise LabelsError(
                f'{place} holds a sentence, "{label[:60]}": write labels with commas between them.'
            )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
