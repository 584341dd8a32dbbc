"""The page's script cuts, counts and prints as Python does."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from photosieve import write_html
from photosieve.decision.cut import Cut
from photosieve.decision.evaluation import Evaluation, evaluate
from photosieve.report import page
from photosieve.report.page import decisions

CUT_JS = Path(page.__file__).parent.joinpath("templates", "cut.js").read_text("utf-8")


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


def test_script_counts_known_pairs_only(partly_known: Evaluation) -> None:
    data = json.loads(json.dumps(decisions(partly_known)))
    assert_same_figures(node("measure(askAll(given), given.cut)", data), partly_known)
    everything = {"gate": -1, "floor": -1, "drop": 9}
    empty = node("measure(askAll(given), given.cut).empty", data | {"cut": everything})
    assert empty["answerable"] == partly_known.empty.answerable
    assert (empty["asked"], empty["right"]) == (partly_known.empty.asked, 0)


def test_script_of_the_page_agrees_with_the_page(evaluation: Evaluation, tmp_path: Path) -> None:
    path = tmp_path / "r.html"
    write_html(evaluation, path)
    code = "measure(askAll(given), given.cut)"
    assert_same_figures(node(code, decisions_in(path.read_text("utf-8"))), evaluation)


@pytest.mark.long
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
