"""The state behind the endpoints: the library, the trainings, and the last evaluation."""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from anyio import CapacityLimiter
from fastapi import Request
from numpy.typing import NDArray

from photosieve.data.label_files import Verdicts
from photosieve.data.names import label_key
from photosieve.decision.calibration import log_odds
from photosieve.decision.evaluation import Evaluation
from photosieve.encoders.protocol import Float32Array
from photosieve.errors import PhotoError
from photosieve.index.presence import gone
from photosieve.report.page import write_html
from photosieve.server.addresses import address
from photosieve.server.answers import KnownAnswers
from photosieve.server.arrivals import Arrivals
from photosieve.server.cuts import LabelCuts
from photosieve.server.decoding import decoder
from photosieve.server.guesses import guess, guess_by_words
from photosieve.server.jobs import Jobs
from photosieve.server.library import Library, Photo, View
from photosieve.server.problems import ApiError
from photosieve.sieve.embedded import Embedded
from photosieve.sieve.query import Term
from photosieve.sieve.sieve import Sieve

MAX_CANDIDATES = 20_000
"""Most photos without labels that are compared for proposals; of more, a random sample."""

MOST_COMPARED = 2000
"""Photos that tell what is usual for a word."""

MOST_DENIALS = 8
"""A label that so many photos are known to lack, and none to have, is rare: it is not guessed."""

WAITING_SECONDS = 20
"""Longest wait for a core."""


class Service:
    """One collection with its trainings.

    Parameters
    ----------
    library : Library
    """

    def __init__(self, library: Library) -> None:
        self.library = library
        self.jobs = Jobs(library)
        self.arrivals = Arrivals(library)
        self.cuts = LabelCuts(library.state / "cuts.json")
        self.health_threads = CapacityLimiter(2)
        self.streams = 0
        self.archives = 0
        # More at once than there are cores would only make each slower.
        self._cores = threading.BoundedSemaphore(os.cpu_count() or 1)
        self._evaluated: tuple[object, Evaluation | None] | None = None
        self._evaluating = threading.Lock()
        self._reported: tuple[Evaluation | None, tuple[str, ...]] = None, ()
        self._texts: tuple[object, Float32Array] | None = None
        """Vectors of the labels that the sieve does not know; see `_guessed`."""

    @contextmanager
    def searching(self) -> Iterator[None]:
        """Hold a core during the block.

        Raises
        ------
        ApiError
            If no core is free in time.
        """
        if not self._cores.acquire(timeout=WAITING_SECONDS):
            raise ApiError(503, "the server is busy; try again in a moment")
        try:
            yield
        finally:
            self._cores.release()

    def embed(self, view: View, data: BinaryIO) -> Float32Array:
        """Embed an uploaded photo, (d,).

        Raises
        ------
        ApiError
            If the photo cannot be used.
        """
        encoder = view.sieve.encoder
        try:
            with decoder(
                Path("the upload"), data.read(), shortest_side=encoder.shortest_side
            ) as decode:
                photo = decode()  # before the core is taken: searches do not wait for it
                with self.searching():
                    ((_, features),) = encoder.stream([0], lambda _: [photo], lambda *_: None)
        except PhotoError as error:
            raise ApiError(400, f"the upload cannot be used: {error.reason}") from None
        return np.asarray(encoder.head.project_photos(features)[0])

    def similar(self, view: View, vector: Float32Array, count: int) -> list[tuple[int, float]]:
        """Rows of the photos closest to a unit vector, with their cosines, best first.

        Photos that are gone from the disk are left out.
        """
        scores = np.asarray(view.snapshot.vectors @ vector)
        best = left = np.arange(len(scores))
        while len(left):
            best = left[np.argpartition(-scores[left], min(count, len(left)) - 1)[:count]]
            absent = gone(view.snapshot, best)
            if not len(absent):
                break
            best = left = np.setdiff1d(left, absent)
        order = best[np.argsort(-scores[best], kind="stable")]
        return [(int(row), float(scores[row])) for row in order]

    def unlabeled(self, view: View, label: str | None = None) -> NDArray[np.intp]:
        """Rows of photos without labels that may get labels, at most `MAX_CANDIDATES` of them.

        With a label, rows of photos of which it is not known whether they have it.
        """
        unlabeled = np.ones(len(view.snapshot), bool)
        for group in view.snapshot.groups:
            first = view.photo(group.start).path
            if first.parent not in view.book or view.book.is_test(first):
                unlabeled[group.start : group.stop] = False
        said: Iterable[Path] = view.book.listed()
        if label is not None:
            known = KnownAnswers(view, [Term((label,))])
            said = (photo for photo in said if known.of(photo) is not None)
        unlabeled[list(view.present(said).values())] = False
        rows = np.flatnonzero(unlabeled)
        if len(rows) > MAX_CANDIDATES:
            rows = np.sort(np.random.default_rng(0).choice(rows, MAX_CANDIDATES, replace=False))
        return np.setdiff1d(rows, gone(view.snapshot, rows))

    def suggested(self, view: View, photos: Embedded, words: Sequence[str] = ()) -> list[list[str]]:
        """Labels of photos: those that the sieve finds, and guesses of labels it does not know.

        Of the words that no photo has yet, those that are likely are among them, too.
        """
        sieve = view.sieve
        kept = _probabilities(sieve, photos) >= max(sieve.cut.floor, sieve.cut.gate)
        new, margins = self._guessed(view, photos)
        known = {label_key(label) for label in (*sieve.labels, *new)}
        others = self._undenied(view, [word for word in words if label_key(word) not in known])
        found = np.zeros((len(photos), 0), bool)
        if others:
            step = -(-len(view.snapshot) // MOST_COMPARED)
            collection = np.asarray(view.snapshot.vectors[::step])
            found = guess_by_words(sieve.scorer.embed(others), collection, photos.vectors)
        labels = [*sieve.labels, *new, *others]
        every = np.hstack([kept, margins > 0, found])
        return [[label for label, yes in zip(labels, row, strict=True) if yes] for row in every]

    @staticmethod
    def _undenied(view: View, words: Sequence[str]) -> list[str]:
        """Words without those that many photos are known to lack: they are rare."""
        listed = view.book.listed(test=False).values()
        denials = Counter(key for own in listed for key in map(label_key, own.no or ()))
        return [word for word in words if denials[label_key(word)] < MOST_DENIALS]

    def likely(self, view: View, label: str, photos: Embedded) -> NDArray[np.float64]:
        """How likely photos have a label, (n,): above 0 where it is likely, higher for more so."""
        new, margins = self._guessed(view, photos)
        keys = [label_key(one) for one in new]
        if label_key(label) in keys:
            return np.asarray(margins[:, keys.index(label_key(label))], np.float64)
        return self._margins(view, label, photos)

    @staticmethod
    def _margins(view: View, word: str, photos: Embedded) -> NDArray[np.float64]:
        """How far the log odds of a label or another word are above its cut, (n,)."""
        scorer = view.sieve.scorer
        reading = scorer.read_word(word)
        cut = scorer.cut((reading,), view.sieve.cut)
        limit = log_odds(np.array(max(cut.gate, cut.floor)))
        return np.asarray(log_odds(scorer.probability(reading, photos)) - limit)

    def _guessed(self, view: View, photos: Embedded) -> tuple[tuple[str, ...], Float32Array]:
        """Labels given since the sieve was trained, and the log odds that each photo has them."""
        listed = view.present(view.book.listed(test=False))
        dataset = view.book.dataset(test=False, groups=dict.fromkeys(listed, ""))
        known = {label_key(label) for label in view.sieve.labels}
        words = () if dataset is None else dataset.vocabulary
        new = tuple(label for label in words if label_key(label) not in known)
        if dataset is None or not new:
            return (), np.zeros((len(photos), 0), np.float32)
        rows = np.array(view.rows_of(dataset.photos), np.intp)
        labeled = np.asarray(view.snapshot.vectors[rows])
        key = (view.sieve.fingerprint, new)
        texts = self._texts  # read once: another request may replace it
        if texts is None or texts[0] != key:
            texts = self._texts = key, view.sieve.scorer.embed(new)
        return new, guess(
            labeled, dataset.matrix(new), dataset.known(new), texts[1], photos.vectors
        )

    def evaluation(self, view: View) -> Evaluation | None:
        """Evaluate the sieve on the photos that are kept for testing; None if there are none."""
        labels = tuple(view.sieve.labels)
        with self._evaluating:
            listed = view.book.listed(test=True)
            key = (view.sieve.fingerprint, view.snapshot.stamp, tuple(listed.items()))
            if self._evaluated is None or self._evaluated[0] != key:
                there = view.present(listed)
                groups = {path: view.photo(row).group.name for path, row in there.items()}
                test = view.book.dataset(test=True, groups=groups)
                evaluation = None
                if test is not None and labels:
                    data = self.library.prepared(view, test, labels)
                    evaluation = view.sieve.evaluate_prepared(data)
                self._evaluated = key, evaluation
            return self._evaluated[1]

    def report(self, evaluation: Evaluation, view: View) -> Path:
        """Return the page of an evaluation; it is written once, as it takes time and memory."""
        page = self.library.state / "report.html"
        own = ", ".join(f"“{label}” {cut:.2f}" for label, cut in self.cuts.of(view).items())
        notes = (
            (f"Cuts set on the page: {own}. The figures are at the learned cut.",) if own else ()
        )
        with self._evaluating:
            known, said = self._reported
            if known is not evaluation or said != notes:
                write_html(evaluation, page, home=".", notes=notes)
                self._reported = evaluation, notes
        return page


def get_service(request: Request) -> Service:
    """Return the service of the application that got a request."""
    service: Service = request.app.state.service
    return service


def find_photo(view: View, photo_id: str) -> Photo:
    """Return the photo of an id, or answer 404."""
    photo = view.find(photo_id)
    if photo is None:
        raise ApiError(404, "there is no such photo")
    return photo


def photo_fields(
    request: Request, view: View, photo: Photo, listed: Mapping[Path, Verdicts] | None = None
) -> dict[str, Any]:
    """Return the fields of `photosieve.server.schemas.PhotoItem`.

    For many photos, give the result of `LabelBook.listed`: it looks at each labels file once.
    """
    verdicts = view.book.verdicts(photo.path) if listed is None else listed.get(photo.path)
    return {
        "id": photo.id,
        "name": photo.path.name,
        "group": photo.group.name,
        "labels": None if verdicts is None else verdicts.yes,
        "no": None if verdicts is None else verdicts.no,
        "test": view.is_test(photo),
        "photo": address(request.scope, f"/photos/{photo.id}"),
        "thumbnail": address(
            request.scope, f"/thumbnails/{photo.id}?v={view.sha256(photo.row)[:8]}"
        ),
    }


def _probabilities(sieve: Sieve, photos: Embedded) -> NDArray[np.float64]:
    """Probability of each label on each photo, (n, labels)."""
    return sieve.tuning.calibration.labels(photos.labels, tuple(sieve.labels))
