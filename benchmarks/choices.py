"""Choices behind the default recipe, each against what else was tried. Takes about five minutes.

    python benchmarks/choices.py [--data FOLDER] [--seeds 2]

Mean average precision of labels on photos of other buildings, with the default settings of the
probe: (1) partial lists: 0, 30 and 60 % of the labels of the training photos are hidden, and what a
list leaves out is taken for "no", is masked, or counts as far as a careful probe finds it
improbable (the default); (2) more looks at a photo: its score alone, the mean of the scores of six
views, and the log-sum-exp of the scores of photo and four corners; (3) words that are no label,
by their text alone, with what they inherit from all labels, and from those that agree with them
(the default): synonyms of labels, and labels of which a third is left out of training in turn.
"""

from __future__ import annotations

import argparse
import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from machine import Figure, table, write
from photosieve.data.dataset import Dataset
from photosieve.decision.agreement import Agreement
from photosieve.decision.metrics import average_precisions, mean_average_precision
from photosieve.encoders import load_encoder
from photosieve.encoders.protocol import Encoder, Float32Array, Head
from photosieve.training.features import Prepared, start_head
from photosieve.training.parallel import one_thread_each
from photosieve.training.probe import Probe, ProbeSettings, Problem
from photosieve.training.recipes import get_recipe
from quality_sets import DATA, LISTING_WORDS, ROOT, SAMPLE_WORDS, embedded

SETTINGS = ProbeSettings(1.0, 1e-3)
"""Those that are chosen out of fold on both sets, or nearly."""


@dataclass(frozen=True)
class Split:
    """Training photos and test photos of one set, with the vectors of an encoder."""

    name: str
    encoder: Encoder
    train: Prepared
    test: Prepared

    @functools.cached_property
    def head(self) -> Head:
        """The pretrained head, with texts centered."""
        return start_head(self.encoder, self.train, get_recipe())

    def fit(
        self,
        targets: NDArray[np.bool_],
        known: NDArray[np.bool_],
        silent: NDArray[np.bool_],
    ) -> Probe:
        """Fit a probe with other labels than those of the training photos."""
        head, data = self.head, self.train
        vectors, texts = head.project_photos(data.photos), head.project_texts(data.texts)
        return Problem.of(data.photos, vectors, texts, targets, known, silent).solve(SETTINGS)

    def scores(self, probe: Probe, photos: Float32Array) -> NDArray[np.float64]:
        """Scores of features of photos, (n, labels)."""
        return probe.scores(photos, self.head.project_photos(photos)).astype(np.float64)

    def quality(self, scores: NDArray[np.float64]) -> float:
        """Mean average precision of scores of the test photos."""
        return mean_average_precision(scores, self.test.targets, self.test.known)


def splits(data: Path, seeds: int) -> Iterator[Split]:
    """Give the samples, and real listings: in each of three parts tested once a seed."""
    encoder = load_encoder("starter")
    train = embedded(encoder, Dataset.load(ROOT / "samples" / "train"), more_views=True)
    test = Dataset.load(ROOT / "samples" / "test")
    yield Split(
        "samples", encoder, train, embedded(encoder, test, labels=train.labels, more_views=True)
    )
    if not (data / "listings").is_dir():
        print(f"listings left out: there is no folder {data / 'listings'}")
        return
    everything = embedded(encoder, Dataset.load(data / "listings"), more_views=True)
    for seed in range(seeds):
        for rows in everything.dataset.folds(3, seed=seed):
            seen = everything.rows(np.setdiff1d(np.arange(len(everything.photos)), rows))
            columns = np.flatnonzero(seen.targets.any(0))
            yield Split(
                "real listings",
                encoder,
                seen.columns(columns),
                everything.rows(rows).columns(columns),
            )


def partial(split: Split, hidden: float) -> dict[str, float]:
    """Hide a part of the training labels."""
    targets = split.train.targets
    left = targets & (np.random.default_rng(0).random(targets.shape) >= hidden)
    none, everything = np.zeros_like(left), np.ones_like(left)
    probes = {
        "silence is no": split.fit(left, everything, none),
        "silence is masked": split.fit(left, left, none),
        "silence is weighed (the default)": split.fit(left, left, ~left),
    }
    photos = split.test.photos
    return {name: split.quality(split.scores(probe, photos)) for name, probe in probes.items()}


def looks(split: Split) -> dict[str, float]:
    """Score photos by more than one look; views are the mirror image and the four corners."""
    probe = split.fit(split.train.targets, split.train.known, ~split.train.known)
    whole = split.scores(probe, split.test.photos)
    views = split.test.more_views
    each = np.stack([split.scores(probe, views[:, view]) for view in range(views.shape[1])])
    corners = np.logaddexp.reduce(each[1:], axis=0) - np.log(len(each) - 1)
    return {
        "the photo (the default)": split.quality(whole),
        "mean of all views": split.quality((whole + each.sum(0)) / (1 + len(each))),
        "log-sum-exp of photo and corners": split.quality(np.logaddexp(whole, corners)),
    }


def words(split: Split) -> dict[tuple[str, str], float]:
    """Rank photos for synonyms of labels, and for labels that are left out of training."""
    synonyms = SAMPLE_WORDS if split.name == "samples" else LISTING_WORDS
    known = {word: label for word, label in synonyms.items() if label in split.train.labels}
    columns = np.array([split.train.labels.index(label) for label in known.values()])
    texts = split.head.project_texts(split.encoder.text_features(list(known)))
    every = np.arange(len(split.train.labels))
    asked = {"synonyms": [(every, texts, columns)], "hidden labels": []}
    texts = split.head.project_texts(split.train.texts)
    for part in range(3):
        hidden = np.random.default_rng(0).permutation(every)[part::3]
        asked["hidden labels"].append((np.setdiff1d(every, hidden), texts[hidden], hidden))
    found = {}
    for kind, questions in asked.items():
        parts = [_ranked(split, *question) for question in questions]
        for name in parts[0]:
            found[kind, name] = float(np.nanmean(np.concatenate([part[name] for part in parts])))
    return found


def _ranked(
    split: Split, seen: NDArray[np.intp], texts: Float32Array, columns: NDArray[np.intp]
) -> dict[str, NDArray[np.float64]]:
    """Average precision of words, (k, d), that are true of the photos of labels, (k,)."""
    part, head = replace(split, train=split.train.columns(seen)), split.head
    train = part.train
    probe = part.fit(train.targets, train.known, ~train.known)
    vectors, own = head.project_photos(split.test.photos), head.project_photos(train.photos)
    labels = part.scores(probe, split.test.photos).astype(np.float32)
    agreement = Agreement.of(head.project_texts(train.texts), own, train.verdicts)

    def ranked(trust: Callable[[Float32Array], NDArray[np.float64]]) -> NDArray[np.float64]:
        scores = []
        for text in texts:
            inherited = probe.inherited(text, trust(text))
            scores.append(inherited.scores(vectors, labels) if inherited else vectors @ text)
        shown, known = split.test.targets[:, columns], split.test.known[:, columns]
        return average_precisions(np.stack(scores, 1).astype(np.float64), shown, known)

    none, full = np.zeros(len(seen)), np.ones(len(seen))
    return {
        "text alone": ranked(lambda _: none),
        "inherited from all labels": ranked(lambda _: full),
        "inherited from labels that agree (the default)": ranked(agreement.with_word),
    }


def main() -> None:
    """Print and write all tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--seeds", type=int, default=2)
    options = parser.parse_args()
    found: dict[str, dict[tuple[str, str], list[float]]] = {
        "partial_lists": {}, "looks": {}, "words": {}
    }  # fmt: skip
    with one_thread_each():
        for split in splits(options.data, options.seeds):
            for hidden in (0.0, 0.3, 0.6):
                for name, value in partial(split, hidden).items():
                    key = f"{split.name}, {hidden:.0%} hidden", name
                    found["partial_lists"].setdefault(key, []).append(value)
            for name, value in looks(split).items():
                found["looks"].setdefault((split.name, name), []).append(value)
            for (kind, name), value in words(split).items():
                found["words"].setdefault((f"{split.name}, {kind}", name), []).append(value)
    figures: dict[str, Figure] = {"seeds": options.seeds}
    for title, cells in found.items():
        figures[title] = rows = [
            {"photos": photos, "method": method, "mAP": f"{np.mean(values):.3f}"}
            for (photos, method), values in cells.items()
        ]
        print(f"\n## {title}\n\n{table(rows)}")
    write("choices", figures)


if __name__ == "__main__":
    main()
