"""Which loss, with which anchors: every recipe that the starter can run. About fifteen minutes.

    python benchmarks/losses.py [--seeds 5] [--houses FOLDER]

For each recipe, on buildings that nothing was learned from: macro F1 at the learned cut, mean
average precision of labels, and mean average precision of words that no label mentions. Then the
main losses again, with and without anchors and with weights between the pretrained and the trained
ones (WiSE-FT), where the share was chosen out of fold. Sample listings: the fixed test buildings
with several seeds. Houses: as in quality.py, 4 to train on. Mean, and lowest to highest.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from photosieve.data.dataset import Dataset
from photosieve.decision import metrics
from photosieve.encoders import load_encoder
from photosieve.encoders.protocol import Encoder
from photosieve.sieve.sieve import Sieve
from photosieve.training.features import Prepared, prepare
from photosieve.training.recipe import Recipe
from photosieve.training.recipes import RECIPES
from photosieve.training.run import Run
from quality_sets import DEVELOPMENT_HOUSES, HOUSE_WORDS, HOUSES, ROOT, SAMPLE_WORDS

LOSSES = ("balanced", "multi-positive", "notebook")
HOUSES_TO_TRAIN = 4


@dataclass(frozen=True)
class Task:
    """Photos to learn from, photos to test on, words to ask for, and a seed for each training."""

    name: str
    splits: Sequence[tuple[Prepared, Prepared]]
    words: Mapping[str, str]


def main() -> None:
    """Print the two tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--houses", type=Path, default=HOUSES)
    options = parser.parse_args()
    encoder = load_encoder("starter-small")
    tasks = [listings(encoder, options.seeds)]
    if options.houses.is_dir():
        tasks.append(houses(encoder, options.houses, options.seeds))
    print("## Recipes\n")
    print_table(encoder, tasks, [recipe for recipe in RECIPES.values() if not recipe.trains_blocks])
    print("\n## Anchors and interpolation\n")
    print_table(encoder, tasks, variants())


def listings(encoder: Encoder, seeds: int) -> Task:
    """The sample listings as they lie, once for each seed."""
    train = prepare(encoder, Dataset.load(ROOT / "samples" / "train"), more_views=True)
    test = prepare(encoder, Dataset.load(ROOT / "samples" / "test"), labels=train.labels)
    return Task("listings", [(train, test)] * seeds, SAMPLE_WORDS)


def houses(encoder: Encoder, folder: Path, draws: int) -> Task:
    """Draws of houses to train on, among those that were not used in development."""
    everything = prepare(encoder, Dataset.load(folder), more_views=True)
    names = sorted(everything.dataset.group_names)[DEVELOPMENT_HOUSES:]
    groups = np.array(everything.dataset.groups)
    splits = []
    for seed in range(draws):
        chosen = np.random.default_rng(seed).choice(names, HOUSES_TO_TRAIN, replace=False)
        parts = (chosen, np.setdiff1d(names, chosen))
        train, test = (everything.rows(np.flatnonzero(np.isin(groups, part))) for part in parts)
        splits.append((train, test))
    return Task("houses", splits, HOUSE_WORDS)


def variants() -> list[Recipe]:
    """The main losses with and without anchors and interpolation, all else equal."""
    anchors = RECIPES["balanced"]
    found = []
    for name in LOSSES:
        for weight in (0.0, anchors.anchor_weight):
            for between in (False, True):
                title = ", ".join([name, *["anchors"] * (weight > 0), *["interpolated"] * between])
                found.append(
                    replace(
                        RECIPES[name],
                        name=title,
                        anchor_weight=weight,
                        anchor_quantile=anchors.anchor_quantile,
                        interpolates=between,
                    )
                )
    return found


def print_table(encoder: Encoder, tasks: Sequence[Task], recipes: Sequence[Recipe]) -> None:
    """Print three figures of each recipe on each task as Markdown."""
    figures = ("macro F1", "labels, mAP", "other words, mAP")
    print(f"| | {' | '.join(f'{task.name}: {figure}' for task in tasks for figure in figures)} |")
    print(f"|---|{'---:|' * (len(figures) * len(tasks))}")
    for recipe in recipes:
        cells = []
        for task in tasks:
            found = np.array(
                [
                    judge(encoder, train, test, task.words, recipe, seed)
                    for seed, (train, test) in enumerate(task.splits)
                ]
            )  # (seeds, figures)
            cells += [
                f"{column.mean():.3f} ({column.min():.3f} to {column.max():.3f})"
                for column in found.T
            ]
        print(f"| {recipe.name} | {' | '.join(cells)} |", flush=True)


def judge(
    encoder: Encoder,
    train: Prepared,
    test: Prepared,
    words: Mapping[str, str],
    recipe: Recipe,
    seed: int,
) -> tuple[float, float, float]:
    """Macro F1 and mean average precision of labels, mean average precision of other words."""
    sieve = Sieve.fit_prepared(encoder, train, Run(recipe, seed), words=False)
    totals = sieve.evaluate_prepared(test).totals
    head = sieve.encoder.head
    scores = (
        head.project_photos(test.photos) @ head.project_texts(encoder.text_features(list(words))).T
    )  # (photos, words)
    relevant = test.targets[:, [test.labels.index(label) for label in words.values()]]
    columns = zip(scores.T, relevant.T, strict=True)
    asked = np.mean([metrics.average_precision(*column) for column in columns])
    return totals["macro_f1"], totals["mean_average_precision"], float(asked)


if __name__ == "__main__":
    main()
