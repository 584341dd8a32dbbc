"""The last answers from one state of an index: people turn pages, and ask for the same things."""

from __future__ import annotations

import threading
from collections.abc import Hashable

from photosieve.sieve.answer import SearchResult

MOST_PHOTOS = 500_000
"""In all kept answers together, matches and others; each takes up to 100 bytes."""


class KeptAnswers:
    """Answers by the question, those that were used last."""

    def __init__(self) -> None:
        self._answers: dict[Hashable, SearchResult] = {}
        """The one that was used last at the end."""
        self._photos = 0
        self._lock = threading.Lock()

    def find(self, question: Hashable) -> SearchResult | None:
        """Return the answer to a question; None if it is not kept."""
        with self._lock:
            found = self._answers.pop(question, None)
            if found is not None:
                self._answers[question] = found
            return found

    def keep(self, question: Hashable, answer: SearchResult) -> None:
        """Keep an answer, and drop the oldest ones where they are too large together."""
        with self._lock:
            if question in self._answers:
                return
            self._answers[question] = answer
            self._photos += _size(answer)
            while self._photos > MOST_PHOTOS:
                self._photos -= _size(self._answers.pop(next(iter(self._answers))))


def _size(answer: SearchResult) -> int:
    return len(answer.hits) + len(answer.hidden) + 100  # a question takes memory, too
