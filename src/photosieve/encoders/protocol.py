"""Encoders: pairs of towers, image and text, into one space.

An encoder is a large frozen part, the *trunk*, and a small trainable part, the *head*. Features are
what the trunk gives: they are computed once and kept, and training and every later projection
start from them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from photosieve.data.photos import DEFAULT_MAX_PIXELS
from photosieve.errors import Skipped
from photosieve.progress import Progress, silent

if TYPE_CHECKING:
    import torch
    from PIL import Image

Item = TypeVar("Item")
Other = TypeVar("Other")
Float32Array = NDArray[np.float32]


@dataclass(frozen=True)
class PhotoFeatures:
    """What the trunk gave for a list of photos.

    Parameters
    ----------
    features : array (kept, p)
    kept : array of int (kept,)
        Which of the photos they belong to.
    skipped : tuple of Skipped
        The photos that could not be read.
    more_views : array (kept, v, p)
        Features of further views of each photo, for training; v is 0 unless they were asked for.
    """

    features: Float32Array
    kept: NDArray[np.intp]
    skipped: tuple[Skipped, ...]
    more_views: Float32Array


class Head(Protocol):
    """The trainable part of both towers, from features to embeddings."""

    def project_photos(self, features: Float32Array) -> Float32Array:
        """Embed photos, (..., p), as unit vectors, (..., d)."""

    def project_texts(self, features: Float32Array) -> Float32Array:
        """Embed texts, (m, q), as unit vectors, (m, d)."""

    def arrays(self) -> dict[str, Float32Array]:
        """Return all that training may change, by name."""

    def with_arrays(self, arrays: Mapping[str, Float32Array]) -> Self:
        """Return the same kind of head with these numbers."""

    def fingerprint(self) -> str:
        """Hash of all numbers and shapes."""

    def student(self, *, trains_text: bool) -> Student:
        """Return a copy to train: of the photo side alone, or of both."""


class Student(Protocol):
    """A head in training: the same maps on tensors, with gradients."""

    def parameters(self) -> list[torch.Tensor]:
        """Return the tensors that training moves."""

    def photos(self, features: torch.Tensor) -> torch.Tensor:
        """Map photos, (..., p), to vectors of any length, (..., d), on the features' device."""

    def texts(self, features: torch.Tensor) -> torch.Tensor:
        """Map texts, (m, q), to vectors of any length, (m, d), on the features' device."""

    def arrays(self) -> dict[str, Float32Array]:
        """Return a copy of what has become of `Head.arrays`."""


class Encoder(Protocol):
    """What the rest of the product knows of a model."""

    @property
    def name(self) -> str:
        """What `load_encoder` takes to make it again, before training."""

    @property
    def license(self) -> str:
        """Of the pretrained weights, as the Hugging Face hub calls it; empty if it is not known."""

    @property
    def head(self) -> Head:
        """The trainable part."""

    @property
    def fingerprint(self) -> str:
        """Hash of all that decides an embedding: two encoders that share it agree on each score."""

    @property
    def trunk_fingerprint(self) -> str:
        """Hash of all that decides a photo's features: they are the same whatever the head."""

    def photo_features(
        self,
        paths: Sequence[Path],
        *,
        more_views: bool = False,
        max_pixels: int = DEFAULT_MAX_PIXELS,
        progress: Progress = silent,
    ) -> PhotoFeatures:
        """Decode photos and run the trunk's image side, each once; unreadable ones are skipped.

        With `more_views`, on those of `photosieve.data.photos.more_views` too.
        """

    @property
    def shortest_side(self) -> int | None:
        """How many pixels the shorter side of a photo needs; None where all of them count."""

    def stream(
        self,
        items: Iterable[Item],
        load: Callable[[Item], Sequence[Image.Image] | Other],
        other: Callable[[Item, Other], None],
    ) -> Iterator[tuple[Item, Float32Array]]:
        """Run the trunk's image side on photos as they come: each item with its (photos, p).

        Parameters
        ----------
        items : iterable
            Whatever stands for photos; taken a few at a time, so that memory does not grow.
        load : callable
            Gives the photos of an item, at least one, or something else; called in threads.
        other : callable
            Gets the items for which it was something else, and what; called at once, between
            two results, in the caller's thread.
        """

    def text_features(self, texts: Sequence[str]) -> Float32Array:
        """Run the trunk's text side: (m, q)."""

    def with_head(self, head: Head) -> Encoder:
        """Return the same trunk with another head."""

    def general_words(self) -> tuple[str, ...]:
        """About a thousand words from all over, whose scores training should not move."""

    def opened(self, blocks: int, lora_rank: int, *, trains_text: bool) -> Encoder:
        """Return the same model with a head of more than the projections.

        Its embeddings are the same to rounding; its features are what enters the head, in rows
        that only the head can read.

        Parameters
        ----------
        blocks : int
            How many of the last blocks of each tower belong to the head; -1 for all.
        lora_rank : int
            If above 0, the head is everything, and training adds changes of this rank.
        trains_text : bool
            Whether the text tower is opened too.

        Raises
        ------
        EncoderError
            If this model has no blocks to train, or fewer.
        """

    def export(self, folder: Path) -> Encoder:
        """Write what the product does not bring along, and return the encoder that loads from it.

        A model of the `transformers` library is written so that the library can load it, trained
        as it is; the built-in encoder writes nothing. `load_encoder` with the name and the folder
        gives the encoder again, but for its head.
        """


def embed_photos(
    encoder: Encoder,
    paths: Sequence[Path],
    *,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    progress: Progress = silent,
) -> PhotoFeatures:
    """Embed photos as unit vectors, (kept, d), in the form of `Encoder.photo_features`."""
    found = encoder.photo_features(paths, max_pixels=max_pixels, progress=progress)
    project = encoder.head.project_photos
    return replace(found, features=project(found.features), more_views=project(found.more_views))


def embed_texts(encoder: Encoder, texts: Sequence[str]) -> Float32Array:
    """Embed texts as unit vectors, (m, d)."""
    return encoder.head.project_texts(encoder.text_features(texts))


def unit(vectors: NDArray[np.floating[Any]]) -> Float32Array:
    """Scale vectors, (..., d), to length 1; a zero vector stays zero."""
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.maximum(length, np.finfo(np.float32).tiny), np.float32)
