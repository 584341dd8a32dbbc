"""What a hundred million photos take: arithmetic from rates measured here. About a minute.

    python benchmarks/scale.py [--photos 100000000]

Measured: decoding and encoding a photo of 12 megapixels on this machine's cores, and the bytes of a
row and of a search vector. All else is multiplication; prices are assumptions, to be replaced.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from photosieve.data.dataset import Dataset
from photosieve.data.photos import decode
from photosieve.encoders import load_encoder
from photosieve.encoders.embedding import embed_photos
from photosieve.index.index import Index
from photosieve.sieve.sieve import Sieve

ROOT = Path(__file__).resolve().parents[1]
CORE_HOUR = 0.05
"""Dollars for an hour of one core in a cloud: an assumption."""

GIGABYTE_MONTH = 0.023
"""Dollars for a month of one gigabyte in an object store: an assumption."""

SECONDS_A_DAY = 86_400


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--photos", type=int, default=100_000_000)
    photos = parser.parse_args().photos
    cores = os.cpu_count() or 1
    with tempfile.TemporaryDirectory() as scratch:
        files = large_photos(Path(scratch) / "photos", 40)
        encoder = load_encoder("starter-small")
        embed_photos(encoder, files[:2])
        encoding = len(files) / timed(lambda: embed_photos(encoder, files)) / cores
        with ThreadPoolExecutor(cores) as pool:
            half = len(files) / timed(lambda: list(pool.map(draft, files))) / cores
            whole = len(files) / timed(lambda: list(pool.map(decode, files))) / cores
        sieve = Sieve.fit(Dataset.load(ROOT / "samples" / "train"), encoder)
        sieve.save(Path(scratch) / "sieve")
        index = Index(Path(scratch) / "index")
        index.update(Path(scratch) / "sieve", ROOT / "samples" / "test")
        count = len(index.snapshot)
        row = sum(file.stat().st_size for file in Path(scratch, "index").rglob("*.lance")) / count
        searched = sum(file.stat().st_size for file in index.snapshot.folder.iterdir()) / count

    days = photos / encoding / SECONDS_A_DAY
    print(f"one core, photos of 12 megapixels: {encoding:.1f} encoded/s with starter-small,")
    print(f"{half:.1f} decoded/s at reduced size, {whole:.1f} decoded/s in full")
    print(f"a row takes {row:,.0f} bytes, what a search reads of it {searched:,.0f}\n")
    print(f"| {photos:,} photos | |\n|---|---:|")
    print(f"| encoding, days of one core | {days:,.0f} |")
    for machines in (1, 10, 100):
        print(f"| encoding, {machines} x 64 cores, hours | {days * 24 / 64 / machines:,.1f} |")
    print(f"| cores it takes to feed a card that encodes 2,000 photos/s | {2000 / whole:,.0f} |")
    print(f"| money for the cores | ${days * 24 * CORE_HOUR:,.0f} |")
    print(f"| the table, GB | {photos * row / 1e9:,.0f} |")
    print(f"| keeping it, a month | ${photos * row / 1e9 * GIGABYTE_MONTH:,.0f} |")
    print(f"| what searches read, GB | {photos * searched / 1e9:,.0f} |")


def large_photos(folder: Path, count: int) -> list[Path]:
    """Sample photos at 12 megapixels, as cameras write them."""
    folder.mkdir()
    files = []
    for number, path in enumerate(sorted((ROOT / "samples").rglob("*.jpg"))[:count]):
        files.append(folder / f"{number}.jpg")
        with Image.open(path) as photo:
            grown = photo.convert("RGB").resize((4000, 3000))
        noise = np.random.default_rng(number).normal(0, 3, (3000, 4000, 3))
        pixels = (np.asarray(grown) + noise).clip(0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(files[-1], quality=90)
    return files


def draft(path: Path) -> Image.Image:
    """Decode as the small starter wants it."""
    return decode(path, shortest_side=320)


def timed(call: object) -> float:
    """Seconds of a call."""
    started = time.perf_counter()
    call()  # type: ignore[operator]
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
