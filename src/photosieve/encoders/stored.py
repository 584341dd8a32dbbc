"""The model in a sieve's folder: opened when a photo or a new text needs it, and not before.

A search with an index embeds one text. For that the text side is kept in a form that opens in a
moment; see `photosieve.encoders.texts`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from photosieve.encoders import export_encoder, load_encoder
from photosieve.encoders.protocol import Encoder, Float32Array, Head, Item, Other
from photosieve.encoders.texts import TextSide
from photosieve.errors import EncoderError, SieveError

if TYPE_CHECKING:
    from PIL import Image


@dataclass(frozen=True)
class Stored:
    """A hub model as a sieve's folder has it.

    Parameters
    ----------
    name : str
        Of the model as it was before training.
    license : str
    folder : Path
    head : Head
    fingerprint, trunk_fingerprint : str
        As they were when the sieve was saved.
    key : str
        Hash of all files of the model. The text side that is kept under it was made of weights
        with this very hash, so that texts need no look at the weights in the folder.
    verify : callable
        Raises `SieveError` if the weights in the folder are not those that were saved.
    """

    name: str
    license: str
    folder: Path
    head: Head
    fingerprint: str
    trunk_fingerprint: str
    key: str
    verify: Callable[[], None]

    # As of every hub model.
    shortest_side = None

    @functools.cached_property
    def model(self) -> Encoder:
        """The model itself.

        Raises
        ------
        SieveError
            If the folder does not hold what was saved.
        """
        self.verify()
        try:
            model = load_encoder(self.name, self.folder).with_head(self.head)
        except EncoderError as error:
            raise SieveError(
                f"{self.folder}: the model is damaged ({error}); train again"
            ) from None
        if model.fingerprint != self.fingerprint:
            raise SieveError(
                f"{self.folder}: the cut was tuned for other weights than those found here; "
                "train again"
            )
        return model

    def stream(
        self,
        items: Iterable[Item],
        load: Callable[[Item], Sequence[Image.Image] | Other],
        other: Callable[[Item, Other], None],
    ) -> Iterator[tuple[Item, Float32Array]]:
        """Run the image tower on photos as they come: each item with its (photos, p)."""
        return self.model.stream(items, load, other)

    def text_features(self, texts: Sequence[str]) -> Float32Array:
        """Run the text tower: (m, q). A text beyond the model's limit is cut short, with a warning.

        Warns
        -----
        UserWarning
            Once, naming the first text that was cut short.
        """
        kept = self._texts
        tower = kept.open if kept else None
        if kept and tower:
            return kept.features(tower, texts, self.head.text_width)
        found = self.model.text_features(texts)
        self._keep_texts()
        return found

    @functools.cached_property
    def _texts(self) -> TextSide | None:
        return TextSide.find(self.key)

    def _keep_texts(self) -> None:
        from photosieve.encoders.hub import Hub

        if isinstance(self.model, Hub) and (found := self.model.text_side()):
            found.keep(self.key)

    def with_head(self, head: Head) -> Encoder:
        """Return the same towers with another head."""
        return self.model.with_head(head)

    def export(self, folder: Path) -> Encoder:
        """Write the model as the `transformers` library does, and return it as found there."""
        return export_encoder(self.model, folder)
