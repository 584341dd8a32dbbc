"""The text side of a hub model in this machine's cache: it loads in a moment, without torch."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from photosieve import checksums, storage
from photosieve.encoders import feed
from photosieve.encoders.inputs import Tokens, warn_of_long
from photosieve.encoders.protocol import Float32Array
from photosieve.encoders.runtime import Tower, load_converted

COMPARED_TEXTS = (
    "a",
    "SOFA bed",
    "swimming-pool, 2 m",
    "K\u00fcche \u53a8\u623f \u043a\u0443\u0445\u043d\u044f",
    "word " * 300,
)
"""Texts for which both tokenizers have to agree."""


@dataclass(frozen=True)
class CachedTexts:
    """A converted text tower and its tokenizer.

    Parameters
    ----------
    tower_name : str
        Name of the tower's folder in the cache folder.
    tokenizer : str
        In the JSON form of the `tokenizers` library.
    limit : int
        How many tokens the model reads.
    padded : bool
        Whether texts are padded to the limit and written in lower case; see `Tokens`.
    pad_id : int
    pad_token : str
    """

    tower_name: str
    tokenizer: str
    limit: int
    padded: bool
    pad_id: int
    pad_token: str

    @classmethod
    def of(cls, tokens: Tokens, tower: Path) -> CachedTexts | None:
        """Describe a text side; None if this form of the tokenizer gives other tokens."""
        theirs = tokens.tokenizer
        backend = getattr(theirs, "backend_tokenizer", None)
        if backend is None or not tower.exists():
            return None
        found = cls(
            tower.name,
            backend.to_str(),
            tokens.limit,
            tokens.padded,
            int(theirs.pad_token_id),
            str(theirs.pad_token),
        )
        for texts in (COMPARED_TEXTS, *([text] for text in COMPARED_TEXTS)):
            pairs = zip(tokens(texts), found.tokens(texts)[0], strict=True)
            if not all(np.array_equal(a, b) for a, b in pairs):
                return None
        return found

    @classmethod
    def find(cls, key: str) -> CachedTexts | None:
        """Return the text side kept under a key; None if it is missing or damaged."""
        try:
            return cls(**checksums.load(_file(key).read_bytes()))
        except (OSError, ValueError, TypeError):
            return None

    def keep(self, key: str) -> None:
        """Keep it in the cache folder; where that cannot be written, it is made again."""
        with suppress(OSError), storage.draft_file(_file(key)) as file:
            file.write(checksums.dump(asdict(self)))

    @functools.cached_property
    def tower(self) -> Tower | None:
        """The tower; None if its folder is missing or damaged."""
        return load_converted(storage.cache_folder() / self.tower_name)

    def features(self, tower: Tower, texts: Sequence[str], width: int) -> Float32Array:
        """Run the tower: (m, q).

        Warns
        -----
        UserWarning
            Once, naming the first text that was cut short.
        """
        long = [text for text, cut in zip(texts, self.tokens(texts)[1], strict=True) if cut]
        warn_of_long(long, self.limit)
        return feed.text_features(tower, lambda part: self.tokens(part)[0], texts, width=width)

    def tokens(self, texts: Sequence[str]) -> tuple[tuple[NDArray[np.int64], ...], list[bool]]:
        """Return the tower's inputs, equal to those of `Tokens`, and which texts were cut short."""
        written = [text.lower() if self.padded else text for text in texts]
        found = self._loaded.encode_batch(written)
        ids = np.array([item.ids for item in found], np.int64)
        mask = np.array([item.attention_mask for item in found], np.int64)
        long = [bool(item.overflowing) for item in found]
        return ((ids,) if self.padded else (ids, mask)), long

    @functools.cached_property
    def _loaded(self) -> Any:
        from tokenizers import Tokenizer

        loaded = Tokenizer.from_str(self.tokenizer)
        loaded.enable_truncation(self.limit)
        length = self.limit if self.padded else None
        loaded.enable_padding(pad_id=self.pad_id, pad_token=self.pad_token, length=length)
        return loaded


def _file(key: str) -> Path:
    return storage.cache_folder() / f"texts-{key[:16]}.json"
