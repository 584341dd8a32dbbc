"""Which cut carries over: every rule and normalization that was tried. About ten minutes.

    python benchmarks/cuts.py [--seeds 5] [--houses FOLDER]

Prints, on buildings that nothing was learned from, (1) macro F1 of labels by rule and by
normalization, beside what the best thresholds chosen with the test labels would reach; (2) how well
words are answered that no label mentions, how often "none" is the answer where nothing matches, and
the calibration error. Sample listings: the fixed test buildings with several seeds, and several
other splits of all 14 buildings, 6 to train. Houses: as in quality.py.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from photosieve.data.dataset import Dataset
from photosieve.decision import metrics
from photosieve.decision.cut import Cut
from photosieve.decision.evaluation import Evaluation
from photosieve.decision.metrics import Counts
from photosieve.decision.objective import Objective
from photosieve.decision.pairs import Pairs, search
from photosieve.decision.selection import MEMBERS, SHIFTED, choose
from photosieve.encoders import load_encoder
from photosieve.encoders.protocol import Encoder, Float32Array, Head
from photosieve.sieve.embedded import Embedded
from photosieve.sieve.sieve import Sieve
from photosieve.training.features import Prepared, prepare
from photosieve.training.fit import fit
from photosieve.training.recipes import get_recipe
from photosieve.training.run import Run
from quality_sets import DEVELOPMENT_HOUSES, HOUSE_WORDS, HOUSES, ROOT, SAMPLE_WORDS

FAR_WORDS = (
    "submarine", "giraffe", "violin", "glacier", "locomotive", "octopus", "rocket", "tiger",
    "sushi", "trombone", "wedding dress", "volcano", "parachute", "canoe", "scoreboard", "penguin",
    "fire engine", "football stadium", "courtroom", "supermarket aisle",
)  # fmt: skip
"""Words from far outside: no photo of a home shows one."""

TEMPLATE = "a photo of a {}"

Values = NDArray[np.float64]
Mask = NDArray[np.bool_]
Rows = dict[str, list[float]]

F1 = Objective("f1")


@dataclass(frozen=True)
class Split:
    """Photos to learn from and photos of other buildings to test on."""

    train: Prepared
    test: Prepared
    words: Mapping[str, str]
    seed: int


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--houses", type=Path, default=HOUSES)
    options = parser.parse_args()
    torch.set_num_threads(1)  # these trainings are too small for more
    encoder = load_encoder("starter-small")
    sets = {
        "listings, test buildings": sample_splits(encoder, options.seeds),
        "listings, other splits": other_splits(encoder, options.seeds),
    }
    if options.houses.is_dir():
        everything = prepare(encoder, Dataset.load(options.houses), more_views=True)
        for size in (1, 4):
            found = house_splits(everything, size, options.seeds)
            sets[f"houses, trained on {size}"] = found
    else:
        print(f"houses left out: there is no folder {options.houses}\n")
    rules: dict[str, Rows] = {}
    figures: dict[str, Rows] = {}
    for name, splits in sets.items():
        rules[name], figures[name] = {}, {}
        for split in splits:
            sieve = Sieve.fit_prepared(encoder, split.train, Run(seed=split.seed))
            start = encoder.head.centered(split.train.words)
            for key, value in judge_rules(sieve, split).items():
                rules[name].setdefault(key, []).append(value)
            for key, value in judge_normalizations(start, split).items():
                rules[name].setdefault(key, []).append(value)
            for key, value in judge_template(encoder, split).items():
                rules[name].setdefault(key, []).append(value)
            for key, value in judge_answers(sieve, split).items():
                figures[name].setdefault(key, []).append(value)
            for key, value in judge_anchors(start, split).items():
                figures[name].setdefault(key, []).append(value)
    print("## Macro F1 of labels, mean (lowest to highest)\n")
    print_table(rules)
    print("\n## Answers of the default sieve\n")
    print_table(figures)


def sample_splits(encoder: Encoder, seeds: int) -> list[Split]:
    """Split the sample listings as they lie, once for each seed."""
    train = prepare(encoder, Dataset.load(ROOT / "samples" / "train"), more_views=True)
    test = prepare(encoder, Dataset.load(ROOT / "samples" / "test"), labels=train.labels)
    return [Split(train, test, SAMPLE_WORDS, seed) for seed in range(seeds)]


def other_splits(encoder: Encoder, count: int) -> list[Split]:
    """Split all sample buildings at random: 6 to train, 8 to test."""
    everything = prepare(encoder, Dataset.load(ROOT / "samples"), more_views=True)
    names = sorted(everything.dataset.group_names)
    return [
        cut_out(everything, np.random.default_rng(seed).choice(names, 6, replace=False), names,
                SAMPLE_WORDS, seed)
        for seed in range(count)
    ]  # fmt: skip


def house_splits(everything: Prepared, size: int, count: int) -> list[Split]:
    """Draw houses to train on; the rest of those not used in development are for testing."""
    names = sorted(everything.dataset.group_names)[DEVELOPMENT_HOUSES:]
    return [
        cut_out(everything, np.random.default_rng(seed).choice(names, size, replace=False), names,
                HOUSE_WORDS, seed)
        for seed in range(count)
    ]  # fmt: skip


def cut_out(
    everything: Prepared,
    chosen: NDArray[np.str_],
    names: list[str],
    words: Mapping[str, str],
    seed: int,
) -> Split:
    """Take some buildings to train on; what no photo of theirs is labeled with is not asked."""
    groups = np.array(everything.dataset.groups)
    train = everything.rows(np.flatnonzero(np.isin(groups, chosen)))
    test = everything.rows(np.flatnonzero(np.isin(groups, np.setdiff1d(names, chosen))))
    known = np.flatnonzero(train.targets.any(0))
    return Split(train.columns(known), test.columns(known), words, seed)


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


NORMALISATIONS: Mapping[str, Normalization] = {
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
    ways = {"none": plain, **NORMALISATIONS}
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


def judge_answers(sieve: Sieve, split: Split) -> dict[str, float]:
    """Measure the sieve on labels, on words that no label mentions, and on questions for "none"."""
    result = sieve.evaluate_prepared(split.test)
    empty = result.empty
    oracle = best_per_column(result.probabilities, result.relevant)
    found = {
        "labels: macro F1": result.macro["f1"],
        "labels: of the oracle per label": result.macro["f1"] / oracle,
        "labels: calibration error": calibration_error(result.probabilities, result.relevant),
        'absent labels answered "none"': empty.right / empty.asked if empty.asked else np.nan,
        'present labels answered "none"': empty.wrong / max(empty.answerable, 1),
        "recall of labels": result.micro["recall"],
        'recall of labels with a gate at 95 % "none" for absent ones': recall_at_none(result, 0.95),
    }
    photos = sieve.scorer.embed_photos(split.test.photos)
    groups = split.test.dataset.groups
    known = {word: label for word, label in split.words.items() if label in split.test.labels}
    relevant = split.test.targets[:, [split.test.labels.index(label) for label in known.values()]]
    words, far = ask(sieve, list(known), photos), ask(sieve, list(FAR_WORDS), photos)
    cut = Cut.threshold(sieve.tuning.calibration.word_threshold)
    kept = cut.keep_by_group(words, groups)
    oracle = best_per_column(words, relevant)
    return found | {
        "unlabeled words: macro F1": f1_of(kept, relevant),
        "unlabeled words: of the oracle per word": f1_of(kept, relevant) / oracle,
        "unlabeled words: calibration error": calibration_error(words, relevant),
        'far words answered "none"': none_rate(cut.keep_by_group(far, groups), groups),
    }


def judge_anchors(start: Head, split: Split) -> dict[str, float]:
    """Mean average precision of unlabeled words by what the anchors hold."""
    recipe = get_recipe("balanced")
    known = [label for label in split.words.values() if label in split.test.labels]
    relevant = split.test.targets[:, [split.test.labels.index(label) for label in known]]
    texts = load_encoder("starter-small").text_features(
        [word for word, label in split.words.items() if label in split.test.labels]
    )
    ways = {
        "no anchors": replace(recipe, anchor_weight=0.0),
        "anchors on all general words": replace(recipe, anchor_quantile=1.0),
        "anchors on words remote from the labels": recipe,
    }
    found = {}
    for name, way in ways.items():
        head = fit(split.train, start, Run(way, split.seed))[0]
        scores = head.project_photos(split.test.photos) @ head.project_texts(texts).T
        columns = zip(scores.T, relevant.T, strict=True)
        found[f"unlabeled words: mAP, {name}"] = float(
            metrics.mean([float(metrics.average_precision(*column)) for column in columns])
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


def ask(sieve: Sieve, words: list[str], photos: Embedded) -> Values:
    """Probabilities of words, (photos, words)."""
    columns = [sieve.scorer.probabilities(sieve.scorer.read(word), photos) for word in words]
    return np.concatenate(columns, axis=1)


def none_rate(kept: Mask, groups: tuple[str, ...]) -> float:
    """How often the answer is empty, over all words in all buildings."""
    names = np.array(groups)
    return float(np.mean([~kept[names == name].any(0) for name in dict.fromkeys(groups)]))


def calibration_error(probabilities: Values, relevant: Mask) -> float:
    """Expected calibration error over ten bins."""
    values, right = probabilities.ravel(), relevant.ravel()
    bins = np.minimum((values * 10).astype(int), 9)
    return float(
        sum(
            abs(values[bins == b].mean() - right[bins == b].mean()) * (bins == b).mean()
            for b in np.unique(bins)
        )
    )


def print_table(found: dict[str, Rows]) -> None:
    """Print rows of figures as Markdown, a column for each set of splits."""
    print(f"| | {' | '.join(found)} |")
    print(f"|---|{'---:|' * len(found)}")
    for key in next(iter(found.values())):
        cells = []
        for rows in found.values():
            values = rows[key]
            cell = f"{np.mean(values):.3f} ({min(values):.3f} to {max(values):.3f})"
            cells.append("-" if np.isnan(values).all() else cell)
        print(f"| {key} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
