"""Embedding on a Ray cluster, for more photos than one machine can take.

Workers read photos and embed them; the process that was started lists folders and writes the
table, as it does without a cluster. So there is one writer, and the photos of a lost worker are
embedded by another one and arrive once.
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
from photosieve.index.changes import PendingPhoto
from photosieve.index.sources import open_root, place
from photosieve.index.update import Embed, NotEmbedded, Reuse, decoded
from photosieve.sieve.sieve import Sieve

PHOTOS_AT_ONCE = 100_000
"""Photos that are given to the cluster together; the next are given when all of these are back."""

BATCH = 32
"""Photos that a worker takes at once, which are lost with it."""

CORES_PER_WORKER = 2
"""Cores of a worker without a graphics card."""


def embed_on(address: str) -> Callable[[Path, int], Embed]:
    """Return the argument `embed` of `photosieve.index.index.Index.update` for a cluster.

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
            photos: Iterable[PendingPhoto],
            load: Callable[[PendingPhoto], Sequence[Image.Image] | NotEmbedded],  # noqa: ARG001  # workers read
            other: Callable[[PendingPhoto, NotEmbedded], None],
        ) -> Iterator[tuple[PendingPhoto, Float32Array]]:
            waiting = iter(photos)
            while part := list(itertools.islice(waiting, PHOTOS_AT_ONCE)):
                for row in _embedded(part, sieve, max_pixels):
                    photo = part[int(row["number"])]
                    result = _take(photo, row)
                    if isinstance(result, np.ndarray):
                        yield photo, result
                    else:
                        other(photo, result)

        return embed

    return bind


def _embedded(
    photos: Sequence[PendingPhoto], sieve: Any, max_pixels: int
) -> Iterator[Mapping[str, Any]]:
    """Send photos through the cluster; results come in any order."""
    import ray

    rows = [
        {
            "number": number,
            "root": photo.root.address,
            "path": photo.path,
            "known_sha256": photo.known_sha256,
        }
        for number, photo in enumerate(photos)
    ]
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
    cards = int(sum(node.get("GPU", 0) for node in nodes))
    # A worker has to fit into the smallest node.
    cores = max(
        1, min(CORES_PER_WORKER, *(int(node.get("CPU", CORES_PER_WORKER)) for node in nodes))
    )
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


def _take(photo: PendingPhoto, row: Mapping[str, Any]) -> Float32Array | NotEmbedded:
    """Take over a worker's result into a photo."""
    photo.size, photo.mtime_ns = int(row["size"]), int(row["mtime_ns"])
    photo.sha256 = str(row["sha256"])
    if row["reason"]:
        reason, remedy, form = (str(row[name]) for name in ("reason", "remedy", "form"))
        return Skipped(place(*photo.key), reason, remedy, form=form)
    if photo.sha256 == photo.known_sha256:
        return Reuse.TOUCHED
    photo.full_size = int(row["width"]), int(row["height"])
    return np.asarray(row["features"], np.float32)[None]


class Worker:
    """A worker of the cluster, which reads and embeds photos.

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
            # The model is loaded when it is first used, which has to be while the folder exists.
            self._width = photo_features(self._encoder, ()).features.shape[1]
        self._max_pixels = max_pixels

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Embed the photos of a batch of rows."""
        photos = [
            PendingPhoto(open_root(str(root)), str(path), 0, 0, known_sha256=str(sha256))
            for root, path, sha256 in zip(
                batch["root"], batch["path"], batch["known_sha256"], strict=True
            )
        ]
        features = np.zeros((len(photos), self._width), np.float32)
        reasons = [("", "", "")] * len(photos)

        def load(index: int) -> Sequence[Image.Image] | Skipped | None:
            photo = photos[index]
            try:
                content = photo.root.read(photo.path, self._max_pixels)
                photo.note(content)
                if photo.sha256 == photo.known_sha256:
                    return None
                return decoded(photo, content, self._encoder.shortest_side, self._max_pixels)
            except PhotoError as error:
                return Skipped.from_error(error)

        def other(index: int, reason: Skipped | None) -> None:
            if reason is not None:
                reasons[index] = reason.reason, reason.remedy, reason.form

        stream: Any = self._encoder.stream
        for index, rows in stream(range(len(photos)), load, other):
            features[index] = rows[0]
        return {
            "number": batch["number"],
            "size": np.array([photo.size for photo in photos]),
            "mtime_ns": np.array([photo.mtime_ns for photo in photos]),
            "sha256": np.array([photo.sha256 for photo in photos]),
            "width": np.array([photo.full_size[0] for photo in photos]),
            "height": np.array([photo.full_size[1] for photo in photos]),
            "reason": np.array([reason for reason, _, _ in reasons]),
            "remedy": np.array([remedy for _, remedy, _ in reasons]),
            "form": np.array([form for _, _, form in reasons]),
            "features": features,
        }


def _packed(folder: Path) -> bytes:
    """Pack a sieve's folder into one value, for workers on other machines."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as packed:
        for file in folder.iterdir():
            packed.write(file, file.name)
    return target.getvalue()
