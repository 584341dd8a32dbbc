"""How fast it is, as ratios against a named alternative in the same run. About three minutes.

    python benchmarks/speed.py

(1) Embedding photos from files, with each starter: `embed_photos` against plain torch, one photo at
a time. (2) With the small starter, `evaluate` against the notebooks' way: the model loaded for each
building, and every photo and label embedded again for each question. Each side is timed in turn,
three times; the median of the ratios is what counts, as absolute figures vary from machine to
machine and from minute to minute. (3) What bfloat16 would give the small starter, and cost.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Literal

import numpy as np
import torch
from PIL import Image

from photosieve.data.dataset import Dataset
from photosieve.data.photos import decode
from photosieve.decision.cut import NOTEBOOK_CUT
from photosieve.encoders import STARTERS
from photosieve.encoders.efficientnet import Networks, build_image_tower, image_tower, pixels
from photosieve.encoders.embedding import embed_photos
from photosieve.encoders.protocol import Float32Array
from photosieve.encoders.starter import Starter, build_text_tower, tokenizer
from photosieve.sieve.sieve import Sieve

ROOT = Path(__file__).resolve().parents[1]
ROUNDS = 3


def main() -> None:
    """Print the three parts."""
    train = Dataset.load(ROOT / "samples" / "train")
    test = ROOT / "samples" / "test"
    photos = [*train.photos, *Dataset.load(test).photos]
    for name in STARTERS:
        print(f"## Embedding {len(photos)} photos of 480 x 360 from files with {name}\n")
        print_embedding(Starter(name), photos)

    buildings = [test / "mill-lane-6", test / "rosewood-villa"]
    sieve = Sieve.fit(train, "starter-small")
    labels = tuple(sieve.labels)
    count = len(Dataset.load(*buildings))
    print(f"## Evaluating 2 buildings of {count} photos with {len(labels)} labels\n")
    ours, theirs = alternate(
        lambda: sieve.evaluate(*buildings), lambda: notebooks_way(buildings, labels), rounds=1
    )
    print(f"evaluate               {median(ours):6.1f} s")
    print(f"the notebooks' way     {median(theirs):6.1f} s")
    print(f"ratio                  {ratio(ours, theirs):6.1f}\n")

    print("## The image tower in bfloat16, where the processor has it\n")
    print_bfloat16(photos)


def print_embedding(encoder: Starter, photos: list[Path]) -> None:
    """Compare speed with plain torch."""
    embed_photos(encoder, photos[:2])  # converts the tower on a machine that has not yet
    tower = build_image_tower(encoder.networks)

    def plain() -> None:
        for path in photos:
            torch_features(tower, encoder.networks, path)

    ours, theirs = alternate(lambda: embed_photos(encoder, photos), plain)
    print(f"embed_photos           {len(photos) / median(ours):6.1f} photos/s")
    print(f"torch, one at a time   {len(photos) / median(theirs):6.1f} photos/s")
    print(f"ratio                  {ratio(ours, theirs):6.1f}\n")


def torch_features(tower: torch.nn.Module, networks: Networks, path: Path) -> Float32Array:
    """Features of one photo the plain way, (1, p)."""
    with Image.open(path) as photo:
        squares = pixels(networks, photo.convert("RGB"))
    with torch.no_grad():
        features: torch.Tensor = tower(*map(torch.from_numpy, squares))
    return features.numpy()


def notebooks_way(buildings: list[Path], labels: tuple[str, ...]) -> None:
    """Ask each label in each building as the notebooks do: load, embed all again, cut."""
    encoder = Starter("starter-small")
    for building in buildings:
        images, texts = build_image_tower(encoder.networks), build_text_tower()
        dataset = Dataset.load(building)
        for label in labels:
            encoded = tokenizer().encode_batch([label])[0]
            scores = []
            for path in dataset.photos:
                ids, mask = torch.tensor([encoded.ids]), torch.tensor([encoded.attention_mask])
                with torch.no_grad():
                    text = encoder.head.project_texts(texts(ids, mask).numpy())
                features = torch_features(images, encoder.networks, path)
                photo = encoder.head.project_photos(features)
                scores.append(float(photo[0] @ text[0]))
            NOTEBOOK_CUT.keep(scores)


def print_bfloat16(photos: list[Path]) -> None:
    """Compare speed and embeddings of the image tower in float32 and bfloat16."""
    encoder = Starter("starter-small")
    decoded = [decode(path, shortest_side=encoder.shortest_side) for path in photos]
    inputs = [pixels(encoder.networks, photo) for photo in decoded]
    vectors: dict[str, Float32Array] = {}

    def run(precision: Literal["f32", "bf16"]) -> None:
        features = np.concatenate(list(image_tower(encoder.networks, precision)(inputs)))
        vectors[precision] = encoder.head.project_photos(features)

    half, full = alternate(lambda: run("bf16"), lambda: run("f32"))
    cosines = (vectors["f32"] * vectors["bf16"]).sum(1)
    print(f"speed against float32  {ratio(half, full):6.2f}")
    print(f"cosine to float32      {cosines.min():6.4f} lowest, {np.median(cosines):.4f} median")


def alternate(
    ours: Callable[[], object], theirs: Callable[[], object], rounds: int = ROUNDS
) -> tuple[list[float], list[float]]:
    """Time two calls in turn; return the seconds of each."""
    seconds: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for call, record in zip((ours, theirs), seconds, strict=True):
            started = time.perf_counter()
            call()
            record.append(time.perf_counter() - started)
    return seconds


def ratio(ours: list[float], theirs: list[float]) -> float:
    """Median of how many times as long theirs took."""
    return median(b / a for a, b in zip(ours, theirs, strict=True))


if __name__ == "__main__":
    main()
