"""Labels in tables: one row for each photo, as CSV or as lines of JSON.

Hugging Face's ImageFolder has such tables, ``metadata.csv`` and ``metadata.jsonl``:
https://huggingface.co/docs/datasets/image_dataset
"""

from __future__ import annotations

import ast
import csv
import io
import json
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from photosieve.data.label_files import LabelEntry, Verdicts
from photosieve.data.label_forms.forms import FileForm, Labeled, check_words, read_text
from photosieve.data.names import label_key
from photosieve.errors import LabelsError
from photosieve.storage import parsing_literals

_PHOTO_COLUMNS = (
    "file_name", "filename", "file", "photo", "image", "image_name", "path", "file_path",
    "image_path",
)  # fmt: skip
_LABEL_COLUMNS = ("labels", "label", "tags", "tag", "keywords", "classes", "class", "category")
_TEXT_COLUMNS = ("text", "caption")

_YES = {"1", "1.0", "yes", "y", "true", "x"}
_NO = {"0", "0.0", "no", "n", "false"}
_UNKNOWN = {"", "-1", "-1.0", "?", "unknown", "nan", "null", "none"}


class Row(NamedTuple):
    """One row of a table.

    Parameters
    ----------
    line : int
        Its number in the file.
    photo : str
    cells : dict
        The other cells, by the names of their columns.
    """

    line: int
    photo: str
    cells: dict[str, Any]


def recognize(text: str, *, lines: bool, captions: bool = True) -> FileForm | None:
    """Return the form of a table; None if it holds no labels.

    Parameters
    ----------
    text : str
    lines : bool
        Whether its rows are lines of JSON.
    captions : bool
        Whether a column of texts counts although it holds sentences; reading it says so.
    """
    with suppress(LabelsError):
        rows = list(_rows(Path(), text, lines=lines)) if lines else []
        header = [name for row in rows for name in row.cells] if lines else _header(text)
        column = _label_column(header)
        if column and (lines or set(map(str.lower, header)) & set(_PHOTO_COLUMNS)):
            if column.lower() in _TEXT_COLUMNS and not captions:
                for row in rows or _rows(Path(), text, lines=lines):
                    check_words([str(x) for x in _labels(row.cells.get(column)) or ()], "")
            return METADATA_JSONL if lines else METADATA_CSV
        cells = [cell for row in _rows(Path(), text, lines=lines) for cell in row.cells.values()]
        if cells and not lines and all(_token(cell) in _YES | _NO | _UNKNOWN for cell in cells):
            return COLUMNS
    return None


def _token(cell: str) -> str:
    return cell.strip().lower()


def _rows(file: Path, text: str, *, lines: bool) -> Iterator[Row]:
    for line, cells in _json_lines(file, text) if lines else _csv_lines(file, text):
        names = {str(name).strip().lower(): name for name in cells}
        known = next((names[name] for name in _PHOTO_COLUMNS if name in names), None)
        if known is None:
            found = ", ".join(map(repr, cells))
            raise LabelsError(
                f"{file}, line {line}: no column has the names of photos; call it file_name "
                f"(found: {found[:200]})."
            )
        name = cells.pop(known)
        if not isinstance(name, str) or not name.strip():
            raise LabelsError(f"{file}, line {line}: the name of the photo is missing.")
        yield Row(line, name.strip(), cells)


def _header(text: str) -> list[str]:
    """Return the names of a CSV table's columns."""
    with suppress(csv.Error):
        return [cell.strip() for cell in next(_cells(text), [])]
    return []


def _cells(text: str) -> Any:
    """Return a reader of CSV with commas, semicolons or tabs."""
    sign = max(",;\t", key=text.partition("\n")[0].count)
    return csv.reader(io.StringIO(text, newline=""), strict=True, delimiter=sign)


def _csv_lines(file: Path, text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    rows = _cells(text)
    try:
        header = [cell.strip() for cell in next(rows, [])]
        if len(set(header)) < len(header):
            raise LabelsError(f"{file}, line 1: two columns have one name.")
        for row in rows:
            if row and len(row) != len(header):
                wrong = f"{len(row)} cells below {len(header)} columns"
                raise LabelsError(f"{file}, line {rows.line_num}: {wrong}.")
            if row:
                yield rows.line_num, dict(zip(header, row, strict=True))
    except csv.Error as error:
        raise LabelsError(f"{file}, line {rows.line_num}: not valid CSV ({error}).") from error


def _json_lines(file: Path, text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line, parse_int=float)  # an int may be too long
        except (ValueError, RecursionError) as error:
            raise LabelsError(f"{file}, line {number}: not valid JSON.") from error
        if not isinstance(row, dict):
            raise LabelsError(f"{file}, line {number}: write an object in each line.")
        yield number, row


def _label_column(columns: Sequence[str]) -> str | None:
    names = {name.strip().lower(): name for name in columns}
    wanted = (*_LABEL_COLUMNS, *_TEXT_COLUMNS)
    return next((names[name] for name in wanted if name in names), None)


def _read_table(file: Path, *, lines: bool) -> list[LabelEntry]:
    """Read a table with a column of labels; rows of one photo count together."""
    known: dict[str, list[str]] = {}
    numbers = True
    for row in _rows(file, read_text(file), lines=lines):
        column = _label_column(list(row.cells))
        cell = None if column is None else row.cells[column]
        labels = _labels(cell)
        if labels is None:
            if not lines and column is None:
                raise LabelsError(f"{file}, line 1: no column has labels; call it labels.")
            continue  # nothing is known of this photo
        place = f"{file}, line {row.line}: the column {column!r}"
        if not all(isinstance(label, str) for label in labels):
            raise LabelsError(f"{place} holds something other than names of labels.")
        check_words(labels, place)
        numbers = numbers and all(label.strip().isdigit() for label in labels)
        known.setdefault(row.photo, []).extend(labels)
    if numbers and any(known.values()):
        raise LabelsError(f"{file} has numbers in place of labels: write the names of the classes.")
    return [LabelEntry(name, labels) for name, labels in known.items()]


def _labels(cell: object) -> list[Any] | None:
    """Return the labels in a cell; None if it is empty."""
    if isinstance(cell, str):
        text = cell.strip()
        if text.startswith("["):  # a list, as JSON or as pandas writes it
            for read in (json.loads, ast.literal_eval):
                with (
                    suppress(ValueError, SyntaxError, RecursionError, MemoryError),
                    parsing_literals,
                ):
                    found = read(text)
                    return found if isinstance(found, list) else [found]
        return [piece for piece in re.split("[,;|]", text) if piece.strip()] if text else None
    return cell if isinstance(cell, list) or cell is None else [_number(cell)]


def _number(cell: object) -> object:
    return str(int(cell)) if isinstance(cell, float) and cell.is_integer() else cell


def _read_columns(file: Path, _: Path) -> list[LabelEntry]:
    """Read a table with one column for each label."""
    entries = []
    for row in _rows(file, read_text(file), lines=False):
        yes, no = [], []
        for label, cell in row.cells.items():
            token = _token(cell)
            if token in _YES:
                yes.append(label)
            elif token in _NO:
                no.append(label)
            elif token not in _UNKNOWN:
                raise LabelsError(
                    f"{file}, line {row.line}: the column {label!r} holds {cell!r}; write 1, 0 or "
                    "nothing, or remove the column."
                )
        entries.append(LabelEntry.of(row.photo, Verdicts(tuple(yes), tuple(no))))
    return entries


def csv_text(rows: Sequence[Sequence[str]]) -> str:
    """Return rows as CSV."""
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _write_metadata_csv(photos: Sequence[Labeled], _: Sequence[str]) -> str:
    # A list as JSON: it can be empty, and its labels may have commas.
    rows = [[p.name, json.dumps(p.verdicts.yes, ensure_ascii=False)] for p in photos]
    return csv_text([["file_name", "labels"], *rows])


def _write_metadata_jsonl(photos: Sequence[Labeled], _: Sequence[str]) -> str:
    rows = ({"file_name": p.name, "labels": list(p.verdicts.yes)} for p in photos)
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _write_columns(photos: Sequence[Labeled], labels: Sequence[str]) -> str:
    def cell(verdicts: Verdicts, label: str) -> str:
        if label_key(label) in map(label_key, verdicts.yes):
            return "1"
        return "0" if verdicts.no is None or label_key(label) in map(label_key, verdicts.no) else ""

    rows = [[p.name, *(cell(p.verdicts, label) for label in labels)] for p in photos]
    return csv_text([["file_name", *labels], *rows])


METADATA_CSV = FileForm(
    "metadata-csv", "a table of photos and labels", "metadata.csv",
    lambda file, _: _read_table(file, lines=False), _write_metadata_csv,
)  # fmt: skip
METADATA_JSONL = FileForm(
    "metadata-jsonl", "lines of JSON", "metadata.jsonl",
    lambda file, _: _read_table(file, lines=True), _write_metadata_jsonl,
)  # fmt: skip
COLUMNS = FileForm(
    "columns", "a table with a column for each label", "columns-labels.csv", _read_columns,
    _write_columns,
)  # fmt: skip
