"""How long a training takes beyond the embedding of its photos. Less than a minute.

    python benchmarks/learning.py

A whole training with the default recipe, from the import of the product to the saved sieve: of the
sample listings with the starter, and of 500 photos with 100 labels, whose vectors are drawn from a
mixture with noise. Each has a process of its own.
"""

from __future__ import annotations

import json
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from machine import write
from photosieve.data.dataset import Dataset
from photosieve.encoders import load_encoder
from photosieve.encoders.embedding import photo_features
from photosieve.encoders.protocol import Encoder
from photosieve.encoders.vectors import VectorEncoder
from photosieve.encoders.words import general_words
from photosieve.report.history import write_training
from photosieve.sieve.sieve import Sieve
from photosieve.training.features import assemble
from photosieve.training.prompting import prompted
from photosieve.training.recipes import get_recipe
from photosieve.training.run import Run

SAMPLES = Path(__file__).resolve().parents[1] / "samples"

WIDTH = 512
BUILDING = 12
"""Photos in each building that is drawn."""

Row = dict[str, float | str]


def main() -> None:
    """Measure, print, and write the figures."""
    rows: list[Row] = []
    for measure in (of_samples, of_vectors):
        with (
            tempfile.TemporaryDirectory() as folder,
            ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool,
        ):
            started = time.perf_counter()
            rows.append(pool.submit(measure, Path(folder)).result())
        for name, value in rows[-1].items():
            print(f"{name}: {value if isinstance(value, str) else f'{value:.4g}'}")
        print(f"in all, s on the clock: {time.perf_counter() - started:.0f}\n")
    write("learning", {"trainings": rows})


def of_samples(folder: Path) -> Row:
    """Train on the sample listings."""
    return _train("samples, starter", Dataset.load(SAMPLES / "train"),
                  lambda: load_encoder("starter"), folder)  # fmt: skip


def of_vectors(folder: Path) -> Row:
    """Train on 500 photos and 100 labels."""
    dataset, encoder = drawn(folder, photos=500, labels=100)
    return _train("vectors", dataset, lambda: encoder, folder)


def drawn(folder: Path, photos: int, labels: int) -> tuple[Dataset, Encoder]:
    """Make photos of one to five labels, some of which are common, and their vectors."""
    rng = np.random.default_rng(0)
    words = general_words()
    shared = rng.normal(size=WIDTH)
    texts = {word: rng.normal(size=WIDTH) + 0.5 * shared for word in words}
    texts = {word: text / np.linalg.norm(text) for word, text in texts.items()}
    names = [words[number] for number in rng.choice(len(words), labels, replace=False)]
    noise = rng.normal(size=(labels + 2 * photos + 1, WIDTH)) / np.sqrt(WIDTH)
    looks = 0.3 * np.stack([texts[name] for name in names]) + 0.7 * noise[:labels]
    vectors, entries = {}, dict[Path, dict[str, list[str]]]()
    for photo in range(photos):
        building = folder / f"home-{photo // BUILDING:03}"
        building.mkdir(exist_ok=True)
        path = building / f"{photo}.jpg"
        Image.new("RGB", (64, 64), (photo % 256, photo // 256, 0)).save(path)
        count = rng.integers(1, 6)
        common, others = rng.zipf(1.3, count) - 1, rng.integers(0, labels, count)
        shown = np.unique(np.where(rng.random(count) < 0.5, common, others) % labels)
        home = noise[labels + photos + photo // BUILDING]
        vectors[path] = (
            1.5 * noise[-1] + 0.4 * home + looks[shown].sum(0) + 3 * noise[labels + photo]
        )
        entries.setdefault(building, {})[path.name] = [names[label] for label in shown]
    for building, labeled in entries.items():
        (building / "train_labels.json").write_text(json.dumps(labeled), "utf-8")
    return Dataset.load(folder, training=True), VectorEncoder("drawn", vectors, texts)


def _train(name: str, dataset: Dataset, load: Callable[[], Encoder], folder: Path) -> Row:
    """Train and save; CPU seconds are those of the process but for the making of photos."""
    before = time.process_time()
    encoder = load()
    found = photo_features(encoder, dataset.photos)
    embedding = time.process_time() - before
    data = assemble(encoder, dataset, found, dataset.vocabulary)
    recipe = get_recipe()
    sieve = Sieve.fit_prepared(*prompted(encoder, data, recipe), Run(recipe))
    sieve.save(folder / "sieve")
    write_training(sieve.history, folder / "sieve")
    used = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "what": name,
        "photos": len(dataset),
        "labels": len(dataset.vocabulary),
        "embedding, CPU s": embedding,
        "the rest, CPU s": time.process_time() - before - embedding,
        "peak, MiB": used.ru_maxrss / 2**10,
        "out-of-fold macro F1": sieve.tuning.figures["f1"],
    }


if __name__ == "__main__":
    main()
