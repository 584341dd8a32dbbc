"""Training learns what it is shown, forgets little, and never ends in nonsense."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from numpy.typing import NDArray

from photosieve.encoders import Encoder, Head
from photosieve.errors import TrainingError
from photosieve.labels import Dataset
from photosieve.training.fit import fit
from photosieve.training.folds import out_of_fold
from photosieve.training.recipes import Recipe, get_recipe
from photosieve.training.trunk import Prepared, prepare

BALANCED = get_recipe("balanced", {"epochs": "40"})
BATCHES = get_recipe("balanced", {"epochs": "5", "batch_size": "5"})
NOTEBOOK = get_recipe("notebook", {"epochs": "5"})


def moved(one: Head, other: Head) -> float:
    """Largest difference of two photo maps."""
    return float(np.abs(one.arrays()["photo"] - other.arrays()["photo"]).max())


def margin(data: Prepared, head: Head, label: str) -> float:
    """Lowest score of a photo with the label less the highest of one without it."""
    column = data.labels.index(label)
    scores, right = data.scores(head)[:, column], data.targets[:, column]
    return float(scores[right].min() - scores[~right].max())


def with_targets(data: Prepared, targets: NDArray[np.bool_]) -> Prepared:
    return replace(data, targets=targets)


@pytest.fixture
def test_data(listings: Path, encoder: Encoder, prepared: Prepared) -> Prepared:
    return prepare(encoder, Dataset.load(listings / "test"), labels=prepared.labels)


@pytest.mark.parametrize("recipe", [BATCHES, NOTEBOOK], ids=lambda recipe: recipe.name)
def test_a_seed_decides_the_result(recipe: Recipe, prepared: Prepared, encoder: Encoder) -> None:
    one, same, other = (fit(prepared, encoder.head, recipe, seed=seed) for seed in (1, 1, 2))
    assert one.fingerprint() == same.fingerprint()
    assert moved(one, other) > 1e-6


@pytest.mark.parametrize("recipe", [BALANCED, get_recipe("notebook")], ids=lambda r: r.name)
def test_learns_a_word_that_the_encoder_did_not_know(
    recipe: Recipe, prepared: Prepared, test_data: Prepared, encoder: Encoder
) -> None:
    assert margin(test_data, encoder.head, "garden") < 0
    head = fit(prepared, encoder.head, recipe)
    assert margin(test_data, head, "garden") > 0.1
    assert margin(test_data, head, "red") > 0


def test_only_what_the_recipe_names_moves(prepared: Prepared, encoder: Encoder) -> None:
    start = encoder.head
    before = start.fingerprint()
    head = fit(prepared, start, BATCHES)
    assert moved(head, start) > 1e-3
    assert_array_equal(head.arrays()["text"], start.arrays()["text"])
    assert not np.array_equal(
        fit(prepared, start, NOTEBOOK).arrays()["text"], start.arrays()["text"]
    )
    assert start.fingerprint() == before


def test_zero_shot_is_the_start(prepared: Prepared, encoder: Encoder) -> None:
    head = fit(prepared, encoder.head, get_recipe("zero-shot"))
    assert head.fingerprint() == encoder.head.fingerprint()


def test_anchors_hold_the_words_that_no_label_mentions(
    prepared: Prepared, encoder: Encoder
) -> None:
    words = replace(prepared, texts=prepared.words)
    before = words.scores(encoder.head)
    change = {
        weight: np.square(
            words.scores(fit(prepared, encoder.head, replace(BALANCED, anchor_weight=weight)))
            - before
        ).mean()
        for weight in (0.0, 30.0)
    }
    assert change[30.0] < change[0.0] / 3


def test_words_close_to_a_label_are_free_to_move(prepared: Prepared, encoder: Encoder) -> None:
    """With the labels themselves as the only general words nothing is left to hold."""
    synonyms = replace(prepared, words=prepared.texts)
    free = fit(prepared, encoder.head, replace(BATCHES, anchor_weight=0.0))
    assert fit(synonyms, encoder.head, BATCHES).fingerprint() == free.fingerprint()
    held = replace(BATCHES, anchor_free_cosine=1.1)
    assert moved(fit(synonyms, encoder.head, held), free) > 1e-4


@pytest.mark.parametrize("recipe", [BALANCED, NOTEBOOK], ids=lambda recipe: recipe.name)
def test_fewer_photos_than_a_batch_train_all_the_same(
    recipe: Recipe, prepared: Prepared, encoder: Encoder
) -> None:
    few = prepared.rows(np.array([0, 2, 3]))
    assert len(few.photos) < recipe.batch_size
    assert moved(fit(few, encoder.head, recipe), encoder.head) > 1e-4


def test_photos_in_an_incomplete_last_batch_count(prepared: Prepared, encoder: Encoder) -> None:
    """A loader that drops the last batch would train on five of these six photos."""
    recipe = replace(BATCHES, epochs=1, anchor_weight=0.0)
    data = prepared.rows(np.arange(6))
    steps = []
    for size in (5, 6):
        head = fit(data, encoder.head, replace(recipe, batch_size=size))
        steps.append(moved(head, encoder.head))
    assert steps[0] > 1.5 * steps[1]  # two steps of Adam, not one


@pytest.mark.parametrize("name", ["balanced", "notebook"])
@pytest.mark.parametrize("rate", ["1e3", "1e19", "1e30", "1e38", "1e39"])
def test_a_huge_learning_rate_is_refused_or_harmless(
    name: str, rate: str, prepared: Prepared, encoder: Encoder
) -> None:
    recipe = get_recipe(name, {"learning_rate": rate, "epochs": "2"})
    if rate == "1e3":
        assert np.isfinite(prepared.scores(fit(prepared, encoder.head, recipe))).all()
        return
    with pytest.raises(TrainingError, match=r"lower the learning rate \(now 1e\+"):
        fit(prepared, encoder.head, recipe)


@pytest.mark.parametrize("recipe", [BALANCED, NOTEBOOK], ids=lambda recipe: recipe.name)
@pytest.mark.parametrize("rows", [1, 2, 6])
@pytest.mark.parametrize("label_on", ["no photo", "the first photo", "all photos"])
def test_little_data_gives_a_sound_head(
    label_on: str, rows: int, recipe: Recipe, prepared: Prepared, encoder: Encoder
) -> None:
    targets = np.full((rows, 3), label_on == "all photos")
    targets[0] |= label_on == "the first photo"
    data = with_targets(prepared.rows(np.arange(rows)), targets)
    head = fit(data, encoder.head, recipe)
    assert np.isfinite(prepared.scores(head)).all()
    if label_on == "no photo":
        assert head.fingerprint() == encoder.head.fingerprint()


def test_a_held_out_score_does_not_depend_on_the_labels_of_its_building(
    prepared: Prepared, encoder: Encoder
) -> None:
    folds = prepared.dataset.folds()
    assert len(folds) == 4
    held_out = folds[1]
    other = prepared.targets.copy()
    other[held_out] = ~other[held_out]
    before, after = (
        out_of_fold(with_targets(prepared, targets), encoder.head, BATCHES, folds)[0]
        for targets in (prepared.targets, other)
    )
    assert_array_equal(before[held_out], after[held_out])
    rest = np.setdiff1d(np.arange(len(before)), held_out)
    assert (before[rest] != after[rest]).any(1).all()


def test_every_photo_is_scored_by_a_head_without_its_fold(
    prepared: Prepared, encoder: Encoder
) -> None:
    folds = prepared.dataset.folds()
    scores, _ = out_of_fold(prepared, encoder.head, BATCHES, folds, seed=3)
    assert np.isfinite(scores).all()
    rest = prepared.rows(np.setdiff1d(np.arange(len(scores)), folds[2]))
    head = fit(rest, encoder.head, BATCHES, seed=3)
    assert_array_equal(scores[folds[2]], prepared.rows(folds[2]).scores(head))


def test_progress_is_told(prepared: Prepared, encoder: Encoder) -> None:
    told: list[tuple[str, int, int]] = []
    fit(prepared, encoder.head, NOTEBOOK, progress=lambda *step: told.append(step))
    assert told == [("training", epoch, 5) for epoch in range(1, 6)]
