"""Our own forms, as an export writes them; `photosieve.data.label_files` reads and keeps them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from photosieve.data.label_files import LabelEntry, csv_cells, read_entries
from photosieve.data.label_forms.forms import FileForm, Labeled
from photosieve.data.label_forms.tables import csv_text


def _write_json(photos: Sequence[Labeled], _: Sequence[str]) -> str:
    def line(photo: Labeled) -> str:
        yes, no = photo.verdicts
        value = yes if no is None else {"yes": yes, "no": no}
        return ": ".join(json.dumps(part, ensure_ascii=False) for part in (photo.name, value))

    return "{\n  " + ",\n  ".join(map(line, photos)) + "\n}\n"


def _write_csv(photos: Sequence[Labeled], _: Sequence[str]) -> str:
    rows = [csv_cells(photo.name, photo.verdicts) for photo in photos]
    return csv_text([["photo", "labels", "no"][: max(map(len, rows), default=2)], *rows])


def _read(file: Path, _: Path) -> list[LabelEntry]:
    return read_entries(file)


JSON = FileForm("json", "our own JSON", "labels.json", _read, _write_json)
CSV = FileForm("csv", "our own CSV", "labels.csv", _read, _write_csv)
