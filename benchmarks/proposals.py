"""Which photos to label next, and how good the guesses are: the tables in docs/service.md.

    python benchmarks/proposals.py [--listings FOLDER] [--seeds 20]

Somebody labels 120 photos of real listings, 12 at a time, as each strategy proposes them. After
each step a probe learns from the photos labeled so far and ranks photos of other listings, a third
that is drawn anew for each seed. Takes about two minutes; many small matrix products are fastest
with OMP_NUM_THREADS=1.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from machine import table, write
from photosieve.data.dataset import Dataset
from photosieve.decision import metrics
from photosieve.encoders import load_encoder
from photosieve.encoders.head import unit
from photosieve.encoders.protocol import Float32Array
from photosieve.server.guesses import guess, guess_by_words
from photosieve.server.proposals import propose
from photosieve.server.service import MOST_DENIALS
from photosieve.sieve.untrained import untrained
from photosieve.training.features import prepare
from photosieve.training.probe import Probe, ProbeSettings, Problem

ROOT = Path(__file__).resolve().parents[1]
LISTINGS = ROOT.parent / "shared" / "data" / "listings"
STEP, MOST = 12, 120
EARLY = (1, 3, 6, 12, 24, 48, 96)
SETTINGS = ProbeSettings(1.0, 3e-3)
"""Of the probes that judge a choice; training chooses nearly the same on these listings."""

Rows = NDArray[np.intp]
Choose = Callable[[Rows, Rows, Probe | None, np.random.Generator], Rows]
"""Rows to label next, of the rows to choose from, given those labeled and what they taught."""


@dataclass(frozen=True)
class Photos:
    """All listings: features, vectors, labels of photos, and vectors and words of the labels."""

    features: Float32Array
    vectors: Float32Array
    targets: NDArray[np.bool_]
    groups: Rows
    texts: Float32Array
    words: NDArray[np.bool_]
    """Whether an untrained sieve finds each label on each photo, (n, labels)."""

    @classmethod
    def load(cls, folder: Path) -> Photos:
        """Embed the listings of a folder."""
        data = prepare(load_encoder("starter"), Dataset.load(folder))
        sieve = untrained(data.dataset.photos)
        scorer, photos = sieve.scorer, sieve.scorer.embed_photos(data.photos)
        words = [scorer.probability(scorer.read_word(label), photos) for label in data.labels]
        return cls(
            features=data.photos,
            vectors=photos.vectors,
            targets=data.targets,
            groups=np.unique(data.dataset.groups, return_inverse=True)[1],
            texts=scorer.embed(data.labels),
            words=np.stack(words, axis=1) >= sieve.cut.floor,
        )

    def learn(self, rows: Rows) -> Probe:
        """Fit the probe of the default recipe, with fixed settings."""
        targets = self.targets[rows]
        own = self.features[rows], self.vectors[rows]
        return Problem.of(
            *own, self.texts, targets, np.ones_like(targets), np.zeros_like(targets)
        ).solve(SETTINGS)

    def quality(self, probe: Probe, rows: Rows) -> float:
        """Mean average precision over the labels of some photos."""
        scores = probe.scores(self.features[rows], self.vectors[rows])
        columns = zip(scores.T, self.targets[rows].T, strict=True)
        return float(metrics.mean([metrics.average_precision(*column) for column in columns]))

    def split(self, seed: int) -> tuple[Rows, Rows]:
        """Return rows to choose from, and rows to test on: other listings."""
        listings = np.random.default_rng(seed).permutation(self.groups.max() + 1)
        test = np.isin(self.groups, listings[: len(listings) // 3])
        return np.flatnonzero(~test), np.flatnonzero(test)


def strategies(photos: Photos) -> dict[str, Choose]:
    """Return all strategies by name."""
    vectors, groups = photos.vectors, photos.groups
    plain = np.zeros_like(groups)

    def proposed(left: Rows, labeled: Rows, _: Probe | None, __: np.random.Generator) -> Rows:
        own = vectors[left], groups[left], vectors[labeled], groups[labeled]
        return left[propose(*own, STEP)]

    def farthest(
        space: Callable[[Rows], Float32Array], groups: Rows, doubt: bool = False
    ) -> Choose:
        def choose(left: Rows, labeled: Rows, probe: Probe | None, _: np.random.Generator) -> Rows:
            places = space(np.union1d(left, labeled))
            if doubt and probe is not None:  # the half that is closest to a cut
                odds = np.abs(probe.scores(photos.features[left], vectors[left])).min(1)
                left = left[np.argsort(odds, kind="stable")[: max(STEP, len(left) // 2)]]
            return farthest_first(places, groups, left, labeled)

        return choose

    def centered(values: Float32Array) -> Callable[[Rows], Float32Array]:
        return lambda rows: unit(values - values[rows].mean(0))

    return {
        "random": lambda left, _, __, rng: rng.choice(left, STEP, replace=False),
        "random, balanced": lambda left, labeled, _, rng: farthest_first(
            np.zeros((len(vectors), 1), np.float32), groups, rng.permutation(left), labeled
        ),
        "old: doubt, then farthest-first on vectors": farthest(lambda _: vectors, plain, True),
        "farthest-first on vectors": farthest(lambda _: vectors, plain),
        "the same, balanced": farthest(lambda _: vectors, groups),
        "farthest-first on centered vectors": farthest(centered(vectors), plain),
        "the same, balanced ": farthest(centered(vectors), groups),
        "farthest-first on centered features": farthest(centered(photos.features), plain),
        "the same, balanced  ": farthest(centered(photos.features), groups),
        "farthest-first on whitened vectors, balanced (`propose`)": proposed,
    }


def farthest_first(places: Float32Array, groups: Rows, left: Rows, labeled: Rows) -> Rows:
    """Choose as `propose` does, in any space; without balance where all groups are the same."""
    seen = np.bincount(groups[labeled], minlength=groups.max() + 1)
    likeness = places[left] @ places[labeled].T
    nearest = likeness.max(1) if len(labeled) else -(places[left] @ places[left].mean(0))
    chosen: list[int] = []
    for _ in range(min(STEP, len(left))):
        nearest[chosen] = np.inf
        order = np.lexsort((nearest, seen[groups[left]] + len(places) * np.isinf(nearest)))
        chosen.append(int(order[0]))
        seen[groups[left[order[0]]]] += 1
        likeness = places[left] @ places[left[order[0]]]
        first = not len(labeled) and len(chosen) == 1
        nearest = likeness if first else np.maximum(nearest, likeness)
    return left[chosen]


def simulate(photos: Photos, choose: Choose, seed: int) -> list[float]:
    """Label photos step by step; return the quality after each."""
    left, test = photos.split(seed)
    rng, labeled = np.random.default_rng(seed), left[:0]
    probe, found = None, []
    for _ in range(STEP, MOST + 1, STEP):
        chosen = choose(left, labeled, probe, rng)
        labeled, left = np.concatenate([labeled, chosen]), np.setdiff1d(left, chosen)
        probe = photos.learn(labeled)
        found.append(photos.quality(probe, test))
    return found


def guesses(photos: Photos, seeds: int) -> dict[str, list[float]]:
    """Return the micro F1 of guesses for the next photos, by the number of photos labeled."""
    counts: dict[str, NDArray[np.float64]] = {}
    for seed in range(seeds):
        left, _ = photos.split(seed)
        own = photos.vectors[left], photos.groups[left], photos.vectors[:0], photos.groups[:0]
        order = left[propose(*own, max(EARLY) + STEP)]
        for at, number in enumerate(EARLY):
            labeled, new = order[:number], order[number : number + STEP]
            targets, vectors = photos.targets[labeled], photos.vectors
            seen = np.flatnonzero(targets.any(0))
            probe = np.zeros((len(new), targets.shape[1]), bool)
            known = np.ones((number, len(seen)), bool)
            texts = photos.texts[seen]
            if len(seen):  # the first photo may have none of the labels
                odds = guess(vectors[labeled], targets[:, seen], known, texts, vectors[new])
                probe[:, seen] = odds > 0
            both = probe.copy()
            if number < MOST_DENIALS:
                fresh = np.setdiff1d(np.arange(len(photos.texts)), seen)
                both[:, fresh] = guess_by_words(photos.texts[fresh], vectors[left], vectors[new])
            places = unit(vectors[order] - vectors[left].mean(0))
            nearest = (places[number : number + STEP] @ places[:number].T).argmax(1)
            for name, guessed in {
                "the words of the labels": photos.words[new] & targets.any(0),
                "the labels of the most similar photo": targets[nearest],
                "a probe on the photos labeled so far (`guess`)": probe,
                "the same, and words while no photo has a label (Label mode)": both,
            }.items():
                truth = photos.targets[new]
                right, total = (guessed & truth).sum(), guessed.sum() + truth.sum()
                table = counts.setdefault(name, np.zeros((len(EARLY), 2)))
                table[at] += 2 * right, total
    return {name: list(table[:, 0] / table[:, 1]) for name, table in counts.items()}


def main() -> None:
    """Print and write both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--listings", type=Path, default=LISTINGS)
    parser.add_argument("--seeds", type=int, default=20)
    options = parser.parse_args()
    if not options.listings.is_dir():
        print(f"nothing to measure: there is no folder {options.listings}")
        return
    photos = Photos.load(options.listings)
    steps = range(STEP, MOST + 1, STEP)
    base, taught = None, []
    for name, choose in strategies(photos).items():
        found = np.array([simulate(photos, choose, seed) for seed in range(options.seeds)])
        base = found if base is None else base
        more = (found - base).mean(1)
        error = more.std() / np.sqrt(len(more))
        values = {
            str(step): f"{value:.3f}" for step, value in zip(steps, found.mean(0), strict=True)
        }
        above = {
            "mean": f"{found.mean():.3f}",
            "above random": f"{more.mean():+.3f} +- {error:.3f}",
        }
        taught.append({"photos labeled": name.strip(), **values, **above})
    guessed = [
        {"photos labeled": name}
        | {str(count): f"{value:.2f}" for count, value in zip(EARLY, values, strict=True)}
        for name, values in guesses(photos, options.seeds).items()
    ]
    print(f"mAP on other listings, mean of {options.seeds} seeds\n\n{table(taught)}")
    print(f"\nmicro F1 of guesses for the next 12 photos\n\n{table(guessed)}")
    write("proposals", {"seeds": options.seeds, "taught": taught, "guesses": guessed})


if __name__ == "__main__":
    main()
