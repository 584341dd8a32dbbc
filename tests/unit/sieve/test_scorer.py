"""Queries become probabilities: labels by their curve, words against their background."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from photosieve.decision.calibration import (
    Background,
    Calibration,
    background,
    joint_affinity,
    log_odds,
)
from photosieve.decision.cut import Cut
from photosieve.encoders.embedding import embed_texts, photo_features
from photosieve.encoders.head import unit
from photosieve.encoders.protocol import Encoder, Float32Array
from photosieve.sieve import saved
from photosieve.sieve.embedded import Embedded
from photosieve.sieve.query import Term
from photosieve.sieve.record import Record
from photosieve.sieve.scorer import Scorer, matches
from photosieve.sieve.sieve import Sieve
from photosieve.training.features import Prepared
from photosieve.training.recipes import get_recipe
from photosieve.training.run import Run

LEARNED = Cut(gate=0.6, floor=0.5)


@pytest.fixture(scope="module")
def record(encoder: Encoder, prepared: Prepared) -> Record:
    """The pretrained model with curves that are easy to check."""
    sieve = Sieve.fit_prepared(encoder, prepared, Run(get_recipe("zero-shot")), words=False)
    calibration = Calibration(10.0, -5.0, {"garden": 0.3}, word_threshold=0.2)
    tuning = replace(sieve.tuning, calibration=calibration, cut=LEARNED)
    return replace(sieve, tuning=tuning, average=Background(0.1, 0.3), verdicts=None)


@pytest.fixture
def scorer(record: Record) -> Scorer:
    return Scorer(record)


@pytest.fixture(scope="module")
def features(encoder: Encoder, listings: Path) -> Float32Array:
    paths = sorted((listings / "test" / "house-8").glob("*.png"))
    return photo_features(encoder, paths).features


@pytest.fixture
def photos(scorer: Scorer, features: Float32Array) -> Embedded:
    return scorer.embed_photos(features)


def cosines(scorer: Scorer, photos: Embedded, text: str) -> Float32Array:
    return np.asarray(photos.vectors @ embed_texts(scorer.record.encoder, [text])[0])


def test_without_a_probe_the_score_of_a_label_is_its_cosine(
    scorer: Scorer, photos: Embedded
) -> None:
    (reading,) = readings = scorer.read(" RED ")
    assert (reading.label, reading.nearest) == ("red", "red")
    assert_allclose(reading.affinity, 1.0, atol=1e-6)
    assert_array_equal(reading.links, np.zeros(3))
    expected = cosines(scorer, photos, "red")
    assert_allclose(scorer.scores(reading, photos), expected, atol=1e-6)
    probabilities = 1 / (1 + np.exp(-(10 * expected - 5)))
    assert_allclose(scorer.probabilities(readings, photos)[:, 0], probabilities, atol=1e-6)
    assert scorer.cut(readings, LEARNED) == LEARNED


def test_with_a_probe_it_is_the_log_odds_of_that(
    encoder: Encoder, prepared: Prepared, features: Float32Array
) -> None:
    """A probe on top of a trained head sees its vectors, any other one the features."""
    for recipe in (get_recipe(), get_recipe("balanced", {"epochs": "3", "probe": "true"})):
        record = Sieve.fit_prepared(encoder, prepared, Run(recipe), words=False)
        assert record.probe is not None
        scorer = Scorer(record)
        photos = scorer.embed_photos(features)
        assert_allclose(photos.vectors, record.encoder.head.project_photos(features), atol=1e-6)
        seen = photos.vectors if recipe.epochs else features
        inner = unit(seen - record.probe.mean) @ record.probe.weights + record.probe.bias
        assert_allclose(photos.labels, photos.vectors @ record.probe.texts.T + inner, atol=1e-4)
        for column, label in enumerate(record.labels):
            found = scorer.scores(scorer.read_word(label), photos, np.array([2, 0]))
            assert_array_equal(found, photos.labels[[2, 0], column])


def test_a_shift_goes_with_its_label(scorer: Scorer, photos: Embedded) -> None:
    found = scorer.probabilities(scorer.read("garden"), photos)[:, 0]
    expected = cosines(scorer, photos, "garden")
    assert_allclose(found, 1 / (1 + np.exp(-(10 * expected - 4.7))), atol=1e-6)


def test_a_word_is_read_against_its_background(scorer: Scorer, photos: Embedded) -> None:
    (reading,) = readings = scorer.read("green")  # a color that the encoder knows, but no label
    vector = embed_texts(scorer.record.encoder, ["green"])[0]
    assert reading.label is None
    behind = background(scorer.record.background @ vector, scorer.record.average)
    assert_allclose(reading.background.mean, behind.mean, atol=1e-6)
    assert_allclose(reading.background.deviation, behind.deviation, atol=1e-6)
    record = scorer.record
    assert record.topic is not None
    to_photos = record.topic.affinity((record.background @ vector).mean())
    to_labels = record.nearness.affinity(reading.affinity)
    affinity = joint_affinity(to_labels, to_photos, 24)
    normal = behind.normalize(photos.vectors @ vector)
    expected = scorer.calibration.words(normal, affinity)
    assert_allclose(scorer.probabilities(readings, photos)[:, 0], expected, atol=1e-5)
    assert scorer.cut(readings, LEARNED) == Cut.threshold(0.2)


def test_terms_are_combined(scorer: Scorer, photos: Embedded) -> None:
    readings = scorer.read("red -blue")
    by_term = scorer.probabilities(readings, photos)
    assert by_term.shape == (len(photos), 2)
    found = matches(tuple(r.term for r in readings), by_term)
    assert_allclose(found, np.minimum(by_term[:, 0], 1 - by_term[:, 1]))
    assert scorer.cut(readings, LEARNED) == LEARNED


def test_both_terms_have_to_match() -> None:
    terms = (Term(("a",)), Term(("b",)), Term(("c",), negative=True))
    by_term = np.array([[0.9, 0.8, 0.3], [0.9, 0.2, 0.3], [0.9, 0.8, 0.9]])
    assert_allclose(matches(terms, by_term), [0.7, 0.2, 0.1])


def test_phrasings_are_averaged(scorer: Scorer) -> None:
    (reading,) = scorer.read("red|scarlet")
    vectors = embed_texts(scorer.record.encoder, ["red", "scarlet"])
    assert_allclose(reading.vector, unit(vectors.mean(0)), atol=1e-6)
    assert reading.label is None


def test_the_stricter_rule_holds_for_a_label_with_a_word(scorer: Scorer) -> None:
    readings = scorer.read("red + green")
    assert scorer.cut(readings, Cut(gate=0.1, floor=0.1)) == Cut(gate=0.2, floor=0.2)
    assert scorer.cut(readings, LEARNED) == LEARNED
    assert scorer.cut(scorer.read("red -green"), LEARNED) == LEARNED


def test_a_label_with_signs_in_it_is_that_label(record: Record) -> None:
    odd = Scorer(replace(record, labels={"a - b": 1, "x|y": 1}))
    assert [reading.label for reading in odd.read("A - B")] == ["a - b"]
    assert [reading.label for reading in odd.read("x|y")] == ["x|y"]
    assert len(odd.read("a - c")) == 2


@pytest.mark.parametrize("word", ["red", "garden", "green"])
def test_the_least_score_has_that_probability(word: str, scorer: Scorer, photos: Embedded) -> None:
    (reading,) = scorer.read(word)
    probabilities = scorer.probability(reading, photos)
    found = [scorer.least_score(reading, probability) for probability in probabilities]
    assert_allclose(found, scorer.scores(reading, photos), atol=1e-4)
    assert scorer.least_score(reading, 0.0) == -np.inf
    assert scorer.least_score(reading, 1.0) == np.inf


# --- words that labels decide about ---------------------------------------------------------------


def test_a_word_that_is_linked_in_full_matches_where_its_label_does(
    scorer: Scorer, photos: Embedded
) -> None:
    (word,), (red,) = scorer.read("scarlet"), scorer.read("red")
    linked = scorer.probability(replace(word, links=np.array([1.0, 0.0, 0.0])), photos)
    label = scorer.probability(red, photos)
    assert_array_equal(linked >= scorer.calibration.word_threshold, label >= LEARNED.gate)
    assert 0 < (label >= LEARNED.gate).sum() < len(photos)
    distance = log_odds(linked) - log_odds(scorer.calibration.word_threshold)
    assert_allclose(distance, log_odds(label) - log_odds(LEARNED.gate), atol=1e-6)


def test_weights_of_links_average_the_distances_to_the_thresholds(
    scorer: Scorer, photos: Embedded
) -> None:
    (word,) = scorer.read("scarlet")

    def distance(links: list[float]) -> Float32Array:
        found = scorer.probability(replace(word, links=np.array(links)), photos)
        return np.asarray(log_odds(found) - log_odds(scorer.calibration.word_threshold))

    alone, red, blue = distance([0, 0, 0]), distance([1, 0, 0]), distance([0, 1, 0])
    assert_allclose(distance([0.5, 0.3, 0]), 0.2 * alone + 0.5 * red + 0.3 * blue, atol=1e-6)


def test_a_linked_word_says_so(scorer: Scorer) -> None:
    (word,) = scorer.read("scarlet")
    assert "decides" not in word.describe()
    linked = replace(word, links=np.array([0.25, 0.0, 0.5]))
    assert "which decides by 50%" in linked.describe()
    assert linked.to_dict()["linked"] == 0.75


def test_a_saved_sieve_needs_no_text_tower_for_its_labels(
    record: Record, encoder: Encoder, photos: Embedded, tmp_path: Path
) -> None:
    """And reads other words once."""
    asked: list[str] = []

    class Listening(type(encoder)):  # type: ignore[misc]
        def text_features(self, texts: Sequence[str]) -> Float32Array:
            asked.extend(texts)
            return encoder.text_features(texts)

    saved.write(record, tmp_path / "sieve")
    loaded = Scorer(saved.read(Record, tmp_path / "sieve", Listening()))
    readings = loaded.read("Red -blue")
    own = Scorer(record).probabilities(Scorer(record).read("Red -blue"), photos)
    assert_array_equal(loaded.probabilities(readings, photos), own)
    assert asked == []
    assert loaded.read("meadow") == loaded.read("meadow + red")[:1]
    assert asked == ["meadow"]
