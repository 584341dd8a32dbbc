"""Reports say what the evaluation says, and hostile text stays text."""

import csv
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pytest
from PIL import Image

from photosieve import write_contact_sheet, write_csv, write_excel, write_html, write_leaderboard
from photosieve.decision.calibration import Background
from photosieve.decision.cut import Cut
from photosieve.decision.evaluation import Evaluation, evaluate
from photosieve.decision.leaderboard import ComparisonRow
from photosieve.decision.metrics import Interval
from photosieve.errors import Skipped, UsageError
from photosieve.report import page
from photosieve.report.files import write_whole
from photosieve.report.page import decisions
from photosieve.sieve.answer import Hit, SearchResult
from photosieve.sieve.query import Term
from photosieve.sieve.scorer import Reading

SCRIPT = "<script>alert('x')</script>"
FORMULA = '=HYPERLINK("http://evil")'
CUT_JS = Path(page.__file__).parent.joinpath("templates", "cut.js").read_text("utf-8")


def without_scripts(page: str) -> str:
    """The page as it is with JavaScript off; it has two scripts: the decisions and its own code."""
    assert page.count("<script") == page.count("</script>") == 2
    return re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)


def decisions_in(page: str) -> dict[str, Any]:
    """What the page's script is fed."""
    found = re.search(r'<script type="application/json" id="decisions">(.*?)</script>', page)
    assert found
    data: dict[str, Any] = json.loads(found[1])
    return data


def node(code: str, given: object) -> Any:
    """What JavaScript makes of something: `code` is an expression of `given`, after cut.js."""
    program = shutil.which("node")
    if program is None:
        pytest.skip("node, which runs the page's script outside a browser, is not installed")
    read = 'const given = JSON.parse(require("fs").readFileSync(0, "utf-8"));'
    done = subprocess.run(
        [program, "-e", f"{CUT_JS}\n{read}\nprocess.stdout.write(JSON.stringify({code}));"],
        input=json.dumps(given), capture_output=True, encoding="utf-8", check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def evaluation(tmp_path: Path) -> Evaluation:
    """Two buildings of three photos; one photo is broken, names and labels are hostile."""
    names = ["a.jpg", f"{'b' * 40}.png", "broken.jpg", "c.jpg", "d.jpg", "e&f.jpg"]
    photos = []
    for number, name in enumerate(names):
        path = tmp_path / "photos" / name
        path.parent.mkdir(exist_ok=True)
        if name == "broken.jpg":
            path.write_bytes(b"no photo")
        else:
            Image.new("RGB", (90 + 60 * number, 80), (40 * number, 90, 120)).save(path)
        photos.append(path)
    labels = ["sofa", SCRIPT, FORMULA, "never", "bell\x07"]
    scores = np.random.default_rng(0).uniform(-0.2, 0.5, (6, 5))
    relevant = scores + np.random.default_rng(1).normal(0, 0.1, scores.shape) > 0.2
    relevant[:, 3] = False
    scores[:, 3] = -0.5
    return evaluate(
        scores,
        relevant,
        probabilities=1 / (1 + np.exp(-10 * (scores - 0.2))),
        cut=Cut(gate=0.6, floor=0.5, drop=0.3),
        photos=photos,
        groups=["north", "north", "north", "<b>", "<b>", "<b>"],
        labels=labels,
        trained={"sofa": 3},
        skipped=[Skipped(tmp_path / "x.jpg", "the file is empty", "copy it again")],
    )


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


def test_page_is_whole_and_safe(evaluation: Evaluation, tmp_path: Path) -> None:
    path = tmp_path / "r.html"
    write_html(evaluation, path, queries=evaluation.labels)
    whole = path.read_text("utf-8")
    page = without_scripts(whole)
    assert "<b>" not in page.split("<h2>Building by building")[1]
    assert "&lt;script&gt;" in page
    assert not re.search(r"(src|href)=|@import|url\((?!data:)", whole)
    assert "default-src 'none'" in page
    assert f"{evaluation.macro['f1']:.3f}" in page
    assert f"{evaluation.empty.right} of {evaluation.empty.asked}" in page
    assert "no picture" in page
    assert "the file is empty" in page
    assert "nan" not in page.lower().replace("bananan", "")


def test_page_marks_what_is_found_wrong_and_missed(evaluation: Evaluation, tmp_path: Path) -> None:
    path = tmp_path / "r.html"
    write_html(evaluation, path, queries=evaluation.labels)
    page = without_scripts(path.read_text("utf-8"))
    total = evaluation.counts.sum()
    assert page.count("✓ found") == total.tp
    assert page.count("✕ wrong") == total.fp
    assert page.count("! missed") == total.fn


def test_page_embeds_each_photo_once(evaluation: Evaluation, tmp_path: Path) -> None:
    path = tmp_path / "r.html"
    write_html(evaluation, path, queries=["sofa", "sofa", "never"])
    assert path.read_text("utf-8").count("data:image/jpeg;base64,") == 5


@pytest.fixture
def rows() -> list[ComparisonRow]:
    """Two methods; the second has a hostile name, and was never asked where nothing matches."""
    nowhere = Interval(np.nan, np.nan, np.nan)
    first, second = Interval(0.8, 0.7, 0.9), Interval(0.6, 0.5, 0.7)
    return [
        ComparisonRow(
            "balanced", "a note", "", first, first, first, first, 0.01,
            {"sofa": 1.0, FORMULA: 0.6, "never": np.nan},
        ),
        ComparisonRow(
            SCRIPT, FORMULA, "a caveat", second, second, second, nowhere, 0.0,
            {"sofa": 0.5, FORMULA: 0.7, "never": np.nan},
        ),
    ]  # fmt: skip


def test_page_shows_a_comparison(
    evaluation: Evaluation, rows: list[ComparisonRow], tmp_path: Path
) -> None:
    path = tmp_path / "r.html"
    write_html(evaluation, path, comparison=rows, shown=SCRIPT)
    page = path.read_text("utf-8")
    assert "Beside other methods" in page
    assert page.count("0.800") >= 2
    assert SCRIPT not in without_scripts(page)
    (this,) = re.findall(r'<tr class="above this">.*?</tr>', page, re.DOTALL)
    assert "&lt;script&gt;" in this
    assert re.findall(r'class="caveat">(.*?)<', page) == ["a caveat"]


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


def test_page_shows_probabilities(evaluation: Evaluation, tmp_path: Path) -> None:
    path = tmp_path / "r.html"
    write_html(evaluation, path, queries=["sofa"])
    page = path.read_text("utf-8")
    for row, photo in enumerate(evaluation.photos):
        probability, score = evaluation.probabilities[row, 0], evaluation.scores[row, 0]
        name = photo.name.replace("&", "&amp;")
        assert f'title="{name}: probability {probability:.4f}, score {score:.3f}"' in page
        assert f"<figcaption>{probability:.2f}\n" in page
    assert f"{evaluation.calibration_error:.3f} apart on average" in page


def test_page_gives_its_script_numbers_only(evaluation: Evaluation, tmp_path: Path) -> None:
    path = tmp_path / "r.html"
    write_html(evaluation, path, queries=evaluation.labels)
    page = path.read_text("utf-8")
    assert CUT_JS.strip() in page
    data = decisions_in(page)
    assert data["buildings"] == [0, 0, 0, 1, 1, 1]
    assert data["probabilities"] == evaluation.probabilities.T.tolist()
    assert data["relevant"] == evaluation.relevant.T.tolist()
    assert data["cut"] == {"gate": 0.6, "floor": 0.5, "drop": 0.3}
    listed = dict.fromkeys(re.findall(r'class="photos" data-label="(\d+)"', page))
    assert list(listed) == ["0", "1", "2", "3", "4"]


def assert_same_figures(found: dict[str, Any], evaluation: Evaluation) -> None:
    """The script's figures, those of each label too, are the evaluation's."""
    saved = evaluation.to_dict()
    for row, label in zip(found["labels"], evaluation.labels, strict=True):
        assert row == pytest.approx({name: saved["labels"][label][name] for name in row})
    assert found["macro"] == pytest.approx(saved["macro"])
    assert found["micro"] == pytest.approx(saved["micro"])
    assert found["empty"] == saved["empty"]


def test_script_of_the_page_agrees_with_the_page(evaluation: Evaluation, tmp_path: Path) -> None:
    path = tmp_path / "r.html"
    write_html(evaluation, path)
    code = "measure(askAll(given), given.cut)"
    assert_same_figures(node(code, decisions_in(path.read_text("utf-8"))), evaluation)


def test_script_cuts_and_counts_as_python_does(tmp_path: Path) -> None:
    """Many worlds, cut in many ways: at a photo's own probability, with ties, zeros and ones."""
    rng = np.random.default_rng(0)
    evaluations, given = [], []
    for world in range(400):
        photos, labels = rng.integers(1, 15), rng.integers(1, 5)
        probabilities = rng.beta(0.3, 0.5, (photos, labels))
        if world % 2:
            probabilities = probabilities.round(1)
        gate, floor = rng.choice([-np.inf, *rng.random(3), *probabilities.ravel()], 2)
        drop = rng.choice([0.0, 1 / 3, 0.5, 1.0, np.inf, rng.random()])
        evaluation = evaluate(
            probabilities,
            rng.random((photos, labels)) < rng.uniform(0, 0.6, labels),
            cut=Cut(gate, gate if world % 3 == 0 else floor, drop),
            photos=[tmp_path / str(n) for n in range(photos)],
            groups=[f"building {n}" for n in rng.integers(0, 3, photos)],
            labels=[f"label {n}" for n in range(labels)],
            trained={},
        )
        evaluations.append(evaluation)
        given.append(decisions(evaluation))
    found = node(
        """given.map((data) => {
          const cut = { ...data.cut, drop: data.cut.drop ?? Infinity };
          const questions = askAll(data);
          const kept = (q) => q.photos.slice(0, countKept(q.probabilities, cut));
          return {
            kept: questions.flatMap((q) => kept(q).map((photo) => [photo, q.label])),
            ...measure(questions, cut),
          };
        })""",
        given,
    )
    for evaluation, answer in zip(evaluations, found, strict=True):
        assert sorted(answer["kept"]) == np.argwhere(evaluation.kept).tolist()
        assert_same_figures(answer, evaluation)
    kept = sum(int(evaluation.kept.sum()) for evaluation in evaluations)
    assert 0.2 < kept / sum(evaluation.kept.size for evaluation in evaluations) < 0.8


def test_script_prints_as_python_does() -> None:
    values = [top / bottom for bottom in range(1, 65) for top in range(bottom + 1)]
    for digits in (2, 3):
        printed = node(f"given.map((value) => print(value, {digits}))", values)
        assert printed == [f"{value:.{digits}f}" for value in values]
    assert node("print(given, 2)", None) == "-"


def test_a_cut_beyond_all_probabilities(tmp_path: Path) -> None:
    """JSON has no infinity, yet a page can be made of a rule that answers nothing."""
    nothing = evaluate(
        np.array([[0.3]]), np.array([[True]]), probabilities=np.array([[1.0]]),
        cut=Cut.threshold(np.inf),
        photos=[tmp_path / "a.png"], groups=["g"], labels=["x"], trained={},
    )  # fmt: skip
    write_html(nothing, tmp_path / "r.html")
    data = decisions_in((tmp_path / "r.html").read_text("utf-8"))
    assert node("measure(askAll(given), given.cut).empty.wrong", data) == 1


def test_page_of_a_single_photo(tmp_path: Path) -> None:
    Image.new("RGB", (1, 700), "red").save(tmp_path / "a.png")
    one = evaluate(
        np.array([[0.3]]), np.array([[False]]), probabilities=np.array([[0.4]]),
        cut=Cut.threshold(0.5),
        photos=[tmp_path / "a.png"], groups=["g"], labels=["x"], trained={},
    )  # fmt: skip
    for write in (write_html, write_excel, write_csv):
        write(one, tmp_path / "report")
    write_html(one, tmp_path / "r.html")
    assert "none" in (tmp_path / "r.html").read_text("utf-8")


@pytest.mark.parametrize("found", [2, 0])
def test_contact_sheet(evaluation: Evaluation, tmp_path: Path, found: int) -> None:
    ranked = [
        Hit(path, 0.5 - 0.1 * n, 0.9 - 0.1 * n, reason=f"reason {n} {SCRIPT}")
        for n, path in enumerate(evaluation.photos)
    ]
    reading = Reading(
        Term((SCRIPT,)), np.ones(2, np.float32), None, SCRIPT, 0.25, Background(0.1, 0.2)
    )
    result = SearchResult(
        SCRIPT, (reading,), tuple(ranked[:found]), tuple(ranked[found:]), Cut.threshold(0.35), 6
    )
    path = tmp_path / "s.html"
    write_contact_sheet(result, path)
    page = path.read_text("utf-8")
    assert "<script" not in page
    assert ("Nothing matches; the nearest were" in page) == (found == 0)
    assert f"{6 - found} left out" in page
    assert "(cosine 0.25); background score 0.100 +- 0.200" in page
    assert "keep a photo when its probability is above 0.350" in page
    assert all(f"reason {n} " in page for n in range(6))


def test_a_failed_write_keeps_the_old_report(evaluation: Evaluation, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"r\.csv: the file cannot be written"):
        write_csv(evaluation, tmp_path / "photos" / "a.jpg" / "r.csv")
    target = tmp_path / "folder"
    target.mkdir()
    with pytest.raises(UsageError, match="folder"):
        write_excel(evaluation, target)
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_a_report_is_a_file_that_others_may_read(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        write_whole(tmp_path / "report.csv", lambda file: file.write(b"a"))
    finally:
        os.umask(before)
    assert (tmp_path / "report.csv").stat().st_mode & 0o777 == 0o644
