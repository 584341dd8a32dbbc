"""Queries as people write them: ``sofa -window``, ``kitchen + island``, ``TV|television``.

::

    query     = [sign] term { sign term }
    sign      = "+" | "-"        with white space before it, or at the start
    term      = phrasing { "|" phrasing }
    phrasing  = words, or anything in double quotes

A hyphen inside a word is a hyphen. The dashes, minus signs and quotes that phones and word
processors write are read as those of a keyboard.

A photo matches when it matches every term with a plus and none with a minus: its probability is
the smallest of theirs (Zadeh 1965, "Fuzzy sets"), a minus turning p into 1 - p. Several phrasings
of one term are averaged as vectors (prompt ensembling; Radford et al. 2021, arXiv:2103.00020,
section 3.1.4).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from photosieve.data.names import is_text, plain
from photosieve.errors import UsageError, printable

_PIECES = re.compile(
    r'"(?P<quoted>[^"]*)"|(?P<sign>(?:^|(?<=\s))[+-])|(?P<bar>\|)|(?P<word>[^\s"|]+)'
)


@dataclass(frozen=True)
class Term:
    """One condition of a query.

    Parameters
    ----------
    phrasings : tuple of str
        At least one.
    negative : bool
        Whether photos that match it are unwanted.
    """

    phrasings: tuple[str, ...]
    negative: bool = False

    def __str__(self) -> str:
        return ("-" if self.negative else "") + "|".join(self.phrasings)


def parse(query: str) -> tuple[Term, ...]:
    """Read a query.

    Raises
    ------
    UsageError
        If it is not text, or there is nothing to look for: no words, a sign or bar without words,
        or only negatives.
    """
    terms: list[Term] = []
    phrasings: list[list[str]] = [[]]
    negative = False

    def finish() -> None:
        if not all(phrasings):
            raise UsageError(
                f'the query "{query}" has a "+", "-" or "|" without words; '
                "write words on both sides, such as: sofa -window"
            )
        terms.append(Term(tuple(" ".join(words) for words in phrasings), negative))

    for piece in _PIECES.finditer(_as_typed(query)):
        if piece["sign"]:
            if terms or phrasings != [[]]:
                finish()
            phrasings, negative = [[]], piece["sign"] == "-"
        elif piece["bar"]:
            phrasings.append([])
        elif text := (piece["quoted"] or piece["word"] or "").strip():
            phrasings[-1].append(text)
    finish()
    if all(term.negative for term in terms):
        raise UsageError(
            f'the query "{query}" has only words with a minus; '
            "add what to look for, such as: sofa -window"
        )
    return tuple(terms)


def _as_typed(query: str) -> str:
    """Return a query with the signs of a keyboard; `UsageError` if it is empty or not text."""
    if not is_text(query):
        raise UsageError(f'the query "{printable(query)}" is not valid UTF-8; type it again')
    text = plain(query)
    if not text:
        raise UsageError("the query is empty; say what to look for, such as: kitchen")
    return text


def written(terms: Sequence[Term]) -> str:
    """Return a query that `parse` reads as these terms; the first one has no sign if it is wanted.

    Parameters
    ----------
    terms : sequence of Term
    """
    parts: list[str] = []
    for term in terms:
        sign = "-" if term.negative else "+ " if parts else ""
        parts.append(sign + "|".join(_quoted(phrasing) for phrasing in term.phrasings))
    return " ".join(parts)


def _quoted(phrasing: str) -> str:
    """Return a phrasing in quotes where it would be read as something else without."""
    return f'"{phrasing}"' if re.search(r"(^|\s)[+-]|\|", phrasing) else phrasing
