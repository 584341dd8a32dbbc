"""How fast the server answers, and whether it stays as small as it is.

Fifty users search an index of 100,000 photos over HTTP on this machine, each waiting a second or so
between two searches as people do; the same again while a sieve is trained. Then 10,000 searches
follow one another, with a look at the server's memory now and then.

    python benchmarks/serve.py [--photos 100000] [--users 50] [--seconds 60] [--requests 10000]

The photos are vectors: no files stand behind them. What a user waits for does not depend on them
but for the pictures. Users, server and training share this machine's cores.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2 as httpx
import numpy as np
import pyarrow as pa

from photosieve import Dataset, Index, Sieve

SAMPLES = Path(__file__).resolve().parents[1] / "samples"
WORDS = ("sunset", "bicycle", "red door", "fence", "book", "stairs", "sofa -window", "tree")


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--photos", type=int, default=100_000)
    parser.add_argument("--users", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--requests", type=int, default=10_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        sieve, index = Path(scratch) / "sieve", Path(scratch) / "index"
        trained = Sieve.fit(Dataset.load(SAMPLES / "train"))
        trained.save(sieve)
        fill(Index(index), sieve, options.photos)
        labels = tuple(trained.labels)
        with serving(sieve, index) as (address, process):
            asyncio.run(load(address, labels, 3, 5))  # the first answers load what is needed
            alone = asyncio.run(load(address, labels, options.users, options.seconds))
            report(f"{options.users} users, {options.photos:,} photos", alone)
            job = httpx.post(f"{address}train").json()
            busy = asyncio.run(load(address, labels, options.users, options.seconds, job["id"]))
            report("the same while a sieve is trained", busy)
            ratio = np.percentile(busy, 95) / np.percentile(alone, 95)
            print(f"p95 while training against p95 alone: {ratio:.1f} x")
            memory(address, process.pid, labels, options.requests)


def fill(index: Index, sieve: Path, count: int) -> None:
    """Index the samples, and beside them rows of photos like theirs that do not exist."""
    index.update(sieve, SAMPLES)
    store = index.store
    real = store.photos.search().limit(1000).to_arrow()
    features = store.matrix(real)
    rng = np.random.default_rng(0)
    step = 10_000
    for start in range(0, count - len(features), step):
        size = min(step, count - len(features) - start)
        base = features[rng.integers(len(features), size=size)]
        noisy = base + rng.normal(0, 0.3 * features.std(), base.shape).astype(np.float32)
        numbers = np.arange(start, start + size)
        columns = {
            name: real[name].take(pa.array(numbers % len(real))) for name in real.column_names
        }
        columns["group"] = pa.array([f"made/house-{number // 20}" for number in numbers])
        columns["path"] = pa.array([f"made/house-{n // 20}/{n}.jpg" for n in numbers])
        # A search looks whether its photos are on the disk, but not in an object store.
        columns["root"] = pa.array(["made://photos"] * size)
        columns["sha256"] = pa.array([rng.bytes(32).hex() for _ in numbers])
        flat = pa.array(noisy.ravel())
        columns["features"] = pa.FixedSizeListArray.from_arrays(flat, features.shape[1])
        store.append(pa.table(columns))
    index.compact()


@contextmanager
def serving(sieve: Path, index: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """The server, as a user starts it."""
    command = [sys.executable, "-m", "photosieve", "serve", "--port", "0"]
    with subprocess.Popen(
        [*command, "--sieve", str(sieve), "--index", str(index)], stdout=subprocess.PIPE, text=True
    ) as process:
        found = re.search(r"http://\S+/", process.stdout.readline() if process.stdout else "")
        if found is None:
            raise SystemExit("the server did not start")
        yield found[0], process
        process.send_signal(signal.SIGINT)


async def load(
    address: str, labels: tuple[str, ...], users: int, seconds: float, job: str | None = None
) -> list[float]:
    """Let users search for some time, or until a training is done; return each wait in seconds."""
    waits: list[float] = []
    end = time.monotonic() + seconds

    async def user(client: httpx.AsyncClient, number: int) -> None:
        rng = random.Random(number)
        await asyncio.sleep(rng.random())
        while time.monotonic() < end:
            query = rng.choice(labels if rng.random() < 0.8 else WORDS)
            started = time.perf_counter()
            answer = await client.get("/search", params={"q": query, "limit": 24})
            waits.append(time.perf_counter() - started)
            answer.raise_for_status()
            await asyncio.sleep(rng.uniform(0.5, 1.5))

    async with httpx.AsyncClient(base_url=address, timeout=60) as client:
        await asyncio.gather(*(user(client, number) for number in range(users)))
        if job is not None:
            state = (await client.get(f"/jobs/{job}")).json()
            print(f"training: {state['state']}, {state['stage']}, {json.dumps(state['error'])}")
    return waits


def report(title: str, waits: list[float]) -> None:
    """Print how long users waited."""
    middle, late = (1000 * np.percentile(waits, part) for part in (50, 95))
    print(f"{title}: {len(waits)} searches, no error, median {middle:.0f} ms, p95 {late:.0f} ms")


def memory(address: str, process: int, labels: tuple[str, ...], requests: int) -> None:
    """Print the server's memory after parts of many requests."""
    sizes = []
    with httpx.Client(base_url=address, timeout=60) as client:
        for number in range(requests):
            client.get("/search", params={"q": labels[number % len(labels)], "limit": 24})
            if (number + 1) % max(1, requests // 5) == 0:
                text = Path(f"/proc/{process}/status").read_text("utf-8")
                sizes.append(int(text.partition("RssAnon:")[2].split()[0]) / 1024)
    shown = ", ".join(f"{size:.0f}" for size in sizes)
    print(f"memory after each fifth of {requests:,} searches, MiB without mapped files: {shown}")


if __name__ == "__main__":
    main()
