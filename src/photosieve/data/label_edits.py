"""Changes of a labels file: an entry that is not changed keeps its bytes, and the file its form.

Only the text of a changed value is replaced. Indentation, order, line ends and everything else in
the file stay as they are.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from photosieve.data.label_files import (
    MARK,
    LabelEntry,
    Verdicts,
    csv_cells,
    is_csv,
    parse_entries,
    read_text,
)
from photosieve.errors import LabelsError, one_line
from photosieve.storage import draft_file, locked_file

NewEntries = Mapping[str, Verdicts | None]
"""For each name of a photo its labels; None removes its entry."""

_GAP = re.compile(r"[\s:,]*")
_LISTED = re.compile(r"\[\s*[^\s\]]")
"""The beginning of a list that is not empty."""

_NEW_LINE = "\n  "
"""Between the entries of a new file."""


@contextmanager
def locked(files: Iterable[Path]) -> Iterator[None]:
    """Hold labels files against all others who change labels.

    Raises
    ------
    LabelsError
        If one cannot be locked.
    """
    with ExitStack() as locks:
        for file in files:  # in the same order everywhere, so that no two wait for each other
            try:
                locks.enter_context(locked_file(file))
            except TimeoutError:
                message = f"{file} is being changed by another process: try again in a moment."
                raise LabelsError(message) from None
            except OSError as error:
                raise LabelsError(
                    f"{file} cannot be written ({one_line(error)}): "
                    "allow this user to write in its folder."
                ) from None
        yield


def change_entries(file: Path, new: NewEntries, name_of: Callable[[str], str] = str) -> None:
    """Change entries of a labels file, in one step that survives a crash.

    The caller holds the file's lock; see `locked`. An entry that stands
    there twice is there once afterwards.

    Parameters
    ----------
    file : Path
    new : mapping
    name_of : callable
        Returns the name in `new` that a name in the file means, where names are spelled in more
        than one way; in the file they stay as they are.

    Raises
    ------
    LabelsError
        If the file or one of these entries cannot be understood, it cannot hold such an entry, or
        it cannot be written; the old file is still there.
    """
    text = read_text(file) if file.exists() else ""
    edited = edited_text(file, text, new, name_of)
    if edited == text:
        return
    try:
        file.parent.stat()  # a folder that is gone is not made again
        with draft_file(file) as draft:
            # JSON can name half of a character, which UTF-8 cannot: it is written as in JSON.
            draft.write(edited.encode(errors="backslashreplace"))
    except OSError as error:
        raise LabelsError(
            f"{file} cannot be written ({error.strerror or error}): "
            "make room, or allow this user to write there."
        ) from error


def edited_text(file: Path, text: str, new: NewEntries, name_of: Callable[[str], str] = str) -> str:
    """Return the text of a labels file with other entries.

    Parameters
    ----------
    file : Path
        Its name tells the form; it is not read.
    text : str
        Empty for a new file.
    new, name_of
        See `change_entries`.

    Raises
    ------
    LabelsError
        See `change_entries`.
    """
    before = parse_entries(file, text) if text.strip(MARK) else []
    new = _as_written(before, new, name_of)
    for entry in before:
        if entry.name in new:
            try:
                entry.verdicts()
            except ValueError as error:  # it may hold more than can be seen here
                message = f"{file}: the entry {entry.name!r} {error}; nothing was changed."
                raise LabelsError(message) from None
    try:
        edited = _edited_csv(file, text, new) if is_csv(file) else _edited_json(text, new)
        after = parse_entries(file, edited)
        found = {entry.name: entry.verdicts() for entry in after if entry.name in new}
        # As text, since a number that is none (NaN) is not equal to itself.
        others = [repr(entry) for entry in after if entry.name not in new]
    except (ValueError, IndexError, csv.Error):  # of a form that this module does not know
        found, others = {}, None
    if others != [repr(entry) for entry in before if entry.name not in new]:
        raise LabelsError(f"{file} has a form that cannot be changed here; nothing was changed.")
    for name, verdicts in new.items():
        if found.get(name) != verdicts:
            raise LabelsError(f"{file} cannot hold the entry {name!r}; nothing was changed.")
    return edited


def _as_written(
    entries: Sequence[LabelEntry], new: NewEntries, name_of: Callable[[str], str]
) -> NewEntries:
    """Return new entries under the names by which the file has them."""
    left, written = dict(new), dict[str, Verdicts | None]()
    for entry in entries:
        name = name_of(entry.name)
        if name in new and entry.name not in written:  # in one spelling, if it is there in two
            written[entry.name] = left.pop(name, None)
    return written | left


def _edited_json(text: str, new: NewEntries) -> str:
    if not text.strip(MARK):
        text += "{}\n"
    mark = MARK if text.startswith(MARK) else ""
    text = text.removeprefix(MARK)
    members = _members(text)
    sample = next((m.value for m in reversed(members) if _LISTED.match(m.value)), "")
    values: dict[str, str | None] = {name: None for name, own in new.items() if own is None}
    old = {member.name: member.value for member in reversed(members)}
    for name, own in new.items():
        if own is not None:
            values[name] = _value(old.get(name, ""), own, sample)
    return mark + _edited_object(text, members, values, _NEW_LINE)


def _value(old: str, verdicts: Verdicts, sample: str) -> str:
    """Return the JSON text of an entry; of one that is exact, the rest of `old` stays."""
    if verdicts.no is None:
        return _list(verdicts.yes, old if _LISTED.match(old) else sample)
    known = None
    if old.startswith("{"):
        members = json.loads(old, object_pairs_hook=tuple, parse_int=float)
        known = LabelEntry("", members).verdicts()
    else:
        old = "{}"
    values: dict[str, str | None] = {}
    if known is None or known.yes != verdicts.yes:
        values["yes"] = _list(verdicts.yes, sample)
    if known is None or known.no != verdicts.no:
        values["no"] = _list(verdicts.no, sample)
    return _edited_object(old, _members(old), values, "")


class _Member(NamedTuple):
    """A member of a JSON object: its name and its value as written, and where each is."""

    name: str
    value: str
    start: int
    colon: int
    value_start: int
    end: int


def _members(text: str) -> list[_Member]:
    """Return the members of a valid JSON object."""
    decoder = json.JSONDecoder(parse_int=float)

    def after_gap(place: int) -> int:
        found = _GAP.match(text, place)
        return found.end() if found else place

    members = []
    place = after_gap(text.index("{") + 1)
    while text[place] != "}":
        name, colon = decoder.raw_decode(text, place)
        start = after_gap(colon)
        _, end = decoder.raw_decode(text, start)
        members.append(_Member(name, text[start:end], place, colon, start, end))
        place = after_gap(end)
    return members


def _edited_object(
    text: str, members: Sequence[_Member], values: Mapping[str, str | None], new_line: str
) -> str:
    """Return a JSON object with other values; None removes a member.

    Parameters
    ----------
    text : str
    members : sequence of _Member
        Of the text.
    values : mapping
        The JSON text of each changed value.
    new_line : str
        The text before a first member.
    """
    left = {name: value for name, value in values.items() if value is not None}
    if members:
        head, tail = text[: members[0].start], text[members[-1].end :]
        colon = text[members[-1].colon : members[-1].value_start]
    else:
        opened = text.index("{") + 1
        head, tail = text[:opened] + new_line * bool(left), text[text.index("}", opened) :]
        tail = "\n" * bool(left and new_line) + tail
        colon = ": "
    gap = "," + (head[head.rindex("{") + 1 :] or " ")
    parts: list[str] = []
    for number, member in enumerate(members):
        if number:
            gap = text[members[number - 1].end : member.start]
        if member.name not in values:
            written = text[member.start : member.end]
        elif member.name in left:  # in its place, and once even if it stood there twice
            written = text[member.start : member.value_start] + left.pop(member.name)
        else:
            continue
        parts += [gap if parts else "", written]
    for name, value in left.items():
        parts += [gap if parts else "", f"{_dump(name)}{colon}{value}"]
    return head + "".join(parts) + tail


def _list(labels: Sequence[str], sample: str) -> str:
    """Return labels as a JSON list that is laid out as a sample is."""
    if not labels:
        return "[]"
    opened = re.match(r"\[(\s*)", sample)
    gap = opened[1] if opened else ""
    end = sample[len(sample[:-1].rstrip()) :] or "]"
    between = re.search(r'"(\s*,\s*)"', sample)
    comma = between[1] if between else "," + (gap if "\n" in gap else " ")
    return f"[{gap}{comma.join(map(_dump, labels))}{end}"


def _dump(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _edited_csv(file: Path, text: str, new: NewEntries) -> str:
    rows = [_cells(file, name, own) for name, own in new.items() if own is not None]
    left = {row[0]: _line(row) for row in rows}
    lines = list(io.StringIO(text if text.strip(MARK) else "photo,labels\n", newline=""))
    end = "\r\n" if lines[0].endswith("\r\n") else "\n"
    reader = csv.reader(iter(lines), strict=True)
    kept: list[str] = []
    start = 0
    for cells in reader:
        written = "".join(lines[start : reader.line_num])
        header, start = start == 0, reader.line_num
        name = cells[0].strip() if cells and not header else None
        if header and len(cells) == 2 and max(map(len, rows), default=2) == 3:
            title = written.rstrip("\r\n")
            written = f"{title},no{written[len(title) :]}"
        if name is None or name not in new:
            kept.append(written)
        elif name in left:
            kept.append(left.pop(name) + end)
    if kept and left and not kept[-1].endswith(("\n", "\r")):
        kept.append(end)
    return "".join([*kept, *(row + end for row in left.values())])


def _cells(file: Path, name: str, verdicts: Verdicts) -> list[str]:
    """Return the cells of a row of a CSV file."""
    for label in (*verdicts.yes, *(verdicts.no or ())):
        if re.search("[,;]", label):
            raise LabelsError(f"{file} cannot hold {label!r}, which has a comma: use a JSON file.")
    return csv_cells(name, verdicts)


def _line(cells: Sequence[str]) -> str:
    """Return cells as CSV, without the end of the line."""
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="").writerow(cells)
    return text.getvalue()
