"""The first table of the README: real listings, real houses and rendered samples side by side.

    python benchmarks/proof.py [--sets listings houses samples] [--seeds 2] [--again]
                               [--methods zero-shot notebook probe]

Takes about ten minutes; with --again and some methods, the figures of the others stay. Each set is
written to the file of results as soon as it is measured, and is not measured again, so that an
interrupted run resumes; where the photos are absent, the table of the file is printed. The methods:
the encoder as it is; the training of the notebooks, with their cut, typed by hand, and with a
learned one; and the default. All are asked about buildings that were in no training. Figures are
means over seeds, with 95 % intervals over buildings.

"Accuracy as in the notebooks" is the measure of their headline, .932 on photos that are not public:
for each building and each label that it has, the share of its photos that are rightly in the answer
or rightly left out; of these the mean. It counts true negatives, and asks for nothing that is
absent. An answer that is always empty shows how much of it comes for free.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import machine
import quality_sets
from photosieve.data.dataset import Dataset
from photosieve.decision import metrics
from photosieve.decision.evaluation import Evaluation
from photosieve.decision.metrics import Interval
from photosieve.encoders import load_encoder
from photosieve.encoders.protocol import Encoder
from quality_figures import (
    BY_HAND,
    NOTEBOOK,
    PROBE,
    RECIPES,
    ZERO_SHOT,
    Answers,
    figures,
    measure,
)
from quality_sets import DATA, PhotoSet

SETS = {"listings": "real listings", "houses": "real houses", "samples": "rendered samples"}
HOUSES = 4
"""Houses to train on, of four photos each."""

MEAN_AP, F1, NONE, ACCURACY = "mean_average_precision", "macro_f1", "empty_right", "as_notebooks"
RIGHT = "micro_precision"
TITLES = {
    ("labels", F1): "labels, macro F1",
    ("labels", MEAN_AP): "labels, mean average precision",
    ("words", F1): "other words, macro F1",
    ("words", MEAN_AP): "other words, mean average precision",
    ("labels", NONE): '"none" right where no photo has the label',
    ("far", NONE): '"none" right for things that are on no photo',
    ("labels", ACCURACY): "accuracy as in the notebooks",
}
FIRST = (("labels", F1), ("words", F1), ("labels", NONE), ("labels", ACCURACY))
"""The figures of the README."""

ALWAYS_EMPTY = "always empty"
METHODS = {
    ZERO_SHOT: "untrained, cut learned",
    BY_HAND: "the notebooks' training and cut",
    NOTEBOOK: "the notebooks' training, cut learned",
    PROBE: "**photosieve**",
    ALWAYS_EMPTY: "an answer that is always empty",
}
CHOICES = {RECIPES[method]: method for method in (ZERO_SHOT, NOTEBOOK, PROBE)}
"""Methods to measure, by recipe; `BY_HAND` comes with the notebooks' training."""

DRAWS = 500
"""Of the bootstrap."""

Record = dict[str, float | str]
"""One figure of one method in one set."""

Counted = NDArray[np.float64] | NDArray[np.bool_]


def main() -> None:
    """Measure the sets that are not measured yet, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--data", type=Path, default=DATA, help="where listings and houses are")
    parser.add_argument("--encoder", default="starter")
    parser.add_argument("--again", action="store_true", help="measure sets that are there, too")
    parser.add_argument("--methods", nargs="+", choices=CHOICES, default=list(CHOICES))
    options = parser.parse_args()
    file = machine.RESULTS / "proof.json"
    records: list[Record] = []
    if file.exists():
        records = json.loads(file.read_text("utf-8"))["figures"]["records"]
    for name in options.sets:
        folder = options.data / name
        if not options.again and any(record["set"] == name for record in records):
            continue
        if name != "samples" and not folder.is_dir():
            print(f"{name} left out: there is no folder {folder}", file=sys.stderr)
            continue
        photos = photo_set(name, folder, load_encoder(options.encoder), options.seeds)
        measured = measure(photos, [CHOICES[method] for method in options.methods])
        new = [{"set": name, **record} for record in figures_of(measured)]
        again = {record["method"] for record in new}
        records = [r for r in records if r["set"] != name or r["method"] not in again] + new
        tables = {
            "first": table(records, FIRST, (ZERO_SHOT, BY_HAND, PROBE, ALWAYS_EMPTY)),
            "as_notebooks": table(records, [("labels", ACCURACY)]),
            "every": table(records),
        }
        shares = {
            f"right_{r['set']}": f"{100 * float(r['value']):.0f} %"
            for r in records
            if (r["figure"], r["method"]) == (RIGHT, PROBE)
        }
        machine.write("proof", {"records": records, **tables, **shares})
    for row in table(records):
        print(f"| {' | '.join(map(str, row.values()))} |")


def photo_set(name: str, folder: Path, encoder: Encoder, seeds: int) -> PhotoSet:
    """Return the photos of a set, with the questions to ask about them."""
    if name == "samples":
        return quality_sets.samples(encoder, seeds, more_views=False)
    if name == "listings":
        return quality_sets.listings(encoder, Dataset.load(folder), seeds, more_views=False)
    houses = quality_sets.houses_to_test(folder)
    return quality_sets.houses(encoder, houses, seeds, [HOUSES], more_views=False)[0]


def figures_of(methods: Mapping[str, Answers]) -> Iterator[Record]:
    """Give the figures of all methods in a set."""
    for method, answers in methods.items():
        for asked in ("labels", "words", "far"):
            found = figures(getattr(answers, asked), calibrated=False)
            intervals = {name: one.interval for name, one in found.items()}
            if asked == "labels":
                intervals[ACCURACY] = as_notebooks(answers.labels)
                yield record(asked, RIGHT, method, right(answers.labels))
            for of, name in TITLES:
                if of == asked:
                    yield record(asked, name, method, intervals[name])
    labels = next(iter(methods.values())).labels
    nothing = [replace(own, kept=np.zeros_like(own.kept)) for own in labels]
    yield record("labels", ACCURACY, ALWAYS_EMPTY, as_notebooks(nothing))


def record(asked: str, name: str, method: str, interval: Interval) -> Record:
    """Return a figure; it has no ends where there is no interval, "n/a" where nothing was asked."""
    ends = {"low": interval.low, "high": interval.high}
    ends = {} if np.isnan(interval.low) else ends
    value = "n/a" if np.isnan(interval.value) else interval.value
    # Rounded as they are written: a second run takes them from the file.
    figure: Record = machine.rounded({"value": value, **ends})
    return {"asked": asked, "figure": name, "method": method, **figure}


def as_notebooks(seeds: Sequence[Evaluation]) -> Interval:
    """Return the accuracy of the notebooks' headline; see the module."""
    has = [own.counts.support > 0 for own in seeds]  # (buildings, labels)
    accuracy = [np.where(one, own.counts.accuracy, 0) for one, own in zip(has, seeds, strict=True)]
    return share(seeds, accuracy, has)


def right(seeds: Sequence[Evaluation]) -> Interval:
    """Return the share of right photos in the answers of all labels and buildings together."""
    return share(seeds, [own.counts.tp for own in seeds], [own.counts.returned for own in seeds])


def share(
    seeds: Sequence[Evaluation], parts: Sequence[Counted], wholes: Sequence[Counted]
) -> Interval:
    """Return the sum of the parts by the sum of the wholes, each (buildings, labels) a seed."""
    names = list(dict.fromkeys(name for own in seeds for name in own.buildings))
    place = {name: number for number, name in enumerate(names)}
    right, asked = np.zeros(len(names)), np.zeros(len(names))
    for own, part, whole in zip(seeds, parts, wholes, strict=True):
        rows = [place[name] for name in own.buildings]
        right[rows] += part.sum(1)
        asked[rows] += whole.sum(1)
    weights = metrics.bootstrap_weights(len(names), DRAWS, seed=0)
    drawn = (weights @ right) / (weights @ asked)
    return metrics.percentile_interval(float(right.sum() / asked.sum()), drawn)


def table(
    records: Sequence[Record],
    titles: Sequence[tuple[str, str]] = tuple(TITLES),
    methods: Sequence[str] = tuple(METHODS),
) -> list[dict[str, str]]:
    """Return figures as a table: below the title of each, a row for each method."""
    cells = {(r["asked"], r["figure"], r["method"], r["set"]): shown(r) for r in records}
    sets = [name for name in SETS if any(record["set"] == name for record in records)]
    rows = []
    for asked, name in titles:
        rows.append({"": f"*{TITLES[asked, name]}*", **{SETS[one]: "" for one in sets}})
        for method in methods:
            own = {SETS[one]: cells.get((asked, name, method, one), "") for one in sets}
            if any(own.values()):
                rows.append({"": METHODS[method], **own})
    return rows


def shown(record: Record) -> str:
    """Return a figure with its interval as text."""
    value, low = record["value"], record.get("low")
    if isinstance(value, str):
        return value
    return f"{value:.2f}" + (f" [{low:.2f}, {record['high']:.2f}]" if low is not None else "")


if __name__ == "__main__":
    main()
