"""Cuts of single labels that a person set on the page, in place of the learned one."""

from __future__ import annotations

import json
import threading
from pathlib import Path

from photosieve.data.names import label_key
from photosieve.server.library import View
from photosieve.server.problems import ApiError
from photosieve.storage import draft_file

MOST_SIEVES = 20
"""Cuts are kept for so many sieves, the ones used last."""


class LabelCuts:
    """Thresholds by sieve and label, in a file.

    A threshold belongs to the sieve that it was set for: after a training the same probability
    means another thing. With an older sieve in use again, its thresholds are back.

    Parameters
    ----------
    file : Path
        It need not exist.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._cuts = _read(file)

    def of(self, view: View) -> dict[str, float]:
        """Return the thresholds of the sieve in use, by the label as it spells it."""
        own = self._cuts.get(view.sieve.fingerprint, {})
        return {
            label: own[label_key(label)] for label in view.sieve.labels if label_key(label) in own
        }

    def find(self, view: View, query: str) -> float | None:
        """Return the threshold of a query that is a label; None if no one set it."""
        return self._cuts.get(view.sieve.fingerprint, {}).get(label_key(query))

    def change(self, view: View, label: str, threshold: float | None) -> None:
        """Set the threshold of a label, or with None return to the learned cut.

        Raises
        ------
        ApiError
            If the sieve has no such label, or the file cannot be written.
        """
        key, sieve = label_key(label), view.sieve.fingerprint
        if key not in map(label_key, view.sieve.labels):
            raise ApiError(404, f"the sieve has no label “{label}”; learn it first")
        with self._lock:
            own = {k: v for k, v in self._cuts.get(sieve, {}).items() if k != key}
            if threshold is not None:
                own[key] = threshold
            others = {name: cuts for name, cuts in self._cuts.items() if name != sieve}
            cuts = dict([*others.items(), (sieve, own)][-MOST_SIEVES:])
            try:
                with draft_file(self._file) as draft:
                    draft.write(json.dumps(cuts).encode())
            except OSError as error:
                raise ApiError(503, f"the cut cannot be saved ({error.strerror})") from None
            self._cuts = cuts


def _read(file: Path) -> dict[str, dict[str, float]]:
    """Read the thresholds; a file that is damaged counts as empty."""
    try:
        read = json.loads(file.read_bytes())
        return {
            str(sieve): {str(key): float(cut) for key, cut in cuts.items() if 0 <= cut <= 1}
            for sieve, cuts in read.items()
        }
    except (OSError, ValueError, TypeError, AttributeError):
        return {}
