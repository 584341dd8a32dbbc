"""CLIP, ALIGN, SigLIP and their relatives, as the `transformers` library knows them.

A model is split where its own projections begin. Where these are plain matrices, as in CLIP, they
are the head, and all below is the trunk; a model without them is all trunk, and its head starts as
the identity. Either way the pretrained head gives the model's own embeddings. A model that is
opened is split further down: see `photosieve.encoders.blocks.tail`.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from photosieve.encoders import feed
from photosieve.encoders.files import Checkpoint
from photosieve.encoders.head import LinearHead
from photosieve.encoders.model import PHOTOS, TEXTS, Model, explained
from photosieve.encoders.protocol import Float32Array, Head, Item, Other
from photosieve.encoders.texts import TextSide
from photosieve.encoders.towers import Trunk, accelerator, load_trunk, text_tower_file
from photosieve.errors import EncoderError

PREPARATION = 1
"""Raised whenever pixels or tokens are prepared differently, so that old cuts are refused."""


@dataclass(frozen=True)
class Hub:
    """An encoder from the Hugging Face hub or a folder; `open_hub` makes it.

    Parameters
    ----------
    name : str
        The id or the folder of the model as it was before training.
    model : Model
        What it was made of.
    trunk : Trunk
        The two towers, as far as they are frozen.
    head : Head
        The trainable part.
    plain : LinearHead
        The head that the model came with, above whole towers.
    """

    name: str
    model: Model
    trunk: Trunk
    head: Head
    plain: LinearHead

    # The model's own processor scales: what it makes of a smaller copy differs a little.
    shortest_side = None

    @property
    def license(self) -> str:
        """What the model's own card states."""
        return self.model.checkpoint.license

    @functools.cached_property
    def fingerprint(self) -> str:
        """Hash of the weights, how inputs are prepared, and the head."""
        parts = (self.trunk.fingerprint, str(PREPARATION), self.head.fingerprint())
        return hashlib.sha256("/".join(parts).encode()).hexdigest()

    @functools.cached_property
    def trunk_fingerprint(self) -> str:
        """Hash of the image tower's weights, how photos are prepared, and where the head begins."""
        digest = self.model.checkpoint.preparation
        parts = (self.model.key(PHOTOS), digest, f"{PREPARATION}/{self.head.photo_width}")
        return hashlib.sha256("/".join(parts).encode()).hexdigest()

    def with_head(self, head: Head) -> Hub:
        """Return the same towers with another head."""
        return replace(self, head=head)

    def stream(
        self,
        items: Iterable[Item],
        load: Callable[[Item], Sequence[Image.Image] | Other],
        other: Callable[[Item, Other], None],
    ) -> Iterator[tuple[Item, Float32Array]]:
        """Run the image tower on photos as they come: each item with its (photos, p)."""
        trunk = self.trunk
        return feed.stream(trunk.photos, trunk.prepare, items, load, other, batch=trunk.batch)

    def text_features(self, texts: Sequence[str]) -> Float32Array:
        """Run the text tower: (m, q). A text beyond the model's limit is cut short, with a warning.

        Warns
        -----
        UserWarning
            Once, naming the first text that was cut short.
        """
        self.trunk.tokens.warn_of_long(texts)
        trunk = self.trunk
        return feed.text_features(trunk.texts, trunk.tokens, texts, width=self.head.text_width)

    def text_side(self) -> TextSide | None:
        """Return the text side in a form that opens without torch; None where there is none."""
        if accelerator() or not isinstance(self.head, LinearHead):
            return None
        tower = text_tower_file(self.model, self.trunk.examples[TEXTS])
        return TextSide.of(self.trunk.tokens, tower)

    def export(self, folder: Path) -> Hub:
        """Write the model as the `transformers` library does, and return it as found there.

        What was trained is part of its weights, so that the library's own class gives the same
        embeddings; but for a `LinearHead` where the model has no matrix that it could become, which
        has to be kept beside it.

        Raises
        ------
        OSError, SafetensorError
            If the folder cannot be written.
        """
        head = self.head
        if isinstance(head, LinearHead):
            maps = {PHOTOS: head.photo, TEXTS: head.text}
            trained = {f"{side.projection}.weight": maps[side].T for side in self.model.projections}
        else:
            trained = head.arrays()
        model = self.model.save(folder, trained)
        plain = _head(model, len(self.plain.photo), len(self.plain.text))
        saved = Hub(self.name, model, load_trunk(model), plain, plain)
        return saved.with_head(head) if isinstance(head, LinearHead) else saved


def open_hub(name: str, folder: Path | None = None) -> Hub:
    """Load a model from a folder or by its hub id, in its fastest form.

    Parameters
    ----------
    name : str
        A folder, or an id such as ``"openai/clip-vit-base-patch32"``.
    folder : Path, optional
        Where the model is now, with what was trained; the name is then that of what it was.

    Raises
    ------
    EncoderError
        There is no such model, or it cannot be used; the text says why and what to do.
    """
    checkpoint = Checkpoint.find(str(folder) if folder else name)
    model = Model.find(checkpoint)
    trunk = load_trunk(model)
    with explained(checkpoint.name, "the model"):
        photo, text = (
            next(tower([list(trunk.examples[side].values())]))
            for tower, side in ((trunk.photos, PHOTOS), (trunk.texts, TEXTS))
        )
        head = _head(model, photo.shape[-1], text.shape[-1])
    if photo.ndim != 2 or text.ndim != 2 or head.photo.shape[1] != head.text.shape[1]:
        raise EncoderError(
            f"{checkpoint.name} does not give photos and texts as vectors of one length; "
            "give a CLIP, ALIGN, SigLIP or similar model"
        )
    return Hub(name if folder else checkpoint.name, model, trunk, head, head)


def _head(model: Model, photo_width: int, text_width: int) -> LinearHead:
    """The pretrained head for features of these widths."""
    photo, text = (
        model.projections.get(side, np.eye(width, dtype=np.float32))
        for side, width in ((PHOTOS, photo_width), (TEXTS, text_width))
    )
    zeros = [np.zeros(len(matrix), np.float32) for matrix in (photo, text)]
    return LinearHead(photo_mean=zeros[0], photo=photo, text_mean=zeros[1], text=text)
