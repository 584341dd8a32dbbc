"""An evaluation and a leaderboard whose names, labels and photos are hostile."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from photosieve.decision.cut import Cut
from photosieve.decision.evaluation import Evaluation, evaluate
from photosieve.decision.leaderboard import ComparisonRow
from photosieve.decision.metrics import Interval
from photosieve.errors import Skipped

SCRIPT = "<script>alert('x')</script>"
FORMULA = '=HYPERLINK("http://evil")'


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


@pytest.fixture
def partly_known(evaluation: Evaluation) -> Evaluation:
    """The same, where nobody looked at a third of the pairs."""
    known = np.random.default_rng(2).random(evaluation.known.shape) < 2 / 3
    return replace(evaluation, known=known)


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
