"""What training costs with a CLIP at full size: the whole command, from cold and again.

    python benchmarks/full_size.py [--recipes probe,clip-freeze-1] [--photos 50] [--minutes 20]
        [--figure NAME] [-- --folds 1 --set epochs=3]

The model has the size of CLIP ViT-B/32 with its 49,408 tokens, and random weights: cost does not
depend on their values. The photos are the sample listings, repeated with noise where more are
asked for, in buildings of ten. Each `photosieve train` is a process of its own: *cold* with an
empty cache folder, which includes the conversion of the model, and *again* with what that left. A
run is ended after so many minutes. Options after `--` are passed on to `train`.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from threading import Timer
from typing import Any, cast

import numpy as np
from PIL import Image

from machine import write

ROOT = Path(__file__).resolve().parents[1]
RECIPES = "probe,balanced,clip-freeze-1,last-2,lora"
TOKENS = 49_408
IN_A_BUILDING = 10


def main() -> None:
    """Print a line for each run, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recipes", default=RECIPES)
    parser.add_argument("--photos", type=int, default=50)
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--figure", help="name of the table; by default of the number of photos")
    parser.add_argument("options", nargs="*", help="options of `train`")
    options = parser.parse_args()
    runs: list[dict[str, float | str]] = []
    with tempfile.TemporaryDirectory() as scratch:
        # Linux counts the memory of the process that starts another as that one's: torch stays out.
        maker = multiprocessing.get_context("spawn").Process(target=make_model, args=(scratch,))
        maker.start()
        maker.join()
        make_photos(Path(scratch) / "photos", options.photos)
        for recipe in options.recipes.split(","):
            cache = Path(scratch) / f"cache-{recipe}"
            for state in ("cold", "again"):
                found = train(Path(scratch), cache, recipe, options.options, options.minutes)
                runs.append({"recipe": f"`{recipe}`, {state}", **found})
                print(runs[-1], flush=True)
    write("full_size", {options.figure or f"photos_{options.photos}": runs})


def train(
    scratch: Path, cache: Path, recipe: str, options: list[str], minutes: float
) -> dict[str, float | str]:
    """Train in a process of its own; return what it took."""
    command = [
        *(sys.executable, "-m", "photosieve", "train", str(scratch / "photos")),
        *("--encoder", str(scratch / "clip"), "--out", str(scratch / "sieve")),
        *("--recipe", recipe, *options),
    ]
    started = time.monotonic()
    child = subprocess.Popen(
        command,
        env={**os.environ, "PHOTOSIEVE_CACHE": str(cache)},
        stdout=subprocess.PIPE,
        text=True,
    )
    timer = Timer(60 * minutes, os.kill, (child.pid, signal.SIGTERM))
    timer.start()
    assert child.stdout is not None
    printed = child.stdout.read()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    timer.cancel()
    said = re.search(r"in ([\d.]+) s", printed)
    return {
        "CPU s": usage.ru_utime + usage.ru_stime,
        "s on the clock": time.monotonic() - started,
        "s printed": float(said[1]) if said else "ended before",
        "peak MiB": usage.ru_maxrss // 1024,
        "MiB in the cache": size(cache) // 2**20,
    }


def size(folder: Path) -> int:
    """Bytes of all files in a folder."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def make_model(scratch: str) -> None:
    """Save a CLIP of random weights, with a tokenizer of as many tokens as OpenAI's."""
    import torch
    import transformers

    folder = Path(scratch) / "clip"
    torch.manual_seed(0)
    transformers.CLIPModel(transformers.CLIPConfig()).save_pretrained(folder)
    letters = [chr(code) for code in range(ord("!"), ord("!") + 256)]
    ends = [f"{letter}</w>" for letter in letters]
    pairs = [(left, right) for left in letters for right in ends]
    merges = pairs[: TOKENS - 2 - len(letters) - len(ends)]
    tokens = [*letters, *ends, *(left + right for left, right in merges)]
    tokens += ["<|startoftext|>", "<|endoftext|>"]
    made = cast(Any, transformers.CLIPTokenizer)(
        vocab={token: number for number, token in enumerate(tokens)}, merges=merges
    )
    made.model_max_length = 77
    made.save_pretrained(folder)
    cast(Any, transformers.CLIPImageProcessorPil)().save_pretrained(folder)


def make_photos(folder: Path, count: int) -> None:
    """Write labeled photos: the samples, again and again with other noise."""
    known: list[tuple[Path, Any]] = []
    for file in sorted((ROOT / "samples").rglob("*labels.json")):
        labels = json.loads(file.read_text("utf-8"))
        known += [(file.parent / name, entry) for name, entry in labels.items()]
    rng = np.random.default_rng(0)
    for start in range(0, count, IN_A_BUILDING):
        building = folder / f"building-{start // IN_A_BUILDING:03}"
        building.mkdir(parents=True)
        entries = {}
        for number in range(start, min(start + IN_A_BUILDING, count)):
            path, entry = known[number % len(known)]
            with Image.open(path) as photo:
                pixels = np.asarray(photo.convert("RGB")) + rng.normal(0, 4, (*photo.size[::-1], 3))
            name = f"{number:04}.jpg"
            Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(building / name, quality=90)
            entries[name] = entry
        (building / "train_labels.json").write_text(json.dumps(entries), "utf-8")


if __name__ == "__main__":
    main()
