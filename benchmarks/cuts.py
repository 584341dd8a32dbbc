"""Which cut carries over: every rule and normalization that was tried. About four minutes.

    python benchmarks/cuts.py [--seeds 1] [--houses FOLDER]

Measures, on buildings that nothing was learned from, (1) macro F1 of labels by rule and by
normalization, beside what the best thresholds chosen with the test labels would reach; (2) how well
words are answered that no label mentions, how often "none" is the answer where nothing matches, and
the calibration error. Sample listings: the fixed test buildings with some seeds, and as many other
splits of all 14 buildings, 6 to train. Houses: as in quality.py. The documentation has five seeds.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

import quality_sets
from machine import Figure, mean_and_range, table, write
from photosieve.data.dataset import Dataset
from photosieve.decision import metrics
from photosieve.decision.evaluation import Evaluation
from photosieve.decision.metrics import Counts
from photosieve.decision.objective import F1
from photosieve.decision.pairs import Pairs, search
from photosieve.decision.selection import MEMBERS, SHIFTED, choose
from photosieve.encoders import load_encoder
from photosieve.encoders.protocol import Encoder, Float32Array, Head
from photosieve.sieve.sieve import Sieve
from photosieve.training.features import Prepared
from photosieve.training.fit import fit
from photosieve.training.recipes import get_recipe
from photosieve.training.run import Run
from quality_figures import ask
from quality_sets import FAR_WORDS, HOUSES, ROOT, SAMPLE_WORDS, PhotoSet, Split

TEMPLATE = "a photo of a {}"

Values = NDArray[np.float64]
Mask = NDArray[np.bool_]
Rows = dict[str, list[float]]


def main() -> None:
    """Print and write both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--houses", type=Path, default=HOUSES)
    options = parser.parse_args()
    torch.set_num_threads(1)  # these trainings are too small for more
    encoder = load_encoder("starter-small")
    sets = {
        "listings, test buildings": quality_sets.samples(encoder, options.seeds, more_views=True),
        "listings, other splits": other_splits(encoder, options.seeds),
    }
    if options.houses.is_dir():
        sizes, houses = (1, 4), quality_sets.houses_to_test(options.houses)
        found = quality_sets.houses(encoder, houses, options.seeds, sizes, more_views=True)
        sets |= {f"houses, trained on {size}": own for size, own in zip(sizes, found, strict=True)}
    else:
        print(f"houses left out: there is no folder {options.houses}\n")
    columns: dict[str, dict[str, Rows]] = {"rules": {}, "answers": {}}
    for name, photos in sets.items():
        for split in map(known_labels, photos.splits):
            print(f"{name}, seed {split.seed}", file=sys.stderr)
            sieve = Sieve.fit_prepared(encoder, split.train, Run(seed=split.seed))
            start = encoder.head.centered(split.train.words)
            words = {
                word: split.test.labels.index(label)
                for word, label in photos.words.items()
                if label in split.test.labels
            }
            judged = {
                "rules": judge_rules(sieve, split)
                | judge_normalizations(start, split)
                | judge_template(encoder, split),
                "answers": judge_answers(sieve, split, words)
                | judge_anchors(encoder, start, split, words),
            }
            for kind, found_here in judged.items():
                rows = columns[kind].setdefault(name, {})
                for row, value in found_here.items():
                    rows.setdefault(row, []).append(value)
    figures: dict[str, Figure] = {"seeds": options.seeds}
    for kind, by_set in columns.items():
        figures[kind] = found_rows = [
            {"": row, **{name: mean_and_range(rows[row]) for name, rows in by_set.items()}}
            for row in next(iter(by_set.values()))
        ]
        print(f"\n## {kind}\n\n{table(found_rows)}")
    write("cuts", figures)


def other_splits(encoder: Encoder, count: int) -> PhotoSet:
    """Split all sample buildings at random: 6 to train, 8 to test."""
    everything = quality_sets.embedded(encoder, Dataset.load(ROOT / "samples"), more_views=True)
    groups, names = np.array(everything.dataset.groups), everything.dataset.group_names
    splits = []
    for seed in range(count):
        chosen = np.random.default_rng(seed).choice(sorted(names), 6, replace=False)
        trained = np.isin(groups, chosen)
        parts = [everything.rows(np.flatnonzero(part)) for part in (trained, ~trained)]
        splits.append(Split(seed, *parts))
    return PhotoSet("other", "other splits", encoder, tuple(splits), FAR_WORDS, SAMPLE_WORDS)


def known_labels(split: Split) -> Split:
    """Leave out the labels that no training photo has: they are not asked for."""
    known = np.flatnonzero(split.train.targets.any(0))
    return replace(split, train=split.train.columns(known), test=split.test.columns(known))


def f1_of(kept: Mask, relevant: Mask) -> float:
    """Macro F1 over columns."""
    return float(metrics.mean(Counts.of(kept, relevant, axis=0).f1))


def judge_rules(sieve: Sieve, split: Split) -> dict[str, float]:
    """Macro F1 of each member of the rule on calibrated scores, and of rivals and oracles."""
    scores = np.asarray(sieve.scorer.embed_photos(split.test.photos).labels, np.float64)
    relevant, groups = split.test.targets, split.test.dataset.groups
    held_out, labels = sieve.evidence, split.train.labels
    calibration = replace(sieve.tuning.calibration, shifts={})
    pairs = Pairs.of(calibration.labels(held_out.scores, labels), held_out.relevant,
                     held_out.groups)  # fmt: skip
    values = calibration.labels(scores, labels)
    raw_pairs = Pairs.of(held_out.scores, held_out.relevant, held_out.groups)
    found = {
        f"{member}, on probabilities": f1_of(
            choose(pairs, member, F1).keep_by_group(values, groups), relevant
        )
        for member in MEMBERS
        if member != SHIFTED
    }
    searched = search(pairs, MEMBERS[0], F1)
    found["threshold that was best out of fold, on probabilities"] = f1_of(
        searched.keep_by_group(values, groups), relevant
    )
    raw = search(raw_pairs, "gate + floor + drop", F1)
    found["gate + floor + drop, on plain scores"] = f1_of(
        raw.keep_by_group(scores, groups), relevant
    )
    found["largest gap, on plain scores"] = f1_of(largest_gap(scores, groups), relevant)
    found["what tune chooses"] = sieve.evaluate_prepared(split.test).macro["f1"]
    return found


def largest_gap(scores: Values, groups: tuple[str, ...]) -> Mask:
    """Keep what stands above the widest gap of each list."""
    kept = np.zeros(scores.shape, bool)
    for name in dict.fromkeys(groups):
        rows = np.flatnonzero(np.array(groups) == name)
        for column in range(scores.shape[1]):
            order = rows[np.argsort(-scores[rows, column])]
            gaps = -np.diff(scores[order, column])
            kept[order[: int(gaps.argmax()) + 1 if len(gaps) else 1], column] = True
    return kept


Normalization = Callable[[Float32Array, Float32Array, Float32Array, Float32Array], Values]


def plain(
    photos: Float32Array,
    texts: Float32Array,
    behind: Float32Array,  # noqa: ARG001
    bank: Float32Array,  # noqa: ARG001
) -> Values:
    """Cosines as they are."""
    return np.asarray(photos @ texts.T, np.float64)


def cohort(
    photos: Float32Array, texts: Float32Array, behind: Float32Array, bank: Float32Array
) -> Values:
    """Deviations from the mean over the background photos, query by query."""
    background = behind @ texts.T
    found = plain(photos, texts, behind, bank) - background.mean(0)
    return np.asarray(found / background.std(0))


def nearest_neighbors(
    photos: Float32Array, texts: Float32Array, behind: Float32Array, bank: Float32Array
) -> Values:
    """Less three quarters of the photo's mean score with the 10 nearest words of the bank."""
    bias = np.sort(photos @ bank.T, axis=1)[:, -10:].mean(1, keepdims=True)
    return np.asarray(plain(photos, texts, behind, bank) - 0.75 * bias)


def query_bank(
    photos: Float32Array, texts: Float32Array, behind: Float32Array, bank: Float32Array
) -> Values:
    """Log of the softmax over the bank and the query, at a temperature of 1/20."""
    total = np.log(np.exp(20.0 * (photos @ bank.T)).sum(1, keepdims=True))
    return np.asarray(20.0 * plain(photos, texts, behind, bank) - total)


def distribution(
    photos: Float32Array, texts: Float32Array, behind: Float32Array, bank: Float32Array
) -> Values:
    """A quarter of the mean photo and the mean text taken away before the product."""
    moved = photos - 0.25 * behind.mean(0), texts - 0.25 * bank.mean(0)
    return np.asarray(moved[0] @ moved[1].T, np.float64)


NORMALIZATIONS: Mapping[str, Normalization] = {
    "cohort (mean and deviation over the training photos)": cohort,
    "nearest-neighbor (Chowdhury et al. 2024)": nearest_neighbors,
    "query bank (Bogolin et al. 2022)": query_bank,
    "distribution (Zhou et al. 2023)": distribution,
}


def judge_normalizations(start: Head, split: Split) -> dict[str, float]:
    """Macro F1 of one threshold, learned out of fold, after each normalization; and the oracles.

    Of a trained head: the probe's scores are no cosines.
    """
    train, test, recipe = split.train, split.test, get_recipe("balanced")
    folds = train.dataset.folds(seed=split.seed)
    everything = np.arange(len(train.photos))
    ways = {"none": plain, **NORMALIZATIONS}
    out_of_fold = {name: np.zeros(train.targets.shape) for name in ways}
    for held_out in folds:
        seen = train.rows(np.setdiff1d(everything, held_out))
        head = fit(seen, start, Run(recipe, split.seed))[0]
        for name, way in ways.items():
            out_of_fold[name][held_out] = normalized(way, head, train.rows(held_out), seen)
    head = fit(train, start, Run(recipe, split.seed))[0]
    found = {}
    for name, way in ways.items():
        values = normalized(way, head, test, train)
        pairs = Pairs.of(out_of_fold[name], train.targets, train.dataset.groups)
        threshold = search(pairs, "threshold", F1).floor
        found[f"one threshold after normalization: {name}"] = f1_of(
            values > threshold, test.targets
        )
    values = normalized(plain, head, test, train)
    found["oracle: best one threshold"] = best_shared(values, test.targets)
    found["oracle: best threshold per label"] = best_per_column(values, test.targets)
    return found


def judge_template(encoder: Encoder, split: Split) -> dict[str, float]:
    """Macro F1 of one threshold when every text is put into the usual prompt."""

    def prompted(data: Prepared) -> Prepared:
        return replace(data, texts=encoder.text_features([TEMPLATE.format(t) for t in data.labels]))

    sieve = Sieve.fit_prepared(encoder, prompted(split.train), Run(seed=split.seed), words=False)
    held_out = sieve.evidence
    pairs = Pairs.of(held_out.scores, held_out.relevant, held_out.groups)
    values = sieve.scorer.embed_photos(split.test.photos).labels
    return {
        f'one threshold, texts as "{TEMPLATE}"': f1_of(
            values > search(pairs, "threshold", F1).floor, split.test.targets
        )
    }


def normalized(way: Normalization, head: Head, photos: Prepared, behind: Prepared) -> Values:
    """Score photos against their labels, by a head that was trained on those behind."""
    return way(
        head.project_photos(photos.photos),
        head.project_texts(photos.texts),
        head.project_photos(behind.photos),
        head.project_texts(photos.words),
    )


def best_shared(values: Values, relevant: Mask) -> float:
    """Macro F1 of the best threshold for all columns, chosen with the truth in hand."""
    thresholds = np.unique(np.quantile(values, np.linspace(0.2, 1, 400)))
    return max(f1_of(values >= threshold, relevant) for threshold in thresholds)


def best_per_column(values: Values, relevant: Mask) -> float:
    """Macro F1 of the best threshold for each column, chosen with the truth in hand."""
    best = [
        max(float(Counts.of(column >= t, right).f1) for t in np.unique(column))
        for column, right in zip(values.T, relevant.T, strict=True)
        if right.any()
    ]
    return float(np.mean(best))


def judge_answers(sieve: Sieve, split: Split, words: Mapping[str, int]) -> dict[str, float]:
    """Measure the sieve on labels, on words that no label mentions, and on questions for "none".

    Words have the columns of the labels that are true of the same photos.
    """
    labels = sieve.evaluate_prepared(split.test)
    other = ask(sieve, split.test, list(words), np.array([*words.values()], np.intp))
    far = ask(sieve, split.test, FAR_WORDS, None).empty
    empty, f1 = labels.empty, labels.macro["f1"]
    return {
        "labels: macro F1": f1,
        "labels: of the oracle per label": f1 / oracle(labels),
        "labels: calibration error": labels.calibration_error,
        'absent labels answered "none"': empty.right / empty.asked if empty.asked else math.nan,
        'present labels answered "none"': empty.wrong / max(empty.answerable, 1),
        "recall of labels": labels.micro["recall"],
        'recall of labels with a gate at 95 % "none" for absent ones': recall_at_none(labels, 0.95),
        "unlabeled words: macro F1": other.macro["f1"],
        "unlabeled words: of the oracle per word": other.macro["f1"] / oracle(other),
        "unlabeled words: calibration error": other.calibration_error,
        'far words answered "none"': far.right / far.asked,
    }


def oracle(answers: Evaluation) -> float:
    """Macro F1 of the best threshold for each question."""
    return best_per_column(answers.probabilities, answers.relevant)


def judge_anchors(
    encoder: Encoder, start: Head, split: Split, words: Mapping[str, int]
) -> dict[str, float]:
    """Mean average precision of unlabeled words by what the anchors of a trained head hold."""
    recipe = get_recipe("balanced")
    relevant = split.test.targets[:, [*words.values()]]
    texts = encoder.text_features(list(words))
    ways = {
        "no anchors": replace(recipe, anchor_weight=0.0),
        "anchors on all general words": replace(recipe, anchor_quantile=1.0),
        "anchors on words remote from the labels": recipe,
    }
    found = {}
    for name, way in ways.items():
        head = fit(split.train, start, Run(way, split.seed))[0]
        scores = head.project_photos(split.test.photos) @ head.project_texts(texts).T
        found[f"unlabeled words: mAP, {name}"] = metrics.mean_average_precision(
            scores.astype(float), relevant, np.ones_like(relevant)
        )
    return found


def recall_at_none(result: Evaluation, wanted: float) -> float:
    """Recall over all labels when the gate is raised until absent labels get "none" so often."""
    names, gates = np.array(result.groups), []
    for name in result.buildings:
        rows = names == name
        absent = ~result.relevant[rows].any(0)
        gates.extend(result.probabilities[rows][:, absent].max(0).tolist())
    if not gates:
        return math.nan
    gate = max(float(np.quantile(gates, wanted)), result.cut.gate)
    kept = replace(result.cut, gate=gate).keep_by_group(result.probabilities, result.groups)
    return float(kept[result.relevant].mean())


if __name__ == "__main__":
    main()
