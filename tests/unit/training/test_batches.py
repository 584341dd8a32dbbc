"""Every item comes once, and a batch of distinct pairs holds no false negative."""

from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from photosieve.training.batches import distinct, shuffled

SEEDS = st.integers(0, 2**32)
SIZES = st.integers(1, 12)
TABLES = st.integers(1, 5).flatmap(
    lambda labels: st.lists(
        st.lists(st.booleans(), min_size=labels, max_size=labels), min_size=1, max_size=8
    )
)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def cut(targets: torch.Tensor, batch_size: int, seed: int = 0) -> list[list[int]]:
    """One epoch of all pairs of the targets."""
    batches = distinct(targets.nonzero(), targets, batch_size, seeded(seed))
    return [batch.tolist() for batch in batches]


@given(st.integers(0, 50), SIZES, SEEDS)
def test_shuffled(items: int, batch_size: int, seed: int) -> None:
    batches = [batch.tolist() for batch in shuffled(items, batch_size, seeded(seed))]
    assert sorted(item for batch in batches for item in batch) == list(range(items))
    assert all(len(batch) == batch_size for batch in batches[:-1])
    assert all(1 <= len(batch) <= batch_size for batch in batches[-1:])


def test_batches_follow_from_the_state_of_the_generator() -> None:
    targets = torch.rand(30, 8, generator=seeded(0)) < 0.2
    pairs = targets.nonzero()

    def epoch(generator: torch.Generator) -> list[list[int]]:
        batches = [*shuffled(100, 8, generator), *distinct(pairs, targets, 8, generator)]
        return [batch.tolist() for batch in batches]

    one, other = seeded(1), seeded(1)
    first, second = epoch(one), epoch(one)
    assert [epoch(other), epoch(other)] == [first, second]
    assert first[0] != second[0]
    assert first[-1] != second[-1]


@given(TABLES, SIZES, SEEDS)
def test_distinct(table: list[list[bool]], batch_size: int, seed: int) -> None:
    targets = torch.tensor(table)
    pairs = targets.nonzero().tolist()
    batches = cut(targets, batch_size, seed)
    assert sorted(pair for batch in batches for pair in batch) == list(range(len(pairs)))
    assert all(1 <= len(batch) <= batch_size for batch in batches)
    for batch in batches:
        for one in batch:
            for other in batch:
                assert table[pairs[one][0]][pairs[other][1]] == (one == other)


def test_distinct_takes_targets_as_numbers() -> None:
    targets = torch.rand(30, 8, generator=seeded(0)) < 0.2
    assert cut(targets.float(), 8) == cut(targets, 8)


def test_all_photos_with_all_labels_are_pairs_on_their_own() -> None:
    assert sorted(cut(torch.ones(5, 3), 16)) == [[pair] for pair in range(15)]


def test_no_pair_at_all() -> None:
    assert cut(torch.zeros(5, 3), 16) == []


@pytest.mark.parametrize(
    ("items", "batch_size", "expected"), [(17, 16, [8, 9]), (33, 16, [11] * 3), (32, 16, [16] * 2)]
)
def test_the_rest_is_spread_over_all_batches(
    items: int, batch_size: int, expected: list[int]
) -> None:
    assert sorted(len(batch) for batch in cut(torch.eye(items), batch_size)) == expected


@pytest.mark.parametrize("seed", range(5))
def test_a_common_label_leaves_no_pair_alone(seed: int) -> None:
    """Half of the photos show a sofa, each of the others something of its own."""
    sofas = torch.zeros(100, 51)
    sofas[:50, 0], sofas[50:, 1:] = 1, torch.eye(50)
    assert Counter(len(batch) for batch in cut(sofas, 16, seed)) == {2: 50}


@pytest.mark.parametrize("batch_size", [3, 16])
@pytest.mark.parametrize("seed", range(5))
def test_listings_fill_batches_and_leave_no_pair_alone(seed: int, batch_size: int) -> None:
    """Labels from very common to rare, two a photo."""
    targets = torch.rand(200, 35, generator=seeded(seed)) < 0.5 / torch.arange(1, 36)
    sizes = [len(batch) for batch in cut(targets, batch_size, seed)]
    assert min(sizes) > 1
    assert max(sizes) <= batch_size


def test_batches_come_in_any_order() -> None:
    """Common labels are placed first; were their batches first too, each epoch would end alike."""
    sofas = torch.zeros(100, 91)
    sofas[:10, 0], sofas[10:, 1:] = 1, torch.eye(90)
    first = [min(cut(sofas, 4, seed)[0]) < 10 for seed in range(20)]  # in 10 of 25 batches
    assert 2 < sum(first) < 14
