"""Recipes are looked up and changed by name, and say what the notebooks did, number for number."""

import re

import numpy as np
import pytest

from photosieve.encoders.protocol import Encoder
from photosieve.errors import UsageError
from photosieve.training.features import Prepared
from photosieve.training.fit import fit
from photosieve.training.recipe import ALL, Recipe
from photosieve.training.recipes import DEFAULT, RECIPES, get_recipe
from photosieve.training.run import Run

OF_THE_NOTEBOOKS = {
    # name: loss, batch size, epochs, learning rate, blocks
    "clip-32": ("diagonal_softmax", 32, 30, 5e-6, ALL),
    "clip-16": ("diagonal_softmax", 16, 30, 5e-6, ALL),
    "clip-8": ("diagonal_softmax", 8, 30, 5e-6, ALL),
    "clip-2": ("diagonal_softmax", 2, 50, 5e-6, ALL),
    "clip-1": ("diagonal_softmax", 1, 100, 5e-6, ALL),
    "clip-freeze-1": ("diagonal_softmax", 8, 100, 5e-6, 1),
    "clip-freeze-2": ("diagonal_softmax", 8, 100, 5e-6, 2),
    "clip-freeze-10": ("diagonal_softmax", 8, 100, 5e-6, 10),
    "clip-infonce": ("diagonal_softmax", 8, 100, 5e-6, ALL),
    "clip-plateau": ("diagonal_softmax", 16, 100, 5e-6, ALL),
    "clip-conservative": ("diagonal_softmax", 16, 100, 5e-6, ALL),
    "align-softmax": ("diagonal_softmax", 8, 20, 1e-5, ALL),
    "align-margin-mean": ("margin_to_mean", 16, 100, 1e-5, ALL),
    "align-margin-pairs": ("margin_of_pairs", 2, 100, 1e-5, ALL),
}


def test_every_variant_of_the_notebooks_has_its_numbers() -> None:
    found = {
        r.name: (r.loss, r.batch_size, r.epochs, r.learning_rate, r.blocks)
        for r in RECIPES.values()
        if r.name.startswith(("clip-", "align-"))
    }
    assert found == OF_THE_NOTEBOOKS
    for name in OF_THE_NOTEBOOKS:
        recipe = RECIPES[name]
        assert (recipe.trains_text, recipe.weight_decay) == (True, 0.01)
        assert (recipe.lora_rank, recipe.anchor_weight, recipe.more_views) == (0, 0.0, False)
        assert recipe.normalizes == (name != "align-softmax")
        assert recipe.learns_scale == (name == "clip-infonce")
        assert (recipe.schedule == "plateau") == (name == "clip-plateau")
        assert recipe.caveat


def test_the_table_reads_well() -> None:
    """Name, summary and note fit into 80 columns, and each summary stands for itself."""
    summaries = [recipe.summary for recipe in RECIPES.values()]
    assert len(set(summaries)) == len(summaries)
    for recipe in RECIPES.values():
        assert len(recipe.name) <= 21
        assert len(recipe.summary) <= 53
        assert not re.search("the same|[.]$", recipe.summary)


def test_recipes_for_few_labels_have_a_usual_curve() -> None:
    with_curve = [recipe.name for recipe in RECIPES.values() if recipe.usual_slope]
    assert with_curve == [DEFAULT, "balanced"]


@pytest.mark.parametrize("name", [name for name in RECIPES if not RECIPES[name].trains_blocks])
def test_recipes_for_every_encoder_train(name: str, prepared: Prepared, encoder: Encoder) -> None:
    head = fit(prepared, encoder.head, Run(get_recipe(name, {"epochs": "2"})))[0]
    scores = prepared.scores(head)
    assert np.isfinite(scores).all()
    assert scores[prepared.targets].mean() > scores[~prepared.targets].mean() + 0.2


def test_a_batch_larger_than_the_data_is_all_of_it(prepared: Prepared, encoder: Encoder) -> None:
    heads = [
        fit(
            prepared, encoder.head, Run(get_recipe("balanced", {"epochs": "2", "batch_size": size}))
        )[0]
        for size in (str(len(prepared.photos)), "1000000")
    ]
    assert heads[0].fingerprint() == heads[1].fingerprint()


def test_looked_up_by_name() -> None:
    assert get_recipe() == RECIPES[DEFAULT]
    assert all(get_recipe(name).name == name for name in RECIPES)


def test_numbers_can_be_changed() -> None:
    changed = get_recipe("notebook", {"batch_size": "8", "learning_rate": "1e-2"})
    assert (changed.batch_size, changed.learning_rate) == (8, 0.01)
    assert get_recipe("notebook", {"lr": "1e-5"}).learning_rate == 1e-5
    assert get_recipe("notebook", {"trains_text": "False"}).trains_text is False
    assert get_recipe("last-2", {"blocks": "-1"}).blocks == ALL
    assert RECIPES["notebook"].batch_size == 16


def test_saved_and_read_again_it_is_the_same() -> None:
    for recipe in RECIPES.values():
        assert Recipe(**recipe.to_dict()) == recipe


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("magic", {}, 'no recipe called "magic"; list them with: photosieve recipes'),
        ("clip-freeze-3", {}, '"clip-freeze-3"; did you mean "clip-freeze-'),
        ("Balanced", {}, '"Balanced"; did you mean "balanced"?'),
        ("notebook", {"epoch": "3"}, 'no number "epoch"; did you mean "epochs"?'),
        ("notebook", {"q": "1"}, 'no number "q"; it has .*batch_size, epochs, learning_rate'),
        ("notebook", {"loss": "hinge"}, 'no number "loss"'),
        ("notebook", {"name": "mine"}, 'no number "name"'),
        ("notebook", {"epochs": "1.5"}, 'epochs must be a whole number, not "1.5"'),
        ("notebook", {"epochs": ""}, 'epochs must be a whole number, not ""'),
        ("notebook", {"epochs": "-1"}, "epochs must be 0 or more and finite, not -1"),
        ("notebook", {"blocks": "-2"}, "blocks must be -1 or more and finite, not -2"),
        ("notebook", {"scale": "warm"}, 'scale must be a number, not "warm"'),
        ("notebook", {"scale": "nan"}, "scale must be 0 or more and finite, not nan"),
        ("notebook", {"scale": "inf"}, "scale must be 0 or more and finite, not inf"),
        ("notebook", {"scale": "0"}, "scale must be above 0"),
        ("notebook", {"trains_text": "1"}, 'trains_text must be true or false, not "1"'),
        ("notebook", {"batch_size": "0"}, "batch_size must be 1 or more and finite, not 0"),
        ("notebook", {"micro_batch": "0"}, "micro_batch must be 1 or more and finite, not 0"),
        ("notebook", {"batch_size": "1"}, "batch_size 1 teaches nothing"),
        ("lora", {"blocks": "2"}, "blocks and lora_rank exclude each other"),
    ],
)
def test_what_does_not_fit_is_refused(name: str, settings: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        get_recipe(name, settings)


def test_batches_of_one_are_fine_where_they_teach_or_the_notebooks_had_them() -> None:
    assert get_recipe("balanced", {"batch_size": "1"}).batch_size == 1
    assert get_recipe("clip-1", {"epochs": "3"}).batch_size == 1
