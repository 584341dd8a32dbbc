"""Recipes are looked up and changed by name, and every one of them trains."""

import numpy as np
import pytest

from photosieve.encoders import Encoder
from photosieve.errors import UsageError
from photosieve.training.fit import fit
from photosieve.training.recipes import DEFAULT, RECIPES, Recipe, get_recipe
from photosieve.training.trunk import Prepared


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_trains(name: str, prepared: Prepared, encoder: Encoder) -> None:
    head = fit(prepared, encoder.head, get_recipe(name, {"epochs": "2"}))
    scores = prepared.scores(head)
    assert np.isfinite(scores).all()
    assert scores[prepared.targets].mean() > scores[~prepared.targets].mean() + 0.2


def test_looked_up_by_name() -> None:
    assert get_recipe() == RECIPES[DEFAULT]
    assert all(get_recipe(name).name == name for name in RECIPES)


def test_numbers_can_be_changed() -> None:
    changed = get_recipe("notebook", {"batch_size": "8", "learning_rate": "1e-2"})
    assert (changed.batch_size, changed.learning_rate) == (8, 0.01)
    assert get_recipe("notebook", {"trains_text": "False"}).trains_text is False
    assert RECIPES["notebook"].batch_size == 16


def test_saved_and_read_again_it_is_the_same() -> None:
    for recipe in RECIPES.values():
        assert Recipe(**recipe.to_dict()) == recipe


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("best", {}, r'no recipe called "best"; choose one of balanced, notebook, zero-shot'),
        ("notebook", {"lr": "1"}, r'no number "lr"; it has .*batch_size, epochs, learning_rate'),
        ("notebook", {"loss": "hinge"}, 'no number "loss"'),
        ("notebook", {"name": "mine"}, 'no number "name"'),
        ("notebook", {"epochs": "1.5"}, 'epochs must be a whole number, not "1.5"'),
        ("notebook", {"epochs": ""}, 'epochs must be a whole number, not ""'),
        ("notebook", {"epochs": "-1"}, "epochs must be 0 or more and finite, not -1"),
        ("notebook", {"scale": "warm"}, 'scale must be a number, not "warm"'),
        ("notebook", {"scale": "nan"}, "scale must be 0 or more and finite, not nan"),
        ("notebook", {"scale": "inf"}, "scale must be 0 or more and finite, not inf"),
        ("notebook", {"trains_text": "1"}, 'trains_text must be true or false, not "1"'),
        ("notebook", {"batch_size": "0"}, "batch_size must be 1 or more, not 0"),
        ("notebook", {"batch_size": "1"}, "batch_size 1 teaches nothing"),
    ],
)
def test_what_does_not_fit_is_refused(name: str, settings: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        get_recipe(name, settings)


def test_batches_of_one_are_fine_without_a_softmax() -> None:
    assert get_recipe("balanced", {"batch_size": "1"}).batch_size == 1
