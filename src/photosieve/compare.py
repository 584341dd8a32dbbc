"""The leaderboard: several recipes trained and tested alike, over several seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from photosieve.cut import NOTEBOOK, Cut
from photosieve.encoders import Encoder
from photosieve.evaluate import ComparisonRow, Evaluation
from photosieve.progress import Progress, silent
from photosieve.sieve import Sieve
from photosieve.training.recipes import DEFAULT, Recipe, get_recipe
from photosieve.training.trunk import Prepared

DEFAULT_RECIPES = ("zero-shot", "notebook", DEFAULT)


@dataclass(frozen=True)
class Comparison:
    """A leaderboard, and the evaluations behind it.

    Parameters
    ----------
    rows : tuple of ComparisonRow
    evaluations : mapping of str to tuple of Evaluation
        For each row's name one per seed.
    """

    rows: tuple[ComparisonRow, ...]
    evaluations: dict[str, tuple[Evaluation, ...]]


def compare(
    encoder: Encoder,
    train: Prepared,
    test: Prepared,
    recipes: Sequence[str] = DEFAULT_RECIPES,
    *,
    seeds: int = 5,
    objective: str = "f1",
    progress: Progress = silent,
) -> Comparison:
    """Train each recipe on the training photos and judge it on the test buildings.

    Every recipe gets a cut that is learned on its own out-of-fold scores. The recipe `notebook`
    stands there twice: also with the cut that the notebooks had typed in by hand.

    Parameters
    ----------
    encoder : Encoder
        Pretrained.
    train, test : Prepared
        Of different buildings; `test` with the labels of `train`.
    recipes : sequence of str
    seeds : int
        Trainings of each recipe, with the seeds 0, 1, ...
    objective : str
    progress : Progress
    """
    chosen = [get_recipe(name) for name in recipes]
    evaluations: dict[str, tuple[Evaluation, ...]] = {}
    notes: dict[str, str] = {}
    for number, recipe in enumerate(chosen):
        sieves = []
        for seed in range(seeds):
            sieves.append(
                Sieve.fit_prepared(
                    encoder, train, recipe=recipe, objective=objective, seed=seed, words=False
                )
            )
            progress("comparing recipes", number * seeds + seed + 1, len(chosen) * seeds)
        for name, note, cut in _ways_to_cut(recipe):
            notes[name] = note
            evaluations[name] = tuple(sieve.evaluate_prepared(test, cut) for sieve in sieves)
    rows = [
        ComparisonRow.over_seeds(name, notes[name], found) for name, found in evaluations.items()
    ]
    return Comparison(tuple(rows), evaluations)


def _ways_to_cut(recipe: Recipe) -> list[tuple[str, str, Cut | None]]:
    """Rows that a recipe gives: name, note and cut, None being the tuned one."""
    tuned = (recipe.name, f"{recipe.summary}; cut learned out of fold", None)
    if recipe.name != "notebook":
        return [tuned]
    by_hand = (
        "notebook, cut by hand",
        f"{recipe.summary}; gate {NOTEBOOK.gate}, floor {NOTEBOOK.floor}, drop {NOTEBOOK.drop:.0%}",
        NOTEBOOK,
    )
    return [by_hand, tuned]
