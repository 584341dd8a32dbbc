"""Labels in an export of Label Studio: as JSON or as JSON-MIN.

Choices and the labels of boxes and outlines count as labels of the whole photo.
https://labelstud.io/guide/task_format, https://labelstud.io/guide/export
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from photosieve.data.formats import SUFFIXES
from photosieve.data.label_files import LabelEntry
from photosieve.data.label_forms.forms import FileForm, Labeled, load_json
from photosieve.data.label_forms.photo_names import PhotoNames
from photosieve.errors import LabelsError

_TASK = {"id", "annotator", "annotation_id", "created_at", "updated_at", "lead_time", "image"}
"""Members of a task that no control makes, in the form JSON-MIN."""


def _read_label_studio(file: Path, folder: Path) -> list[LabelEntry]:
    photos, entries = PhotoNames.below(folder), []
    try:
        for task in load_json(file):
            whole = "annotations" in task or "data" in task
            reference = _reference(task.get("data", task))
            found = _annotated(task) if whole else _short(task)
            if found is not None:  # else nobody has looked at it yet
                entries.append(LabelEntry(photos.find(reference), list(dict.fromkeys(found))))
    except (KeyError, TypeError, AttributeError, StopIteration) as error:
        message = f"{file} is a list, but no export of Label Studio: export it as JSON."
        raise LabelsError(message) from error
    return entries


def _reference(task: dict[str, Any]) -> str:
    """Return the path or address of a task's photo."""
    texts = [value for value in task.values() if isinstance(value, str)]
    image = task.get("image")
    return image if isinstance(image, str) else next(
        text for text in texts if Path(text.partition("?X-")[0]).suffix.lower() in SUFFIXES
    )  # fmt: skip


def _annotated(task: dict[str, Any]) -> list[str] | None:
    """Return the labels in all annotations that were not skipped; None without one."""
    done = [a for a in task.get("annotations") or () if not a.get("was_cancelled")]
    return [
        label
        for annotation in done
        for result in annotation["result"]
        for label in result["value"].get(result["type"], ())
        if isinstance(label, str)
    ] if done else None  # fmt: skip


def _short(task: dict[str, Any]) -> list[str] | None:
    """Return the labels of a task in the form JSON-MIN; None without any.

    It has no "data" and no "annotations"; each control of the labeling page is a member.
    """
    found: list[str] = []
    for name, value in task.items():
        if name in _TASK or value == _reference(task):
            continue
        items = value.get("choices", value) if isinstance(value, dict) else value
        for item in items if isinstance(items, list) else [items]:
            if isinstance(item, str):
                found.append(item)
            elif isinstance(item, dict):  # a box
                found += item.get(next((kind for kind in item if kind.endswith("labels")), ""), ())
    return found or None


def _write_label_studio(photos: Sequence[Labeled], _: Sequence[str]) -> str:
    def task(photo: Labeled) -> dict[str, Any]:
        result = {"from_name": "labels", "to_name": "image", "type": "choices",
                  "value": {"choices": list(photo.verdicts.yes)}}  # fmt: skip
        return {"data": {"image": photo.name}, "annotations": [{"result": [result]}]}

    return json.dumps([task(photo) for photo in photos], ensure_ascii=False, indent=1)


LABEL_STUDIO = FileForm(
    "label-studio", "a Label Studio export", "label-studio.json", _read_label_studio,
    _write_label_studio,
)  # fmt: skip
