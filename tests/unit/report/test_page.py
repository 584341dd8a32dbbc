"""Pages say what the evaluation says, and hostile text stays text."""

import os
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import openpyxl
import pytest
from PIL import Image

from photosieve import write_contact_sheet, write_csv, write_excel, write_html, write_leaderboard
from photosieve.decision.calibration import Background
from photosieve.decision.cut import Cut
from photosieve.decision.evaluation import Evaluation, evaluate
from photosieve.decision.leaderboard import ComparisonRow
from photosieve.errors import Skipped
from photosieve.sieve.answer import Hit, SearchResult
from photosieve.sieve.query import Term
from photosieve.sieve.scorer import Reading
from tests.unit.report.conftest import SCRIPT


def without_scripts(page: str) -> str:
    """The page as it is with JavaScript off; it has two scripts: the decisions and its own code."""
    assert page.count("<script") == page.count("</script>") == 2
    return re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)


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


def test_page_says_what_is_unknown(
    evaluation: Evaluation, partly_known: Evaluation, tmp_path: Path
) -> None:
    path = tmp_path / "r.html"
    write_html(partly_known, path, queries=evaluation.labels)
    page = without_scripts(path.read_text("utf-8"))
    total = partly_known.counts.sum()
    unknown = int((~partly_known.known).sum())
    assert f"{unknown} of 30 pairs of photo and label are unknown" in page
    assert page.count("? unknown") == (partly_known.kept & ~partly_known.known).sum() > 0
    assert page.count("✕ wrong") == total.fp
    assert page.count("! missed") == total.fn
    assert sum(map(int, re.findall(r" it, (\d+) unknown", page))) == unknown
    write_html(evaluation, path, queries=evaluation.labels)
    assert " unknown" not in without_scripts(path.read_text("utf-8"))


def test_page_embeds_each_photo_once(evaluation: Evaluation, tmp_path: Path) -> None:
    path = tmp_path / "r.html"
    write_html(evaluation, path, queries=["sofa", "sofa", "never"])
    assert path.read_text("utf-8").count("data:image/jpeg;base64,") == 5


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


def test_names_that_are_no_text(evaluation: Evaluation, tmp_path: Path) -> None:
    """The name of a file is bytes, and Python has a sign of its own for each that is no UTF-8."""
    name = os.fsdecode(b"caf\xe9 & <b>.png")
    (tmp_path / "photos" / "a.jpg").rename(tmp_path / "photos" / name)
    odd = replace(
        evaluation,
        photos=(tmp_path / "photos" / name, *evaluation.photos[1:]),
        groups=tuple(os.fsdecode(group.encode() + b"\xff") for group in evaluation.groups),
        skipped=(Skipped(tmp_path / name, "it is damaged", "copy it again"),),
    )
    for write in (write_html, write_excel, write_csv):
        write(odd, tmp_path / "report")
        assert (tmp_path / "report").stat().st_size
    write_html(odd, tmp_path / "r.html", queries=["sofa"])
    page = (tmp_path / "r.html").read_text("utf-8")
    assert page.count("caf\ufffd &amp; &lt;b&gt;.png") >= 2
    assert page.count("data:image/jpeg;base64,") == 5
    hit = Hit(odd.photos[0], 0.5, 0.9)
    reading = Reading(
        Term(("sofa",)), np.ones(2, np.float32), None, "", 0.25, Background(0.1, 0.2),
        links=np.zeros(1),
    )  # fmt: skip
    result = SearchResult("sofa", (reading,), (hit,), (), Cut.threshold(0.5), 1)
    write_contact_sheet(result, tmp_path / "s.html")
    assert "caf\ufffd &amp; &lt;b&gt;.png" in (tmp_path / "s.html").read_text("utf-8")


def test_one_building_has_no_interval(evaluation: Evaluation, tmp_path: Path) -> None:
    one = replace(evaluation, groups=("north",) * 6)
    row = ComparisonRow.over_seeds("balanced", "", "", [one])
    write_html(one, tmp_path / "r.html", comparison=[row], shown="balanced")
    page = without_scripts((tmp_path / "r.html").read_text("utf-8"))
    assert "95 % interval over buildings: n/a." in page
    assert "With one building there is no interval (n/a)." in page
    assert "nan" not in page.lower()
    write_excel(one, tmp_path / "r.xlsx")
    totals = list(openpyxl.load_workbook(tmp_path / "r.xlsx")["Totals"].values)
    assert totals[1] == ("macro precision", one.macro["precision"], "n/a", "n/a")
    write_leaderboard([row], tmp_path / "l.xlsx")
    (_, first) = openpyxl.load_workbook(tmp_path / "l.xlsx")["Leaderboard"].values
    assert first[1:4] == (one.macro["f1"], "n/a", "n/a")


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
        Term((SCRIPT,)),
        np.ones(2, np.float32),
        None,
        SCRIPT,
        0.25,
        Background(0.1, 0.2),
        links=np.zeros(1),
    )
    result = SearchResult(
        SCRIPT, (reading,), tuple(ranked[:found]), tuple(ranked[found:]), Cut.threshold(0.35), 6
    )
    path = tmp_path / "s.html"
    write_contact_sheet(result, path)
    page = path.read_text("utf-8")
    assert "<script" not in page
    assert ("No matches; the closest photos" in page) == (found == 0)
    assert (f"{6 - found} left out" if found else "No matches in 6 photos") in page
    assert "(cosine 0.25); background score 0.100 +- 0.200" in page
    assert "keep a photo when its probability is above 0.350" in page
    assert all(f"reason {n} " in page for n in range(6))


def test_a_contact_sheet_does_not_call_the_best_photos_matches(
    evaluation: Evaluation, tmp_path: Path
) -> None:
    best = tuple(Hit(path, 0.1, 0.1, kept=False) for path in evaluation.photos)
    result = SearchResult("giraffe", (), best, (), Cut.threshold(0.5), 6, top=2)
    path = tmp_path / "s.html"
    write_contact_sheet(replace(result, suggestions=("kitchen",)), path)
    page = path.read_text("utf-8")
    assert f"{len(best)} best of 6; 0 pass the cut." in page
    assert "did you mean kitchen?" in page
    assert "The best photos" in page
    assert "Matches" not in page
    assert "match." not in page
