"""What the endpoints share: the library, the trainings, and work that is worth remembering."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from photosieve.data.photos import DEFAULT_MAX_PIXELS, decode
from photosieve.decision.evaluation import Evaluation
from photosieve.encoders.protocol import Float32Array
from photosieve.errors import PhotoError
from photosieve.server.jobs import Jobs
from photosieve.server.library import Library, View
from photosieve.server.problems import Problem
from photosieve.sieve.sieve import Sieve

PROPOSED_FROM = 20_000
"""Photos without labels among which proposals are sought; of more, as many at random."""

WAITING_SECONDS = 20


class Service:
    """One collection, served.

    Parameters
    ----------
    library : Library
    """

    def __init__(self, library: Library) -> None:
        self.library = library
        self.jobs = Jobs(library)
        # More at once than there are cores would only make each slower.
        self._cores = threading.BoundedSemaphore(os.cpu_count() or 1)
        self._evaluated: tuple[object, Evaluation | None] | None = None
        self._evaluating = threading.Lock()

    @contextmanager
    def searching(self) -> Iterator[None]:
        """Wait for a core.

        Raises
        ------
        Problem
            If none gets free.
        """
        if not self._cores.acquire(timeout=WAITING_SECONDS):
            raise Problem(503, "the server is busy; try again in a moment")
        try:
            yield
        finally:
            self._cores.release()

    def embed(self, view: View, data: bytes) -> Float32Array:
        """Embed an uploaded photo, (d,).

        Raises
        ------
        Problem
            If it is no photo that can be used.
        """
        encoder = view.sieve.encoder
        try:
            photo = decode(
                Path("the upload"),
                data=data,
                shortest_side=encoder.shortest_side,
                max_pixels=DEFAULT_MAX_PIXELS,
            )
        except PhotoError as error:
            raise Problem(400, f"the upload cannot be used: {error.reason}") from None
        found = [rows for _, rows in encoder.stream([0], lambda _: [photo], lambda *_: None)]
        return np.asarray(encoder.head.project_photos(found[0])[0])

    def alike(self, view: View, vector: Float32Array, count: int) -> list[tuple[int, float]]:
        """Rows of the photos nearest to a unit vector, with their cosines, best first."""
        scores = np.asarray(view.snapshot.vectors @ vector)
        best = np.argpartition(-scores, min(count, len(scores) - 1))[:count]
        order = best[np.argsort(-scores[best], kind="stable")]
        return [(int(row), float(scores[row])) for row in order]

    def unlabeled(self, view: View) -> NDArray[np.intp]:
        """Rows of photos without labels that could have some, at most `PROPOSED_FROM` of them."""
        open_rows = np.ones(len(view.snapshot), bool)
        for group in view.snapshot.groups:
            first = view.photo(group.start).path
            if first.parent not in view.book or view.book.is_test(first):
                open_rows[group.start : group.stop] = False
        open_rows[view.rows_of(path for path in view.book.listed() if view.has(path))] = False
        rows = np.flatnonzero(open_rows)
        if len(rows) > PROPOSED_FROM:
            rows = np.sort(np.random.default_rng(0).choice(rows, PROPOSED_FROM, replace=False))
        return rows

    def suggested(self, view: View, vectors: Float32Array) -> list[list[str]]:
        """Labels that the sieve finds on photos, (n, d)."""
        sieve = view.sieve
        if not sieve.labels:
            return [[] for _ in vectors]
        kept = _probabilities(sieve, vectors) >= max(sieve.cut.floor, sieve.cut.gate)
        return [
            [label for label, yes in zip(sieve.labels, row, strict=True) if yes] for row in kept
        ]

    def doubt(self, view: View, vectors: Float32Array) -> NDArray[np.float64] | None:
        """How near each photo, (n, d), is to the cut of some label; None without labels."""
        sieve = view.sieve
        if not sieve.labels:
            return None
        cut = min(max(sieve.cut.floor, sieve.cut.gate, 1e-6), 1 - 1e-6)
        found = np.clip(_probabilities(sieve, vectors), 1e-9, 1 - 1e-9)
        beyond = np.log(found / (1 - found)) - np.log(cut / (1 - cut))
        return np.asarray(-np.abs(beyond).min(1))

    def evaluation(self, view: View) -> Evaluation | None:
        """Evaluate the sieve on the photos that are kept for testing; None if there are none."""
        labels = tuple(view.sieve.labels)
        with self._evaluating:
            listed = view.book.listed(test=True)
            key = (view.sieve.encoder.fingerprint, view.snapshot.stamp, tuple(listed.items()))
            if self._evaluated is None or self._evaluated[0] != key:
                groups = {
                    p: view.photo(view.rows_of([p])[0]).group.name for p in listed if view.has(p)
                }
                test = view.book.dataset(test=True, groups=groups)
                found = None
                if test is not None and labels:
                    found = view.sieve.evaluate_prepared(self.library.prepared(view, test, labels))
                self._evaluated = key, found
            return self._evaluated[1]


def _probabilities(sieve: Sieve, vectors: Float32Array) -> NDArray[np.float64]:
    """Probability of each label on each photo, (n, labels)."""
    labels = tuple(sieve.labels)
    scores = vectors @ sieve.scorer.embed(labels).T
    return sieve.tuning.calibration.labels(scores, labels)
