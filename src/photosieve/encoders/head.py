"""The usual head, above whole towers: one matrix for each tower."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from photosieve.encoders.protocol import Float32Array, Student

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class LinearHead:
    """Affine maps from features into the common space.

    A photo's embedding is ``normalize((features - photo_mean) @ photo)``, a text's
    ``normalize((features - text_mean) @ text)``.

    Parameters
    ----------
    photo_mean : array (p,)
    photo : array (p, d)
    text_mean : array (q,)
    text : array (q, d)
    """

    photo_mean: Float32Array
    photo: Float32Array
    text_mean: Float32Array
    text: Float32Array

    @property
    def photo_width(self) -> int:
        """How many features a photo has."""
        return len(self.photo)

    @property
    def text_width(self) -> int:
        """How many features a text has."""
        return len(self.text)

    def project_photos(self, features: Float32Array) -> Float32Array:
        """Embed photos, (..., p), as unit vectors, (..., d)."""
        return unit((features - self.photo_mean) @ self.photo)

    def project_texts(self, features: Float32Array) -> Float32Array:
        """Embed texts, (m, q), as unit vectors, (m, d)."""
        return unit((features - self.text_mean) @ self.text)

    def centered(self, words: Float32Array) -> Self:
        """Return the same head with the mean of some texts, (words, q), as center of all texts."""
        return replace(self, text_mean=np.asarray(words.mean(0, np.float64), np.float32))

    def arrays(self) -> dict[str, Float32Array]:
        """Return the four arrays by name."""
        return asdict(self)

    def with_arrays(self, arrays: Mapping[str, Float32Array]) -> Self:
        """Return a head of these four arrays."""
        return type(self)(**arrays)

    def fingerprint(self) -> str:
        """Hash of all numbers and shapes."""
        return fingerprint(self.arrays())

    def student(self, *, trains_text: bool) -> Student:
        """Return a copy that can be trained."""
        import torch

        means = torch.from_numpy(self.photo_mean), torch.from_numpy(self.text_mean)
        photo = torch.tensor(self.photo, requires_grad=True)
        text = torch.tensor(self.text, requires_grad=trains_text)

        def arrays() -> dict[str, Float32Array]:
            maps = {"photo": photo, "text": text}
            return self.arrays() | {
                name: matrix.detach().numpy().copy() for name, matrix in maps.items()
            }

        return Student(
            weights=[photo, text] if trains_text else [photo],
            photos=lambda features: (features - means[0]) @ photo,
            texts=lambda features: (features - means[1]) @ text,
            arrays=arrays,
        )


def fingerprint(arrays: Mapping[str, Float32Array]) -> str:
    """Hash of the names, the shapes and the numbers of arrays."""
    digest = hashlib.sha256()
    for name, array in arrays.items():
        digest.update(f"{name}{array.shape}{array.dtype}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def unit(vectors: NDArray[np.floating[Any]]) -> Float32Array:
    """Scale vectors, (..., d), to length 1; a zero vector stays zero."""
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.maximum(length, np.finfo(np.float32).tiny), np.float32)
