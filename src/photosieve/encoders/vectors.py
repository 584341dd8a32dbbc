"""An encoder of vectors from elsewhere: another library, a vector database, or a file."""

from __future__ import annotations

import copy
import functools
import hashlib
import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from photosieve.encoders import VECTORS
from photosieve.encoders.head import LinearHead, unit
from photosieve.encoders.protocol import Float32Array, Head, Item, Other
from photosieve.encoders.words import general_words
from photosieve.errors import EncoderError, PhotoError, Skipped, UsageError, one_line

if TYPE_CHECKING:
    from PIL import Image

Key = TypeVar("Key")

PROBES = ("dog", "kitchen", "a red car", "mountains at night")
"""Texts whose vectors tell one function from another."""

BATCH = 64
"""A function is asked for so many vectors at once."""


class VectorEncoder:
    """Vectors of photos and texts that were computed elsewhere, by one model for both.

    The vectors are taken as they are, of any length, and a photo is never decoded. A saved sieve
    holds the name alone, so give the encoder again to load it: ``Sieve.load(folder, encoder)``.

    Parameters
    ----------
    name : str
        Names the model that the vectors come from. Change it when you change the model.
    photos : mapping of str or Path to array (d,), or callable
        The callable takes a list of n paths and returns an array (n, d). Where it raises a
        `PhotoError` or an `OSError` for a photo, that photo is skipped.

        A mapping has a photo under its path as it was given, or else under the longest key that
        its absolute path ends with; such a key has a folder and a file name at least, as in
        ``"harbour-view/kitchen.jpg"``. A photo without a vector is skipped.
    texts : mapping of str to array (d,), or callable
        Of labels and queries, as they are written. The callable takes a list of m texts and returns
        an array (m, d).
    words : mapping of str to array (d,), optional
        General words: 30 common things or more, which are on few photos. Scores of texts are
        measured against theirs. By default the texts of `general_words`, by way of `texts`.

    Raises
    ------
    EncoderError
        If the general words are missing. Later, if `texts` has no vector of a text, a callable
        returns another number of vectors than it was asked for, or a vector is zero, not finite,
        or of another width than those of the general words.
    UsageError
        If the name is empty.

    Notes
    -----
    Sieves and indexes know a model by its fingerprint. Here it is the hash of the name and of the
    general words' vectors. Where a callable computes these, it is the hash of the name and of the
    rounded cosines of four texts, so that the same model on another machine has the same
    fingerprint. Vectors of photos do not count: a sieve is made to be asked about other photos.
    """

    shortest_side = None

    def __init__(
        self,
        name: str,
        photos: Mapping[str, ArrayLike]
        | Mapping[Path, ArrayLike]
        | Callable[[list[Path]], ArrayLike],
        texts: Mapping[str, ArrayLike] | Callable[[list[str]], ArrayLike],
        *,
        words: Mapping[str, ArrayLike] | None = None,
    ) -> None:
        if not name.strip():
            raise UsageError("the vectors need a name: that of the model they come from")
        self.name = VECTORS + " ".join(name.split())
        self._photos: Mapping[Any, ArrayLike] | Callable[[list[Path]], ArrayLike] = photos
        self._keys = {_normal(key): key for key in photos} if isinstance(photos, Mapping) else {}
        self._texts = texts
        self._given_words = words
        self._width: int | None = None  # not known yet
        if words is None and not isinstance(texts, Mapping):
            known = self._read(texts, PROBES, "texts")
            model = _outline(known)
        else:
            known = self._words
            model = known.tobytes()
        self._width = known.shape[1]
        self.head: Head = start_head(self._width)
        self.trunk_fingerprint = hashlib.sha256(self.name.encode() + b"\0" + model).hexdigest()

    @property
    def fingerprint(self) -> str:
        """Hash of the trunk's fingerprint and the head."""
        parts = self.trunk_fingerprint, self.head.fingerprint()
        return hashlib.sha256("/".join(parts).encode()).hexdigest()

    def with_head(self, head: Head) -> VectorEncoder:
        """Return the same vectors with another head."""
        other = copy.copy(self)
        other.head = head
        return other

    def text_features(self, texts: Sequence[str]) -> Float32Array:
        """Look up or compute the vectors of texts: (m, d)."""
        nothing = np.zeros((0, self.head.text_width), np.float32)
        batches = (self._read(self._texts, batch, "texts") for batch in _batches(texts))
        return np.concatenate([nothing, *batches])

    def word_features(self) -> Float32Array:
        """Look up or compute the vectors of the general words: (words, d)."""
        return self._words.copy()

    @functools.cached_property
    def _words(self) -> Float32Array:
        texts, words = self._texts, self._given_words
        if words is not None:
            if not words:
                raise EncoderError(f"{self.name}: words is empty; give 30 common things or more")
            return self._read(words, tuple(words), "words")
        if isinstance(texts, Mapping):
            missing = [word for word in general_words() if word not in texts]
            if missing:
                raise EncoderError(
                    f"{self.name}: texts lacks {len(missing)} general words, such as "
                    f'"{missing[0]}"; add all of photosieve.general_words(), or give words of '
                    "your own"
                )
            return self._read(texts, general_words(), "texts")
        return self.text_features(general_words())

    def stream_paths(
        self,
        items: Iterable[Item],
        path: Callable[[Item], Path | None],
        skip: Callable[[Item, Skipped], None],
    ) -> Iterator[tuple[Item, Float32Array]]:
        """Look up or compute the vectors of photos as they come: each item with its (1, d).

        See `photosieve.encoders.protocol.ByPath`.
        """
        for batch in _batches(items):
            asked = [(item, found) for item in batch if (found := path(item)) is not None]
            rows = self._photo_rows([photo for _, photo in asked])
            for (item, _), row in zip(asked, rows, strict=True):
                if isinstance(row, Skipped):
                    skip(item, row)
                else:
                    yield item, row[None]

    def stream(
        self,
        items: Iterable[Item],  # noqa: ARG002
        load: Callable[[Item], Sequence[Image.Image] | Other],  # noqa: ARG002
        other: Callable[[Item, Other], None],  # noqa: ARG002
    ) -> Iterator[tuple[Item, Float32Array]]:
        """Refuse pixels: only photos with a path have a vector."""
        raise EncoderError(f"{self.name}: a photo is known by its path here, not by its pixels")

    def _photo_rows(self, paths: list[Path]) -> list[Float32Array | Skipped]:
        if isinstance(self._photos, Mapping):
            return [self._photo_row(self._photos, path) for path in paths]
        if not paths:
            return []
        try:
            return [*self._read(self._photos, paths, "photos")]
        except (PhotoError, OSError) as error:
            if len(paths) > 1:  # one of them is to blame, and the others are not lost with it
                return [row for path in paths for row in self._photo_rows([path])]
            return [_skipped(paths[0], error)]

    def _photo_row(self, photos: Mapping[Any, ArrayLike], path: Path) -> Float32Array | Skipped:
        names = _names(path)
        key = next((self._keys[name] for name in names if name in self._keys), None)
        if key is None:
            return Skipped(path, "it has no vector", f'give it one under "{names[-1]}"')
        row: Float32Array = self._read(photos, [key], "photos")[0]
        return row

    def _read(
        self,
        source: Mapping[Any, Any] | Callable[[list[Any]], ArrayLike],
        keys: Sequence[Any],
        what: str,
    ) -> Float32Array:
        """Look up or compute vectors, (n, d), and check them."""
        name = f"{self.name}, {what}"
        width = self._width
        if not isinstance(source, Mapping):
            return _checked(source(list(keys)), keys, name, width)
        rows = []
        for key in keys:
            if key not in source:
                raise EncoderError(
                    f'{name}: there is no vector of "{key}"; add it, or give a function that '
                    "embeds any text"
                )
            rows.append(_checked([source[key]], [key], name, width))
            width = rows[0].shape[1]
        return np.concatenate(rows)


def start_head(width: int) -> LinearHead:
    """Return the head before training, which leaves vectors as they are."""
    middle, same = np.zeros(width, np.float32), np.eye(width, dtype=np.float32)
    return LinearHead(photo_mean=middle, photo=same, text_mean=middle, text=same)


def _checked(found: ArrayLike, keys: Sequence[Any], name: str, width: int | None) -> Float32Array:
    """Return vectors as an array, (n, d); `EncoderError` if they are not usable."""
    try:
        with np.errstate(over="ignore"):
            rows = np.asarray(found, np.float32)
    except (TypeError, ValueError, RuntimeError) as error:  # the last is that of a torch tensor
        raise EncoderError(
            f"{name}: the vectors are not numbers ({one_line(error)}); give numpy arrays"
        ) from error
    if rows.ndim != 2 or len(rows) != len(keys):
        raise EncoderError(
            f"{name}: the shape for {len(keys)} of them is {rows.shape}; give a row for each, "
            f"({len(keys)}, d)"
        )
    if width is not None and rows.shape[1] != width:
        raise EncoderError(
            f'{name}: the vector of "{keys[0]}" has {rows.shape[1]} numbers, others have {width}; '
            "take all photos and texts from one model"
        )
    with np.errstate(over="ignore"):
        lengths = np.linalg.norm(rows, axis=1)
    unusable = np.flatnonzero(~(np.isfinite(lengths) & (lengths > 0)))
    if len(unusable):
        raise EncoderError(
            f'{name}: the vector of "{keys[unusable[0]]}" is zero or not finite; compute it again'
        )
    return rows


def _outline(rows: Float32Array) -> bytes:
    """Describe vectors, (n, d), so roughly that another machine's last bits do not matter."""
    vectors = unit(rows)
    cosines = np.rint(100 * (vectors @ vectors.T)).astype(np.int64)
    # Cosines stay the same in another basis, where the largest numbers have other places.
    places = np.abs(vectors).argmax(1)
    return f"{vectors.shape}{cosines.tolist()}{places.tolist()}".encode()


def _names(path: Path) -> list[str]:
    """The keys that a photo can have, the first one first."""
    parts = Path(os.path.abspath(path)).parts  # noqa: PTH100  # it resolves "..", but not links
    ends = [Path(*parts[start:]).as_posix() for start in range(max(1, len(parts) - 1))]
    return [_normal(path), *ends]


def _normal(key: str | Path) -> str:
    return Path(os.path.normpath(key)).as_posix()


def _skipped(path: Path, error: PhotoError | OSError) -> Skipped:
    if isinstance(error, PhotoError):
        return Skipped.from_error(error)
    return Skipped(path, f"it cannot be embedded ({one_line(error)})", "check the file")


def _batches(items: Iterable[Key]) -> Iterator[list[Key]]:
    rest = iter(items)
    while batch := list(itertools.islice(rest, BATCH)):
        yield batch
