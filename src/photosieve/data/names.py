"""Names as people and systems spell them: one label, photo or folder in several spellings.

Phones and word processors write curly quotes, long dashes and invisible characters; a Mac writes
file names with separate accents (NFD). Keys are compared as Unicode recommends for identifiers
(UAX #31: NFKC, case-folded, without invisible characters).
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches
from functools import lru_cache
from itertools import islice
from pathlib import Path, PurePosixPath

_TYPOGRAPHIC = str.maketrans(
    dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58\ufe63\uff0d", "-")
    | dict.fromkeys("\u2018\u2019\u201a\u201b\u02bc\u2032\u00b4\uff07", "'")
    | dict.fromkeys("\u201c\u201d\u201e\u201f\u00ab\u00bb\u2033\uff02", '"')
)
"""Hyphens, minus signs and quotes, with those of a keyboard."""

# Arabic to Mongolian: joiners change the form of their letters, and words with and without differ.
_JOINED = "\u0600-\u109f\u1700-\u1cff\ua800-\uabff\U00011000-\U00011fff"
_INVISIBLE = re.compile(
    # Joiners between such letters, and those that make one emoji of several, are kept.
    rf"(?<![{_JOINED}])[\u200c\u200d](?![\u2190-\u2bff\U0001f000-\U0001faff])"
    rf"|(?<=[{_JOINED}])[\u200c\u200d](?![{_JOINED}])"
    # Fillers and blanks that Unicode takes for letters and symbols.
    "|[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180e\u2800\u3164\uffa0]"
)
_VARIATIONS = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]")

_LEAST_LETTERS = 5
_MOST_LETTERS = 40
"""Misspellings are looked for in names of so many letters: shorter ones are alike by chance."""

_MOST_ALIKE = 20
"""More names than this with one letter of their own are a numbering, not misspellings."""

_MOST_MISSING, _MOST_CANDIDATES, _MOST_OF_A_NAME = 20, 200, 50
"""More is not compared: each pair takes time, which grows with the square of the letters."""

_CUTOFF = 0.8
"""Least similarity of the name of a missing photo and that of a photo that it may mean."""

NO_TEXT = "its name is not valid UTF-8"
NO_TEXT_REMEDY = "give it another name"
"""Why a file or folder whose name is arbitrary bytes is skipped: no JSON file can hold it."""


def nfc(name: str) -> str:
    """Return a name with its accents composed, as most systems write them; a Mac does not."""
    return unicodedata.normalize("NFC", name)


def visible(text: str) -> str:
    """Return a text in NFC without characters that nobody sees, and with single spaces."""
    kept = (
        letter
        for letter in _INVISIBLE.sub("", nfc(text))
        if letter in "\u200c\u200d" or unicodedata.category(letter) != "Cf"
    )
    return " ".join("".join(kept).split())


def plain(text: str) -> str:
    """Return a text with the hyphens, quotes and letters of a keyboard in place of their variants.

    Full-width letters, ligatures, non-breaking spaces, curly quotes and typographic hyphens are
    replaced; upper and lower case are kept.
    """
    return visible(unicodedata.normalize("NFKC", visible(text).translate(_TYPOGRAPHIC)))


@lru_cache(2**12)  # a search compares the labels of all labeled photos
def label_key(label: str) -> str:
    """Return the form that all spellings of a label share: upper and lower case are the same."""
    return nfc(plain(_VARIATIONS.sub("", label)).casefold())


def is_text(name: str) -> bool:
    """Whether the name of a file is text, and not arbitrary bytes."""
    if name.isascii():
        return True
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def misspelled(names: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Give the pairs of names that one typing error makes of one another, such as "miror".

    One letter but the first is missing, added, replaced or moved. Names that differ in a number or
    in a word of one letter, such as "bedroom 1" and "bedroom 2", are not misspelled.

    Parameters
    ----------
    names : iterable of str
        Keys as `label_key` gives them.
    """
    shortened: dict[str, list[str]] = defaultdict(list)
    found: set[tuple[str, str]] = set()
    for name in names:
        for piece in _shortened(name):
            for other in shortened[piece][:_MOST_ALIKE]:
                pair = other, name
                if other != name and pair not in found and _alike(*pair):
                    found.add(pair)
                    yield pair
            shortened[piece].append(name)


def one_error_apart(first: str, second: str) -> bool:
    """Whether one typing error makes one name of the other; see `misspelled`."""
    if first == second or abs(len(first) - len(second)) > 1 or not _alike(first, second):
        return False
    return not _shortened(first).isdisjoint(_shortened(second))


def _shortened(name: str) -> set[str]:
    """Return a name and its forms without one letter: names one error apart share one of them."""
    if len(name) > _MOST_LETTERS:
        return set()
    return {name} | {name[:place] + name[place + 1 :] for place in range(len(name))}


def _alike(first: str, second: str) -> bool:
    numbers = [re.findall(r"\d|\b\w\b", name) for name in (first, second)]
    letters = max(len(first), len(second))
    return letters >= _LEAST_LETTERS and first[:1] == second[:1] and numbers[0] == numbers[1]


def as_first_written(
    lists: Sequence[Sequence[str]],
) -> tuple[list[tuple[str, ...]], list[str]]:
    """Give each label one spelling, and each photo every label once.

    Parameters
    ----------
    lists : sequence of sequence of str
        The labels of each photo.

    Returns
    -------
    lists : list of tuple of str
        The same labels, each as it is spelled where it first appears.
    alike : list of str
        Sentences about labels with several spellings, and about two that may be one misspelled.
    """
    spellings: dict[str, list[str]] = {}
    for label in dict.fromkeys(label for labels in lists for label in labels):
        spellings.setdefault(label_key(label), []).append(label)
    alike = [
        f"{first!r} is also written {', '.join(map(repr, others))}; they count as one label."
        for first, *others in spellings.values()
        if others
    ]
    alike += [
        f"{spellings[one][0]!r} and {spellings[other][0]!r} are two labels; if one is misspelled, "
        "correct it."
        for one, other in misspelled(spellings)
        if other + "s" != one != other.removesuffix("s")  # plurals are found by `check`
    ]
    return [
        tuple(dict.fromkeys(spellings[label_key(label)][0] for label in labels)) for labels in lists
    ], alike


class Spellings:
    """Names to be found by other spellings: in NFC, then in other case if one name has it.

    Parameters
    ----------
    names : iterable of str
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._names = dict.fromkeys(names)
        self._by_nfc = {nfc(name): name for name in self._names}
        self._by_case: dict[str, list[str]] = defaultdict(list)
        for composed, name in self._by_nfc.items():
            self._by_case[composed.casefold()].append(name)

    def find(self, name: str) -> str | None:
        """Return a name as it is spelled here; None if there is none or it could be several."""
        if name in self._names:
            return name
        composed = nfc(name)
        if composed in self._by_nfc:
            return self._by_nfc[composed]
        same = self._by_case.get(composed.casefold(), [])
        return same[0] if len(same) == 1 else None


class FileNames:
    """The names of the files below a folder, as the disk spells them; each folder is listed once.

    Parameters
    ----------
    folder : Path

    Attributes
    ----------
    folder : Path
    in_other_case : dict of str to str
        Names that were found in another case, with the names of the files.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.in_other_case: dict[str, str] = {}
        self._listed: dict[Path, Spellings] = {}

    def find(self, name: str) -> str | None:
        """Return the name of a file below the folder, in its own spelling; None if there is none.

        The name must not lead out of the folder.
        """
        place = self.folder
        for part in PurePosixPath(name).parts:
            own = self._in(place).find(part)
            if own is None:
                return None
            place /= own
        found = place.relative_to(self.folder).as_posix()
        if differs_in_case(name, found):
            self.in_other_case[name] = found
        return found

    def _in(self, folder: Path) -> Spellings:
        if folder not in self._listed:
            try:
                names = [path.name for path in folder.iterdir()]
            except OSError:
                names = []
            self._listed[folder] = Spellings(names)
        return self._listed[folder]


def differs_in_case(name: str, other: str) -> bool:
    """Whether two names differ in upper and lower case, and not only in how accents are written."""
    first, second = (nfc(text) for text in (name, other))
    return first != second and first.casefold() == second.casefold()


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
    for photo in islice(missing, _MOST_MISSING):
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
        r"\d+", lambda digits: digits[0].lstrip("0"), photo.stem[:_MOST_OF_A_NAME].casefold()
    )
