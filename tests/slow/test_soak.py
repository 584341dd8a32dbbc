"""Fifty users for a minute, while all that can happen beside them happens: nothing is lost.

Labels change, a training runs and is kept, photos come and go, the index is brought up to date, and
processes are killed. Then five thousand requests show whether memory and open files grow.
"""

import asyncio
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx2 as httpx
import pytest

SAMPLES = Path(__file__).resolve().parents[2] / "samples"
PROGRAM = (sys.executable, "-m", "photosieve")
WORDS = ("sofa", "kitchen -window", "bed", "sunset", "kitchen + island", "TV|television", "garden")

USERS = 50
SECONDS = 60
REQUESTS = 5000
GROWTH = 40
"""Megabytes that the server may grow by in `REQUESTS` requests."""


@dataclass
class Collection:
    """Photos with labels, a sieve and an index of them."""

    photos: Path
    sieve: Path
    index: Path

    @classmethod
    def make(cls, folder: Path) -> "Collection":
        made = cls(folder / "photos", folder / "sieve", folder / "index")
        shutil.copytree(SAMPLES / "test", made.photos)
        for file in made.photos.rglob("test_labels.json"):
            file.rename(file.with_name("train_labels.json"))
        program("train", SAMPLES / "train", "--out", made.sieve)
        program("index", made.photos, "--sieve", made.sieve, "--index", made.index)
        return made

    def written(self) -> dict[str, list[str]]:
        """The labels of all photos, as they are on the disk."""
        return {
            f"{file.parent.name}/{name}": labels["yes"] if isinstance(labels, dict) else labels
            for file in self.photos.rglob("*labels.json")
            for name, labels in json.loads(file.read_text("utf-8")).items()
        }


@dataclass
class Seen:
    """What users and the others saw."""

    answers: Counter[int] = field(default_factory=Counter)
    errors: list[str] = field(default_factory=list)
    done: Counter[str] = field(default_factory=Counter)
    labels: dict[str, list[str]] = field(default_factory=dict)
    """The last change of each photo that was answered."""
    started: float = field(default_factory=time.monotonic)

    @property
    def goes_on(self) -> bool:
        """For so many seconds; on a slow machine until each thing has happened."""
        passed = time.monotonic() - self.started
        return passed < SECONDS or (passed < 6 * SECONDS and not self.complete)

    @property
    def complete(self) -> bool:
        done = self.done
        learned = done["keep"] and done["training failed"]
        return bool(learned and done["index 0"] and done["index -9"])


def program(*arguments: object) -> None:
    subprocess.run([*PROGRAM, *map(str, arguments)], check=True, capture_output=True)


@contextmanager
def serving(collection: Collection) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Run the server; give its address and process."""
    where = ("--sieve", collection.sieve, "--index", collection.index, "--port", "0")
    log = collection.index.parent / "server.log"
    with log.open("a") as errors:
        process = subprocess.Popen(
            [*PROGRAM, "serve", *map(str, where)], stdout=subprocess.PIPE, stderr=errors, text=True
        )
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            found = re.search(r"http://\S+/", line)
            assert found, f"{line}{log.read_text()}"
            yield found[0], process
        finally:
            process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()


def client(address: str, number: int) -> httpx.AsyncClient:
    """A client with an address of its own, as limits count by address."""
    transport = httpx.AsyncHTTPTransport(local_address=f"127.0.0.{number + 2}")
    return httpx.AsyncClient(base_url=address, transport=transport, timeout=90)


async def ask(
    session: httpx.AsyncClient, seen: Seen, method: str, path: str, **options: object
) -> httpx.Response:
    answer = await session.request(method, path, **options)  # type: ignore[arg-type]
    seen.answers[answer.status_code] += 1
    if answer.status_code >= 500:
        seen.errors.append(f"{method} {path}: {answer.status_code} {answer.text}")
    return answer


async def user(address: str, number: int, photo: dict[str, str], seen: Seen) -> None:
    """Search, look at a photo, and label one's own photo; all answers must go together."""
    rng = random.Random(number)
    own, change = f"{photo['group']}/{photo['name']}", 0
    async with client(address, number) as session:
        while seen.goes_on:
            await asyncio.sleep(rng.uniform(0.5, 2))
            query = rng.choice(WORDS)
            found = await ask(session, seen, "GET", "/search", params={"q": query})
            if found.status_code == 200 and (hits := found.json()["photos"]):
                await ask(session, seen, "GET", rng.choice(hits)["thumbnail"])
            if change and rng.random() > 0.2:
                continue
            change += 1
            labels = [f"seen by {number}", f"change {number}-{change}"]
            body = {"photos": {photo["id"]: labels}}
            put = await ask(session, seen, "PUT", "/labels", json=body)
            if put.status_code == 200:
                seen.labels[own] = labels
            listed = await ask(session, seen, "GET", "/labels", params={"id": photo["id"]})
            if own in seen.labels and listed.status_code == 200:
                assert listed.json()["photos"][0]["labels"] == seen.labels[own]


async def learner(address: str, server: int, seen: Seen) -> None:
    """Learn again and again: kill every other training, keep or drop the others."""
    rng, turn = random.Random(1), 0
    async with client(address, USERS + 1) as session:
        while seen.goes_on:
            await asyncio.sleep(1)
            started = await ask(session, seen, "POST", "/train")
            if started.status_code != 202:
                continue
            job, turn = started.json()["id"], turn + 1
            while (state := (await ask(session, seen, "GET", f"/jobs/{job}")).json()["state"]) == (
                "running"
            ):
                if turn % 2:
                    await asyncio.sleep(rng.uniform(0, 2))
                    for child in children(server):
                        with suppress(ProcessLookupError):
                            os.kill(child, signal.SIGKILL)
                await asyncio.sleep(0.2)
            seen.done[f"training {state}"] += 1
            if state == "done":
                what = rng.choice(("keep", "drop")) if seen.done["keep"] else "keep"
                answer = await ask(session, seen, "POST", f"/jobs/{job}/{what}")
                assert answer.status_code == 200, answer.text
                seen.done[what] += 1


async def indexer(collection: Collection, seen: Seen) -> None:
    """Add photos and take them away, and bring the index up to date; every other run is killed."""
    rng, run = random.Random(2), 0
    extra = collection.photos / "new-building"
    samples = sorted((SAMPLES / "train").rglob("*.jpg"))
    while seen.goes_on:
        run += 1
        extra.mkdir(exist_ok=True)
        for old in list(extra.iterdir())[:2]:
            old.unlink()
        for photo in rng.sample(samples, 4):
            shutil.copy(photo, extra / f"{run}-{photo.name}")
        process = await asyncio.create_subprocess_exec(
            *PROGRAM, "index", "--index", str(collection.index), stderr=subprocess.PIPE
        )
        if run % 2 == 0:
            await asyncio.sleep(rng.uniform(0.5, 4))
            with suppress(ProcessLookupError):
                process.kill()
        _, errors = await process.communicate()
        assert process.returncode in (0, -signal.SIGKILL), errors
        seen.done[f"index {process.returncode}"] += 1


async def everybody(
    collection: Collection, address: str, server: int, photos: list[dict[str, str]], seen: Seen
) -> None:
    await asyncio.gather(
        *(user(address, number, photos[number], seen) for number in range(USERS)),
        learner(address, server, seen),
        indexer(collection, seen),
    )


async def requests(address: str, count: int) -> None:
    """Search again and again, eight at a time."""
    seen = Seen()

    async def some(number: int) -> None:
        async with client(address, number) as session:
            for turn in range(count // 40):
                query = f"{WORDS[turn % len(WORDS)]} {turn % 50}"  # more than any cache holds
                await ask(session, seen, "GET", "/search", params={"q": query, "limit": 5})

    for first in range(0, 40, 8):
        await asyncio.gather(*(some(first + number) for number in range(8)))
    assert set(seen.answers) == {200}, seen.answers


def children(process: int) -> list[int]:
    """Processes that any thread of a process started."""
    found: list[int] = []
    for file in Path(f"/proc/{process}/task").glob("*/children"):
        with suppress(FileNotFoundError, ProcessLookupError):
            found += map(int, file.read_text().split())
    return found


def megabytes(process: int) -> float:
    text = Path(f"/proc/{process}/status").read_text()
    return int(re.findall(r"VmRSS:\s+(\d+)", text)[0]) / 1024


def open_files(process: int) -> int:
    return len(list(Path(f"/proc/{process}/fd").iterdir()))


@pytest.mark.slow
def test_fifty_users_for_a_minute(tmp_path: Path) -> None:
    collection, seen = Collection.make(tmp_path), Seen()
    with serving(collection) as (address, process):
        photos = httpx.get(f"{address}photos", params={"limit": USERS}).json()["photos"]
        asyncio.run(everybody(collection, address, process.pid, photos, seen))
        assert not seen.errors, seen.errors[:5]
        assert set(seen.answers) <= {200, 202, 404, 409, 410, 429}, seen.answers
        assert seen.answers[200] > 10 * USERS
        assert len(seen.labels) == USERS
        assert seen.complete, seen.done
        process.kill()  # what was answered is on the disk
    written = collection.written()
    assert {photo: written[photo] for photo in seen.labels} == seen.labels
    program("index", "--index", collection.index)
    with serving(collection) as (address, process):
        total = httpx.get(f"{address}photos").json()["total"]
        assert total == len(list(collection.photos.rglob("*.jpg")))
        for photo in photos:
            own = httpx.get(f"{address}labels", params={"id": photo["id"]}).json()["photos"][0]
            assert own["labels"] == seen.labels[f"{photo['group']}/{photo['name']}"]


@pytest.mark.slow
def test_memory_and_open_files_do_not_grow(tmp_path: Path) -> None:
    with serving(Collection.make(tmp_path)) as (address, process):
        asyncio.run(requests(address, 1000))  # the first answers load what is needed
        memory, files = megabytes(process.pid), open_files(process.pid)
        asyncio.run(requests(address, REQUESTS))
        time.sleep(2)  # connections that were closed are gone
        assert megabytes(process.pid) - memory < GROWTH
        assert open_files(process.pid) - files <= 4
