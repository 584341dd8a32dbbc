"""The first table of the README: real listings, real houses and rendered samples side by side.

    python benchmarks/proof.py [--sets listings houses samples] [--seeds 2] [--again] [--results FILE]

Takes about five minutes. Each set that is measured is written to the file of results at once, and
a set that is there is not measured again, so that an interrupted run goes on; without photos, the
tables of the file are printed. The methods: the encoder as it is; the training of the notebooks with
their cut, typed by hand; and the default. All are asked about buildings that were in no training.
Figures are means over seeds, with 95 % intervals over buildings.

"Accuracy as in the notebooks" is the measure of their headline, .932 on photos that are not public:
the share of a building's photos that are rightly in the answer or rightly not, for each label that
the building has, and the mean of these. It counts true negatives, and asks for nothing that is not
there. An answer that is always empty shows what it is worth.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import quality_sets
from photosieve.data.dataset import Dataset
from photosieve.decision import metrics
from photosieve.decision.evaluation import Evaluation
from photosieve.encoders import load_encoder
from photosieve.encoders.protocol import Encoder
from photosieve.storage import draft_file
from quality_figures import BY_HAND, NOTEBOOK, PROBE, ZERO_SHOT, Answers, figures, measure
from quality_sets import DATA, ROOT, PhotoSet

RESULTS = ROOT / "benchmarks" / "results" / "proof.json"

SETS = {"listings": "real listings", "houses": "real houses", "samples": "rendered samples"}
HOUSES = 4
"""Houses to train on, of four photos each."""

METHODS = {
    ZERO_SHOT: "untrained encoder, cut learned",
    BY_HAND: "the notebooks' training and cut",
    NOTEBOOK: "the notebooks' training, cut learned",
    PROBE: "**photosieve**",
}

LABEL_FIGURES = {
    "mean_average_precision": "labels: mean average precision",
    "macro_f1": "labels: macro F1",
    "empty_right": 'labels: "none" right',
    "as_notebooks": "labels: accuracy as in the notebooks",
}
WORD_FIGURES = {
    "mean_average_precision": "other words: mean average precision",
    "macro_f1": "other words: macro F1",
}
FAR = 'words for nothing on the photos: "none" right'

DRAWS = 500
"""Of the bootstrap."""

Found = dict[str, Any]
Ends = list[float | None]


def main() -> None:
    """Measure the sets that are not measured yet, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--data", type=Path, default=DATA, help="where listings and houses are")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--again", action="store_true", help="measure sets that are there, too")
    parser.add_argument("--encoder", default="starter")
    options = parser.parse_args()
    results: Found = {}
    if options.results.exists():
        results = json.loads(options.results.read_text("utf-8"))
    for name in options.sets:
        if name in results and not options.again:
            continue
        folder = options.data / name
        if name != "samples" and not folder.is_dir():
            print(f"{name} left out: there is no folder {folder}", file=sys.stderr)
            continue
        photos = photo_set(name, folder, load_encoder(options.encoder), options.seeds)
        results[name] = found(photos, measure(photos, (ZERO_SHOT, NOTEBOOK, PROBE)))
        options.results.parent.mkdir(parents=True, exist_ok=True)
        with draft_file(options.results) as file:
            file.write(f"{json.dumps(results, indent=1, allow_nan=False)}\n".encode())
    print(table(results))


def photo_set(name: str, folder: Path, encoder: Encoder, seeds: int) -> PhotoSet:
    """Return the photos of a set, with the questions to ask about them."""
    if name == "samples":
        return quality_sets.samples(encoder, seeds, more_views=False)
    if name == "listings":
        return quality_sets.listings(encoder, Dataset.load(folder), seeds, more_views=False)
    houses = quality_sets.houses_to_test(folder)
    return quality_sets.houses(encoder, houses, seeds, [HOUSES], more_views=False)[0]


def found(photos: PhotoSet, methods: Mapping[str, Answers]) -> Found:
    """Return the figures of a set as plain numbers: value, and both ends of the interval."""
    first = next(iter(methods.values())).labels
    return {
        "title": photos.title,
        "seeds": len({split.seed for split in photos.splits}),
        "photos": len({photo for answers in first for photo in answers.photos}),
        "buildings": len({name for answers in first for name in answers.buildings}),
        "labels": len(first[0].labels),
        "words": len(photos.words),
        "always_empty": as_notebooks([replace(a, kept=np.zeros_like(a.kept)) for a in first]),
        "methods": {name: method_figures(answers) for name, answers in methods.items()},
    }


def method_figures(answers: Answers) -> Found:
    """Return the figures of one method."""
    labels = figures(answers.labels, calibrated=False)
    words, far = figures(answers.words, calibrated=False), figures(answers.far, calibrated=False)
    kept = [name for name in LABEL_FIGURES if name in labels]
    return {
        "labels": {name: ends(labels[name].interval) for name in kept}
        | {"as_notebooks": as_notebooks(answers.labels)},
        "words": {name: ends(words[name].interval) for name in WORD_FIGURES},
        "far": ends(far["empty_right"].interval),
    }


def ends(interval: metrics.Interval) -> Ends:
    """Return value and ends of an interval for JSON; None where it has none."""
    numbers = (float(number) for number in (interval.value, interval.low, interval.high))
    return [None if np.isnan(number) else round(number, 4) for number in numbers]


def as_notebooks(seeds: Sequence[Evaluation]) -> Ends:
    """Return the accuracy of the notebooks' headline, with its interval; see the module."""
    names = list(dict.fromkeys(name for own in seeds for name in own.buildings))
    place = {name: number for number, name in enumerate(names)}
    right, asked = np.zeros(len(names)), np.zeros(len(names))
    for own in seeds:
        has = own.counts.support > 0  # (buildings, labels)
        rows = [place[name] for name in own.buildings]
        right[rows] += np.where(has, own.counts.accuracy, 0).sum(1)
        asked[rows] += has.sum(1)
    weights = metrics.bootstrap_weights(len(names), DRAWS, seed=0)
    drawn = (weights @ right) / (weights @ asked)
    return ends(metrics.percentile_interval(float(right.sum() / asked.sum()), drawn))


def table(results: Found) -> str:
    """Return the figures as Markdown."""
    sets = [name for name in SETS if name in results]
    lines = [f"| | {' | '.join(SETS[name] for name in sets)} |", f"|---|{'---:|' * len(sets)}"]

    def rows(title: str, part: str, figure: str | None, methods: Sequence[str]) -> None:
        lines.append(f"| *{title}* |{' |' * len(sets)}")
        for method in methods:
            own = [results[name]["methods"][method][part] for name in sets]
            cells = [shown(values[figure] if figure else values) for values in own]
            lines.append(f"| {METHODS[method]} | {' | '.join(cells)} |")

    for figure, title in LABEL_FIGURES.items():
        rows(title, "labels", figure, list(METHODS))
        if figure == "as_notebooks":
            cells = [shown(results[name]["always_empty"]) for name in sets]
            lines.append(f"| an answer that is always empty | {' | '.join(cells)} |")
    for figure, title in WORD_FIGURES.items():
        rows(title, "words", figure, list(METHODS))
    rows(FAR, "far", None, list(METHODS))
    return "\n".join(lines)


def shown(figure: Ends) -> str:
    """Return a figure as text, with its interval; a dash where nothing was asked."""
    if figure[0] is None:
        return "–"
    return str(metrics.Interval(*(np.nan if end is None else end for end in figure)))


if __name__ == "__main__":
    main()
