"""Prompts: the sentences that words are put into before they are embedded.

Models of captions know "a photo of a kitchen" better than "kitchen" (Radford et al. 2021,
arXiv:2103.00020, section 3.1.4); which sentence is best depends on the model.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from photosieve.encoders import export_encoder, license_of
from photosieve.encoders.protocol import Encoder, Float32Array, Head, Item, Other

if TYPE_CHECKING:
    from PIL import Image

BARE = ("{}",)
"""The word as it is."""

PROMPTS = (
    BARE,
    ("a photo of a {}",),
    ("{}", "a photo of a {}", "a photo of the {}", "a {} in a photo"),
)
"""The prompts that are tried; features of several are averaged."""


@dataclass(frozen=True)
class PromptedEncoder:
    """An encoder that puts texts into sentences first.

    Parameters
    ----------
    encoder : Encoder
    prompts : tuple of str
        Each with ``{}`` in the place of the text; features of several are averaged.
    """

    encoder: Encoder
    prompts: tuple[str, ...]

    @property
    def name(self) -> str:
        """The name of the encoder."""
        return self.encoder.name

    @property
    def license(self) -> str:
        """The license of the encoder."""
        return license_of(self.encoder)

    @property
    def head(self) -> Head:
        """The trainable part."""
        return self.encoder.head

    @property
    def shortest_side(self) -> int | None:
        """How many pixels the shorter side of a photo needs."""
        return self.encoder.shortest_side

    @functools.cached_property
    def fingerprint(self) -> str:
        """Hash of the encoder and the prompts."""
        parts = (self.encoder.fingerprint, *self.prompts)
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()

    @property
    def trunk_fingerprint(self) -> str:
        """Hash of everything that decides the features of a photo; prompts do not."""
        return self.encoder.trunk_fingerprint

    def stream(
        self,
        items: Iterable[Item],
        load: Callable[[Item], Sequence[Image.Image] | Other],
        other: Callable[[Item, Other], None],
    ) -> Iterator[tuple[Item, Float32Array]]:
        """Run the trunk's image side on photos as they come: each item with its (photos, p)."""
        return self.encoder.stream(items, load, other)

    def text_features(self, texts: Sequence[str]) -> Float32Array:
        """Run the trunk's text side on texts in their sentences: (m, q)."""
        # One replacement: a text may have braces of its own.
        found = [
            self.encoder.text_features([prompt.replace("{}", text, 1) for text in texts])
            for prompt in self.prompts
        ]
        return np.asarray(np.mean(found, axis=0), np.float32) if len(found) > 1 else found[0]

    def with_head(self, head: Head) -> PromptedEncoder:
        """Return the same towers and prompts with another head."""
        return replace(self, encoder=self.encoder.with_head(head))

    def export(self, folder: Path) -> PromptedEncoder:
        """Write the encoder; the caller has to keep the prompts."""
        return replace(self, encoder=export_encoder(self.encoder, folder))


def with_prompts(encoder: Encoder, prompts: Sequence[str]) -> Encoder:
    """Return an encoder with these prompts instead of its own."""
    bare = encoder.encoder if isinstance(encoder, PromptedEncoder) else encoder
    return bare if tuple(prompts) == BARE else PromptedEncoder(bare, tuple(prompts))


def prompts_of(encoder: Encoder) -> tuple[str, ...]:
    """Return the prompts of an encoder."""
    return encoder.prompts if isinstance(encoder, PromptedEncoder) else BARE
