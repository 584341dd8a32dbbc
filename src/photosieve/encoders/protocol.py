"""The parts that the rest of the product knows of a model.

An encoder is a pair of towers, image and text, into one space. It has a large frozen part, the
*trunk*, and a small trainable part, the *head*. Features are the output of the trunk: they are
computed once and kept, and training and every later projection start from them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, Self, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from photosieve.errors import Skipped

if TYPE_CHECKING:
    import torch
    from PIL import Image

Item = TypeVar("Item")
Other = TypeVar("Other")
Float32Array = NDArray[np.float32]

INT8 = ":int8"
"""Ends the names of hub models whose image tower computes in 8-bit integers."""


class Head(Protocol):
    """The trainable part of both towers, from features to embeddings."""

    @property
    def photo_width(self) -> int:
        """How many features a photo has."""

    @property
    def text_width(self) -> int:
        """How many features a text has; the least, where it depends on the text."""

    def project_photos(self, features: Float32Array) -> Float32Array:
        """Embed photos, (..., p), as unit vectors, (..., d)."""

    def project_texts(self, features: Float32Array) -> Float32Array:
        """Embed texts, (m, q), as unit vectors, (m, d)."""

    def centered(self, words: Float32Array) -> Self:
        """Return the same head with the mean of some texts, (words, q), as center of all texts.

        The text vectors of some models are all alike: what they share says nothing, and hides the
        rest.
        """

    def arrays(self) -> dict[str, Float32Array]:
        """Return all numbers that training may change, by name."""

    def with_arrays(self, arrays: Mapping[str, Float32Array]) -> Self:
        """Return the same kind of head with these numbers."""

    def fingerprint(self) -> str:
        """Hash of all numbers and shapes."""

    def student(self, *, trains_text: bool) -> Student:
        """Return a copy to train: of the photo side alone, or of both."""


@dataclass
class Student:
    """A head in training: the same maps on tensors, with gradients.

    Parameters
    ----------
    weights : list of tensor
        The tensors that training moves, always in the same order.
    photos : callable
        Maps photos, (..., p), to vectors of any length, (..., d), on the features' device.
    texts : callable
        Maps texts, (m, q), to vectors of any length, (m, d), on the features' device.
    arrays : callable
        Copies the numbers of `Head.arrays`, as trained so far.
    """

    weights: list[torch.Tensor]
    photos: Callable[[torch.Tensor], torch.Tensor]
    texts: Callable[[torch.Tensor], torch.Tensor]
    arrays: Callable[[], dict[str, Float32Array]]

    def parameters(self) -> list[torch.Tensor]:
        """Return the tensors that training moves."""
        return self.weights


class Encoder(Protocol):
    """A model of photos and texts.

    It may also have ``license`` and ``export``: see `photosieve.encoders.license_of` and
    `photosieve.encoders.export_encoder`; and the methods of `ByPath` and `OwnWords`.
    """

    @property
    def name(self) -> str:
        """The name that `load_encoder` takes to make it again, before training."""

    @property
    def head(self) -> Head:
        """The trainable part."""

    @property
    def fingerprint(self) -> str:
        """Hash of everything that decides an embedding: with one hash go the same scores."""

    @property
    def trunk_fingerprint(self) -> str:
        """Hash of everything that decides the features of a photo; the head does not."""

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
            Anything that stands for photos; taken a few at a time, so that memory does not grow.
        load : callable
            Returns the photos of an item, at least one, or something else; called in threads.
        other : callable
            Called with each item for which `load` returned something else, and with that; at
            once, between two results, in the caller's thread.
        """

    def text_features(self, texts: Sequence[str]) -> Float32Array:
        """Run the trunk's text side: (m, q)."""

    def with_head(self, head: Head) -> Encoder:
        """Return the same trunk with another head."""


@runtime_checkable
class ByPath(Protocol):
    """An encoder that knows photos by their paths; they are not decoded for it."""

    def stream_paths(
        self,
        items: Iterable[Item],
        path: Callable[[Item], Path | None],
        skip: Callable[[Item, Skipped], None],
    ) -> Iterator[tuple[Item, Float32Array]]:
        """Return the features of photos as they come: each item with its (1, p).

        Parameters
        ----------
        items : iterable
            Anything that stands for photos; taken a few at a time.
        path : callable
            Returns the path of an item, or None to leave it out.
        skip : callable
            Called with each item whose photo has no features, and with the reason.
        """


@runtime_checkable
class OwnWords(Protocol):
    """An encoder with general words of its own."""

    def word_features(self) -> Float32Array:
        """Return the features of the general words: (words, q)."""
