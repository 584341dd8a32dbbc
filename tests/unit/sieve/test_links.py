"""A word is decided by a label that means the same: near as a text, and of one mind on photos."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray

from photosieve.decision.agreement import Agreement
from photosieve.decision.calibration import Nearness
from photosieve.encoders.head import unit
from photosieve.encoders.protocol import Float32Array
from photosieve.sieve.links import link_weights

WIDTH, PHOTOS = 32, 120
NEARNESS = Nearness(near=0.4, unit=0.15)


def label(number: int) -> Float32Array:
    """The vector of a label: its own direction, and one that all of them share."""
    return unit(np.eye(WIDTH)[number] + 0.5 * np.eye(WIDTH)[-1])


LABELS = np.stack([label(number) for number in range(3)])
SHOWN = np.arange(PHOTOS)[:, None] % 4 == np.arange(3)  # a fourth of the photos show no label


@dataclass(frozen=True)
class Links:
    """Words are asked about labels and photos that stay the same."""

    nearness: Nearness
    agreement: Agreement

    def weights(self, word: Float32Array) -> NDArray[np.float64]:
        labels = np.asarray(self.agreement.labels, np.float32)
        return link_weights(word, labels, self.nearness, self.agreement.with_word(word))


def links_of(labels: Float32Array, photos: Float32Array, known: NDArray[np.int8]) -> Links:
    return Links(NEARNESS, Agreement.of(labels, photos, known))


@pytest.fixture
def photos() -> Float32Array:
    """Photos in the direction of what they show, and of its looks, which no text tells."""
    noise = np.random.default_rng(0).normal(0, 0.15, (PHOTOS, WIDTH))
    return unit(SHOWN @ (np.eye(WIDTH)[:3] + np.eye(WIDTH)[10:13]) + noise)


@pytest.fixture
def links(photos: Float32Array) -> Links:
    return links_of(LABELS, photos, SHOWN.astype(np.int8))


def near(text: Float32Array, other: NDArray[Any], cosine: float) -> Float32Array:
    """Return a vector of a given cosine to a text, otherwise in the direction of another."""
    rest = unit(other - (other @ text) * text)
    return np.asarray(cosine * text + np.sqrt(1 - cosine**2) * rest, np.float32)


def test_a_synonym_is_decided_by_its_label(links: Links) -> None:
    found = links.weights(near(LABELS[1], np.eye(WIDTH)[20], 0.6))  # 20: on no photo
    assert found[1] > 0.6
    assert found[[0, 2]].max() < 0.05


def test_a_near_text_whose_scores_say_something_else_is_not(links: Links) -> None:
    """As near as the synonym, but by what all labels share."""
    word = near(LABELS[1], -np.eye(WIDTH)[1], 0.6)
    assert_array_equal(links.weights(word), np.zeros(3))


def test_a_far_word_is_not_whatever_its_scores(links: Links) -> None:
    """Its photos are those of label 1; as a text, it is no nearer than most general words."""
    looks = np.eye(WIDTH)[11]
    assert_array_equal(links.weights(near(LABELS[1], looks, 0.2)), np.zeros(3))
    assert links.weights(near(LABELS[1], looks, 0.6))[1] > 0.6


def test_the_nearer_the_stronger(links: Links) -> None:
    cosines = (0.4, 0.45, 0.5, 0.55)
    by_text = [links.weights(near(LABELS[0], np.eye(WIDTH)[20], cosine))[0] for cosine in cosines]
    assert by_text == sorted(by_text)
    assert 0 < by_text[0] < by_text[-1]


def test_a_word_between_two_labels_is_decided_by_both(links: Links) -> None:
    found = links.weights(unit(LABELS[0] + LABELS[1]))
    assert found[2] < 0.05
    assert_allclose(found[0], found[1], atol=0.15)


@pytest.mark.parametrize("seed", range(5))
def test_weights_sum_to_at_most_one(links: Links, seed: int) -> None:
    rng = np.random.default_rng(seed)
    words = unit(rng.random((200, 3)) @ LABELS + rng.normal(0, 0.1, (200, WIDTH)))
    found = np.array([links.weights(word) for word in (*words, *LABELS)])
    assert (found >= 0).all()
    assert found.sum(1).max() <= 1 + 1e-9
    assert found.sum(1).max() > 0.5


def test_nearness_counts_in_the_units_of_general_words(links: Links) -> None:
    """A cosine that is large among texts that are unlike is small among texts that are alike."""
    word = near(LABELS[0], np.eye(WIDTH)[20], 0.6)
    alike = replace(links, nearness=Nearness(near=0.9, unit=0.1))
    assert links.weights(word)[0] > 0.6
    assert_array_equal(alike.weights(word), np.zeros(3))


@pytest.mark.parametrize("known", ["nothing", "no negatives", "no positives"])
def test_without_verdicts_for_and_against_no_word_is_linked(
    known: str, photos: Float32Array
) -> None:
    pairs = {
        "nothing": np.zeros_like(SHOWN),
        "no negatives": SHOWN,
        "no positives": ~SHOWN,
    }[known]
    links = links_of(LABELS, photos, np.where(pairs, SHOWN, -1))
    assert_array_equal(links.weights(LABELS[0]), np.zeros(3))


def test_unknown_pairs_say_nothing(photos: Float32Array) -> None:
    known = np.ones_like(SHOWN)
    known[:60, 0] = False
    word = near(LABELS[0], np.eye(WIDTH)[20], 0.6)
    found = links_of(LABELS, photos, np.where(known, SHOWN ^ ~known, -1))
    assert found.weights(word)[0] > 0.6
    taken_for_known = links_of(LABELS, photos, (SHOWN ^ ~known).astype(np.int8))
    assert taken_for_known.weights(word)[0] == 0


def test_without_labels_nothing_is_linked(photos: Float32Array) -> None:
    nothing = np.zeros((PHOTOS, 0), np.int8)
    links = links_of(LABELS[:0], photos, nothing)
    assert links.weights(LABELS[0]).shape == (0,)
