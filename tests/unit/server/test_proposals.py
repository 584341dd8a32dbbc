"""The photos proposed for labeling are doubtful, unlike each other, and unlike what is known."""

import numpy as np
import pytest
from numpy.typing import NDArray

from photosieve.encoders.protocol import Float32Array
from photosieve.server.proposals import SHORT_LIST, propose

NOTHING = np.zeros((0, 8), np.float32)


def themes(count: int, each: int, seed: int = 0) -> Float32Array:
    """Unit vectors in as many tight bundles, one after the other, (count * each, 8)."""
    rng = np.random.default_rng(seed)
    centers = np.eye(8, dtype=np.float32)[:count].repeat(each, 0)
    vectors = centers + rng.normal(0, 0.02, centers.shape).astype(np.float32)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


def themes_of(rows: list[int], each: int) -> set[int]:
    return {row // each for row in rows}


@pytest.mark.parametrize("seed", range(5))
def test_one_of_each_theme_comes_before_a_second_of_any(seed: int) -> None:
    chosen = propose(themes(6, 50, seed), NOTHING, 6)
    assert themes_of(chosen, 50) == set(range(6))


def test_labeled_themes_are_not_proposed_again() -> None:
    vectors = themes(5, 20)
    labeled = themes(5, 20, seed=1)[:40]  # the first two themes
    assert themes_of(propose(vectors, labeled, 3), 20) == {2, 3, 4}


def test_the_first_without_labels_is_a_typical_one() -> None:
    vectors = np.concatenate([themes(1, 30), themes(2, 1)[1:]])  # thirty alike, and one stranger
    first, second, *_ = propose(vectors, NOTHING, 2)
    assert first < 30
    assert second == 30


def test_doubt_makes_the_short_list() -> None:
    vectors = themes(8, 100)
    doubt: NDArray[np.float64] = np.zeros(800)
    doubtful = np.random.default_rng(1).choice(800, 2 * SHORT_LIST, replace=False)
    doubt[doubtful] = 1
    chosen = propose(vectors, NOTHING, 2, doubt)
    assert set(chosen) <= set(doubtful.tolist())
    assert len(themes_of(chosen, 100)) == 2


@pytest.mark.parametrize("count", [0, 1, 7, 100])
def test_no_photo_twice_and_no_more_than_there_are(count: int) -> None:
    chosen = propose(themes(2, 5), NOTHING, count)
    assert len(chosen) == len(set(chosen)) == min(count, 10)
    assert all(0 <= row < 10 for row in chosen)


def test_no_photos() -> None:
    assert propose(NOTHING, themes(1, 2), 5) == []
    assert propose(NOTHING, NOTHING, 5, np.zeros(0)) == []


def test_no_photo_is_proposed_twice_even_if_all_are_the_same() -> None:
    same = np.repeat(themes(1, 1), 5, axis=0)
    for seen in (NOTHING, same[:1]):
        assert sorted(propose(same, seen, 9)) == list(range(5))
