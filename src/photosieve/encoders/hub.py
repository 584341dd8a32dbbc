"""CLIP, ALIGN, SigLIP and similar models of the `transformers` library.

A model is split where its own projections begin. Where these are plain matrices, as in CLIP, they
are the head, and all below is the trunk; a model without them is all trunk, and its head starts as
the identity. Either way the pretrained head gives the model's own embeddings. A model that is
opened for training is split further down: see `photosieve.encoders.blocks.opening`.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from photosieve.encoders import adapters, feed
from photosieve.encoders.files import ModelFiles
from photosieve.encoders.head import LinearHead
from photosieve.encoders.inputs import HUB_INPUTS_VERSION
from photosieve.encoders.model import PHOTOS, TEXTS, Model, Side, model_errors
from photosieve.encoders.protocol import INT8, Float32Array, Head, Item, Other
from photosieve.encoders.texts import CachedTexts
from photosieve.encoders.towers import Trunk, load_trunk
from photosieve.errors import EncoderError


@dataclass(frozen=True)
class HubEncoder:
    """An encoder from the Hugging Face hub or a folder; `load_hub` makes it.

    Parameters
    ----------
    name : str
        The id or the folder of the model as it was before training.
    model : Model
        The model in its files.
    trunk : Trunk
        The frozen part.
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

    # The model's own processor scales photos, and gives slightly other pixels for a smaller copy.
    shortest_side = None

    @property
    def license(self) -> str:
        """License in the model's own card."""
        return self.model.files.license

    @functools.cached_property
    def fingerprint(self) -> str:
        """Hash of the weights, how inputs are prepared, and the head."""
        trunk = self.trunk
        parts = [trunk.fingerprint, str(HUB_INPUTS_VERSION), self.head.fingerprint()]
        parts += [trunk.rounding] if trunk.rounding else []
        return hashlib.sha256("/".join(parts).encode()).hexdigest()

    @functools.cached_property
    def trunk_fingerprint(self) -> str:
        """Hash of the image tower's weights, how photos are prepared, and where the head begins."""
        digest = self.model.files.preparation
        parts = [self.model.key(PHOTOS), digest, f"{HUB_INPUTS_VERSION}/{self.head.photo_width}"]
        parts += [self.trunk.rounding] if self.trunk.rounding else []
        return hashlib.sha256("/".join(parts).encode()).hexdigest()

    def with_head(self, head: Head) -> HubEncoder:
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

    def cached_texts(self) -> CachedTexts | None:
        """Return the text side in a form that loads without torch; None where there is none."""
        if self.trunk.device or not isinstance(self.head, LinearHead):
            return None
        return CachedTexts.of(self.trunk.tokens, self.trunk.sources[TEXTS].folder)

    def export(self, folder: Path) -> HubEncoder:
        """Write the model in the form of the `transformers` library, and load it from there.

        The trained numbers become part of its weights, so that the library's own class gives the
        same embeddings. A `LinearHead` on a model without projections cannot become part of it: the
        caller has to keep that head.

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
        trunk = load_trunk(model, int8=bool(self.trunk.rounding))
        saved = HubEncoder(self.name, model, trunk, plain, plain)
        if isinstance(head, LinearHead):
            return saved.with_head(head)
        center = getattr(head, "text_center", None)
        if center is None:
            return saved
        # The smallest mean of features that gives this center.
        mean = plain.text @ np.linalg.lstsq(plain.text.T @ plain.text, center, rcond=None)[0]
        return saved.with_head(replace(plain, text_mean=np.asarray(mean, np.float32)))


def load_hub(name: str, folder: Path | None = None, *, int8: bool = False) -> HubEncoder:
    """Load a model from a folder or by its hub id, in its fastest form.

    Parameters
    ----------
    name : str
        A folder, or an id such as ``"openai/clip-vit-base-patch32"``.
    folder : Path, optional
        Where the trained model is; the name is then that of the model before training.
    int8 : bool
        Whether its image tower computes in 8-bit integers.

    Raises
    ------
    EncoderError
        If there is no such model, or it cannot be used.
    """
    files = ModelFiles.find(str(folder) if folder else name)
    if files.is_adapter:
        files = adapters.merge(files)
    model = Model.find(files)
    trunk = load_trunk(model, int8=int8)
    with model_errors(files.name, "the model"):
        widths = [_width(model, trunk, side) for side in (PHOTOS, TEXTS)]
        head = _head(model, *widths)
    if 0 in widths or head.photo.shape[1] != head.text.shape[1]:
        raise EncoderError(
            f"{files.name} does not give photos and texts as vectors of one length; "
            "give a CLIP, ALIGN, SigLIP or similar model"
        )
    base = name if folder else files.name
    return HubEncoder(base + INT8 * int8, model, trunk, head, head)


def _width(model: Model, trunk: Trunk, side: Side) -> int:
    """Return how many features a tower gives; 0 if they are no rows of numbers.

    Where a plain projection follows, the tower is not run: converting it takes seconds and half a
    gigabyte, and training of blocks uses parts of it only. Weights that do not fit are refused.
    """
    if side in model.projections:
        if not trunk.sources[side].folder.exists():
            model.load(side)
        return len(model.projections[side])
    tower = trunk.photos if side == PHOTOS else trunk.texts
    rows = next(tower([list(trunk.examples[side].values())]))
    return rows.shape[-1] if rows.ndim == 2 else 0


def _head(model: Model, photo_width: int, text_width: int) -> LinearHead:
    """Return the pretrained head for features of these widths."""
    photo, text = (
        model.projections.get(side, np.eye(width, dtype=np.float32))
        for side, width in ((PHOTOS, photo_width), (TEXTS, text_width))
    )
    zeros = [np.zeros(len(matrix), np.float32) for matrix in (photo, text)]
    return LinearHead(photo_mean=zeros[0], photo=photo, text_mean=zeros[1], text=text)
