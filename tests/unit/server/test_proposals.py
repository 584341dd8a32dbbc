"""Proposed photos are unlike each other and what is known, and balanced over buildings."""

import numpy as np
import pytest
from numpy.typing import NDArray

from photosieve.encoders.protocol import Float32Array
from photosieve.server import proposals
from photosieve.server.proposals import whitened

NOTHING = np.zeros((0, 8), np.float32)


def propose(vectors: Float32Array, labeled: Float32Array, count: int) -> list[int]:
    """Propose photos of a single building."""
    return proposals.propose(vectors, one_building(vectors), labeled, one_building(labeled), count)


def one_building(vectors: Float32Array) -> NDArray[np.intp]:
    return np.zeros(len(vectors), np.intp)


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
    first, *others = propose(vectors, NOTHING, 6)
    assert first < 30
    assert 30 in others


def test_each_building_gets_its_first_photo_before_any_gets_its_second() -> None:
    vectors = themes(4, 15)
    buildings = np.repeat(np.arange(6), 10)
    for seen in (0, 3):  # of the last building
        chosen = proposals.propose(vectors, buildings, vectors[-seen:] if seen else NOTHING,
                                   buildings[len(buildings) - seen :], 9)  # fmt: skip
        counts = np.bincount(buildings[chosen], minlength=6) + seen * (np.arange(6) == 5)
        assert len(chosen) == 9
        assert counts[:5].min() >= 1
        assert counts[:5].max() - counts[:5].min() <= 1
        assert counts[5] in ((1, 2) if not seen else (3,))


def test_a_building_without_photos_left_does_not_end_the_choice() -> None:
    vectors = themes(2, 5)
    buildings = np.array([0] + [1] * 9)
    chosen = proposals.propose(vectors, buildings, NOTHING, one_building(NOTHING), 10)
    assert sorted(chosen) == list(range(10))


def test_many_at_once_are_the_same_as_one_after_the_other() -> None:
    vectors = themes(6, 5)
    at_once = propose(vectors, vectors[:1], 8)
    left, labeled, found = list(range(30)), vectors[:1], []
    for _ in range(8):
        row = left.pop(propose(vectors[left], labeled, 1)[0])
        found.append(row)
        labeled = np.concatenate([labeled, vectors[row : row + 1]])
    assert themes_of(at_once[:5], 5) == themes_of(found[:5], 5) == set(range(1, 6))


def test_whitening_brings_out_what_few_photos_differ_in() -> None:
    rng = np.random.default_rng(0)
    scale = np.array([10, 1, 1, 1, 1, 1, 1, 1], np.float32)
    vectors = (rng.normal(size=(400, 8)) * scale + 3).astype(np.float32)
    spread = whitened(vectors)
    assert np.allclose(np.linalg.norm(spread, axis=1), 1, atol=1e-5)
    shares = np.sort((spread**2).mean(0))
    assert shares[-1] < 5 * shares[0]
    plain = ((vectors - vectors.mean(0)) ** 2).mean(0)
    assert plain.max() > 50 * plain.min()


@pytest.mark.parametrize("count", [0, 1, 7, 100])
def test_no_photo_twice_and_no_more_than_there_are(count: int) -> None:
    chosen = propose(themes(2, 5), NOTHING, count)
    assert len(chosen) == len(set(chosen)) == min(count, 10)
    assert all(0 <= row < 10 for row in chosen)


def test_no_photos() -> None:
    assert propose(NOTHING, themes(1, 2), 5) == []
    assert propose(NOTHING, NOTHING, 5) == []


def test_no_photo_is_proposed_twice_even_if_all_are_the_same() -> None:
    same = np.repeat(themes(1, 1), 5, axis=0)
    for seen in (NOTHING, same[:1]):
        assert sorted(propose(same, seen, 9)) == list(range(5))
