"""Embedding on a Ray cluster, for more photos than one machine can take.

Workers read photos and embed them; the process that was started lists, commits and sweeps, as it
does alone. So there is one writer, and what a lost worker had is computed again elsewhere and
arrives once.
"""

from __future__ import annotations

import io
import itertools
import logging
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from photosieve.encoders.embedding import photo_features
from photosieve.encoders.protocol import Float32Array
from photosieve.errors import PhotoError, Skipped, UsageError, one_line
from photosieve.index.changes import Entry
from photosieve.index.sources import open_root, place
from photosieve.index.update import Embed, Same, Verdict, decoded
from photosieve.sieve.sieve import Sieve

AT_ONCE = 100_000
"""Photos that are handed to the cluster in one go; the next are handed out when these are back."""

BATCH = 32
"""Photos that a worker takes at once: what is lost with it."""

CORES = 2
"""Of a worker without a graphics card."""


def embed_on(address: str) -> Callable[[Path, int], Embed]:
    """Return what `photosieve.index.index.Index.update` takes to embed on a cluster.

    Parameters
    ----------
    address : str
        Of the cluster, as Ray knows it; "local" starts one on this machine. Workers must find the
        photos under the same path, or in an object store.

    Raises
    ------
    UsageError
        If Ray is not installed, or the cluster cannot be reached.
    """
    try:
        import ray
        import ray.data
    except ImportError:
        raise UsageError(
            "Ray is not installed here; install it with: pip install 'photosieve[ray]'"
        ) from None
    if not ray.is_initialized():
        try:
            ray.init(
                None if address == "local" else address,
                log_to_driver=False,
                logging_level=logging.ERROR,
            )
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise UsageError(f"no Ray cluster answers at {address} ({one_line(error)}).") from None
    ray.data.DataContext.get_current().enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)

    def bind(folder: Path, max_pixels: int) -> Embed:
        sieve = ray.put(_packed(folder))

        def embed(
            entries: Iterable[Entry],
            load: Callable[[Entry], Sequence[Image.Image] | Verdict],  # noqa: ARG001  # workers read
            other: Callable[[Entry, Verdict], None],
        ) -> Iterator[tuple[Entry, Float32Array]]:
            waiting = iter(entries)
            while part := list(itertools.islice(waiting, AT_ONCE)):
                for row in _embedded(part, sieve, max_pixels):
                    entry = part[int(row["number"])]
                    found = _take(entry, row)
                    if isinstance(found, np.ndarray):
                        yield entry, found
                    else:
                        other(entry, found)

        return embed

    return bind


def _embedded(entries: Sequence[Entry], sieve: Any, max_pixels: int) -> Iterator[Mapping[str, Any]]:
    """Send entries through the cluster; results come in any order."""
    import ray

    rows = [
        {"number": number, "root": entry.root.address, "path": entry.path, "was": entry.was}
        for number, entry in enumerate(entries)
    ]
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
    cards = int(sum(node.get("GPU", 0) for node in nodes))
    # A worker has to fit into the smallest node.
    cores = max(1, min(CORES, *(int(node.get("CPU", CORES)) for node in nodes)))
    workers = cards or max(1, sum(int(node.get("CPU", 0)) // cores for node in nodes))
    data = ray.data.from_items(rows, override_num_blocks=max(1, len(rows) // BATCH)).map_batches(
        Worker,
        fn_constructor_args=(sieve, max_pixels),
        batch_size=BATCH,
        num_cpus=None if cards else cores,
        num_gpus=1 if cards else None,
        compute=ray.data.ActorPoolStrategy(min_size=1, max_size=workers),
    )
    yield from data.iter_rows()


def _take(entry: Entry, row: Mapping[str, Any]) -> Float32Array | Verdict:
    """Enter what a worker found into an entry."""
    entry.size, entry.mtime_ns = int(row["size"]), int(row["mtime_ns"])
    entry.sha256 = str(row["sha256"])
    if row["reason"]:
        return Skipped(place(*entry.key), str(row["reason"]), str(row["remedy"]))
    if entry.sha256 == entry.was:
        return Same.TOUCHED
    entry.full_size = int(row["width"]), int(row["height"])
    return np.asarray(row["features"], np.float32)[None]


class Worker:
    """What runs on the cluster: reads and embeds photos.

    Parameters
    ----------
    sieve : ObjectRef
        The sieve's folder as `_packed` gives it.
    max_pixels : int
    """

    def __init__(self, sieve: Any, max_pixels: int) -> None:
        import ray

        with tempfile.TemporaryDirectory() as scratch:
            with zipfile.ZipFile(io.BytesIO(ray.get(sieve))) as packed:
                packed.extractall(scratch)
            self._encoder = Sieve.load(Path(scratch)).encoder
            # The model is read when it is first used: that has to be while the folder is there.
            self._width = photo_features(self._encoder, ()).features.shape[1]
        self._max_pixels = max_pixels

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Embed the photos of a batch of rows."""
        entries = [
            Entry(open_root(str(root)), str(path), 0, 0, was=str(was))
            for root, path, was in zip(batch["root"], batch["path"], batch["was"], strict=True)
        ]
        features = np.zeros((len(entries), self._width), np.float32)
        reasons = [("", "")] * len(entries)

        def load(index: int) -> Sequence[Image.Image] | Skipped | None:
            entry = entries[index]
            try:
                found = entry.root.read(entry.path, self._max_pixels)
                entry.note(found)
                if entry.sha256 == entry.was:
                    return None
                return decoded(entry, found, self._encoder.shortest_side, self._max_pixels)
            except PhotoError as error:
                return Skipped.from_error(error)

        def other(index: int, reason: Skipped | None) -> None:
            if reason is not None:
                reasons[index] = reason.reason, reason.remedy

        stream: Any = self._encoder.stream
        for index, rows in stream(range(len(entries)), load, other):
            features[index] = rows[0]
        return {
            "number": batch["number"],
            "size": np.array([entry.size for entry in entries]),
            "mtime_ns": np.array([entry.mtime_ns for entry in entries]),
            "sha256": np.array([entry.sha256 for entry in entries]),
            "width": np.array([entry.full_size[0] for entry in entries]),
            "height": np.array([entry.full_size[1] for entry in entries]),
            "reason": np.array([reason for reason, _ in reasons]),
            "remedy": np.array([remedy for _, remedy in reasons]),
            "features": features,
        }


def _packed(folder: Path) -> bytes:
    """A sieve's folder as one value, for workers that do not share this machine's disk."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as packed:
        for file in folder.iterdir():
            packed.write(file, file.name)
    return target.getvalue()
