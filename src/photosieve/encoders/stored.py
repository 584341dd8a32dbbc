"""The model in a sieve's folder: loaded when a photo or a new text needs it, and not before.

A search with an index embeds one text. For that the text side is kept in a form that loads in a
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
from photosieve.encoders.texts import CachedTexts
from photosieve.errors import EncoderError, SieveError

if TYPE_CHECKING:
    from PIL import Image


@dataclass(frozen=True)
class StoredEncoder:
    """A hub model in a sieve's folder.

    Parameters
    ----------
    name : str
        Name of the model before training.
    license : str
    folder : Path
    head : Head
    fingerprint, trunk_fingerprint : str
        Hashes from the time when the sieve was saved.
    key : str
        Hash of all files of the model. The text side in the cache under this key was made of the
        same weights, so that texts need no look at the weights in the folder.
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

    # The same for every hub model.
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
        cached = self._texts
        tower = cached.tower if cached else None
        if cached and tower:
            return cached.features(tower, texts, self.head.text_width)
        features = self.model.text_features(texts)
        self._keep_texts()
        return features

    @functools.cached_property
    def _texts(self) -> CachedTexts | None:
        return CachedTexts.find(self.key)

    def _keep_texts(self) -> None:
        from photosieve.encoders.hub import HubEncoder

        if isinstance(self.model, HubEncoder) and (cached := self.model.cached_texts()):
            cached.keep(self.key)

    def with_head(self, head: Head) -> Encoder:
        """Return the same towers with another head."""
        return self.model.with_head(head)

    def export(self, folder: Path) -> Encoder:
        """Write the model in the form of the `transformers` library, and load it from there."""
        return export_encoder(self.model, folder)
