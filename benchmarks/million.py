"""An index of a million real files, killed in the middle and resumed. An hour, 6 GB of disk.

    python benchmarks/million.py [--photos 1000000] [--rows 0] [--folder SCRATCH]

Each photo is a JPEG of 64 x 64 pixels with content of its own, a thousand to a folder; the model is
a CLIP of random weights that is small enough to leave the time to the index. `photosieve index`
runs as users run it, is killed with SIGKILL when half of the photos are committed, and runs again.
With `--rows` so many photos get random features, which are written straight into the table: they
save the time of the model, and memory and all else are those of an index that has them already.
Then it runs over the unchanged files, and a search asks for a word. Each command is a process of
its own: CPU seconds are user and system, memory is the largest resident set.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa
from PIL import Image

from machine import Figure, write
from photosieve.index.store import Store

ROOT = Path(__file__).resolve().parents[1]
IN_A_FOLDER = 1000
POLL_SECONDS = 2.0
SMALL = {
    "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 1, "num_attention_heads": 2,
}  # fmt: skip


def main() -> None:
    """Measure, and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=int, default=1_000_000)
    parser.add_argument("--rows", type=int, default=0, help="photos that get random features")
    parser.add_argument("--folder", type=Path, help="where photos and index are while it runs")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as scratch:
        figures = measure(Path(scratch), options.photos, options.rows)
    print(json.dumps(figures, indent=1))
    write("million", figures)


def measure(scratch: Path, count: int, filled: int) -> dict[str, Figure]:
    """Make the photos and the sieve, and run the commands."""
    photos, sieve, index = scratch / "photos", scratch / "sieve", scratch / "index"
    # Linux counts the memory of the process that starts another as that one's: torch stays out.
    apart(make_sieve, scratch, sieve)
    make_photos(photos, count)
    if filled:
        apart(fill, index, sieve, photos, filled)
    command = ("index", str(photos), "--sieve", str(sieve), "--index", str(index))
    runs = {
        "`index`, killed": run(*command, kill_at=(filled + count) // 2, index=index),
        "`index`, resumed": run(*command),
    }
    seconds = sum(run["CPU s"] for run in runs.values())
    rows = Store(str(index)).photos.count_rows()
    assert rows == count, f"{rows} of {count} photos are in the index"
    runs["`index`, nothing new"] = run(*command)
    runs["`search`, 10 best"] = run(
        "search", "kitchen", "--top", "10", "--index", str(index), "--sieve", str(sieve)
    )
    size = sum(file.stat().st_size for file in index.rglob("*") if file.is_file())
    return {
        "photos": count,
        "rows": filled,
        **({} if filled else {"photos_a_cpu_second": count / seconds}),
        "bytes_a_photo": size / count,
        "runs": [{"": name, **figures} for name, figures in runs.items()],
    }


def apart(work: Callable[..., None], *arguments: object) -> None:
    """Do work in a process of its own."""
    worker = multiprocessing.get_context("spawn").Process(target=work, args=arguments)
    worker.start()
    worker.join()
    assert worker.exitcode == 0, work


def make_photos(folder: Path, count: int) -> None:
    """Write JPEGs of a few colored areas and noise, each of other numbers."""
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 24, (64, 64, 64, 3), np.uint8)
    for start in range(0, count, IN_A_FOLDER):
        building = folder / f"building-{start // IN_A_FOLDER:05}"
        building.mkdir(parents=True)
        colors = rng.integers(0, 230, (IN_A_FOLDER, 4, 4, 3), np.uint8)
        for number in range(min(IN_A_FOLDER, count - start)):
            areas = colors[number].repeat(16, 0).repeat(16, 1)
            file = io.BytesIO()
            Image.fromarray(areas + noise[number % len(noise)]).save(file, "JPEG", quality=60)
            (building / f"{number:04}.jpg").write_bytes(file.getvalue())


def make_sieve(scratch: Path, sieve: Path) -> None:
    """Save a sieve around a small CLIP of random weights."""
    import torch
    import transformers

    from photosieve.data.dataset import Dataset
    from photosieve.sieve.sieve import Sieve
    from training import save_tokenizer

    folder = scratch / "clip"
    torch.manual_seed(0)
    config = transformers.CLIPConfig(
        text_config={**SMALL, "vocab_size": 256, "bos_token_id": 254, "eos_token_id": 255},
        vision_config={**SMALL, "image_size": 32, "patch_size": 16},
        projection_dim=32,
    )
    transformers.CLIPModel(config).save_pretrained(folder)
    save_tokenizer(folder, Dataset.load(ROOT / "samples").vocabulary, ends=(254, 255))
    cast(Any, transformers.CLIPImageProcessorPil)(
        size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}
    ).save_pretrained(folder)
    dataset = Dataset.load(ROOT / "samples" / "train")
    Sieve.fit(dataset, str(folder), recipe="zero-shot", folds=1).save(sieve)


def fill(index: Path, sieve: Path, photos: Path, count: int) -> None:
    """Write rows of the first photos into the table, with random features, a thousand a commit."""
    from photosieve.sieve.sieve import Sieve

    store, encoder = Store(str(index)), Sieve.load(sieve).encoder
    width = encoder.head.photo_width
    store.create(encoder.trunk_fingerprint, width)
    rng = np.random.default_rng(0)
    for building in sorted(photos.iterdir())[: count // IN_A_FOLDER]:
        files = sorted(building.iterdir())
        states = [file.stat() for file in files]
        features = rng.standard_normal(len(files) * width, np.float32)
        columns: dict[str, Any] = {
            "root": [str(photos)] * len(files),
            "path": [f"{building.name}/{file.name}" for file in files],
            "group": [building.name] * len(files),
            "size": [state.st_size for state in states],
            "mtime_ns": [state.st_mtime_ns for state in states],
            "ctime_ns": [state.st_ctime_ns for state in states],
            "inode": [state.st_ino for state in states],
            "sha256": [hashlib.sha256(file.read_bytes()).hexdigest() for file in files],
            "width": [64] * len(files),
            "height": [64] * len(files),
            "encoded": [datetime.now(UTC)] * len(files),
            "features": pa.FixedSizeListArray.from_arrays(pa.array(features), width),
        }
        store.append(pa.table(columns))


def run(*command: str, kill_at: int = 0, index: Path | None = None) -> dict[str, float]:
    """Run a command, or kill it when so many photos are in the index; return what it took."""
    started = time.monotonic()
    child = subprocess.Popen(
        [sys.executable, "-m", "photosieve", *command], stdout=subprocess.DEVNULL
    )
    pid, status, usage = 0, 0, None
    while not pid:
        pid, status, usage = os.wait4(child.pid, os.WNOHANG if kill_at else 0)
        if not pid:
            time.sleep(POLL_SECONDS)
            if index is not None and committed(index) >= kill_at:
                os.kill(child.pid, signal.SIGKILL)
                kill_at = 0
    child.returncode = os.waitstatus_to_exitcode(status)
    assert usage is not None
    assert child.returncode in (0, 1, -signal.SIGKILL), command
    return {
        "CPU s": usage.ru_utime + usage.ru_stime,
        "s on the clock": time.monotonic() - started,
        "peak MiB": usage.ru_maxrss // 1024,
    }


def committed(index: Path) -> int:
    """How many photos are in the index by now."""
    store = Store(str(index))
    return store.photos.count_rows() if store.exists() else 0


if __name__ == "__main__":
    main()
