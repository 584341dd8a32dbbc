"""Choices behind the default recipe, each against what else was tried. Takes about five minutes.

    python benchmarks/choices.py [--data FOLDER] [--seeds 3]

Mean average precision of labels on photos of other buildings, with the default settings of the
probe: (1) partial lists: 0, 30 and 60 % of the labels of the training photos are hidden, and what a
list leaves out is taken for "no", is masked, or counts as far as a careful probe finds it
improbable (the default); (2) more looks at a photo: its score alone, the mean of the scores of six
views, and the log-sum-exp of the scores of photo and four corners.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from photosieve.data.dataset import Dataset
from photosieve.decision.metrics import mean_average_precision
from photosieve.encoders import load_encoder
from photosieve.encoders.protocol import Encoder, Float32Array
from photosieve.training.features import Prepared, prepare
from photosieve.training.parallel import one_thread_each
from photosieve.training.probe import Probe, ProbeSettings, Problem
from quality_sets import DATA, ROOT

SETTINGS = ProbeSettings(1.0, 1e-3)
"""Those that are chosen out of fold on both sets, or nearly."""


@dataclass(frozen=True)
class Split:
    """Training photos and test photos of one set, with the vectors of an encoder."""

    name: str
    encoder: Encoder
    train: Prepared
    test: Prepared

    def fit(
        self,
        targets: NDArray[np.bool_],
        known: NDArray[np.bool_],
        silent: NDArray[np.bool_],
    ) -> Probe:
        """Fit a probe with other labels than those of the training photos."""
        head, data = self.encoder.head, self.train
        vectors, texts = head.project_photos(data.photos), head.project_texts(data.texts)
        return Problem.of(data.photos, vectors, texts, targets, known, silent).solve(SETTINGS)

    def scores(self, probe: Probe, photos: Float32Array) -> NDArray[np.float64]:
        """Scores of features of photos, (n, labels)."""
        return probe.scores(photos, self.encoder.head.project_photos(photos)).astype(np.float64)

    def quality(self, scores: NDArray[np.float64]) -> float:
        """Mean average precision of scores of the test photos."""
        return mean_average_precision(scores, self.test.targets, self.test.known)


def splits(data: Path, seeds: int) -> Iterator[Split]:
    """Give the samples, and real listings: in each of three parts tested once a seed."""
    encoder = load_encoder("starter")
    train = prepare(encoder, Dataset.load(ROOT / "samples" / "train"), more_views=True)
    test = Dataset.load(ROOT / "samples" / "test")
    yield Split(
        "samples", encoder, train, prepare(encoder, test, labels=train.labels, more_views=True)
    )
    if not (data / "listings").is_dir():
        print(f"listings left out: there is no folder {data / 'listings'}")
        return
    everything = prepare(encoder, Dataset.load(data / "listings"), more_views=True)
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


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    found: dict[str, dict[tuple[str, str], list[float]]] = {"partial lists": {}, "looks": {}}
    with one_thread_each():
        for split in splits(options.data, options.seeds):
            for hidden in (0.0, 0.3, 0.6):
                for name, value in partial(split, hidden).items():
                    key = f"{split.name}, {hidden:.0%} hidden", name
                    found["partial lists"].setdefault(key, []).append(value)
            for name, value in looks(split).items():
                found["looks"].setdefault((split.name, name), []).append(value)
    for title, table in found.items():
        print(f"\n## {title}\n\n| photos | method | mAP |\n|---|---|---:|")
        for (photos, method), values in table.items():
            print(f"| {photos} | {method} | {np.mean(values):.3f} |")


if __name__ == "__main__":
    main()
