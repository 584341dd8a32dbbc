"""Recipes: everything that decides a training run, as a table one can read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal

from photosieve.errors import UsageError

ALL = -1
"""Number of blocks that stands for all, with what comes before them."""

OF_PAIRS = ("diagonal_softmax", "margin_of_pairs")
"""Losses whose batches are made of (photo, label) pairs."""


@dataclass(frozen=True)
class Recipe:
    """One way to train a head.

    Parameters
    ----------
    name, summary : str
        What it is called and what it does, in a line.
    caveat : str
        What is known to be wrong with it; empty if nothing is.
    loss : str
        A function of `photosieve.training.losses`.
    batch_size : int
        Photos a step, or (photo, label) pairs a step for the losses in `OF_PAIRS`.
    epochs : int
        Passes over the training photos or pairs; 0 leaves the pretrained head as it is.
    learning_rate : float
        Of AdamW.
    weight_decay : float
        Of AdamW.
    schedule : {"constant", "plateau"}
        Whether the learning rate falls to a tenth when the loss has not fallen for 5 epochs.
    scale : float
        Factor from cosine to logit at the start (1 / temperature).
    learns_scale : bool
        Whether that factor is trained too.
    normalises : bool
        Whether the loss sees cosines, or else plain dot products.
    margin : float
        Of the margin losses.
    distinct : bool
        Whether a batch of pairs holds no two of which one is right for the other.
    trains_text : bool
        Whether the text side moves as well as the photo side.
    blocks : int
        How many of the last blocks of each tower are trained beside the projections; `ALL` trains
        everything.
    lora_rank : int
        Rank of low-rank changes to all blocks, instead of training them whole; 0 for none.
    micro_batch : int
        Photos or texts that go through a tower at once, where blocks are trained. The result is
        that of the whole batch; a smaller number needs less memory.
    more_views : bool
        Whether each epoch sees another view of each photo: itself, its mirror image, a corner.
    anchor_weight : float
        How strongly the scores of general words are held where the pretrained model had them.
    anchor_free_cosine : float
        General words whose cosine to a label exceeds this are left free to move with it.
    picks_epoch : bool
        Whether training ends at the epoch that was best on held-out photos.
    interpolates : bool
        Whether the weights end somewhere between the pretrained and the trained ones, where it was
        best on held-out photos (WiSE-FT, Wortsman et al. 2022, arXiv:2109.01903).
    usual_slope, usual_intercept : float
        Log odds of a match as a line of the score, as found on sets of very different size: for
        sets too small to learn it from. A slope of 0 says that there is no such line.
    """

    name: str
    summary: str
    caveat: str = ""
    loss: Literal[
        "balanced_sigmoid",
        "multi_positive_softmax",
        "diagonal_softmax",
        "margin_to_mean",
        "margin_of_pairs",
    ] = "balanced_sigmoid"
    batch_size: int = 16
    epochs: int = 30
    learning_rate: float = 5e-6
    weight_decay: float = 0.0
    schedule: Literal["constant", "plateau"] = "constant"
    scale: float = 1.0
    learns_scale: bool = True
    normalises: bool = True
    margin: float = 0.0
    distinct: bool = False
    trains_text: bool = False
    blocks: int = 0
    lora_rank: int = 0
    micro_batch: int = 32
    more_views: bool = False
    anchor_weight: float = 0.0
    anchor_free_cosine: float = 1.0
    picks_epoch: bool = False
    interpolates: bool = False
    usual_slope: float = 0.0
    usual_intercept: float = 0.0

    @property
    def opens(self) -> bool:
        """Whether it trains more than the projections."""
        return self.blocks != 0 or self.lora_rank > 0

    def to_dict(self) -> dict[str, Any]:
        """Return all fields by name."""
        return asdict(self)


DEFAULT = "balanced"

_TABLE = (
    Recipe(
        name="balanced",
        summary="each (photo, label) pair by itself, labels balanced, general words anchored",
        batch_size=512,
        epochs=150,
        learning_rate=1e-3,
        scale=5.0,
        more_views=True,
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
        learning_rate=1e-4,
        scale=10.0,
    ),
    Recipe(
        name="zero-shot",
        summary="no training: the pretrained encoder as it is",
        caveat="knows nothing of your labels; only the cut is learned",
        epochs=0,
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
    least = {"usual_intercept": float("-inf"), "blocks": ALL}.get(key, 0.0)
    if not least <= value < float("inf"):
        raise UsageError(f"{key} must be 0 or more and finite, not {text}")
    return value
