"""A report replaces an earlier report, and nothing else."""

import csv
import os
from collections.abc import Callable
from pathlib import Path

import openpyxl
import pytest

from photosieve import write_csv, write_excel, write_html
from photosieve.decision.evaluation import Evaluation
from photosieve.errors import UsageError
from photosieve.report import check_report

Write = Callable[[Evaluation, Path], None]

WRITERS: dict[str, Write] = {"html": write_html, "xlsx": write_excel, "csv": write_csv}


@pytest.mark.parametrize("suffix", WRITERS)
def test_an_earlier_report_is_replaced(evaluation: Evaluation, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / "out" / f"report.{suffix}"
    path.parent.mkdir()
    path.touch()
    for _ in range(2):
        WRITERS[suffix](evaluation, path)
        assert path.stat().st_size
    assert list(path.parent.iterdir()) == [path]


def _theirs(path: Path) -> None:
    if path.suffix == ".xlsx":
        openpyxl.Workbook().save(path)
    elif path.suffix == ".csv":
        with path.open("w", newline="") as file:
            csv.writer(file).writerow(["group", "price"])
    else:
        path.write_text("<!doctype html><title>Precious</title>")


@pytest.mark.parametrize("suffix", WRITERS)
def test_files_of_the_user_are_not(evaluation: Evaluation, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"prices.{suffix}"
    _theirs(path)
    before = path.read_bytes()
    for refuse in (check_report, lambda path: WRITERS[suffix](evaluation, path)):
        with pytest.raises(UsageError, match="something else than a report"):
            refuse(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "name", ["test_labels.json", "my-labels.json", "labels.csv", "photo.jpg", "scan.TIF"]
)
@pytest.mark.parametrize("exists", [False, True])
def test_neither_are_names_of_inputs(
    evaluation: Evaluation, tmp_path: Path, name: str, exists: bool
) -> None:
    if exists:
        (tmp_path / name).write_text('{"a.jpg": ["sofa"]}')
    with pytest.raises(UsageError, match="name of a labels file or of a photo"):
        write_csv(evaluation, tmp_path / name)
    assert (tmp_path / name).exists() == exists


@pytest.mark.parametrize("kind", ["device", "pipe", "folder", "link to a device"])
def test_something_that_is_no_regular_file_stays(
    evaluation: Evaluation, tmp_path: Path, kind: str
) -> None:
    path = tmp_path / "report.csv"
    match kind:
        case "device":
            path = Path(os.devnull)
        case "pipe":
            os.mkfifo(path)
        case "folder":
            path.mkdir()
        case _:
            path.symlink_to(os.devnull)
    with pytest.raises(UsageError, match="something else than a report"):
        write_csv(evaluation, path)
    assert not path.is_file()


def test_two_reports_are_not_one_file(tmp_path: Path) -> None:
    check_report(tmp_path / "a.html", None, tmp_path / "b.html")
    with pytest.raises(UsageError, match="two reports cannot be one file"):
        check_report(tmp_path / "a.html", None, tmp_path / "sub" / ".." / "a.html")
