"""Queries become probabilities: labels by their curve, words against their background."""

from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose

from photosieve.decision.calibration import Background, Calibration, background
from photosieve.decision.cut import Cut
from photosieve.encoders.embedding import embed_photos, embed_texts
from photosieve.encoders.head import unit
from photosieve.encoders.protocol import Encoder, Float32Array
from photosieve.sieve.query import Term
from photosieve.sieve.scorer import Scorer, matches
from photosieve.training.features import Prepared

LEARNED = Cut(gate=0.6, floor=0.5)


@pytest.fixture
def scorer(encoder: Encoder, prepared: Prepared) -> Scorer:
    behind = encoder.head.project_photos(prepared.photos)
    calibration = Calibration(10.0, -5.0, {"garden": 0.3}, word_threshold=0.2)
    return Scorer(encoder, ("red", "blue", "garden"), calibration, behind, Background(0.1, 0.3))


@pytest.fixture
def photos(encoder: Encoder, listings: Path) -> Float32Array:
    return embed_photos(encoder, sorted((listings / "test" / "house-8").glob("*.png"))).features


def test_a_label_is_read_by_its_curve(
    scorer: Scorer, photos: Float32Array, encoder: Encoder
) -> None:
    (reading,) = readings = scorer.read(" RED ")
    assert (reading.label, reading.nearest) == ("red", "red")
    assert_allclose(reading.affinity, 1.0, atol=1e-6)
    cosines = photos @ embed_texts(encoder, ["red"])[0]
    assert_allclose(scorer.scores(readings, photos), cosines, atol=1e-6)
    expected = 1 / (1 + np.exp(-(10 * cosines - 5)))
    assert_allclose(scorer.probabilities(readings, photos)[:, 0], expected, atol=1e-6)
    assert scorer.cut(readings, LEARNED) == LEARNED


def test_a_shift_goes_with_its_label(
    scorer: Scorer, photos: Float32Array, encoder: Encoder
) -> None:
    found = scorer.probabilities(scorer.read("garden"), photos)[:, 0]
    cosines = photos @ embed_texts(encoder, ["garden"])[0]
    assert_allclose(found, 1 / (1 + np.exp(-(10 * cosines - 4.7))), atol=1e-6)


def test_a_word_is_read_against_its_background(
    scorer: Scorer, photos: Float32Array, encoder: Encoder
) -> None:
    (reading,) = readings = scorer.read("green")  # a color that the encoder knows, but no label
    vector = embed_texts(encoder, ["green"])[0]
    assert reading.label is None
    behind = background(scorer.background @ vector, scorer.average)
    assert_allclose(reading.background.mean, behind.mean, atol=1e-6)
    assert_allclose(reading.background.deviation, behind.deviation, atol=1e-6)
    expected = scorer.calibration.words(behind.normalize(photos @ vector), reading.affinity)
    assert_allclose(scorer.probabilities(readings, photos)[:, 0], expected, atol=1e-5)
    assert scorer.cut(readings, LEARNED) == Cut.threshold(0.2)


def test_terms_are_combined(scorer: Scorer, photos: Float32Array) -> None:
    readings = scorer.read("red -blue")
    by_term = scorer.probabilities(readings, photos)
    assert by_term.shape == (len(photos), 2)
    found = matches(tuple(r.term for r in readings), by_term)
    assert_allclose(found, np.minimum(by_term[:, 0], 1 - by_term[:, 1]))
    difference = unit(readings[0].vector - readings[1].vector)
    assert_allclose(scorer.scores(readings, photos), photos @ difference, atol=1e-6)
    assert scorer.cut(readings, LEARNED) == LEARNED


def test_both_terms_have_to_match() -> None:
    terms = (Term(("a",)), Term(("b",)), Term(("c",), negative=True))
    by_term = np.array([[0.9, 0.8, 0.3], [0.9, 0.2, 0.3], [0.9, 0.8, 0.9]])
    assert_allclose(matches(terms, by_term), [0.7, 0.2, 0.1])


def test_phrasings_are_averaged(scorer: Scorer, encoder: Encoder) -> None:
    (reading,) = scorer.read("red|scarlet")
    vectors = embed_texts(encoder, ["red", "scarlet"])
    assert_allclose(reading.vector, unit(vectors.mean(0)), atol=1e-6)
    assert reading.label is None


def test_the_stricter_rule_holds_for_a_label_with_a_word(scorer: Scorer) -> None:
    readings = scorer.read("red + green")
    assert scorer.cut(readings, Cut(gate=0.1, floor=0.1)) == Cut(gate=0.2, floor=0.2)
    assert scorer.cut(readings, LEARNED) == LEARNED
    assert scorer.cut(scorer.read("red -green"), LEARNED) == LEARNED


def test_a_label_with_signs_in_it_is_that_label(encoder: Encoder, scorer: Scorer) -> None:
    odd = Scorer(encoder, ("a - b", "x|y"), scorer.calibration, scorer.background, scorer.average)
    assert [reading.label for reading in odd.read("A - B")] == ["a - b"]
    assert [reading.label for reading in odd.read("x|y")] == ["x|y"]
    assert len(odd.read("a - c")) == 2
