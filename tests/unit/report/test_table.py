"""Tables say what the evaluation says, and hostile text stays text."""

import csv
import os
from pathlib import Path

import numpy as np
import openpyxl
import pytest

from photosieve import write_csv, write_excel, write_leaderboard
from photosieve.decision.evaluation import Evaluation
from photosieve.decision.leaderboard import ComparisonRow
from photosieve.errors import UsageError
from tests.unit.report.conftest import FORMULA, SCRIPT


def test_csv_holds_every_count(evaluation: Evaluation, tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    write_csv(evaluation, path)
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * 5
    for i, building in enumerate(evaluation.buildings):
        for j in range(5):
            row, counts = rows[5 * i + j], evaluation.counts[i, j]
            assert row["building"] == building
            assert [int(row[n]) for n in ("tp", "fp", "fn", "tn")] == [
                int(counts.tp), int(counts.fp), int(counts.fn), int(counts.tn),
            ]  # fmt: skip
            for name in ("precision", "recall", "f1", "accuracy"):
                value = float(getattr(counts, name))
                assert row[name] == ("" if np.isnan(value) else str(value))
    assert rows[0]["train"] == "3"
    assert rows[2]["label"] == "'" + FORMULA


def test_excel_has_the_notebooks_sheet_first(evaluation: Evaluation, tmp_path: Path) -> None:
    path = tmp_path / "r.xlsx"
    write_excel(evaluation, path)
    book = openpyxl.load_workbook(path)
    assert book.sheetnames == [
        "Accuracy", "F1", "Labels", "Buildings", "Totals", "Answers", "Skipped",
    ]  # fmt: skip
    rows = list(book["Accuracy"].iter_rows(values_only=True))
    assert rows[0] == ("building", "sofa", SCRIPT, FORMULA, "never", "bell\ufffd", "mean")
    assert rows[1][0] == "north"
    assert list(rows[1][1:6]) == pytest.approx(evaluation.counts.accuracy[0].tolist())
    assert rows[1][6] == pytest.approx(evaluation.counts.accuracy[0].mean())
    assert rows[3][0] == "mean"
    assert next(book["F1"].iter_rows(min_row=2, values_only=True))[4] is None


def test_excel_takes_no_text_for_a_formula(evaluation: Evaluation, tmp_path: Path) -> None:
    path = tmp_path / "r.xlsx"
    write_excel(evaluation, path)
    cells = [
        cell for sheet in openpyxl.load_workbook(path) for row in sheet.iter_rows() for cell in row
    ]
    assert FORMULA in [cell.value for cell in cells]
    assert not [cell.value for cell in cells if cell.data_type == "f"]


def test_excel_lists_every_answer(evaluation: Evaluation, tmp_path: Path) -> None:
    path = tmp_path / "r.xlsx"
    write_excel(evaluation, path)
    header, *rows = openpyxl.load_workbook(path)["Answers"].iter_rows(values_only=True)
    verdicts = [row[header.index("verdict")] for row in rows]
    at = header.index("probability")
    first = [float(str(row[at])) for row in rows if row[:2] == rows[0][:2]]
    assert first == sorted(first, reverse=True)
    assert max(first) == evaluation.probabilities[:3, 0].max()
    total = evaluation.counts.sum()
    assert verdicts.count("found") == total.tp
    assert verdicts.count("wrong") == total.fp
    assert verdicts.count("missed") == total.fn


def test_excel_judges_no_unknown_pair(
    evaluation: Evaluation, partly_known: Evaluation, tmp_path: Path
) -> None:
    path = tmp_path / "r.xlsx"
    write_excel(partly_known, path)
    book = openpyxl.load_workbook(path)
    header, *rows = book["Answers"].iter_rows(values_only=True)
    verdicts = [row[header.index("verdict")] for row in rows]
    assert verdicts.count("wrong") == partly_known.counts.sum().fp
    assert verdicts.count("unknown") == (partly_known.kept & ~partly_known.known).sum()
    assert {row[header.index("labeled")] for row in rows if "unknown" in row} == {None}
    totals = {row[0]: row[1] for row in book["Totals"].iter_rows(values_only=True)}
    assert totals["unknown pairs, left out"] == (~partly_known.known).sum()
    write_excel(evaluation, path)
    totals = {row[0]: row[1] for row in openpyxl.load_workbook(path)["Totals"].values}
    assert "unknown pairs, left out" not in totals


def test_leaderboard_as_a_workbook(rows: list[ComparisonRow], tmp_path: Path) -> None:
    write_leaderboard(rows, tmp_path / "r.xlsx")
    book = openpyxl.load_workbook(tmp_path / "r.xlsx")
    assert book.sheetnames == ["Leaderboard", "F1 by label"]
    header, first, second = book["Leaderboard"].iter_rows(values_only=True)
    assert header[:4] == ("method", "macro F1", "95 % from", "95 % to")
    assert first[:4] == ("balanced", 0.8, 0.7, 0.9)
    assert first[-3:] == (0.01, "a note", None)
    assert second[0] == SCRIPT
    assert second[header.index('"none" right')] is None
    assert second[-2:] == (FORMULA, "a caveat")
    table = list(book["F1 by label"].iter_rows(values_only=True))
    assert table[0] == ("label", "balanced", SCRIPT)
    assert table[1:] == [
        ("sofa", 1.0, 0.5), (FORMULA, 0.6, 0.7), ("never", None, None), ("mean", 0.8, 0.6),
    ]  # fmt: skip
    assert not [cell for sheet in book for row in sheet for cell in row if cell.data_type == "f"]


def test_a_failed_write_keeps_the_old_report(evaluation: Evaluation, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"r\.csv: the file cannot be written"):
        write_csv(evaluation, tmp_path / "photos" / "a.jpg" / "r.csv")
    target = tmp_path / "folder"
    target.mkdir()
    with pytest.raises(UsageError, match="folder"):
        write_excel(evaluation, target)
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_a_report_is_a_file_that_others_may_read(evaluation: Evaluation, tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        write_csv(evaluation, tmp_path / "report.csv")
    finally:
        os.umask(before)
    assert (tmp_path / "report.csv").stat().st_mode & 0o777 == 0o644
