"""What is written and read again is the same, whatever it holds."""

import json
import math
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from photosieve import Cut, Dataset, Encoder, Guarantee, Sieve
from photosieve.data.names import plain
from photosieve.decision.calibration import Background, Calibration
from photosieve.sieve.query import Term, parse
from tests.conftest import QUICK

NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
TEXTS = st.text(min_size=1, max_size=20)

# --- queries --------------------------------------------------------------------------------------

QUOTABLE = st.text().map(plain).filter(lambda text: text and '"' not in text)
TERMS = st.builds(
    Term, st.lists(QUOTABLE, min_size=1, max_size=3).map(tuple), negative=st.booleans()
)


def quoted(term: Term) -> str:
    sign = "-" if term.negative else "+"
    return sign + "|".join(f'"{phrasing}"' for phrasing in term.phrasings)


@given(st.lists(TERMS, min_size=1, max_size=4).filter(lambda terms: not terms[0].negative))
def test_quoted_terms_are_read_as_they_are(terms: list[Term]) -> None:
    assert parse(" ".join(map(quoted, terms))) == tuple(terms)


@given(QUOTABLE)
def test_a_quoted_phrase_is_one_term_whatever_it_holds(phrase: str) -> None:
    assert parse(f'"{phrase}"') == (Term((phrase,)),)


# --- values for JSON ------------------------------------------------------------------------------

CUTS = st.builds(Cut, NUMBERS, NUMBERS, st.floats(min_value=0, allow_nan=False))
CALIBRATIONS = st.builds(
    Calibration,
    *(NUMBERS, NUMBERS),
    shifts=st.dictionaries(TEXTS, NUMBERS, max_size=3),
    word_slope=NUMBERS,
    word_intercept=NUMBERS,
    remoteness=NUMBERS,
    word_threshold=NUMBERS,
)
GUARANTEES = st.builds(
    Guarantee,
    st.sampled_from(["precision", "recall"]),
    *[st.floats(0, 1, exclude_min=True, exclude_max=True)] * 2,
    NUMBERS,
    st.integers(1, 1000),
    st.floats(0, 1),
)


def through_json(value: Any) -> Any:
    return json.loads(json.dumps(value, allow_nan=False))


@given(CUTS)
def test_a_cut(cut: Cut) -> None:
    assert Cut.from_dict(through_json(cut.to_dict())) == cut


def test_a_cut_without_a_drop() -> None:
    assert Cut.from_dict(through_json(Cut(0.5, 0.25).to_dict())).drop == math.inf


@given(CALIBRATIONS)
def test_a_calibration(calibration: Calibration) -> None:
    assert Calibration.from_dict(through_json(calibration.to_dict())) == calibration


@given(GUARANTEES)
def test_a_guarantee(guarantee: Guarantee) -> None:
    assert Guarantee.from_dict(through_json(guarantee.to_dict())) == guarantee


# --- a saved sieve --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sieve(listings: Path, encoder: Encoder) -> Sieve:
    quick = replace(QUICK, epochs=1)
    return Sieve.fit(Dataset.load(listings / "train"), encoder, recipe=quick, folds=2)


def assert_same(one: Any, other: Any) -> None:
    """Compare field by field, since arrays have no truth value."""
    if is_dataclass(one):
        assert type(one) is type(other)
        for field in fields(one):
            assert_same(getattr(one, field.name), getattr(other, field.name))
    elif isinstance(one, np.ndarray):
        assert one.dtype == other.dtype
        assert_array_equal(one, other)
    else:
        assert one == other


@settings(max_examples=20)
@given(
    cut=CUTS,
    calibration=CALIBRATIONS,
    counts=st.dictionaries(TEXTS, st.integers(1, 1000), min_size=3, max_size=3),
    seed=st.integers(0, 2**63),
    seconds=st.integers(0, 10**6).map(lambda milliseconds: milliseconds / 1000),
    average=st.builds(Background, NUMBERS, NUMBERS),
    background=st.integers(0, 4).map(lambda rows: np.full((rows, 48), rows / 3, np.float32)),
)
def test_a_sieve(
    sieve: Sieve,
    encoder: Encoder,
    tmp_path_factory: pytest.TempPathFactory,
    cut: Cut,
    calibration: Calibration,
    counts: dict[str, int],
    seed: int,
    seconds: float,
    average: Background,
    background: Any,
) -> None:
    changed = replace(
        sieve,
        labels=counts,
        seed=seed,
        seconds=seconds,
        average=average,
        background=background,
        tuning=replace(sieve.tuning, cut=cut, calibration=calibration),
    )
    folder = tmp_path_factory.mktemp("saved") / "sieve"
    changed.save(folder)
    assert_same(Sieve.load(folder, encoder), changed)
