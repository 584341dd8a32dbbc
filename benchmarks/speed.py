"""How fast it is, as ratios against a named alternative in the same run. About three minutes.

    OMP_NUM_THREADS=1 python benchmarks/speed.py [--only embedding large evaluation]

(1) Embedding photos from files, with each starter, and with a model of the size of CLIP ViT-B/32:
`embed_photos` against plain torch, one photo at a time, in CPU time; and the share that the image
tower reaches of the speed of a matrix product in its number format on this processor. The same for
photos of 12 megapixels, and how long it takes to decode these. (2) With the small starter,
`evaluate` against the notebooks' way: the model loaded for each building, and every photo and label
embedded again for each question. Each side is timed in turn; the best of three counts, as other
work on a machine only adds. Number formats are measured by `photosieve models measure`.

Instructions beyond AVX2 are left unused, and figures written to a file of their own, with

    ONEDNN_MAX_CPU_ISA=AVX2 ATEN_CPU_CAPABILITY=avx2 OMP_NUM_THREADS=1 python benchmarks/speed.py
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from PIL import Image
from torch.utils.flop_counter import FlopCounterMode

from machine import Clock, Figure, isa_suffix, products, timed, write
from models import make
from photosieve.data.dataset import Dataset
from photosieve.data.photos import decode
from photosieve.decision.cut import NOTEBOOK_CUT
from photosieve.encoders import STARTERS
from photosieve.encoders.efficientnet import Networks, build_image_tower, image_tower, pixels
from photosieve.encoders.embedding import embed_photos
from photosieve.encoders.hub import load_hub
from photosieve.encoders.model import PHOTOS
from photosieve.encoders.protocol import Encoder, Float32Array
from photosieve.encoders.runtime import Tower
from photosieve.encoders.starter import NETWORKS, Starter, build_text_tower, tokenizer
from photosieve.encoders.towers import WholeTower
from photosieve.sieve.sieve import Sieve
from scale import large_photos

ROOT = Path(__file__).resolve().parents[1]
ROUNDS = 3


def main() -> None:
    """Print the parts."""
    parts = {"embedding": embedding, "large": large, "evaluation": evaluation}
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=parts, default=[*parts])
    for name in parser.parse_args().only:
        write(f"speed{isa_suffix()}", parts[name]())


def embedding() -> dict[str, Figure]:
    """Compare with plain torch, and with a matrix product of as many operations."""
    photos = sorted((ROOT / "samples").rglob("*.jpg"))[::6]
    print(f"## Embedding {len(photos)} photos of 480 x 360 from files\n")
    limits = products()
    rows = []
    for name, encoder, plain, tower_of_ours, precision in contenders():
        embed_photos(encoder, photos[:2])  # converts the tower on a machine that has not yet
        inputs = [plain.prepare(decode(path)) for path in photos]
        with FlopCounterMode(display=False) as counter:
            plain.run(inputs[0])
        ours, theirs, tower = alternate(
            partial(embed_photos, encoder, photos),
            partial(torch_one_by_one, plain, photos),
            partial(drain, tower_of_ours, inputs),
        )
        least = counter.get_total_flops() / limits[precision]
        rows.append(
            {
                "encoder": name,
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


@dataclass(frozen=True)
class Plain:
    """A tower in plain torch.

    Parameters
    ----------
    module : Module
    prepare : callable
        Makes its inputs of a photo.
    """

    module: torch.nn.Module
    prepare: Callable[[Image.Image], Sequence[NDArray[Any]]]

    def run(self, inputs: Sequence[NDArray[Any]]) -> None:
        """Run it on one photo."""
        with torch.no_grad():
            self.module(*map(torch.from_numpy, inputs))


def contenders() -> Iterator[tuple[str, Encoder, Plain, Tower, str]]:
    """Give each encoder: its name, itself, torch's tower, its own tower, its number format."""
    for name, networks in NETWORKS.items():
        networks32 = tuple(replace(network, int8=False) for network in networks)
        plain = Plain(build_image_tower(networks32), partial(pixels, networks32))
        precision = "int8" if networks[0].int8 else "float32"
        yield f"`{name}`", Starter(name), plain, image_tower(networks), precision
    with tempfile.TemporaryDirectory() as folder, cache_in(folder):
        make("openai/clip-vit-base-patch32", Path(folder, "model"))
        for precision in ("float32", "int8"):
            encoder = load_hub(f"{folder}/model", int8=precision == "int8")
            trunk = encoder.trunk
            module = WholeTower(encoder.model.load(PHOTOS), PHOTOS, tuple(trunk.examples[PHOTOS]))
            plain = Plain(module.eval(), trunk.prepare)
            yield f"ViT-B/32 in {precision}", encoder, plain, trunk.photos, precision


@contextmanager
def cache_in(folder: str) -> Iterator[None]:
    """Keep what is converted with a model that is soon removed."""
    before = os.environ.get("PHOTOSIEVE_CACHE")
    os.environ["PHOTOSIEVE_CACHE"] = f"{folder}/cache"
    try:
        yield
    finally:
        os.environ.pop("PHOTOSIEVE_CACHE")
        if before is not None:
            os.environ["PHOTOSIEVE_CACHE"] = before


def torch_one_by_one(plain: Plain, photos: list[Path]) -> None:
    """Embed photos the plain way."""
    for path in photos:
        with Image.open(path) as photo:
            plain.run(plain.prepare(photo.convert("RGB")))


def large() -> dict[str, Figure]:
    """Compare photos of 12 megapixels with small ones, and ways to decode them."""
    small = sorted((ROOT / "samples").rglob("*.jpg"))[:8]
    print(f"## {len(small)} photos of 12 megapixels\n")
    rows: list[dict[str, float | str]] = []
    with tempfile.TemporaryDirectory() as folder:
        photos = large_photos(Path(folder, "photos"), len(small))
        for name in STARTERS:
            encoder = Starter(name)
            embed_photos(encoder, small[:2])
            few, many = alternate(
                partial(embed_photos, encoder, small), partial(embed_photos, encoder, photos)
            )
            side = encoder.shortest_side
            whole, least = alternate(
                partial(decoded, photos, side), partial(decoded, photos, 1), rounds=2 * ROUNDS
            )
            rows.append(
                {
                    "encoder": f"`{name}`",
                    "small photos, CPU ms": 1000 * few.cpu / len(small),
                    "12 megapixels, CPU ms": 1000 * many.cpu / len(small),
                    "ratio": many.cpu / few.cpu,
                    "of it decoding": 1000 * whole.cpu / len(small),
                    "decoding to 1/8": 1000 * least.cpu / len(small),
                }
            )
            print(rows[-1], flush=True)
    return {"large": rows}


def decoded(photos: list[Path], side: int) -> None:
    """Decode photos, as small as this side permits."""
    for path in photos:
        decode(path, shortest_side=side)


def drain(tower: Tower, inputs: list[Sequence[NDArray[Any]]]) -> None:
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
