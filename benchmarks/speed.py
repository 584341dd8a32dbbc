"""How fast it is, as ratios against a named alternative in the same run. About three minutes.

    OMP_NUM_THREADS=1 python benchmarks/speed.py [--only embedding evaluation formats]

(1) Embedding photos from files, with each starter: `embed_photos` against plain torch, one photo at
a time, in CPU time; and the share that the image tower reaches of the speed of a matrix product in
its number format on this processor. (2) With the small starter, `evaluate` against the notebooks'
way: the model loaded for each building, and every photo and label embedded again for each question.
(3) Number formats of the small starter, and of a model with the size of CLIP ViT-B/32 and random
weights. Each side is timed in turn; the best of three counts, as other work on a machine only
adds.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch.utils.flop_counter import FlopCounterMode

from machine import Clock, Figure, products, timed, write
from models import make
from photosieve.data.dataset import Dataset
from photosieve.data.photos import decode
from photosieve.decision.cut import NOTEBOOK_CUT
from photosieve.encoders import load_encoder
from photosieve.encoders.efficientnet import Networks, build_image_tower, image_tower, pixels
from photosieve.encoders.embedding import embed_photos
from photosieve.encoders.precision import measure
from photosieve.encoders.protocol import Float32Array
from photosieve.encoders.runtime import Tower
from photosieve.encoders.starter import NETWORKS, Starter, build_text_tower, tokenizer
from photosieve.sieve.sieve import Sieve

ROOT = Path(__file__).resolve().parents[1]
ROUNDS = 3


def main() -> None:
    """Print the parts."""
    parts = {"embedding": embedding, "evaluation": evaluation, "formats": formats}
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=parts, default=[*parts])
    for name in parser.parse_args().only:
        write("speed", parts[name]())


def embedding() -> dict[str, Figure]:
    """Compare with plain torch, and with a matrix product of as many operations."""
    photos = sorted((ROOT / "samples").rglob("*.jpg"))[::6]
    print(f"## Embedding {len(photos)} photos of 480 x 360 from files\n")
    limits = products()
    rows = []
    for name in NETWORKS:
        encoder = Starter(name)
        embed_photos(encoder, photos[:2])  # converts the tower on a machine that has not yet
        plain = tuple(replace(network, int8=False) for network in encoder.networks)
        module = build_image_tower(plain)
        inputs = [pixels(plain, decode(path)) for path in photos]
        with FlopCounterMode(display=False) as counter:
            module(*map(torch.from_numpy, inputs[0]))
        ours, theirs, tower = alternate(
            partial(embed_photos, encoder, photos),
            partial(torch_one_by_one, module, plain, photos),
            partial(drain, image_tower(encoder.networks), inputs),
        )
        precision = "int8" if encoder.networks[0].int8 else "float32"
        least = counter.get_total_flops() / limits[precision]
        rows.append(
            {
                "encoder": f"`{name}`",
                "CPU ms a photo": 1000 * ours.cpu / len(photos),
                "ms on the clock": 1000 * ours.wall / len(photos),
                "torch, CPU ms": 1000 * theirs.cpu / len(photos),
                "times as fast as torch": theirs.cpu / ours.cpu,
                "tower alone, CPU ms": 1000 * tower.cpu / len(photos),
                "% of a matrix product": 100 * least * len(photos) / tower.cpu,
            }
        )
        print(rows[-1], flush=True)
    return {"embedding": rows}


def evaluation() -> dict[str, Figure]:
    """Compare an evaluation with the notebooks' way."""
    train = Dataset.load(ROOT / "samples" / "train")
    buildings = [ROOT / "samples" / "test" / name for name in ("mill-lane-6", "rosewood-villa")]
    sieve = Sieve.fit(train, "starter-small")
    labels = tuple(sieve.labels)
    count = len(Dataset.load(*buildings))
    print(f"## Evaluating 2 buildings of {count} photos with {len(labels)} labels\n")
    ours, theirs = alternate(
        lambda: sieve.evaluate(*buildings), lambda: notebooks_way(buildings, labels), rounds=1
    )
    print(f"evaluate               {ours}")
    print(f"the notebooks' way     {theirs}")
    print(f"ratio                  {theirs.cpu / ours.cpu:6.1f}\n")
    return {"evaluation_ratio": theirs.cpu / ours.cpu}


def formats() -> dict[str, Figure]:
    """Measure number formats as `photosieve models measure` does."""
    print("## Number formats of image towers\n")
    photos = [decode(path) for path in sorted((ROOT / "samples").rglob("*.jpg"))[::5]]
    with tempfile.TemporaryDirectory() as folder:
        # What is converted goes with the model.
        os.environ["PHOTOSIEVE_CACHE"] = f"{folder}/cache"
        make("openai/clip-vit-base-patch32", Path(folder))
        models = {"`starter-small`": "starter-small", "ViT-B/32, random": folder}
        rows: list[dict[str, float | str]] = [
            {
                "model": name,
                "format": found.name,
                "CPU ms a photo": found.milliseconds,
                "memory, MB": found.megabytes,
                "cosine to float32": found.cosine,
                "centered": found.centered_cosine,
            }
            for name, model in models.items()
            for found in measure(load_encoder(model), photos)
        ]
    print(*rows, sep="\n", flush=True)
    return {"formats": rows}


def torch_one_by_one(tower: torch.nn.Module, networks: Networks, photos: list[Path]) -> None:
    """Embed photos the plain way."""
    for path in photos:
        torch_features(tower, networks, path)


def drain(tower: Tower, inputs: list[Sequence[NDArray[np.uint8]]]) -> None:
    """Run a tower."""
    for _ in tower(inputs):
        pass


def torch_features(tower: torch.nn.Module, networks: Networks, path: Path) -> Float32Array:
    """Features of one photo the plain way, (1, p)."""
    with Image.open(path) as photo:
        squares = pixels(networks, photo.convert("RGB"))
    with torch.no_grad():
        features: torch.Tensor = tower(*map(torch.from_numpy, squares))
    return features.numpy()


def notebooks_way(buildings: list[Path], labels: tuple[str, ...]) -> None:
    """Ask each label in each building as the notebooks do: load, embed all again, cut."""
    encoder = Starter("starter-small-float32")
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


def alternate(*calls: Callable[[], object], rounds: int = ROUNDS) -> list[Clock]:
    """Time calls in turn; return the round of each with the least CPU time."""
    found = [[timed(call) for call in calls] for _ in range(rounds)]
    return [min(each, key=lambda clock: clock.cpu) for each in zip(*found, strict=True)]


if __name__ == "__main__":
    main()
