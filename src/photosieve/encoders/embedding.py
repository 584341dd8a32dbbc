"""Photos and texts through an encoder: as features of the trunk, or as unit vectors."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from photosieve import storage
from photosieve.data import photos
from photosieve.encoders.protocol import ByPath, Encoder, Float32Array
from photosieve.errors import EncoderError, PhotoError, Skipped, one_line
from photosieve.progress import Progress, Stages, silent

if TYPE_CHECKING:
    from PIL import Image

    from photosieve.encoders.feature_cache import FeatureCache
    from photosieve.encoders.kept import KeptFeatures

STAGES: Stages = [("loading the model", 0.0), ("reading photos", 1.0)]
"""Of work that embeds photos and little else."""

MOST_MEMORY = 2 * 2**30
"""Features of more bytes than this are kept in a file in the cache folder."""


@dataclass(frozen=True)
class PhotoFeatures:
    """Features of a list of photos.

    Parameters
    ----------
    features : array (kept, p)
    kept : array of int (kept,)
        Positions of their photos in the list.
    skipped : tuple of Skipped
        The photos that could not be read.
    more_views : array (kept, v, p)
        Features of further views of each photo, for training; v is 0 unless they were asked for.
    """

    features: Float32Array
    kept: NDArray[np.intp]
    skipped: tuple[Skipped, ...]
    more_views: Float32Array


def photo_features(
    encoder: Encoder,
    paths: Sequence[Path],
    *,
    more_views: bool = False,
    max_pixels: int = photos.DEFAULT_MAX_PIXELS,
    progress: Progress = silent,
    keep: KeptFeatures | FeatureCache | None = None,
) -> PhotoFeatures:
    """Decode photos and run the trunk's image side, each once.

    An encoder that knows photos by their paths gets these, and has no further views.

    Parameters
    ----------
    encoder : Encoder
    paths : sequence of Path
        Photos that cannot be read are skipped.
    more_views : bool
        Whether to run it on the views of `photosieve.data.photos.more_views` too.
    max_pixels : int
        Larger photos are skipped.
    progress : Progress
    keep : KeptFeatures or FeatureCache, optional
        Where features are kept, and taken from if they are known.

    Raises
    ------
    EncoderError
        If there is no room for the features.
    """
    more_views = more_views and not isinstance(encoder, ByPath)
    # Further views enlarge the corners of a photo.
    side = encoder.shortest_side and encoder.shortest_side * (1 + more_views)
    skipped: list[Skipped] = []

    def load(index: int) -> Sequence[Image.Image] | Skipped:
        try:
            photo = photos.decode(paths[index], shortest_side=side, max_pixels=max_pixels)
        except PhotoError as error:
            return Skipped.from_error(error)
        return [photo, *photos.more_views(photo)] if more_views else [photo]

    def skip(index: int, reason: Skipped) -> None:
        skipped.append(reason)
        progress("reading photos", index + 1, len(paths))

    table = _room(len(paths), 1 + photos.MORE_VIEWS * more_views, encoder.head.photo_width)
    kept: list[int] = []
    if keep is not None:
        purpose = f"{encoder.trunk_fingerprint}/{more_views}/{max_pixels}"
        for index, rows in keep.known(paths, purpose, table.shape[1:]):
            table[len(kept)] = rows
            kept.append(index)
    before = frozenset(kept)
    order = [index for index in range(len(paths)) if index not in before]
    for index, rows in _embedded(encoder, order, paths, load, skip):
        table[len(kept)] = rows
        kept.append(index)
        if keep is not None:
            keep.add(index, rows)
        progress("reading photos", len(kept) + len(skipped), len(paths))
    table = table[: len(kept)]
    if keep is not None:
        keep.save()
        if kept != sorted(kept):  # photos that changed since the interruption
            table, kept = table[np.argsort(kept)], sorted(kept)
    return PhotoFeatures(table[:, 0], np.array(kept, np.intp), tuple(skipped), table[:, 1:])


def _embedded(
    encoder: Encoder,
    order: Sequence[int],
    paths: Sequence[Path],
    load: Callable[[int], Sequence[Image.Image] | Skipped],
    skip: Callable[[int, Skipped], None],
) -> Iterator[tuple[int, Float32Array]]:
    """Give photos, by their places among the paths, with their features as they come."""
    if isinstance(encoder, ByPath):
        return encoder.stream_paths(order, lambda index: paths[index], skip)
    # For no photo, no tower has to be loaded.
    return encoder.stream(order, load, skip) if order else iter(())


def embed_photos(
    encoder: Encoder, paths: Sequence[Path], *, progress: Progress = silent
) -> PhotoFeatures:
    """Embed photos as unit vectors, (kept, d); they stand in place of the features."""
    found = photo_features(encoder, paths, progress=progress)
    project = encoder.head.project_photos
    return replace(found, features=project(found.features), more_views=project(found.more_views))


def embed_texts(encoder: Encoder, texts: Sequence[str]) -> Float32Array:
    """Embed texts as unit vectors, (m, d)."""
    return encoder.head.project_texts(encoder.text_features(texts))


def _room(count: int, views: int, width: int) -> Float32Array:
    """Return an empty table, (count, views, width), in memory or in a file without a name."""
    size = count * views * width * 4
    folder = storage.cache_folder()
    try:
        if size <= MOST_MEMORY:
            return np.empty((count, views, width), np.float32)
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            # A disk that turns out to be full when a page is written would end the process.
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, size)
            return np.asarray(np.memmap(file, np.float32, "w+", shape=(count, views, width)))
    except (MemoryError, OSError) as error:
        raise EncoderError(
            f"{count} photos take {size / 2**30:.1f} GiB in the form that this recipe wants, for "
            f"which there is no room in memory or in {folder} ({one_line(error)}); take fewer "
            "photos, or a recipe that trains fewer blocks or has more_views=false"
        ) from error
