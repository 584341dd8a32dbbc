"""Draw docs/cuts.svg: what calibration does to the scores of labels, other words and far words.

python benchmarks/cuts_figure.py
"""

from __future__ import annotations

from html import escape

import numpy as np

from photosieve.data.dataset import Dataset
from photosieve.decision.objective import Objective
from photosieve.decision.pairs import Pairs, search
from photosieve.encoders import load_encoder
from photosieve.sieve.sieve import Sieve
from photosieve.training.features import prepare
from quality_sets import ROOT

QUERIES = {
    "sofa": "sofa",
    "window": "window",
    "couch": "sofa",
    "fridge": "refrigerator",
    "lawn": "garden",
    "violin": "",
    "locomotive": "",
    "football stadium": "",
}
"""Each query with the label that is true of the same photos; far words are on none."""

WIDTH, ROW, LEFT, PANEL, GAP, TOP = 930, 34, 140, 350, 60, 64


def main() -> None:
    """Train on the sample listings, ask the test buildings, and draw."""
    encoder = load_encoder("starter")
    train = prepare(encoder, Dataset.load(ROOT / "samples" / "train"))
    test = prepare(encoder, Dataset.load(ROOT / "samples" / "test"), labels=train.labels)
    sieve = Sieve.fit_prepared(encoder, train)
    photos = sieve.scorer.embed_photos(test.photos)
    cosines = train.scores(sieve.encoder.head).astype(float)
    pairs = Pairs.of(cosines, train.targets, train.dataset.groups)
    plain = search(pairs, "threshold", Objective("f1")).floor
    marks = []
    for row, (query, label) in enumerate(QUERIES.items()):
        readings = sieve.scorer.read(query)
        scores = photos.vectors @ readings[0].vector
        values = sieve.scorer.probabilities(readings, photos)[:, 0]
        right = test.targets[:, test.labels.index(label)] if label else np.zeros(len(photos), bool)
        cut = sieve.scorer.cut(readings, sieve.cut).floor
        y = TOP + row * ROW
        marks.append(text(LEFT - 12, y + 5, query, "end", "query"))
        marks += strip(LEFT, y, scores, right, (-0.3, 0.6), plain)
        marks += strip(LEFT + PANEL + GAP, y, values, right, (0.0, 1.0), cut)
    height = TOP + len(QUERIES) * ROW + 28
    heads = [
        text(LEFT, 22, "score: the cosine", "start", "head"),
        text(LEFT, 40, "dashed: one threshold for all, learned on labels", "start", "note"),
        text(LEFT + PANEL + GAP, 22, "probability: what the cut looks at", "start", "head"),
        text(LEFT + PANEL + GAP, 40, "dashed: from here on a photo matches", "start", "note"),
        text(LEFT, height - 8, "filled: the photo shows it; hollow: it does not", "start", "note"),
    ]
    svg = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        'aria-label="Scores and probabilities of 63 test photos for eight queries">',
        "<style>text{font:13px system-ui,sans-serif;fill:#1c2126}.head{font-weight:700}"
        ".note{fill:#5b6670;font-size:12px}.query{font-weight:600}"
        ".right{fill:#0f6b5c}.wrong{fill:none;stroke:#8a949c;stroke-width:1.2}"
        ".cut{stroke:#b3261e;stroke-width:1.6;stroke-dasharray:4 3}.axis{stroke:#d9dde0}</style>",
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
        *heads,
        *marks,
        "</svg>",
    ]
    (ROOT / "docs" / "cuts.svg").write_text("\n".join(svg) + "\n", "utf-8")


def strip(
    left: int,
    y: int,
    values: np.ndarray[tuple[int], np.dtype[np.floating]],
    right: np.ndarray[tuple[int], np.dtype[np.bool_]],
    ends: tuple[float, float],
    cut: float,
) -> list[str]:
    """Draw one query's photos as points on a line, with the cut."""
    low, high = ends

    def place(value: float) -> float:
        return left + PANEL * float(np.clip((value - low) / (high - low), 0, 1))

    points = [
        f'<circle class="{"right" if good else "wrong"}" cx="{place(float(value)):.1f}" '
        f'cy="{y + (number % 5 - 2) * 3}" r="4"/>'
        for number, (value, good) in enumerate(zip(values, right, strict=True))
    ]
    points.sort(key=lambda point: "right" in point)  # what matters lies on top
    return [
        f'<line class="axis" x1="{left}" x2="{left + PANEL}" y1="{y}" y2="{y}"/>',
        *points,
        f'<line class="cut" x1="{place(cut):.1f}" x2="{place(cut):.1f}" y1="{y - 14}" '
        f'y2="{y + 14}"/>',
    ]


def text(x: int, y: int, words: str, anchor: str, kind: str) -> str:
    """Draw words."""
    return f'<text class="{kind}" x="{x}" y="{y}" text-anchor="{anchor}">{escape(words)}</text>'


if __name__ == "__main__":
    main()
