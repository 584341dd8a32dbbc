"""How fast the server answers, and whether it stays as small as it is. About four minutes.

    python benchmarks/serve.py [--photos 100000] [--users 50] [--seconds 15] [--requests 2000]

An index of 1,000 photos (the samples and copies), and then one of 100,000. Measured on each: the
CPU time of the server for a search, and how long fifty users wait, each of whom rests for a second
or so between two searches as people do. Labels and other words are asked again and again, new words
once each. On the large one the same again while a sieve is trained;
then many searches follow one another, with a look at the server's memory now and then.

Of the 100,000 photos, 99,000 are vectors: no files stand behind them. Users, server and training
share this machine's cores.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx2 as httpx
import numpy as np
import pyarrow as pa

from machine import Figure, write
from photosieve import Dataset, Index, Sieve
from photosieve.encoders.words import general_words

SAMPLES = Path(__file__).resolve().parents[1] / "samples"
WORDS = ("sunset", "bicycle", "red door", "fence", "book", "stairs", "sofa -window", "tree")
NEW_WORDS = general_words()[::10]


def main() -> None:
    """Measure, print, and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--photos", type=int, default=100_000)
    parser.add_argument("--users", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--requests", type=int, default=2000)
    options = parser.parse_args()
    rows: list[dict[str, float | str]] = []
    figures: dict[str, Figure] = {"searches": rows}
    with tempfile.TemporaryDirectory() as scratch:
        sieve, index = Path(scratch) / "sieve", Path(scratch) / "index"
        trained = Sieve.fit(Dataset.load(SAMPLES / "train"), "starter-small")
        trained.save(sieve)
        labels = tuple(trained.labels)
        Index(index).update(sieve, SAMPLES, copies(Path(scratch) / "photos", 1000))
        for photos in (1000, options.photos):
            if photos > 1000:
                fill(Index(index), photos)
            with serving(sieve, index) as (address, process):
                asyncio.run(load(address, labels, 3, 5))  # the first answers load what is needed
                asyncio.run(load(address, WORDS, 3, 3))
                cpu = {
                    name: 1000 * cpu_of_a_search(address, process.pid, queries, count)
                    for name, queries, count in (
                        ("a label", labels, 300),
                        ("other words", WORDS, 300),
                        ("new words", NEW_WORDS, len(NEW_WORDS)),
                    )
                }
                alone = asyncio.run(load(address, labels, options.users, options.seconds))
                rows.append(row(photos, "", cpu, alone))
                if photos > 1000:
                    job = httpx.post(f"{address}train").json()
                    busy = asyncio.run(
                        load(address, labels, options.users, options.seconds, job["id"])
                    )
                    rows.append(row(photos, ", while a sieve is trained", {}, busy))
                    figures["memory"] = memory(address, process.pid, labels, options.requests)
    write("serve", figures)


def row(
    photos: int, when: str, cpu: dict[str, float], waits: list[float]
) -> dict[str, float | str]:
    """Print what was measured of an index, and return it as a row of the table."""
    middle, late = (round(1000 * float(np.percentile(waits, part))) for part in (50, 95))
    found: dict[str, float | str] = {"photos": f"{photos:,}{when}"}
    for name in ("a label", "other words", "new words"):
        found[f"CPU ms, {name}"] = round(cpu[name], 1) if cpu else ""
    found |= {"searches": len(waits), "median, ms": middle, "p95, ms": late}
    print(", ".join(f"{name}: {value}" for name, value in found.items()))
    return found


def copies(folder: Path, count: int) -> Path:
    """Fill a folder with copies of the samples, in houses of 20, until all are so many."""
    photos = sorted(SAMPLES.rglob("*.jpg"))
    for number in range(count - len(photos)):
        path = folder / f"house-{number // 20}" / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(photos[number % len(photos)], path)
    return folder


def fill(index: Index, count: int) -> None:
    """Add rows of photos like those of the index that do not exist, up to so many in all."""
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


def cpu_of_a_search(address: str, process: int, queries: Sequence[str], count: int) -> float:
    """CPU seconds of the server for a search, the mean over so many that follow one another."""
    with httpx.Client(base_url=address, timeout=60) as client:
        before = cpu_seconds(process)
        for number in range(count):
            answer = client.get(
                "/search", params={"q": queries[number % len(queries)], "limit": 24}
            )
            answer.raise_for_status()
    return (cpu_seconds(process) - before) / count


def cpu_seconds(process: int) -> float:
    """CPU seconds that a process has used."""
    fields = Path(f"/proc/{process}/stat").read_text("utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory(address: str, process: int, labels: tuple[str, ...], requests: int) -> str:
    """Print and return the server's memory after parts of many requests."""
    sizes = []
    with httpx.Client(base_url=address, timeout=60) as client:
        for number in range(requests):
            client.get("/search", params={"q": labels[number % len(labels)], "limit": 24})
            if (number + 1) % max(1, requests // 5) == 0:
                text = Path(f"/proc/{process}/status").read_text("utf-8")
                sizes.append(int(text.partition("RssAnon:")[2].split()[0]) / 1024)
    shown = ", ".join(f"{size:.0f}" for size in sizes)
    print(f"memory after each fifth of {requests:,} searches, MiB without mapped files: {shown}")
    return shown


if __name__ == "__main__":
    main()
