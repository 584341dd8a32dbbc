"""How fast a model of CLIP's size is trained, against a plain loop in the same run.

    python benchmarks/training.py [--rounds 1] [--long]

The model has the size of CLIP ViT-B/32 and random weights: speed does not depend on their values.
The plain loop does what the notebooks do: in every epoch it opens each photo, prepares it and runs
all of the model, whatever is trained. Ours decodes once, runs what is frozen once, and keeps what
enters the first trained block. Both take batches of 8 (photo, label) pairs of the sample listings
and the same loss. (1) Seconds of a step and the most memory, by what is trained; (2) photos
embedded per CPU second; or, with --long, (3) a whole training of 100 epochs with the last block.
Each measurement has a process of its own, the two sides in turn; what counts is the median ratio of
CPU seconds. A round takes two to three minutes, the whole training four.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any, cast

import numpy as np
import torch
import transformers
from numpy.typing import NDArray
from PIL import Image
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from machine import Clock, Figure, clock, table, timed, write
from photosieve.data.dataset import Dataset
from photosieve.encoders import load_encoder
from photosieve.encoders.blocks.opening import open_blocks
from photosieve.encoders.embedding import embed_photos
from photosieve.encoders.protocol import Head
from photosieve.training.features import Prepared, prepare
from photosieve.training.fit import fit
from photosieve.training.recipe import ALL, Recipe
from photosieve.training.recipes import get_recipe
from photosieve.training.run import Run

transformers.utils.logging.disable_progress_bar()  # type: ignore[no-untyped-call]

ROOT = Path(__file__).resolve().parents[1]
BATCH = 8
PAIRS = 360
EPOCHS = 3
PARTS = {
    "the last block of each tower": "clip-freeze-1",
    "the last 2 blocks": "clip-freeze-2",
    "everything": "clip-8",
}
START, END = 49406, 49407
"""CLIP's marks around a text, as its configuration has them."""


def main() -> None:
    """Print and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--long", action="store_true", help="measure the whole training instead")
    options = parser.parse_args()
    dataset, _ = samples()
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
    print(f"{len(dataset)} photos, {PAIRS} (photo, label) pairs, batches of {BATCH}, {device}\n")
    with tempfile.TemporaryDirectory() as folder:
        make_model(Path(folder), dataset)
        if options.long:
            found = alone(train_long, folder, "clip-freeze-1")
            print(f"100 epochs with the last block: {Clock(found['wall'], found['cpu'])}")
            write("training", {"long_cpu_seconds": found["cpu"], "long_seconds": found["wall"]})
            return
        rows = [steps(folder, part, recipe, options.rounds) for part, recipe in PARTS.items()]
        print(table(rows), flush=True)
        ours, theirs = in_turn(embed_ours, embed_plainly, folder, "", options.rounds)
    rates = [median(run["rate"] for run in runs) for runs in (ours, theirs)]
    ratio = median(a["rate"] / b["rate"] for a, b in zip(ours, theirs, strict=True))
    print(f"\nembedding: {rates[0]:.1f} photos/CPU s, plain {rates[1]:.1f}, ratio {ratio:.1f}")
    embedding: dict[str, Figure] = {
        "photos_a_cpu_second": rates[0], "plain_photos_a_cpu_second": rates[1], "ratio": ratio
    }  # fmt: skip
    write("training", {"steps": rows, **embedding})


def steps(folder: str, part: str, recipe: str, rounds: int) -> dict[str, float | str]:
    """Compare the steps of a training."""
    ours, theirs = in_turn(train_ours, train_plainly, folder, recipe, rounds)
    return {
        "trained": part,
        "plain, CPU s a step": median(run["cpu"] for run in theirs),
        "photosieve, CPU s a step": median(run["cpu"] for run in ours),
        "ratio": median(b["cpu"] / a["cpu"] for a, b in zip(ours, theirs, strict=True)),
        "plain, s on the clock": median(run["wall"] for run in theirs),
        "photosieve, s on the clock": median(run["wall"] for run in ours),
        "plain, GiB": max(run["memory"] for run in theirs),
        "photosieve, GiB": max(run["memory"] for run in ours),
        "before the first epoch, CPU s": median(run["before"] for run in ours),
    }


def samples() -> tuple[Dataset, NDArray[np.bool_]]:
    """All sample listings, and 360 of their (photo, label) pairs, (photos, labels)."""
    dataset = Dataset.load(ROOT / "samples")
    pairs = np.argwhere(dataset.matrix())
    chosen = np.random.default_rng(0).permutation(len(pairs))[:PAIRS]
    kept = np.zeros(dataset.matrix().shape, bool)
    kept[tuple(pairs[chosen].T)] = True
    return dataset, kept


def make_model(folder: Path, dataset: Dataset) -> None:
    """Save a CLIP of random weights, with a tokenizer that knows the labels."""
    torch.manual_seed(0)
    transformers.CLIPModel(transformers.CLIPConfig()).save_pretrained(folder)
    save_tokenizer(folder, dataset.vocabulary)
    cast(Any, transformers.CLIPImageProcessorPil)().save_pretrained(folder)


def save_tokenizer(
    folder: Path, labels: Sequence[str], ends: tuple[int, int] = (START, END), length: int = 77
) -> None:
    """Save a tokenizer that knows the words of labels."""
    start, end = ends
    words = sorted({word for label in labels for word in label.lower().split()})
    known = {"<unk>": 0} | {word: number for number, word in enumerate(words, start=1)}
    inner = Tokenizer(models.WordLevel(known | {"<start>": start, "<end>": end}, "<unk>"))
    inner.normalizer = normalizers.Lowercase()
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    inner.post_processor = processors.TemplateProcessing(
        single="<start> $A <end>", special_tokens=[("<start>", start), ("<end>", end)]
    )
    cast(Any, transformers.PreTrainedTokenizerFast)(
        tokenizer_object=inner, pad_token="<end>", unk_token="<unk>", model_max_length=length
    ).save_pretrained(folder)


def train_ours(folder: str, recipe: str) -> dict[str, float]:
    """Seconds of a step, median over epochs after the first, which warms up."""
    chosen = get_recipe(recipe)
    with clock() as before:
        data, head = prepared(folder, chosen)
    if chosen.blocks == ALL and not torch.cuda.is_available():  # some photos will do: it is slow
        data = data.rows(np.arange(12))
    times: list[tuple[float, float]] = []

    def note(*_: object) -> None:
        times.append((time.perf_counter(), time.process_time()))

    fit(data, head, Run(chosen, progress=note).lasting(EPOCHS + 1))
    count = -(-int(data.targets.sum()) // BATCH)
    wall, cpu = np.median(np.diff(times, axis=0), axis=0) / count
    return {"wall": wall, "cpu": cpu, "before": before.cpu, "memory": peak()}


def prepared(folder: str, recipe: Recipe) -> tuple[Prepared, Head]:
    """Read the photos through what is frozen."""
    dataset, kept = samples()
    encoder = open_blocks(load_encoder(folder), recipe.blocks, recipe.lora_rank, trains_text=True)
    return replace(prepare(encoder, dataset), targets=kept), encoder.head


def train_plainly(folder: str, recipe: str) -> dict[str, float]:
    """Seconds of a step of the notebooks' loop, after one to warm up."""
    blocks = get_recipe(recipe).blocks
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = cast(Any, transformers.CLIPModel).from_pretrained(folder).to(device)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    processor = cast(Any, transformers.CLIPImageProcessorPil).from_pretrained(folder)
    if blocks != ALL:
        model.requires_grad_(False)
        layers = [
            tower.encoder.layers[-blocks:] for tower in (model.vision_model, model.text_model)
        ]
        for part in (*layers, model.visual_projection, model.text_projection):
            part.requires_grad_(True)
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=5e-6)
    dataset, kept = samples()
    rows, columns = np.nonzero(kept)
    order = np.random.default_rng(0).permutation(len(rows))
    count = 4 if blocks == ALL else 8
    for step in range(count + 1):
        if step == 1:
            started, used = time.perf_counter(), time.process_time()
        batch = order[BATCH * step : BATCH * (step + 1)]
        photos = [Image.open(dataset.photos[row]).convert("RGB") for row in rows[batch]]
        labels = [dataset.vocabulary[column] for column in columns[batch]]
        inputs = dict(tokenizer(labels, padding=True, return_tensors="pt"))
        pixels = processor(images=photos, return_tensors="pt")["pixel_values"]
        keys = ("input_ids", "attention_mask")
        logits = model(
            **{key: inputs[key].to(device) for key in keys}, pixel_values=pixels.to(device)
        ).logits_per_image
        targets = torch.arange(len(batch), device=device)
        loss = torch.nn.functional.cross_entropy(logits, targets)
        loss = (loss + torch.nn.functional.cross_entropy(logits.T, targets)) / 2
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        float(loss.detach())  # waits for a graphics card
    wall, cpu = time.perf_counter() - started, time.process_time() - used
    return {"wall": wall / count, "cpu": cpu / count, "memory": peak()}


def train_long(folder: str, recipe: str) -> dict[str, float]:
    """Seconds of a whole training, from files to weights."""
    chosen = get_recipe(recipe)
    took = timed(lambda: fit(*prepared(folder, chosen), Run(chosen)))
    return {"wall": took.wall, "cpu": took.cpu}


def embed_ours(folder: str, _: str) -> dict[str, float]:
    """Photos embedded per CPU second, from files."""
    encoder, photos = load_encoder(folder), list(samples()[0].photos)
    embed_photos(encoder, photos[:2])
    return {"rate": len(photos) / timed(lambda: embed_photos(encoder, photos)).cpu}


def embed_plainly(folder: str, _: str) -> dict[str, float]:
    """Do the same in torch, one photo at a time."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = cast(Any, transformers.CLIPModel).from_pretrained(folder).to(device).eval()
    processor = cast(Any, transformers.CLIPImageProcessorPil).from_pretrained(folder)
    photos = samples()[0].photos[:40]
    with clock() as took:
        for path in photos:
            pixels = processor(images=Image.open(path).convert("RGB"), return_tensors="pt")
            with torch.no_grad():
                found = model.get_image_features(pixel_values=pixels["pixel_values"].to(device))
            found.pooler_output.cpu()
    return {"rate": len(photos) / took.cpu}


Measure = Callable[[str, str], dict[str, float]]


def in_turn(
    ours: Measure, theirs: Measure, folder: str, recipe: str, rounds: int
) -> tuple[list[dict[str, float]], list[dict[str, float]]]:
    """Measure two sides in turn, each time in a new process."""
    found: tuple[list[dict[str, float]], list[dict[str, float]]] = ([], [])
    for _ in range(rounds):
        for measure, runs in zip((ours, theirs), found, strict=True):
            runs.append(alone(measure, folder, recipe))
    return found


def alone(measure: Measure, folder: str, recipe: str) -> dict[str, float]:
    """Measure in a process of its own."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(measure, folder, recipe).result()


def peak() -> float:
    """Most memory that this process has held, GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


if __name__ == "__main__":
    main()
