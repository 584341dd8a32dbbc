"""How good the answers are: tables of the README and of docs/limits.md.

    python benchmarks/quality.py [--sets samples listings houses clip] [--seeds 1] [--quick]

Takes some minutes for each set and seed.

Writes a table of labels, and one of other words, for each set of photos (see `quality_sets`; sets
that are absent are left out), by default for the samples; and for the vectors of CLIP few-shot
accuracy. Tables that join sets, as in the documentation, are made when all of these are measured.
``--quick`` takes the small starter and a part of each set, to see whether all is well, in less than
a minute, and writes nothing. Nothing is random but by the seeds 0, 1, ...
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

import quality_sets
from few_shot import few_shot
from machine import RESULTS, table, write
from photosieve.data.dataset import Dataset
from photosieve.encoders import load_encoder
from quality_figures import (
    BY_HAND,
    NOTEBOOK,
    PROBE,
    ZERO_SHOT,
    Answers,
    Figure,
    figures,
    measure,
    none_right,
)
from quality_sets import DATA, Flickr, PhotoSet
from quality_tables import joined

SETS = {"samples": 5, "listings": 2, "houses": 1, "clip": 2}
"""Seeds of each."""

LABEL_COLUMNS = {
    "mean_average_precision": "mAP",
    "macro_f1": "macro F1",
    "micro_f1": "micro F1",
    "macro_precision": "precision",
    "macro_recall": "recall",
    "empty_right": '"none" right',
    "calibration_error": "calibration error",
    "best_f1": "best F1",
}
QUICK_METHODS = (ZERO_SHOT, NOTEBOOK, PROBE)
WORD_COLUMNS = ("mean_average_precision", "macro_f1", "empty_right", "calibration_error")


def main() -> None:
    """Print and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--sets", nargs="+", choices=SETS, default=["samples"])
    parser.add_argument("--seeds", type=int, help="of each set, instead of the usual number")
    parser.add_argument("--data", type=Path, default=DATA, help="where listings, ... are")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    print(
        "Means over seeds, with 95 % intervals over test buildings. `sd`: standard deviation over "
        "seeds, of mAP and of macro F1. `best F1`: macro F1 with the threshold that is best on the "
        "test photos themselves."
    )
    for name in options.sets:
        folder = options.data / name
        if name != "samples" and not folder.is_dir():
            print(f"\n{name} left out: there is no folder {folder}")
            continue
        seeds = 1 if options.quick else options.seeds or SETS[name]
        for photos in sets(name, folder, seeds, quick=options.quick):
            quickly = measure(photos, QUICK_METHODS, head_folds=3) if options.quick else None
            show(photos, quickly or measure(photos), quick=options.quick)
        if name == "clip":
            print("few-shot", file=sys.stderr)
            show_few_shot(quality_sets.flickr(folder), seeds, quick=options.quick)
        if not options.quick:
            saved = json.loads((RESULTS / "quality.json").read_text("utf-8"))
            write("quality", joined(saved["figures"]))


def sets(name: str, folder: Path, seeds: int, *, quick: bool) -> Iterator[PhotoSet]:
    """Yield the sets of photos under a name."""
    if name == "clip":
        trained_on = [50] if quick else [25, 50, 100, 200]
        yield from quality_sets.clip(quality_sets.flickr(folder), seeds, trained_on)
        return
    encoder = load_encoder("starter-small" if quick else "starter")
    print(f"embedding {name}", file=sys.stderr)
    if name == "samples":
        yield quality_sets.samples(encoder, seeds, more_views=not quick)
    elif name == "listings":
        dataset = Dataset.load(folder)
        folds = 1 if quick else quality_sets.FOLDS
        yield quality_sets.listings(encoder, dataset, seeds, more_views=not quick, folds=folds)
    else:
        dataset = quality_sets.houses_to_test(folder, 12 if quick else None)
        trained_on = [4] if quick else [1, 4, 8]
        yield from quality_sets.houses(encoder, dataset, seeds, trained_on, more_views=not quick)


def show(photos: PhotoSet, methods: dict[str, Answers], *, quick: bool) -> None:
    """Print the tables of a set, and write them."""
    seeds = len({split.seed for split in photos.splits})
    labels: list[dict[str, str]] = []
    words: list[dict[str, str]] = []
    for method, answers in methods.items():
        found = figures(answers.labels, calibrated=method != BY_HAND)
        cells = {title: cell(found[name]) for name, title in LABEL_COLUMNS.items()}
        spread = (found[name].deviation for name in ("mean_average_precision", "macro_f1"))
        labels.append({"method": method, **cells, "sd": " / ".join(f"{sd:.3f}" for sd in spread)})
        found = figures(answers.words, calibrated=method != BY_HAND)
        cells = {LABEL_COLUMNS[name]: cell(found[name]) for name in WORD_COLUMNS}
        words.append({"method": method, **cells, "far: none": f"{none_right(answers.far):.3f}"})
    asked = f"{len(photos.words)} synonyms" if photos.words else "a third of the labels, hidden"
    print(f"\n## {photos.title}\n\nLabels, {seeds} seed{'s' * (seeds > 1)}:\n\n{table(labels)}")
    print(f"\nOther words ({asked}), and {len(photos.far)} far words:\n\n{table(words)}")
    if not quick:
        name = photos.name
        write("quality", {f"{name}_seeds": seeds, f"{name}_labels": labels, f"{name}_words": words})


def cell(figure: Figure) -> str:
    """Return a figure as text, with its interval if it has one."""
    if np.isnan(figure.value):
        return "-"
    return f"{figure.value:.3f}" if np.isnan(figure.interval.low) else str(figure.interval)


def show_few_shot(photos: Flickr, draws: int, *, quick: bool) -> None:
    """Print few-shot accuracy, and write it."""
    counts, found = few_shot(photos, draws)
    shown = ", ".join(f"{label} {count}" for label, count in counts.items())
    shots = sorted({number for _, number in found})
    rows = [
        {"method": method}
        | {f"shots: {number}": accuracy(found[method, number]) for number in shots}
        for method in dict.fromkeys(name for name, _ in found)
    ]
    print(
        f"\n## Few-shot accuracy on CLIP vectors\n\nPhotos with one label: {shown}. Top-1 "
        "accuracy, and in brackets the mean of the labels' own; mean and standard deviation over "
        f"{draws} draws.\n\n{table(rows)}"
    )
    if not quick:
        write("quality", {"few_shot_draws": draws, "few_shot": rows})


def accuracy(draws: Sequence[tuple[float, float]]) -> str:
    """Return mean and deviation of accuracies."""
    (top, own), (deviation, _) = np.mean(draws, 0), np.std(draws, 0)
    return f"{top:.3f} +- {deviation:.3f} ({own:.3f})"


if __name__ == "__main__":
    main()
