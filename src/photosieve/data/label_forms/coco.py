"""Labels in a COCO file; boxes and outlines count as labels of the whole photo.

https://cocodataset.org/#format-data. Negative categories are those of LVIS:
https://www.lvisdataset.org/dataset
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from photosieve.data.label_files import LabelEntry, Verdicts
from photosieve.data.label_forms.forms import FileForm, Labeled, load_json, parse_json
from photosieve.data.label_forms.photo_names import PhotoNames
from photosieve.data.names import label_key
from photosieve.errors import LabelsError

_PARTS = ("images", "annotations", "categories")


def is_coco(text: str) -> bool:
    """Whether a JSON text has the parts of a COCO file."""
    if not all(f'"{part}"' in text for part in _PARTS):
        return False  # most files: they are not parsed for this
    with suppress(ValueError, RecursionError):
        data = parse_json(text)
        return isinstance(data, dict) and all(isinstance(data.get(part), list) for part in _PARTS)
    return False


def _read_coco(file: Path, folder: Path) -> list[LabelEntry]:
    data = load_json(file)
    try:
        names = {category["id"]: str(category["name"]) for category in data["categories"]}
        yes: defaultdict[Any, dict[str, None]] = defaultdict(dict)
        for annotation in data["annotations"]:
            yes[annotation["image_id"]][names[annotation["category_id"]]] = None
        photos, entries = PhotoNames.below(folder), []
        for image in data["images"]:
            name = photos.find(str(image["file_name"]))
            own = tuple(yes.pop(image["id"], {}))
            no = None  # all categories were looked for
            if "neg_category_ids" in image or "not_exhaustive_category_ids" in image:  # as in LVIS
                no = tuple(names[number] for number in image.get("neg_category_ids", []))
                no = tuple(label for label in no if label not in own)
            entries.append(LabelEntry.of(name, Verdicts(own, no)))
    except (KeyError, TypeError, AttributeError) as error:
        raise LabelsError(f"{file}: not valid COCO ({type(error).__name__}: {error}).") from error
    if yes:
        number = next(iter(yes))
        raise LabelsError(f"{file} has annotations of image {number}, which is not in it.")
    return entries


def _write_coco(photos: Sequence[Labeled], labels: Sequence[str]) -> str:
    numbers = {label_key(label): number for number, label in enumerate(labels, 1)}
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, int]] = []
    for number, photo in enumerate(photos, 1):
        yes, no = photo.verdicts
        image: dict[str, Any] = {"id": number, "file_name": photo.name}
        if no is not None:
            absent = sorted({numbers[key] for key in map(label_key, no) if key in numbers})
            image |= {"neg_category_ids": absent, "not_exhaustive_category_ids": []}
        images.append(image)
        for category in dict.fromkeys(numbers[label_key(label)] for label in yes):
            ids = {"image_id": number, "category_id": category}
            annotations.append({"id": len(annotations) + 1, **ids})
    categories = [{"id": numbers[label_key(label)], "name": label} for label in labels]
    parts = {"images": images, "annotations": annotations, "categories": categories}
    return json.dumps(parts, ensure_ascii=False, indent=1)


COCO = FileForm("coco", "COCO", "coco.json", _read_coco, _write_coco)
