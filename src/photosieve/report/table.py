"""Figures as tables: CSV files and Excel workbooks."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from photosieve.decision.evaluation import Evaluation
from photosieve.decision.leaderboard import LEADERBOARD_FIGURES, ComparisonRow
from photosieve.decision.metrics import Counts, Interval, defined, mean
from photosieve.errors import printable
from photosieve.report import AUTHOR, report_file

if TYPE_CHECKING:
    from openpyxl import Workbook
    from openpyxl.worksheet.worksheet import Worksheet

Cell = str | int | float | None

COUNT_NAMES = ("returned", "tp", "fp", "fn", "tn", "precision", "recall", "f1", "accuracy")
FIGURE_TITLES = {
    "macro_f1": "macro F1",
    "mean_average_precision": "mean average precision",
    "accuracy": "accuracy with true negatives",
    "empty_right": '"none" right',
}


def write_csv(evaluation: Evaluation, path: Path) -> None:
    """Write one row for each label in each building; undefined ratios are empty cells.

    Raises
    ------
    UsageError
        If the file cannot be written.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(["building", "label", "train", "test", *COUNT_NAMES])
    for i, building in enumerate(evaluation.buildings):
        for j, label in enumerate(evaluation.labels):
            counts = evaluation.counts[i, j]
            trained = evaluation.trained.get(label, 0)
            cells = [trained, int(counts.support), *_cells(counts)]
            writer.writerow([plain_text(building), plain_text(label), *cells])
    with report_file(path) as file:
        file.write(printable(text.getvalue()).encode("utf-8"))


def write_excel(evaluation: Evaluation, path: Path) -> None:
    """Write a workbook.

    The first sheet has the accuracy, true negatives included, in one row per building and one
    column per label, as in the notebooks. The other sheets have F1 in the same form, figures by
    label and by building, totals, every answer, and the photos that could not be read.

    Raises
    ------
    UsageError
        If the file cannot be written.
    """
    from openpyxl import Workbook

    book = Workbook()
    book.remove(book.worksheets[0])
    for name in ("accuracy", "f1"):
        _add_grid(book, evaluation, name)
    names = ("train", "test", *COUNT_NAMES)
    _add_sheet(
        book,
        "Labels",
        ["label", *names, "average precision", "calibration error"],
        (
            [
                label,
                evaluation.trained.get(label, 0),
                int(evaluation.per_label[j].support),
                *_cells(evaluation.per_label[j]),
                defined(evaluation.average_precision[j]),
                defined(evaluation.calibration_errors[j]),
            ]
            for j, label in enumerate(evaluation.labels)
        ),
    )
    _add_sheet(
        book,
        "Buildings",
        ["building", "photos", "matches", *COUNT_NAMES],
        (
            [
                building,
                evaluation.groups.count(building),
                int(evaluation.per_building[i].support),
                *_cells(evaluation.per_building[i]),
            ]
            for i, building in enumerate(evaluation.buildings)
        ),
    )
    _add_sheet(book, "Totals", ["figure", "value", "95 % from", "95 % to"], _totals(evaluation))
    _add_sheet(
        book,
        "Answers",
        ["building", "label", "photo", "probability", "score", "labeled", "returned", "verdict"],
        _answers(evaluation),
    )
    _add_sheet(
        book,
        "Skipped",
        ["photo", "reason", "remedy"],
        ([str(skip.path), skip.reason, skip.remedy] for skip in evaluation.skipped),
    )
    book.properties.creator = AUTHOR
    with report_file(path) as file:
        book.save(file)


def write_leaderboard(rows: Sequence[ComparisonRow], path: Path) -> None:
    """Write a workbook: a sheet with one row per method, and one with F1 by label and method.

    Raises
    ------
    UsageError
        If the file cannot be written.
    """
    from openpyxl import Workbook

    book = Workbook()
    book.remove(book.worksheets[0])
    header = ["method"]
    for figure in LEADERBOARD_FIGURES:
        header += [FIGURE_TITLES[figure], "95 % from", "95 % to"]
    board: list[list[Cell]] = []
    for row in rows:
        cells: list[Cell] = [row.name]
        for figure in LEADERBOARD_FIGURES:
            cells += _interval(getattr(row, figure))
        board.append([*cells, defined(row.seed_deviation), row.note, row.caveat or None])
    _add_sheet(
        book, "Leaderboard", [*header, "macro F1: sd over seeds", "what it does", "caveat"], board
    )
    labels = list(rows[0].label_f1)
    by_label: list[list[Cell]] = [
        [label, *(defined(row.label_f1[label]) for row in rows)] for label in labels
    ]
    by_label.append(["mean", *(defined(mean(list(row.label_f1.values()))) for row in rows)])
    sheet = _add_sheet(book, "F1 by label", ["label", *(row.name for row in rows)], by_label)
    _color(sheet)
    book.properties.creator = AUTHOR
    with report_file(path) as file:
        book.save(file)


def _add_grid(book: Workbook, evaluation: Evaluation, name: str) -> None:
    """Add a sheet of one figure: a row per building, a column per label, means at the edges."""
    values = getattr(evaluation.counts, name)  # (buildings, labels)
    rows: list[list[Cell]] = [
        [building, *map(defined, values[i]), defined(mean(values[i]))]
        for i, building in enumerate(evaluation.buildings)
    ]
    rows.append(["mean", *map(defined, mean(values, 0)), defined(mean(values))])
    title = {"accuracy": "Accuracy", "f1": "F1"}[name]
    _color(_add_sheet(book, title, ["building", *evaluation.labels, "mean"], rows))


def _color(sheet: Worksheet) -> None:
    """Color all figures of a sheet, 0 to 1, from red to green."""
    from openpyxl.formatting.rule import ColorScaleRule

    scale = ColorScaleRule(  # type: ignore[no-untyped-call]
        start_type="num", start_value=0, start_color="F4B9A7",
        mid_type="num", mid_value=0.75, mid_color="FFF3CF",
        end_type="num", end_value=1, end_color="BFE3C6",
    )  # fmt: skip
    last = sheet.cell(sheet.max_row, sheet.max_column).coordinate
    sheet.conditional_formatting.add(f"B2:{last}", scale)


def _add_sheet(
    book: Workbook, title: str, header: Sequence[str], rows: Iterator[list[Cell]] | list[list[Cell]]
) -> Worksheet:
    """Add a sheet with a frozen header, readable widths and three decimals for ratios."""
    from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE
    from openpyxl.styles import Font
    from openpyxl.utils import get_column_letter

    sheet: Worksheet = book.create_sheet(title)
    for i, row in enumerate([list(header), *rows], start=1):
        for j, value in enumerate(row, start=1):
            if isinstance(value, str):
                value = ILLEGAL_CHARACTERS_RE.sub("�", printable(value))
            cell = sheet.cell(i, j, value)
            if isinstance(value, str):
                cell.data_type = "s"  # text that begins with = stays text
            elif isinstance(value, float):
                cell.number_format = "0.000"
            if i == 1:
                cell.font = Font(bold=True)
    sheet.freeze_panes = "B2"
    for j, name in enumerate(header, start=1):
        texts = [cell.value for cell in next(sheet.iter_cols(j, j)) if isinstance(cell.value, str)]
        widest = max([len(name), 5, *map(len, texts)])
        sheet.column_dimensions[get_column_letter(j)].width = min(widest + 2, 60)
    return sheet


def _totals(evaluation: Evaluation) -> Iterator[list[Cell]]:
    for name, interval in evaluation.intervals.items():
        yield [name.replace("_", " "), *_interval(interval)]
    yield ["calibration error", defined(evaluation.calibration_error), None, None]
    if not evaluation.known.all():
        yield ["unknown pairs, left out", int(evaluation.unknown.sum()), None, None]
    empty = evaluation.empty
    yield ['"none" was right', empty.right, None, None]
    yield ["questions that nothing answers", empty.asked, None, None]
    yield ['"none" was wrong', empty.wrong, None, None]
    yield ["questions that something answers", empty.answerable, None, None]
    for name, number in evaluation.cut.to_dict().items():
        yield [f"cut: {name}", number, None, None]


def _answers(evaluation: Evaluation) -> Iterator[list[Cell]]:
    """Every photo that was returned or is labeled, the most probable first in each question."""
    for building in evaluation.buildings:
        rows = [i for i, group in enumerate(evaluation.groups) if group == building]
        for j, label in enumerate(evaluation.labels):
            for i in sorted(rows, key=lambda i: -evaluation.probabilities[i, j]):
                labeled, returned = bool(evaluation.relevant[i, j]), bool(evaluation.kept[i, j])
                known = bool(evaluation.known[i, j])
                if labeled or returned:
                    verdict = "found" if labeled and returned else "wrong" if returned else "missed"
                    yield [
                        building,
                        label,
                        evaluation.photos[i].name,
                        float(evaluation.probabilities[i, j]),
                        float(evaluation.scores[i, j]),
                        int(labeled) if known else None,
                        int(returned),
                        verdict if known else "unknown",
                    ]


def _cells(counts: Counts) -> list[Cell]:
    """Return one question's figures in the order of `COUNT_NAMES`."""
    numbers: list[Cell] = [int(getattr(counts, name)) for name in COUNT_NAMES[:5]]
    return [*numbers, *(defined(getattr(counts, name)) for name in COUNT_NAMES[5:])]


def _interval(interval: Interval) -> list[Cell]:
    """Return a figure with the ends of its interval, which say so where there is none."""
    value, *ends = map(defined, (interval.value, interval.low, interval.high))
    return [value, *("n/a" if end is None else end for end in ends)]


def plain_text(text: str) -> str:
    """Quote text that a spreadsheet would read as a formula (OWASP)."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text
