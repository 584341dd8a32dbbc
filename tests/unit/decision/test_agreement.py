"""A word agrees with a label as far as its scores tell the label's photos apart."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray

from photosieve.decision.agreement import Agreement

SHOWN = np.arange(40)[:, None] % 4 == np.arange(3)  # a fourth of the photos show no label
LABELS = np.eye(3, 5)
PHOTOS = SHOWN @ LABELS + np.random.default_rng(0).normal(0, 0.1, (40, 5))


@pytest.fixture
def agreement() -> Agreement:
    return Agreement.of(LABELS, PHOTOS, SHOWN.astype(np.int8))


def test_a_label_agrees_with_itself(agreement: Agreement) -> None:
    assert_allclose([agreement.with_word(text)[row] for row, text in enumerate(LABELS)], 1)


def test_a_word_that_excludes_a_label_disagrees(agreement: Agreement) -> None:
    assert_allclose(agreement.with_word(-LABELS[1])[1], -1)
    assert agreement.with_word(LABELS[0])[1] < 0  # photos of another label


def test_a_word_that_says_nothing_of_a_label_is_near_zero(agreement: Agreement) -> None:
    assert abs(agreement.with_word(np.eye(5)[4])).max() < 0.6


def test_a_label_that_its_own_text_hardly_tells_apart_makes_no_word_agree_in_full() -> None:
    noise = np.random.default_rng(1).normal(0, 1, (40, 5))
    found = Agreement.of(LABELS, noise, SHOWN.astype(np.int8))
    assert np.abs([found.with_word(text) for text in np.eye(5)]).max() < 5


@pytest.mark.parametrize("known", [np.zeros_like(SHOWN), SHOWN, ~SHOWN])
def test_without_yes_and_no_nothing_agrees(known: NDArray[np.bool_]) -> None:
    found = Agreement.of(LABELS, PHOTOS, np.where(known, SHOWN, -1))
    assert_array_equal(found.with_word(LABELS[0]), np.zeros(3))


def test_unlabeled_photos_count_as_a_no() -> None:
    """Of two labeled photos, every second word ranks the right one first, by chance."""
    few = np.eye(2, 3, dtype=np.int8)
    words = np.random.default_rng(2).normal(size=(200, 5))
    alone, among = Agreement.of(LABELS, PHOTOS[:2], few), Agreement.of(LABELS, PHOTOS, few)
    assert np.mean([alone.with_word(word)[0] >= 1 for word in words]) > 0.4
    assert np.mean([among.with_word(word)[0] >= 1 for word in words]) < 0.2
    assert_allclose(among.with_word(LABELS[0])[0], 1)
    labeled = np.concatenate([few, np.zeros((38, 3), np.int8)])
    assert_allclose(among.contrast, Agreement.of(LABELS, PHOTOS, labeled).contrast)
