"""Compare recipes: trained on the same photos, tested on the same buildings, over several seeds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from photosieve.data.dataset import Dataset
from photosieve.data.photos import DEFAULT_MAX_PIXELS, MORE_VIEWS
from photosieve.decision.cut import NOTEBOOK_CUT, Cut
from photosieve.decision.evaluation import Evaluation
from photosieve.decision.leaderboard import ComparisonRow, best_first
from photosieve.encoders.protocol import Encoder
from photosieve.errors import EncoderError, Skipped
from photosieve.progress import Progress, Stages, silent
from photosieve.sieve.sieve import Sieve
from photosieve.training.features import Prepared, open_for, prepare
from photosieve.training.prompting import prompted
from photosieve.training.recipe import Recipe
from photosieve.training.recipes import DEFAULT, RECIPES, get_recipe
from photosieve.training.run import Run
from photosieve.training.stages import fitting_stages

DEFAULT_RECIPES = ("zero-shot", "notebook", DEFAULT)

STAGE = "comparing recipes"


def comparison_stages(
    train: Dataset,
    test: Dataset,
    recipes: Sequence[str | Recipe] | None = DEFAULT_RECIPES,
    *,
    seeds: int = 5,
) -> Stages:
    """Return the stages of `compare`, with the same parameters."""
    runs = [Run(recipe) for recipe in _recipes(RECIPES if recipes is None else recipes)]
    views = MORE_VIEWS * any(run.recipe.more_views for run in runs)
    fits = sum(share for run in runs for _, share in fitting_stages(run, train))
    return [
        ("loading the model", 0.0),
        ("reading photos", len(train) * (1.0 + views)),
        ("reading photos", len(test)),
        (STAGE, seeds * fits),
    ]


@dataclass(frozen=True)
class Comparison:
    """A leaderboard, and the evaluations behind it.

    Parameters
    ----------
    rows : tuple of ComparisonRow
        Best first.
    evaluations : mapping of str to tuple of Evaluation
        For each row's name one per seed.
    left_out : mapping of str to str
        Recipes that this encoder cannot run, and why.
    skipped : tuple of Skipped
        Photos that could not be read.
    """

    rows: tuple[ComparisonRow, ...]
    evaluations: Mapping[str, tuple[Evaluation, ...]]
    left_out: Mapping[str, str]
    skipped: tuple[Skipped, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return rows and left-out recipes, for JSON."""
        return {
            "rows": [row.to_dict() for row in self.rows],
            "left_out": dict(self.left_out),
        }


def compare(
    encoder: Encoder,
    train: Dataset,
    test: Dataset,
    recipes: Sequence[str | Recipe] | None = DEFAULT_RECIPES,
    *,
    seeds: int = 5,
    objective: str = "f1",
    max_pixels: int = DEFAULT_MAX_PIXELS,
    progress: Progress = silent,
) -> Comparison:
    """Train each recipe on the training photos and judge it on the test buildings.

    Recipes that train the same part of the encoder share one pass of the photos through the frozen
    part, whatever the number of seeds.

    Parameters
    ----------
    encoder : Encoder
        Pretrained.
    train, test : Dataset
        Of different buildings.
    recipes : sequence of str or Recipe, or None
        Names or recipes; None for all named recipes that this encoder can run.
    seeds : int
        Trainings of each recipe, with the seeds 0, 1, ...
    objective : str
        Of each cut.
    max_pixels : int
        Larger photos are skipped.
    progress : Progress

    Raises
    ------
    EncoderError
        If a recipe is named that this encoder cannot run.
    """
    chosen = _recipes(RECIPES if recipes is None else recipes)
    work: list[tuple[Encoder, list[Recipe]]] = []
    left_out: dict[str, str] = {}
    for group in _by_trained_part(chosen):
        try:
            work.append((open_for(encoder, group[0]), group))
        except EncoderError as error:
            if recipes is not None:
                raise
            left_out |= {recipe.name: str(error) for recipe in group}

    parts: list[Comparison] = []
    trainings, before = seeds * (len(chosen) - len(left_out)), 0

    def among_all(stage: str, done: int, total: int) -> None:
        progress(stage, *((before + done, trainings) if stage == STAGE else (done, total)))

    for model, group in work:
        views = any(recipe.more_views for recipe in group)
        seen = prepare(model, train, more_views=views, max_pixels=max_pixels, progress=progress)
        unseen = prepare(
            model, test, labels=seen.labels, words=False, max_pixels=max_pixels, progress=progress
        )
        parts.append(
            compare_prepared(
                model, seen, unseen, group, seeds=seeds, objective=objective, progress=among_all
            )
        )
        before += seeds * len(group)
    return Comparison(
        best_first([row for part in parts for row in part.rows]),
        {name: own for part in parts for name, own in part.evaluations.items()},
        left_out,
        parts[0].skipped,
    )


def compare_prepared(
    encoder: Encoder,
    train: Prepared,
    test: Prepared,
    recipes: Sequence[str | Recipe] = DEFAULT_RECIPES,
    *,
    seeds: int = 5,
    objective: str = "f1",
    progress: Progress = silent,
) -> Comparison:
    """Compare on features that were computed before; no photo is opened.

    Every recipe gets a cut that is learned on its own out-of-fold scores. The recipe `notebook` has
    a second row, with the fixed cut of the notebooks.

    Parameters
    ----------
    encoder : Encoder
        Pretrained, and opened as the recipes need it.
    train, test : Prepared
        `test` with the labels of `train`.
    """
    evaluations: dict[str, list[Evaluation]] = {}
    notes: dict[str, tuple[str, str]] = {}
    for number, recipe in enumerate(_recipes(recipes)):
        own = prompted(encoder, train, recipe)
        for seed in range(seeds):
            progress(STAGE, number * seeds + seed, len(recipes) * seeds)
            run = Run(recipe, seed, progress=progress)
            sieve = Sieve.fit_prepared(*own, run, objective=objective, words=False)
            for name, note, cut in _rows_of(recipe):
                notes[name] = note, recipe.caveat
                evaluations.setdefault(name, []).append(sieve.evaluate_prepared(test, cut))
    progress(STAGE, len(recipes) * seeds, len(recipes) * seeds)
    return Comparison(
        best_first(
            [ComparisonRow.over_seeds(name, *notes[name], e) for name, e in evaluations.items()]
        ),
        {name: tuple(own) for name, own in evaluations.items()},
        {},
        (*train.skipped, *test.skipped),
    )


def _recipes(recipes: Iterable[str | Recipe]) -> list[Recipe]:
    """Return each recipe once."""
    chosen = (recipe if isinstance(recipe, Recipe) else get_recipe(recipe) for recipe in recipes)
    return list(dict.fromkeys(chosen))


def _by_trained_part(recipes: Sequence[Recipe]) -> list[list[Recipe]]:
    """Group the recipes that train the same part of an encoder."""
    groups: dict[tuple[int, int, bool] | None, list[Recipe]] = {}
    for recipe in recipes:
        opening = (
            (recipe.blocks, recipe.lora_rank, recipe.trains_text) if recipe.trains_blocks else None
        )
        groups.setdefault(opening, []).append(recipe)
    return list(groups.values())


def _rows_of(recipe: Recipe) -> list[tuple[str, str, Cut | None]]:
    """Rows of a recipe: name, note and cut; None is the learned cut."""
    learned = (recipe.name, recipe.summary, None)
    if recipe.name != "notebook":
        return [learned]
    cut = NOTEBOOK_CUT
    numbers = f"gate {cut.gate}, floor {cut.floor}, drop {cut.drop:.0%}"
    by_hand = ("notebook, cut by hand", f"{recipe.summary}; {numbers}", cut)
    return [by_hand, learned]
