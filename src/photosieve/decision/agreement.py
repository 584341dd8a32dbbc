"""How far a word and the labels agree about photos: whether its scores tell a label's photos apart.

Texts that are near do not always mean the same: "bath" is as near to "bedroom" as "couch" is to
"sofa", and two labels can be near because they exclude each other. The training photos show the
difference.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

LEAST_SEPARATION = 0.1
"""Labels that their own text tells apart less well than this are judged as if it were this."""


@dataclass(frozen=True)
class Agreement:
    """The known labels of the training photos, arranged for fast comparison with words.

    Parameters
    ----------
    labels : array (labels, d)
        Unit vectors.
    photos : array (n, d)
        Unit vectors of the training photos, and of unlabeled ones.
    contrast : array (n, labels)
        Weights with which ranks of photos become the separation of a label.
    """

    labels: NDArray[np.floating[Any]]
    photos: NDArray[np.floating[Any]]
    contrast: NDArray[np.float64]

    @classmethod
    def of(
        cls,
        labels: NDArray[np.floating[Any]],
        photos: NDArray[np.floating[Any]],
        verdicts: NDArray[np.int8],
    ) -> Agreement:
        """Take what is known of the photos, (n, labels): 1 for yes, 0 for no, -1 for unknown.

        Photos beyond these n are unlabeled, and count as a no: most photos lack any one label. With
        five labeled photos alone, every fifth word agrees with a label by chance.
        """
        verdicts = np.pad(verdicts, ((0, len(photos) - len(verdicts)), (0, 0)))
        yes, no = verdicts == 1, verdicts == 0
        both = yes.any(0) & no.any(0)
        mean_yes, mean_no = (part / np.maximum(part.sum(0), 1) for part in (yes, no))
        return cls(labels, photos, (mean_yes - mean_no) * both / max(len(photos), 1))

    def with_word(self, word: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """Return how well a word tells the photos of each label apart, (labels,).

        1 is as well as the text of the label itself does, 0 is not at all, less is the wrong way
        round.

        Parameters
        ----------
        word : array (d,)
            A unit vector.
        """
        return np.asarray(self._separations(word) / np.maximum(self._own, LEAST_SEPARATION))

    @functools.cached_property
    def _own(self) -> NDArray[np.float64]:
        """How well each label's own text tells its photos apart, (labels,)."""
        columns = enumerate(self.labels)
        return np.array([self._separations(text)[column] for column, text in columns])

    def _separations(self, text: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """How well a text's scores tell the photos of each label apart, (labels,): AUC - 0.5."""
        ranks = np.argsort(np.argsort(self.photos @ text))
        return np.asarray(ranks @ self.contrast)
