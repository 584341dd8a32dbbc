"""Which loss, with which anchors: every recipe that the starter can run. About three minutes.

    python benchmarks/losses.py [--seeds 1] [--houses FOLDER]

For each recipe, on buildings that nothing was learned from: macro F1 at the learned cut, mean
average precision of labels, and mean average precision of words that no label mentions. Then the
main losses again, with and without anchors and with weights between the pretrained and the trained
ones (WiSE-FT), where the share was chosen out of fold. Sample listings: the fixed test buildings
with some seeds. Houses: as in quality.py, 4 to train on. Means over seeds; the documentation has 5.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

import quality_sets
from machine import Figure, table, write
from photosieve.decision.metrics import mean_average_precision
from photosieve.encoders import load_encoder
from photosieve.sieve.sieve import Sieve
from photosieve.training.recipe import Recipe
from photosieve.training.recipes import RECIPES
from photosieve.training.run import Run
from quality_sets import HOUSES, PhotoSet, Split

LOSSES = ("balanced", "multi-positive", "notebook")
HOUSES_TO_TRAIN = 4


def main() -> None:
    """Print and write the two tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--houses", type=Path, default=HOUSES)
    options = parser.parse_args()
    encoder = load_encoder("starter-small")
    sets = {"listings": quality_sets.samples(encoder, options.seeds, more_views=True)}
    if options.houses.is_dir():
        houses, sizes = quality_sets.houses_to_test(options.houses), [HOUSES_TO_TRAIN]
        found = quality_sets.houses(encoder, houses, options.seeds, sizes, more_views=True)
        sets["houses"] = found[0]
    heads = [recipe for recipe in RECIPES.values() if not recipe.trains_blocks]
    figures: dict[str, Figure] = {"seeds": options.seeds}
    for name, recipes in {"recipes": heads, "anchors": variants()}.items():
        figures[name] = rows = [row(sets, recipe) for recipe in recipes]
        print(f"\n## {name.title()}\n\n{table(rows)}", flush=True)
    write("losses", figures)


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


def row(sets: Mapping[str, PhotoSet], recipe: Recipe) -> dict[str, str]:
    """Return three figures of a recipe on each set."""
    print(recipe.name, file=sys.stderr)
    found = {"": recipe.name}
    for name, photos in sets.items():
        splits = [judge(photos, split, recipe) for split in photos.splits]
        for figure in splits[0]:
            found[f"{name}: {figure}"] = f"{np.mean([one[figure] for one in splits]):.3f}"
    return found


def judge(photos: PhotoSet, split: Split, recipe: Recipe) -> dict[str, float]:
    """Macro F1 and mean average precision of labels, mean average precision of other words."""
    test, words = split.test, photos.words
    run = Run(recipe, split.seed)
    sieve = Sieve.fit_prepared(photos.encoder, split.train, run, words=False)
    totals, head = sieve.evaluate_prepared(test).totals, sieve.encoder.head
    texts = head.project_texts(photos.encoder.text_features(list(words)))
    relevant = test.targets[:, [test.labels.index(label) for label in words.values()]]
    scores = (head.project_photos(test.photos) @ texts.T).astype(float)  # (photos, words)
    return {
        "macro F1": totals["macro_f1"],
        "labels, mAP": totals["mean_average_precision"],
        "other words, mAP": mean_average_precision(scores, relevant, np.ones_like(relevant)),
    }


if __name__ == "__main__":
    main()
