"""Queries that may have been meant."""

import pytest

from photosieve.data.names import label_key
from photosieve.sieve.query import parse
from photosieve.sieve.suggestions import suggestions

LABELS = ("kitchen", "Sofa", "window", "living room", "bed")


def keyed(labels: tuple[str, ...]) -> dict[str, str]:
    return {label_key(label): label for label in labels}


@pytest.mark.parametrize(
    ("query", "suggested"),
    [
        ("kichen", "kitchen"),
        ("kithcen -windw", "kitchen -window"),
        ("sofa -Kichen", "sofa -kitchen"),
        ("livingroom + sofa", "living room + sofa"),
        ("armchair|sofaa", "armchair|Sofa"),
        ("sofa, window", "sofa + window"),
        ("kitchen and sofa", "kitchen + sofa"),
        ("kitchen, sofa, and windw -bed", "kitchen + sofa + window -bed"),
        ("kitchen & living room", "kitchen + living room"),
    ],
)
def test_a_query_that_nearly_names_labels(query: str, suggested: str) -> None:
    assert suggestions(parse(query), keyed(LABELS)) == (suggested,)


@pytest.mark.parametrize(
    "query",
    [
        "kitchen",
        "SOFA -window",
        "giraffe",
        "sand and sea",
        "kitchen, giraffe",
        "dining room",
        "beds",
    ],
)
def test_other_queries_stay_as_they_are(query: str) -> None:
    assert suggestions(parse(query), keyed(LABELS)) == ()


def test_a_label_with_a_comma_or_an_and_is_a_label() -> None:
    assert (
        suggestions(parse("washer and dryer"), keyed(("washer and dryer", "washer", "dryer"))) == ()
    )
