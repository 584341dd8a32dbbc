"""Queries are read as people mean them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from photosieve.errors import UsageError
from photosieve.sieve.query import Term, parse, written


@pytest.mark.parametrize(
    ("query", "terms"),
    [
        ("sofa", [Term(("sofa",))]),
        ("  living \t room ", [Term(("living room",))]),
        ("sofa -window", [Term(("sofa",)), Term(("window",), True)]),
        ("sofa - bay window", [Term(("sofa",)), Term(("bay window",), True)]),
        ("kitchen + island", [Term(("kitchen",)), Term(("island",))]),
        ("+kitchen +island", [Term(("kitchen",)), Term(("island",))]),
        ("-window sofa", None),
        ("-window + sofa", [Term(("window",), True), Term(("sofa",))]),
        ("TV|television", [Term(("TV", "television"))]),
        ("TV | flat screen", [Term(("TV", "flat screen"))]),
        ("sofa|couch -tv|television", [Term(("sofa", "couch")), Term(("tv", "television"), True)]),
        ("built-in wardrobe", [Term(("built-in wardrobe",))]),
        ("C++ a-b", [Term(("C++ a-b",))]),
        ('"a - b" -c', [Term(("a - b",)), Term(("c",), True)]),
        ('"one|two"', [Term(("one|two",))]),
        ("Küche -Öfen", [Term(("Küche",)), Term(("Öfen",), True)]),
        ("sofa \u2212window", [Term(("sofa",)), Term(("window",), True)]),
        ("sofa \u2013window", [Term(("sofa",)), Term(("window",), True)]),
        ("sofa\u00a0\u2014window", [Term(("sofa",)), Term(("window",), True)]),
        ("sofa －window", [Term(("sofa",)), Term(("window",), True)]),  # noqa: RUF001
        ("\u201cbay window\u201d -\u201ea b\u201c", [Term(("bay window",)), Term(("a b",), True)]),
        ("built\u2011in child\u2019s bed", [Term(("built-in child's bed",))]),
        ("TV\uff5ctelevision", [Term(("TV", "television"))]),
        ("so\u200bfa \ufeff-window", [Term(("sofa",)), Term(("window",), True)]),
    ],
)
def test_reading(query: str, terms: list[Term] | None) -> None:
    if terms is None:
        with pytest.raises(UsageError, match="only words with a minus"):
            parse(query)
    else:
        assert list(parse(query)) == terms


@pytest.mark.parametrize(
    "query", ["+", "-", "|", "a|", "|a", "a||b", "a -", "a + + b", '""', "a -|b"]
)
def test_signs_without_words(query: str) -> None:
    with pytest.raises(UsageError, match='has a "\\+", "-" or "\\|" without words'):
        parse(query)


@pytest.mark.parametrize("query", ["", " \n"])
def test_nothing(query: str) -> None:
    with pytest.raises(UsageError, match="the query is empty"):
        parse(query)


def test_only_what_is_unwanted() -> None:
    with pytest.raises(UsageError, match="only words with a minus; add what to look for"):
        parse("-sofa -window")


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused_in_a_sentence(query: str) -> None:
    try:
        terms = parse(query)
    except UsageError:
        return
    assert terms
    assert all(phrasing.strip() for term in terms for phrasing in term.phrasings)
    assert not all(term.negative for term in terms)


@given(
    st.lists(
        st.tuples(
            st.booleans(),
            st.lists(st.sampled_from(["sofa", "bay window", "a-b"]), min_size=1, max_size=3),
        ),
        min_size=1,
        max_size=4,
    )
)
def test_what_is_written_is_read_again(parts: list[tuple[bool, list[str]]]) -> None:
    parts[0] = (False, parts[0][1])
    terms = tuple(Term(tuple(words), negative) for negative, words in parts)
    assert parse(" ".join(f"{'' if t.negative else '+'}{t}" for t in terms)) == terms
    assert parse(written(terms)) == terms


def test_words_that_would_be_read_otherwise_are_written_in_quotes() -> None:
    terms = (Term(("a - b", "c|d")), Term(("-e",), True))
    assert parse(written(terms)) == terms


def test_a_query_that_is_not_text_is_refused() -> None:
    with pytest.raises(UsageError, match='the query "k\ufffd" is not valid UTF-8'):
        parse("k\udcff")
