"""The photo that an entry without a photo may mean."""

import re
from collections import defaultdict
from collections.abc import Iterable
from difflib import get_close_matches
from itertools import islice
from pathlib import Path

_MOST_NAMES, _MOST_CANDIDATES, _MOST_LETTERS = 20, 200, 50
"""More is not looked at: each pair takes time, which grows with the square of the letters."""

_CUTOFF = 0.8


def closest_names(missing: Iterable[Path], present: Iterable[Path]) -> dict[Path, Path]:
    """Return for missing photos the photos with the most similar names, where there are such.

    Only names with the same digits are compared: IMG_12 is never meant by IMG_13.

    Parameters
    ----------
    missing, present : iterable of Path
        Of one building.
    """
    by_digits: dict[tuple[str, ...], dict[str, Path]] = defaultdict(dict)
    for photo in present:
        stem = _stem(photo)
        by_digits[_digits(stem)][stem] = photo
    found = {}
    for photo in islice(missing, _MOST_NAMES):
        stem = _stem(photo)
        candidates = by_digits.get(_digits(stem), {})
        names = islice(candidates, _MOST_CANDIDATES)
        if near := get_close_matches(stem, names, n=1, cutoff=_CUTOFF):
            found[photo] = candidates[near[0]]
    return found


def _digits(stem: str) -> tuple[str, ...]:
    return tuple(re.findall(r"\d+", stem))


def _stem(photo: Path) -> str:
    """Return the beginning of a name, in lower case and without zeros before a number."""
    return re.sub(
        r"\d+", lambda digits: digits[0].lstrip("0"), photo.stem[:_MOST_LETTERS].casefold()
    )
