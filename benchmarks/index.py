"""How much an index costs and how fast it answers, as ratios within one run.

    python benchmarks/index.py [--photos 1000000] [--parts abcd]

(a) A second run over 100,000 unchanged files, against a bare walk through the folders. (b) Searches
over 10 thousand, 100 thousand and a million vectors of 512 numbers, against FAISS and numpy on the
same vectors. (c) Memory of indexing. (d) A search as a process of its own, against a Python that
only imports torch. Seconds are of the processor: set OMP_NUM_THREADS=1, and they are close to those
that one waits for.

Each part takes up to five minutes: run them one by one.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
from PIL import Image

from machine import Figure, by_row, timed, write
from photosieve.data.folders import PhotoFile, walk
from photosieve.decision.calibration import Background, Calibration, Nearness
from photosieve.decision.cut import Cut
from photosieve.decision.tuning import Tuning
from photosieve.encoders.head import unit
from photosieve.encoders.protocol import Float32Array, Item, Other
from photosieve.index import neighbors as ann
from photosieve.index.candidates import candidates
from photosieve.index.changes import find_changes
from photosieve.index.projection import make_snapshot
from photosieve.index.snapshot import find_snapshot
from photosieve.index.sources import open_root
from photosieve.index.store import Store
from photosieve.index.update import Updater
from photosieve.sieve.answer import answer
from photosieve.sieve.embedded import Embedded
from photosieve.sieve.query import Term
from photosieve.sieve.record import Record
from photosieve.sieve.scorer import Reading, Scorer
from photosieve.sieve.sieve import Sieve

ROOT = Path(__file__).resolve().parents[1]
WIDTH = 512
QUERIES = 60


def main() -> None:
    """Print and write the parts."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--photos", type=int, default=1_000_000, help="the largest search")
    parser.add_argument("--parts", default="abcd")
    parser.add_argument("--grow", nargs=2, help=argparse.SUPPRESS)  # a process of part (c)
    options = parser.parse_args()
    if options.grow:
        grow(Path(options.grow[0]), int(options.grow[1]))
        return
    if "a" in options.parts:
        write("index", unchanged(100_000))
    if "b" in options.parts:
        columns = {count: searches(count) for count in (10_000, 100_000, options.photos)}
        write("index", {"searches": by_row({f"{n:,}": column for n, column in columns.items()})})
    if "c" in options.parts:
        write("index", memory())
    if "d" in options.parts:
        write("index", cold())


# (a)


class Nothing:
    """In place of a sieve and its scorer where no model runs: features are the vectors."""

    fingerprint, labels = "model", ()

    @property
    def scorer(self) -> Nothing:
        """Embed photos by this very object."""
        return self

    def embed_photos(self, features: Float32Array) -> Embedded:
        """Scale to length 1."""
        return without_labels(unit(features))


def without_labels(vectors: Float32Array) -> Embedded:
    """Photos of a sieve without labels."""
    return Embedded(vectors, np.zeros((len(vectors), 0), np.float32))


def unchanged(count: int) -> dict[str, Figure]:
    """Time a run that finds nothing new."""
    with tempfile.TemporaryDirectory() as scratch:
        folder, store = Path(scratch) / "photos", Store(f"{scratch}/index")
        for number in range(count):
            path = folder / f"house-{number // 20:05d}" / f"photo-{number % 20:02d}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"photo")
        fill(store, open_root(str(folder)))
        make_snapshot(store, cast(Sieve, Nothing()), beside_table=True)

        def again() -> None:
            snapshot = find_snapshot(Store(f"{scratch}/index"), "model")
            assert snapshot is not None
            changes = find_changes([open_root(str(folder))], snapshot, {})
            assert not changes.pending
            assert not changes.gone

        def bare() -> None:
            for parent, _, files in os.walk(folder):
                for name in files:
                    os.stat(f"{parent}/{name}")  # noqa: PTH116

        pairs = [(timed(again).cpu, timed(bare).cpu) for _ in range(5)]
    ratio = median(a / b for a, b in pairs)
    print(f"## (a) A run over {count:,} unchanged files\n")
    print(f"photosieve                      {median(a for a, _ in pairs):7.2f} CPU s")
    print(f"bare walk with the same calls   {median(b for _, b in pairs):7.2f} CPU s")
    print(f"ratio                           {ratio:7.1f}\n")
    return {"unchanged_ratio": f"{ratio:.1f}"}


def fill(store: Store, root: Any) -> None:
    """Put rows of all files into a table, with any features."""
    import pyarrow as pa

    rng = np.random.default_rng(0)
    found = [cast(PhotoFile, file) for file in walk(Path(root.address))]
    store.create("model", 8)
    features = pa.array(rng.normal(size=8 * len(found)).astype(np.float32))
    store.append(
        pa.table(
            {
                "root": [root.address] * len(found),
                "path": [file.path for file in found],
                "group": [file.path.partition("/")[0] for file in found],
                "size": [file.size for file in found],
                "mtime_ns": [file.mtime_ns for file in found],
                "ctime_ns": [file.ctime_ns for file in found],
                "inode": [file.inode for file in found],
                "sha256": [f"{number:064x}" for number in range(len(found))],
                "width": pa.array([0] * len(found), pa.int32()),
                "height": pa.array([0] * len(found), pa.int32()),
                "encoded": pa.array([0] * len(found), pa.timestamp("us", "UTC")),
                "features": pa.FixedSizeListArray.from_arrays(features, 8),
            }
        )
    )


# (b)


def searches(count: int) -> dict[str, str]:
    """Time searches over so many vectors; return p50 and p95 of each way, in CPU milliseconds."""
    import faiss

    print(f"## (b) Search over {count:,} vectors of {WIDTH}, CPU milliseconds\n")
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "vectors.npy"
        queries = write_vectors(path, count)
        vectors: Float32Array = np.load(path, mmap_mode="r")
        # A scope of 30 photos and everything; the cut lets in about thirty photos of each query.
        bounds = [float(np.partition(vectors @ query, -30)[-30]) for query in queries]
        # Of a word, as the score of a label is only looked up.
        curve = Calibration(1.0, 0.0, word_slope=20.0, word_intercept=0.0, remoteness=0.0)
        sieve = SimpleNamespace(
            labels={},
            label_vectors=np.zeros((0, WIDTH), np.float32),
            nearness=Nearness(0.0, 1.0),
            topic=None,
            tuning=Tuning(curve, Cut.threshold(0.5), "f1", "", {}, {}),
        )
        scorer, photos = Scorer(cast(Record, sieve)), without_labels(vectors)
        rng = np.random.default_rng(1)
        starts = rng.integers(0, count - 30, len(queries)).tolist()
        flat = faiss.IndexFlatIP(WIDTH)
        flat.add(np.asarray(vectors))
        plain = np.array(vectors)

        def ask(number: int, rows: slice, neighbors: ann.Neighbors | None = None) -> set[Path]:
            query, bound = queries[number], bounds[number]
            behind, no_links = Background(0, 1), np.zeros(0)
            reading = Reading(Term(("word",)), query, None, "", 0.0, behind, no_links)
            cut = Cut.threshold(float(curve.words(np.array([bound]), 0.0)[0]))
            found = candidates(
                photos, scorer, (reading,), cut, rows=rows, extra=20, neighbors=neighbors
            )

            def path(row: int) -> Path:
                return Path(f"house-{row // 20}", f"{row}.jpg")

            result = answer(
                scorer, cut, "", (reading,), path, photos, groups=found // 20, rows=found, rule=cut
            )
            return {hit.path for hit in result}

        ways: dict[str, Callable[[int], object]] = {
            "photosieve, a group of 30 photos": lambda n: ask(n, slice(starts[n], starts[n] + 30)),
            "photosieve, everything, exact": lambda n: ask(n, slice(None)),
            "FAISS `IndexFlatIP`, best 30": lambda n: flat.search(queries[n][None], 30),
            "numpy, best 30": lambda n: np.argpartition(plain @ queries[n], -30),
        }
        found = {name: show(name, way) for name, way in ways.items()}
        if count >= ann.LEAST_PHOTOS:
            seconds = timed(lambda: ann.make(Path(scratch), vectors, queries[:40])).cpu
            neighbors = ann.Neighbors.open(Path(scratch), vectors)
            if neighbors is None:
                print("no number of lists reaches the recall: everything is compared")
            else:
                name = "photosieve, everything, lists"
                found[name] = show(name, lambda n: ask(n, slice(None), neighbors))
                part = [
                    len(ask(n, slice(None), neighbors) & exactly) / len(exactly)
                    for n in range(40, len(queries))
                    if (exactly := ask(n, slice(None)))
                ]
                print(f"  found of the exact answer     {np.mean(part):7.1%}")
                print(f"  lists looked into             {neighbors.lists.nprobe:7d}")
                print(f"  making the lists              {seconds:7.0f} CPU s")
    print()
    return found


def write_vectors(path: Path, count: int) -> Float32Array:
    """Write unit vectors that lie as embeddings do, and return vectors of words, (queries, d).

    Photos belong to one of some thousand themes, in a space of fewer directions than numbers, and
    words lie near themes.
    """
    rng = np.random.default_rng(0)
    basis = rng.normal(size=(64, WIDTH)).astype(np.float32)
    themes = rng.normal(size=(4000, 64)).astype(np.float32)
    vectors = np.lib.format.open_memmap(path, "w+", np.float32, (count, WIDTH))
    for start in range(0, count, 50_000):
        size = min(50_000, count - start)
        latent = themes[rng.integers(0, len(themes), size)] + 0.6 * rng.normal(size=(size, 64))
        noise = rng.normal(size=(size, WIDTH))
        vectors[start : start + size] = unit(latent.astype(np.float32) @ basis + 2.0 * noise)
    vectors.flush()
    near = themes[rng.integers(0, len(themes), QUERIES)] + 0.3 * rng.normal(size=(QUERIES, 64))
    return unit(near.astype(np.float32) @ basis)


def show(name: str, call: Callable[[int], object]) -> str:
    """Time a call for each query; print and return median and 95th percentile in CPU ms."""
    call(0)
    times = [1000 * timed(partial(call, number)).cpu for number in range(QUERIES)]
    p50, p95 = np.percentile(times, (50, 95))
    print(f"{name:32} p50 {p50:7.2f}  p95 {p95:7.2f}")
    return f"{p50:.1f} / {p95:.1f}"


# (c)


def memory() -> dict[str, Figure]:
    """Peak memory of indexing, of processes that do all but run a model."""
    print("## (c) Peak memory of indexing, model aside\n")
    counts, peaks = (50_000, 150_000), list[int]()
    for count in counts:
        with tempfile.TemporaryDirectory() as scratch:
            command = [sys.executable, __file__, "--grow", scratch, str(count)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            peaks.append(int(done.stdout))
            print(f"{count:9,} photos                {peaks[-1]:7d} MiB")
    slope = (peaks[1] - peaks[0]) / (counts[1] - counts[0])
    million = peaks[1] + slope * (1_000_000 - counts[1])
    print(f"a million, by that line         {million:7.0f} MiB\n")
    rows = {f"{count:,}": peak for count, peak in zip(counts, peaks, strict=True)}
    rows["1,000,000, by that line"] = round(million)
    return {"memory": [{"photos": name, "peak MiB": peak} for name, peak in rows.items()]}


class Random:
    """An encoder without a model: features are random."""

    def stream(
        self,
        items: Iterable[Item],
        load: Callable[[Item], Sequence[Image.Image] | Other],
        other: Callable[[Item, Other], None],
    ) -> Iterator[tuple[Item, Float32Array]]:
        """Read photos in threads, as encoders do."""
        from photosieve.encoders import feed

        rng = np.random.default_rng(0)

        def tower(inputs: Iterable[Any]) -> Iterator[Float32Array]:
            for _ in inputs:
                yield rng.normal(size=(1, 1280)).astype(np.float32)

        return feed.stream(tower, lambda photo: (np.asarray(photo)[None],), items, load, other)


def grow(scratch: Path, count: int) -> None:
    """Index so many small photos, and print the peak of this process in MiB."""
    folder, store = scratch / "photos", Store(str(scratch / "index"))
    photo = next(iter(sorted((ROOT / "samples").rglob("*.jpg")))).read_bytes()
    for number in range(count):
        path = folder / f"house-{number // 20:05d}" / f"photo-{number % 20:02d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(small(photo) + number.to_bytes(4))
    store.create("model", 1280)
    snapshot = make_snapshot(store, cast(Sieve, Nothing()), beside_table=True)
    changes = find_changes([open_root(str(folder))], snapshot, {})
    updater = Updater(store, snapshot, changes, shortest_side=None)
    updater.run(cast(Any, Random().stream))
    make_snapshot(store, cast(Sieve, Nothing()), beside_table=True)
    # Of this process: what getrusage says includes the one that started it.
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    print(int(status["VmHWM"].split()[0]) // 1024)


# (d)


def cold() -> dict[str, Figure]:
    """Time `photosieve search` from start to end."""
    photosieve = [sys.executable, "-m", "photosieve"]
    with tempfile.TemporaryDirectory() as scratch:
        sieve, index = f"{scratch}/sieve", f"{scratch}/index"
        train = str(ROOT / "samples" / "train")
        quiet(*photosieve, "train", train, "--encoder", "starter-small", "--out", sieve)
        quiet(*photosieve, "index", str(ROOT / "samples"), "--sieve", sieve, "--index", index)
        commands = {
            "photosieve search, a label": (*photosieve, "search", "sofa", "--index", index),
            "photosieve search, other words": (*photosieve, "search", "boat", "--index", index),
            "python -c 'import torch'": (sys.executable, "-c", "import torch"),
        }
        rounds = [
            {name: timed(partial(quiet, *command)) for name, command in commands.items()}
            for _ in range(10)
        ][1:]
    print("## (d) A search as a process of its own\n")
    rows: list[dict[str, float | str]] = []
    for name in commands:
        cpu, wall = (median(getattr(r[name], kind) for r in rounds) for kind in ("cpu", "wall"))
        rows.append({"": f"`{name}`", "CPU s": f"{cpu:.2f}", "s on the clock": f"{wall:.2f}"})
        print(f"{name:31} {cpu:7.2f} CPU s {wall:7.2f} s on the clock")
    label, _, torch = (median(r[name].cpu for r in rounds) for name in commands)
    print(f"ratio                           {label / torch:7.2f}\n")
    return {"cold": rows}


def quiet(*command: str) -> None:
    """Run a command as users have it, with compiled modules, and show nothing of it."""
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    subprocess.run(command, check=True, capture_output=True, env=env)


_SMALL: list[bytes] = []


def small(photo: bytes) -> bytes:
    """A photo as a file of 64 x 48 pixels; the same each time."""
    import io

    if not _SMALL:
        target = io.BytesIO()
        with Image.open(io.BytesIO(photo)) as image:
            image.resize((64, 48)).save(target, "JPEG")
        _SMALL.append(target.getvalue())
    return _SMALL[0]


if __name__ == "__main__":
    main()
