"""Photos as a sieve sees them: a vector for words, and a score for each label."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from photosieve.encoders.protocol import Float32Array


@dataclass(frozen=True)
class Embedded:
    """Photos as a sieve sees them.

    Parameters
    ----------
    vectors : array (n, d)
        Unit vectors, to be compared with those of words.
    labels : array (n, labels)
        Scores of the sieve's labels.
    """

    vectors: Float32Array
    labels: Float32Array

    def __len__(self) -> int:
        return len(self.vectors)

    def scores(
        self, columns: Sequence[int] | NDArray[np.intp], rows: NDArray[np.intp] | slice
    ) -> Float32Array:
        """Return the scores of some labels for some photos, (n, k); no other score is read."""
        return np.stack([self.labels[rows, int(column)] for column in columns], axis=1)

    def rows(self, rows: NDArray[np.intp]) -> Embedded:
        """Return some of the photos."""
        return Embedded(np.asarray(self.vectors[rows]), np.asarray(self.labels[rows]))
