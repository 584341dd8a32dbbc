"""How many labeled photos it takes: the table and the picture in docs/choosing.md.

    python benchmarks/learning_curve.py [--data FOLDER] [--draws 10]

Takes about ten minutes. Some photos of the training buildings are labeled, drawn at random and
evenly over buildings, and the default recipe learns from them; the others are there without labels.
Then every label of the set is asked in buildings that were in no training: the eight test buildings
of the samples, and a third of the real listings, drawn anew each time. A label that none of the
labeled photos has is asked too, as any other word. Without labeled photos the sieve is the one that
`photosieve serve` starts with.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import machine
from photosieve.data.dataset import Dataset
from photosieve.encoders import load_encoder
from photosieve.encoders.protocol import Encoder
from photosieve.sieve.sieve import Sieve
from photosieve.sieve.untrained import untrained
from photosieve.training.features import Prepared, unlabeled_photos
from photosieve.training.run import Run
from quality_figures import ask_labels
from quality_sets import DATA, ROOT, embedded

SETS = {"listings": "real listings", "samples": "rendered samples"}
PHOTOS = (0, 5, 10, 20, 50, 100, 150)

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 720, 360, 52, 150, 24, 56


def main() -> None:
    """Measure, print the table, and draw docs/learning-curve.svg."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, default=DATA, help="where listings are")
    parser.add_argument("--draws", type=int, default=10)
    options = parser.parse_args()
    encoder = load_encoder("starter")
    figures = {}
    for name in SETS:
        if name == "listings" and not (options.data / name).is_dir():
            print(f"listings left out: there is no folder {options.data / name}", file=sys.stderr)
            continue
        found: dict[int, list[tuple[float, float]]] = {}
        for seed, (choice, test) in enumerate(splits(encoder, options.data / name, options.draws)):
            print(f"{name}, draw {seed}", file=sys.stderr)
            for count, quality in curve(encoder, choice, test, seed):
                found.setdefault(count, []).append(quality)
        figures[name] = {count: np.mean(draws, 0).tolist() for count, draws in found.items()}
    rows = table(figures)
    machine.write("learning_curve", {"curve": rows})
    for row in rows:
        print(f"| {' | '.join(row.values())} |")
    if len(figures) == len(SETS):
        (ROOT / "docs" / "learning-curve.svg").write_text(drawn(figures), "utf-8")


def splits(encoder: Encoder, folder: Path, draws: int) -> Iterator[tuple[Prepared, Prepared]]:
    """Give the photos to label, and those of other buildings to test on, for each draw."""
    if folder.name == "samples":
        train = embedded(encoder, Dataset.load(ROOT / "samples" / "train"))
        test = Dataset.load(ROOT / "samples" / "test")
        yield from [(train, embedded(encoder, test, labels=train.labels))] * draws
        return
    every = embedded(encoder, Dataset.load(folder))
    for seed in range(draws):
        names = np.random.default_rng(seed).permutation(sorted(every.dataset.group_names))
        tested = np.isin(every.dataset.groups, names[: len(names) // 3])
        yield every.rows(np.flatnonzero(~tested)), every.rows(np.flatnonzero(tested))


def curve(
    encoder: Encoder, choice: Prepared, test: Prepared, seed: int
) -> Iterator[tuple[int, tuple[float, float]]]:
    """Give mean average precision and macro F1 for each number of labeled photos."""
    order = evenly(choice, np.random.default_rng(seed))
    asked = np.flatnonzero(test.targets.any(0))
    for count in PHOTOS:
        if count > len(order):
            return
        if count:
            labeled = choice.rows(np.sort(order[:count]))
            labeled = labeled.columns(np.flatnonzero(labeled.targets.any(0)))
            others = unlabeled_photos(np.sort(order[count:]).tolist(), count)
            labeled = replace(labeled, unlabeled=choice.photos[others])
            sieve = Sieve.fit_prepared(encoder, labeled, Run(seed=seed))
        else:
            sieve = untrained(choice.dataset.photos, encoder)
        answers = ask_labels(sieve, test, asked)
        yield count, (answers.mean_average_precision, answers.macro["f1"])


def evenly(photos: Prepared, rng: np.random.Generator) -> NDArray[np.intp]:
    """Return all rows in random order, but with one of each building before a second of any."""
    rows = rng.permutation(len(photos.photos))
    groups = np.array(photos.dataset.groups)[rows]
    turn = [int((groups[:place] == group).sum()) for place, group in enumerate(groups)]
    return np.asarray(rows[np.argsort(turn, kind="stable")])


def table(figures: dict[str, dict[int, list[float]]]) -> list[dict[str, str]]:
    """Return the curve as a table, a row for each number of photos."""
    rows = []
    for count in PHOTOS:
        row = {"labeled photos": str(count)}
        for name, own in figures.items():
            precision, f1 = own.get(count, [np.nan, np.nan])
            row[f"{SETS[name]}: mAP"] = "" if np.isnan(precision) else f"{precision:.2f}"
            row[f"{SETS[name]}: macro F1"] = "" if np.isnan(f1) else f"{f1:.2f}"
        rows.append(row)
    return rows


def drawn(figures: dict[str, dict[int, list[float]]]) -> str:
    """Return the picture: macro F1 by the number of labeled photos, on a logarithmic scale."""

    def across(count: int) -> float:
        share = np.log(max(count, 2.5) / 2.5) / np.log(max(PHOTOS) / 2.5)  # 0 stands at the left
        return float(LEFT + share * (WIDTH - LEFT - RIGHT))

    def down(value: float) -> float:
        return HEIGHT - BOTTOM - value * (HEIGHT - TOP - BOTTOM)

    marks = []
    for value in np.linspace(0, 1, 6).tolist():
        at = f"{down(value):.1f}"
        marks.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at}" y2="{at}"/>')
        marks.append(f'<text x="{LEFT - 8}" y="{at}" dy="4" text-anchor="end">{value:.1f}</text>')
    below = f'y="{HEIGHT - BOTTOM + 20}" text-anchor="middle"'
    marks += [f'<text x="{across(count):.1f}" {below}>{count}</text>' for count in PHOTOS]
    middle = (LEFT + WIDTH - RIGHT) / 2
    marks.append(f'<text x="{middle}" y="{HEIGHT - 12}" text-anchor="middle">labeled photos</text>')
    for name, own in figures.items():
        points = [(across(count), down(f1)) for count, (_, f1) in own.items()]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        marks.append(f'<polyline class="{name}" points="{path}"/>')
        marks += [f'<circle class="{name}" cx="{x:.1f}" cy="{y:.1f}" r="4"/>' for x, y in points]
        x, y = points[-1]
        marks.append(f'<text class="name" x="{x + 12:.1f}" y="{y:.1f}" dy="4">{SETS[name]}</text>')
    style = (
        "text{font:13px system-ui,sans-serif;fill:#1c2126}.name{font-weight:600}"
        ".back{fill:#fff}.grid{stroke:#d9dde0}polyline{fill:none;stroke-width:2.5}"
        "polyline.listings{stroke:#0f6b5c}circle.listings{fill:#0f6b5c}"
        "polyline.samples{stroke:#9a5b00}circle.samples{fill:#9a5b00}"
        "@media(prefers-color-scheme:dark){text{fill:#e6eaed}.back{fill:#1e2129}"
        ".grid{stroke:#3a414a}polyline.listings{stroke:#4fc3ad}circle.listings{fill:#4fc3ad}"
        "polyline.samples{stroke:#f0a94a}circle.samples{fill:#f0a94a}}"
    )
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
            'aria-label="Macro F1 by the number of labeled photos">',
            f"<style>{style}</style>",
            f'<rect class="back" width="{WIDTH}" height="{HEIGHT}"/>',
            f'<text x="{LEFT}" y="14">macro F1</text>',
            *marks,
            "</svg>\n",
        ]
    )


if __name__ == "__main__":
    main()
