"""What a hundred million photos take: arithmetic from rates measured here. About a minute.

    python benchmarks/scale.py [--photos 100000000]

Measured: CPU seconds of decoding and encoding a photo of 12 megapixels, and the bytes of a row and
of a search vector. All else is multiplication; prices are assumptions, to be replaced.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from machine import timed, write
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
    with tempfile.TemporaryDirectory() as scratch:
        files = large_photos(Path(scratch) / "photos", 40)
        encoder = load_encoder("starter-small")
        embed_photos(encoder, files[:2])
        encoding = len(files) / timed(lambda: embed_photos(encoder, files)).cpu
        half = len(files) / timed(lambda: list(map(draft, files))).cpu
        whole = len(files) / timed(lambda: list(map(decode, files))).cpu
        sieve = Sieve.fit(Dataset.load(ROOT / "samples" / "train"), encoder)
        sieve.save(Path(scratch) / "sieve")
        index = Index(Path(scratch) / "index")
        index.update(Path(scratch) / "sieve", ROOT / "samples" / "test")
        count = len(index.snapshot)
        row = sum(file.stat().st_size for file in Path(scratch, "index").rglob("*.lance")) / count
        searched = sum(file.stat().st_size for file in index.snapshot.folder.iterdir()) / count

    days = photos / encoding / SECONDS_A_DAY
    hours = " / ".join(f"{days * 24 / 64 / machines:,.1f}" for machines in (1, 10, 100))
    rows = {
        "encoded a second, one core, `starter-small`": f"{encoding:.1f}",
        "decoded a second, one core, reduced / in full": f"{half:.1f} / {whole:.1f}",
        "bytes of a row / of its part that searches read": f"{row:,.0f} / {searched:,.0f}",
        "encoding, days of one core": f"{days:,.0f}",
        "encoding, 1 / 10 / 100 machines of 64 cores, hours": hours,
        "cores to feed a card that encodes 2,000 photos/s": f"{2000 / whole:,.0f}",
        "money for the cores": f"${days * 24 * CORE_HOUR:,.0f}",
        "the table, GB": f"{photos * row / 1e9:,.0f}",
        "keeping it, a month": f"${photos * row / 1e9 * GIGABYTE_MONTH:,.0f}",
        "what searches read, GB": f"{photos * searched / 1e9:,.0f}",
    }
    print(f"{photos:,} photos")
    for name, value in rows.items():
        print(f"{name:52} {value}")
    write(
        "scale", {"arithmetic": [{"": name, f"{photos:,} photos": v} for name, v in rows.items()]}
    )


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


if __name__ == "__main__":
    main()
