"""Queries that a user may have meant: ``kitchen`` for "kichen", ``sofa + bed`` for "sofa, bed".

Only labels are suggested, since the answers to them are the surest.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from photosieve.data.names import label_key, one_error_apart
from photosieve.sieve.query import Term, written

_AND = re.compile(r"[,;&]|\band\b")


def suggestions(terms: Sequence[Term], known: Mapping[str, str]) -> tuple[str, ...]:
    """Return other queries that name labels where these terms do not; usually none.

    Parameters
    ----------
    terms : sequence of Term
        The query as it was read.
    known : mapping of str to str
        The labels of the sieve, by their keys; see `label_key`.
    """
    better: list[Term] = []
    for term in terms:
        several = _several(term, known)
        if several:
            better += several
        else:
            meant = (_meant(text, known) or text for text in term.phrasings)
            better.append(replace(term, phrasings=tuple(meant)))
    return () if better == list(terms) else (written(better),)


def _meant(text: str, known: Mapping[str, str]) -> str | None:
    """Return the label that a word is, or is one typing error away from."""
    key = label_key(text)
    near = known.get(key) or next((known[k] for k in known if one_error_apart(key, k)), None)
    return text if near is not None and label_key(near) == key else near


def _several(term: Term, known: Mapping[str, str]) -> list[Term]:
    """Return a term for each label of a list such as "sofa, window and door"; none for others."""
    if term.negative or len(term.phrasings) > 1 or label_key(term.phrasings[0]) in known:
        return []
    pieces = [piece.strip() for piece in _AND.split(term.phrasings[0]) if piece.strip()]
    meant = [_meant(piece, known) for piece in pieces]
    return [Term((label,)) for label in meant if label] if len(meant) > 1 and all(meant) else []
