"""How good the answers are: the tables of the README. Takes about three minutes on two cores.

    python benchmarks/quality.py [--seeds 5] [--houses FOLDER]

Prints (1) the leaderboard on the sample listings, trained on 6 buildings and tested on 8 others;
(2) the same on real houses, trained on 1, 4 and 8 of them; (3) average precision for words that no
label mentions, before and after training.

The houses are those of Ahmed and Moustafa (2016), doi:10.5220/0006040700620068, a folder each with
a labels file; that part is left out where the folder is absent. Choices (recipes, the starter's
input size) were made on the samples' training buildings and on the first 40 houses; nothing here
touches those: houses to train and test on are drawn from the others.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from photosieve.data.dataset import Dataset
from photosieve.decision import metrics
from photosieve.decision.leaderboard import ComparisonRow
from photosieve.encoders import load_encoder
from photosieve.encoders.protocol import Encoder
from photosieve.sieve.compare import compare_prepared
from photosieve.training.features import Prepared, prepare
from photosieve.training.fit import fit
from photosieve.training.recipes import get_recipe
from photosieve.training.run import Run

ROOT = Path(__file__).resolve().parents[1]
HOUSES = ROOT.parent / "shared" / "data" / "houses"
DEVELOPMENT_HOUSES = 40

SAMPLE_WORDS = {
    "couch": "sofa",
    "easy chair": "armchair",
    "TV": "television",
    "drapes": "curtain",
    "cooker": "stove",
    "hob": "stove",
    "fridge": "refrigerator",
    "potted plant": "plant",
    "picture on the wall": "painting",
    "carpet": "rug",
    "looking glass": "mirror",
    "bookshelf": "bookcase",
    "washroom": "bathroom",
    "lounge": "living room",
    "facade": "exterior",
    "lawn": "garden",
    "pool": "swimming pool",
    "table lamp": "lamp",
    "closet": "wardrobe",
    "corridor": "hallway",
    "running machine": "treadmill",
    "stationary bicycle": "exercise bike",
    "fitness room": "gym",
    "terrace": "balcony",
    "washbasin": "sink",
    "bath": "bathtub",
}
"""Words that no label mentions, and the label that is true of the same photos."""

HOUSE_WORDS = {
    "toilet": "bathroom",
    "bathtub": "bathroom",
    "washroom": "bathroom",
    "stove": "kitchen",
    "refrigerator": "kitchen",
    "fridge": "kitchen",
    "cooking": "kitchen",
    "garage": "exterior",
    "facade": "exterior",
    "lawn": "exterior",
    "house front": "exterior",
    "pillow": "bedroom",
    "bed": "bedroom",
    "sleeping": "bedroom",
}
"""The same for houses: nearly every photo of that label shows it, and hardly any other does."""


def main() -> None:
    """Print the three tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--houses", type=Path, default=HOUSES)
    options = parser.parse_args()

    encoder = load_encoder("starter")
    train = prepare(encoder, Dataset.load(ROOT / "samples" / "train"), more_views=True)
    test = prepare(encoder, Dataset.load(ROOT / "samples" / "test"), labels=train.labels)
    found = compare_prepared(encoder, train, test, seeds=options.seeds)
    print(f"## Sample listings, {options.seeds} seeds, intervals over the 8 test buildings\n")
    print_rows(found.rows)

    print("\n## Words that no label mentions: mean average precision, before and after training\n")
    print("| photos | trained on | words | zero-shot | balanced | words it lowers | notebook |")
    print("|---|---|---:|---:|---:|---|---:|")
    print_words(encoder, "sample listings", "6 buildings", [(train, test)], SAMPLE_WORDS)

    if not options.houses.is_dir():
        print(f"\nhouses left out: there is no folder {options.houses}")
        return
    everything = prepare(encoder, Dataset.load(options.houses), more_views=True)
    names = sorted(everything.dataset.group_names)[DEVELOPMENT_HOUSES:]
    groups = np.array(everything.dataset.groups)
    tables = {}
    for size in (1, 4, 8):
        splits = []
        for seed in range(options.seeds):
            chosen = np.random.default_rng(seed).choice(names, size, replace=False)
            rest = np.setdiff1d(names, chosen)
            train_rows, test_rows = (
                np.flatnonzero(np.isin(groups, part)) for part in (chosen, rest)
            )
            splits.append((everything.rows(train_rows), everything.rows(test_rows)))
        print_words(encoder, "houses", str(size), splits, HOUSE_WORDS)
        tables[size] = [compare_prepared(encoder, *split, seeds=1).rows for split in splits]
    for size, runs in tables.items():
        print(
            f"\n## Houses: trained on {size}, tested on {len(names) - size} others, mean and "
            f"range over {options.seeds} draws of the training houses\n"
        )
        print_draws(runs)


def print_rows(rows: tuple[ComparisonRow, ...]) -> None:
    """Print a leaderboard as Markdown."""
    print('| method | macro F1 | sd over seeds | mAP | accuracy with TN | "none" right |')
    print("|---|---:|---:|---:|---:|---:|")
    for row in rows:
        print(
            f"| {row.name} | {row.macro_f1} | {row.seed_deviation:.3f} "
            f"| {row.mean_average_precision} | {row.accuracy} | {row.empty_right} |"
        )


def print_draws(runs: list[tuple[ComparisonRow, ...]]) -> None:
    """Print the mean and range over training sets as Markdown."""
    # Every house has a photo for every label, so "none" is never the right answer here.
    print("| method | macro F1 | mAP | accuracy with TN |")
    print("|---|---:|---:|---:|")
    for method in sorted(row.name for row in runs[0]):
        rows = [row for run in runs for row in run if row.name == method]  # best first in each run
        cells = []
        for name in ("macro_f1", "mean_average_precision", "accuracy"):
            values = [getattr(row, name).value for row in rows]
            cells.append(f"{np.mean(values):.3f} ({min(values):.3f} to {max(values):.3f})")
        print(f"| {method} | {' | '.join(cells)} |")


def print_words(
    encoder: Encoder,
    photos: str,
    trained_on: str,
    splits: Sequence[tuple[Prepared, Prepared]],
    words: Mapping[str, str],
) -> None:
    """Print mean average precision of unlabeled words, by recipe, as a Markdown row."""
    texts = encoder.text_features(list(words))

    def quality(recipe: str) -> metrics.Float64Array:
        """Average precision of each word, (words,), mean over the splits."""
        found = []
        for train, test in splits:
            relevant = test.targets[:, [test.labels.index(label) for label in words.values()]]
            head, _ = fit(train, encoder.head, Run(get_recipe(recipe)))
            scores = head.project_photos(test.photos) @ head.project_texts(texts).T
            columns = zip(scores.T, relevant.T, strict=True)
            found.append([metrics.average_precision(*column) for column in columns])
        return np.asarray(np.mean(np.array(found, np.float64), axis=0))

    before, balanced, notebook = map(quality, ("zero-shot", "balanced", "notebook"))
    lowered = [
        f"{word} {a:.2f} to {b:.2f}"
        for word, a, b in zip(words, before, balanced, strict=True)
        if b < a - 0.005
    ]
    print(
        f"| {photos} | {trained_on} | {len(words)} | {before.mean():.3f} | {balanced.mean():.3f} "
        f"| {', '.join(lowered) or 'none'} | {notebook.mean():.3f} |"
    )


if __name__ == "__main__":
    main()
