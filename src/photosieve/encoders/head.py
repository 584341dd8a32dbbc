"""The head of an encoder whose towers stay as they are: one matrix for each of them."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from photosieve.encoders.protocol import Float32Array, unit

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch


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

    def project_photos(self, features: Float32Array) -> Float32Array:
        """Embed photos, (..., p), as unit vectors, (..., d)."""
        return unit((features - self.photo_mean) @ self.photo)

    def project_texts(self, features: Float32Array) -> Float32Array:
        """Embed texts, (m, q), as unit vectors, (m, d)."""
        return unit((features - self.text_mean) @ self.text)

    def arrays(self) -> dict[str, Float32Array]:
        """Return the four arrays by name."""
        return asdict(self)

    def with_arrays(self, arrays: Mapping[str, Float32Array]) -> Self:
        """Return a head of these four arrays."""
        return type(self)(**arrays)

    def fingerprint(self) -> str:
        """Hash of all numbers and shapes."""
        return fingerprint(self.arrays())

    def student(self, *, trains_text: bool) -> LinearStudent:
        """Return a copy that can be trained."""
        return LinearStudent(self, trains_text)


class LinearStudent:
    """A `LinearHead` in training; see `photosieve.encoders.protocol.Student`."""

    def __init__(self, head: LinearHead, trains_text: bool) -> None:
        import torch

        self._photo_mean = torch.from_numpy(head.photo_mean)
        self._text_mean = torch.from_numpy(head.text_mean)
        self._photo = torch.tensor(head.photo, requires_grad=True)
        self._text = torch.tensor(head.text, requires_grad=trains_text)

    def parameters(self) -> list[torch.Tensor]:
        """Return what moves: one map or both."""
        return [self._photo, self._text] if self._text.requires_grad else [self._photo]

    def photos(self, features: torch.Tensor) -> torch.Tensor:
        """Map photos, (n, p), to vectors of any length, (n, d)."""
        return (features - self._photo_mean) @ self._photo

    def texts(self, features: torch.Tensor) -> torch.Tensor:
        """Map texts, (m, q), to vectors of any length, (m, d)."""
        return (features - self._text_mean) @ self._text

    def arrays(self) -> dict[str, Float32Array]:
        """Return what `LinearHead.arrays` returns, as trained so far."""
        return {
            "photo_mean": self._photo_mean.numpy(),
            "photo": self._photo.detach().numpy().copy(),
            "text_mean": self._text_mean.numpy(),
            "text": self._text.detach().numpy().copy(),
        }


def fingerprint(arrays: Mapping[str, Float32Array]) -> str:
    """Hash of the names, the shapes and the numbers of arrays."""
    digest = hashlib.sha256()
    for name, array in arrays.items():
        digest.update(f"{name}{array.shape}{array.dtype}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
