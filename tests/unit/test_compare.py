"""The leaderboard: rows, seeds, and that each row was tested on the same photos."""

from pathlib import Path

import numpy as np
import pytest

from photosieve.compare import compare
from photosieve.cut import NOTEBOOK
from photosieve.encoders import Encoder
from photosieve.errors import UsageError
from photosieve.labels import Dataset
from photosieve.training.trunk import Prepared, prepare


@pytest.fixture(scope="module")
def test_data(listings: Path, encoder: Encoder, prepared: Prepared) -> Prepared:
    return prepare(encoder, Dataset.load(listings / "test"), labels=prepared.labels)


def test_rows_are_the_recipes_and_the_cut_by_hand(
    encoder: Encoder, prepared: Prepared, test_data: Prepared
) -> None:
    told: list[tuple[int, int]] = []
    found = compare(
        encoder, prepared, test_data, seeds=2,
        progress=lambda _, done, total: told.append((done, total)),
    )  # fmt: skip
    names = ["zero-shot", "notebook, cut by hand", "notebook", "balanced"]
    assert [row.name for row in found.rows] == names
    assert list(found.evaluations) == names
    assert told == [(done + 1, 6) for done in range(6)]
    for evaluations in found.evaluations.values():
        assert len(evaluations) == 2
        for evaluation in evaluations:
            assert evaluation.photos == test_data.dataset.photos
            np.testing.assert_array_equal(evaluation.relevant, test_data.targets)
    by_hand, tuned = found.evaluations["notebook, cut by hand"], found.evaluations["notebook"]
    assert by_hand[0].cut == NOTEBOOK
    np.testing.assert_array_equal(by_hand[0].scores, tuned[0].scores)  # one training, two cuts


def test_training_beats_zero_shot_where_the_word_must_be_learned(
    encoder: Encoder, prepared: Prepared, test_data: Prepared
) -> None:
    found = compare(encoder, prepared, test_data, ["zero-shot", "balanced"], seeds=1)
    zero_shot, balanced = found.rows
    assert balanced.mean_average_precision.value > zero_shot.mean_average_precision.value
    assert balanced.macro_f1.value > zero_shot.macro_f1.value
    assert balanced.seed_deviation == 0.0


def test_an_unknown_recipe_stops_before_any_training(
    encoder: Encoder, prepared: Prepared, test_data: Prepared
) -> None:
    with pytest.raises(UsageError, match='no recipe called "best"'):
        compare(encoder, prepared, test_data, ["balanced", "best"], seeds=1)
