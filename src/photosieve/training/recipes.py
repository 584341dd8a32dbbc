"""Recipes: everything that decides a training run, as a table one can read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal

from photosieve.errors import UsageError


@dataclass(frozen=True)
class Recipe:
    """One way to train a head.

    Parameters
    ----------
    name, summary : str
        What it is called and what it does, in a line.
    caveat : str
        What is known to be wrong with it; empty if nothing is.
    loss : {"balanced_sigmoid", "diagonal_softmax"}
        See `photosieve.training.losses`.
    trains_text : bool
        Whether the text side moves as well as the photo side.
    more_views : bool
        Whether each epoch sees another view of each photo: itself, its mirror image, a corner.
    batch_size : int
        Photos a step for `balanced_sigmoid`, (photo, label) pairs a step for `diagonal_softmax`.
    epochs : int
        Passes over the training photos or pairs; 0 leaves the pretrained head as it is.
    learning_rate : float
        Of AdamW, for the maps.
    scale : float
        Factor from cosine to logit at the start; it is learned too (1 / temperature).
    anchor_weight : float
        How strongly the scores of general words are held where the pretrained model had them.
    anchor_free_cosine : float
        General words whose cosine to a label exceeds this are left free to move with it.
    usual_slope, usual_intercept : float
        Log odds of a match as a line of the score, as found on sets of very different size: for
        sets too small to learn it from. A slope of 0 says that there is no such line.
    """

    name: str
    summary: str
    caveat: str
    loss: Literal["balanced_sigmoid", "diagonal_softmax"]
    trains_text: bool
    more_views: bool
    batch_size: int
    epochs: int
    learning_rate: float
    scale: float
    anchor_weight: float
    anchor_free_cosine: float
    usual_slope: float
    usual_intercept: float

    def to_dict(self) -> dict[str, Any]:
        """Return all fields by name."""
        return asdict(self)


DEFAULT = "balanced"

_TABLE = (
    Recipe(
        name="balanced",
        summary="each (photo, label) pair by itself, labels balanced, general words anchored",
        caveat="",
        loss="balanced_sigmoid",
        trains_text=False,
        more_views=True,
        batch_size=512,
        epochs=150,
        learning_rate=1e-3,
        scale=5.0,
        anchor_weight=30.0,
        anchor_free_cosine=0.5,
        usual_slope=23.0,
        usual_intercept=-3.5,
    ),
    Recipe(
        name="notebook",
        summary="in-batch softmax over (photo, label) pairs with diagonal targets",
        caveat=(
            "a label that stands twice in a batch is its own negative, a photo's other labels are "
            "negatives too, and nothing holds the words that no label mentions"
        ),
        loss="diagonal_softmax",
        trains_text=True,
        more_views=False,
        batch_size=16,
        epochs=30,
        learning_rate=1e-4,
        scale=10.0,
        anchor_weight=0.0,
        anchor_free_cosine=1.0,
        usual_slope=0.0,
        usual_intercept=0.0,
    ),
    Recipe(
        name="zero-shot",
        summary="no training: the pretrained encoder as it is",
        caveat="knows nothing of your labels; only the cut is learned",
        loss="balanced_sigmoid",
        trains_text=False,
        more_views=False,
        batch_size=1,
        epochs=0,
        learning_rate=0.0,
        scale=1.0,
        anchor_weight=0.0,
        anchor_free_cosine=1.0,
        usual_slope=0.0,
        usual_intercept=0.0,
    ),
)

RECIPES: Mapping[str, Recipe] = {recipe.name: recipe for recipe in _TABLE}


def get_recipe(name: str = DEFAULT, settings: Mapping[str, str] | None = None) -> Recipe:
    """Look up a recipe, with single numbers changed.

    Parameters
    ----------
    name : str
    settings : mapping of str, optional
        Field name to new value, as text; the value must read as what the field holds.

    Raises
    ------
    UsageError
        If the recipe or a field does not exist, or a value does not fit.
    """
    try:
        recipe = RECIPES[name]
    except KeyError:
        raise UsageError(
            f'there is no recipe called "{name}"; choose one of {", ".join(RECIPES)}'
        ) from None
    numbers = {
        field.name: type(getattr(recipe, field.name))
        for field in fields(recipe)
        if isinstance(getattr(recipe, field.name), int | float)
    }
    changed: dict[str, Any] = {}
    for key, text in (settings or {}).items():
        if key not in numbers:
            raise UsageError(f'a recipe has no number "{key}"; it has {", ".join(numbers)}')
        changed[key] = _parse(key, text, numbers[key])
    recipe = replace(recipe, **changed)
    if recipe.batch_size < 1:
        raise UsageError(f"batch_size must be 1 or more, not {recipe.batch_size}")
    if recipe.loss == "diagonal_softmax" and recipe.batch_size < 2 and recipe.epochs:
        raise UsageError(
            "batch_size 1 teaches nothing: a softmax over one pair is always right; use 2 or more"
        )
    return recipe


def _parse(key: str, text: str, kind: type) -> bool | int | float:
    if kind is bool:
        if text.lower() in ("true", "false"):
            return text.lower() == "true"
        raise UsageError(f'{key} must be true or false, not "{text}"')
    try:
        value: int | float = kind(text)
    except ValueError:
        wanted = "a whole number" if kind is int else "a number"
        raise UsageError(f'{key} must be {wanted}, not "{text}"') from None
    least = float("-inf") if key == "usual_intercept" else 0.0
    if not least <= value < float("inf"):
        raise UsageError(f"{key} must be 0 or more and finite, not {text}")
    return value
