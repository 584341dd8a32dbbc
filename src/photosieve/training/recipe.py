"""A recipe: everything that decides a training run."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from difflib import get_close_matches
from typing import Any, Literal

from photosieve.errors import UsageError

ALL = -1
"""Number of blocks that stands for the whole tower, embeddings included."""

_RENAMED = {"normalises": "normalizes"}
"""Fields that had another name in sieves of version 0.1."""


SHORT = {"lr": "learning_rate"}
"""Other names of numbers."""

OF_PAIRS = ("diagonal_softmax", "margin_of_pairs")
"""Losses whose batches are made of (photo, label) pairs."""


@dataclass(frozen=True)
class Recipe:
    """One way to train a head.

    Parameters
    ----------
    name, summary : str
        The name, and one line on the method.
    caveat : str
        Its known faults; empty if there are none.
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
        Whether the learning rate falls to a tenth when the loss has not fallen for more than 5
        epochs.
    scale : float
        Factor from cosine to logit at the start (1 / temperature).
    learns_scale : bool
        Whether that factor is trained too.
    normalizes : bool
        Whether the loss sees cosines, or else plain dot products.
    margin : float
        Of the margin losses.
    distinct : bool
        Whether no photo of a batch has the label of another pair in it.
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
    anchor_quantile : float
        This fraction of the general words is held, those farthest from all labels; the rest is left
        free to move with them.
    picks_epoch : bool
        Whether training ends at the epoch that was best on held-out photos.
    interpolates : bool
        Whether the weights end somewhere between the pretrained and the trained ones, where it was
        best on held-out photos (WiSE-FT, Wortsman et al. 2022, arXiv:2109.01903).
    probe : bool
        Whether labels are found by a probe, on the features or on the trained head, instead of by
        the head's own scores; see `photosieve.training.probe`.
    centers : bool
        Whether the mean of general words is taken as the center of all texts.
    own_units : bool
        Whether scale, anchor weight and, unless blocks are trained, learning rate are in units of
        the encoder; see `photosieve.training.steps`.
    usual_slope, usual_intercept : float
        Log odds of a match as a line of the score, as found on sets of very different size: for
        sets too small to learn it from. The score is the probe's, or else the head's in standard
        deviations of the scores of general words. 0 means that the recipe has no usual curve.
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
    normalizes: bool = True
    margin: float = 0.0
    distinct: bool = False
    trains_text: bool = False
    blocks: int = 0
    lora_rank: int = 0
    micro_batch: int = 32
    more_views: bool = False
    anchor_weight: float = 0.0
    anchor_quantile: float = 1.0
    picks_epoch: bool = False
    interpolates: bool = False
    probe: bool = False
    centers: bool = False
    own_units: bool = False
    usual_slope: float = 0.0
    usual_intercept: float = 0.0

    @property
    def trains_blocks(self) -> bool:
        """Whether it trains blocks of the towers beside the projections."""
        return self.blocks != 0 or self.lora_rank > 0

    def to_dict(self) -> dict[str, Any]:
        """Return all fields by name."""
        return asdict(self)

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> Recipe:
        """Read the output of `to_dict`, of older versions too.

        Raises
        ------
        TypeError
            If a field is missing or unknown.
        """
        fields = {_RENAMED.get(name, name): value for name, value in saved.items()}
        if "anchor_free_cosine" in fields:  # in 0.1; with the starter, 96 % of the words were below
            fields["anchor_quantile"] = 0.95 if fields.pop("anchor_free_cosine") < 1 else 1.0
        return cls(**fields)

    def changed(self, settings: Mapping[str, str]) -> Recipe:
        """Return the same with single numbers changed.

        Parameters
        ----------
        settings : mapping of str
            Field name to new value, as text in the form of the field's type. ``lr`` is short for
            ``learning_rate``.

        Raises
        ------
        UsageError
            If there is no such number, a value does not fit, or it makes no sense in this recipe.
        """
        numbers = {
            key: kind for key, value in vars(self).items() if (kind := type(value)) is not str
        }
        values: dict[str, Any] = {}
        for name, text in settings.items():
            key = SHORT.get(name, name)
            if key not in numbers:
                near = get_close_matches(name, numbers, n=1)
                hint = f'did you mean "{near[0]}"?' if near else f"it has {', '.join(numbers)}"
                raise UsageError(f'a recipe has no number "{name}"; {hint}')
            values[key] = _read(key, text, numbers[key])
        recipe = replace(self, **values)
        # The notebooks' own batches of one are kept as they are, for the record.
        if values.get("batch_size") == 1 and recipe.loss == "diagonal_softmax" and recipe.epochs:
            raise UsageError(
                "batch_size 1 teaches nothing: a softmax over one pair is always right; "
                "use 2 or more"
            )
        if recipe.blocks and recipe.lora_rank:
            raise UsageError(
                "blocks and lora_rank exclude each other: blocks are trained whole, "
                "or all of them by changes of a low rank; set one of the two to 0"
            )
        return recipe


_LEAST = {"blocks": ALL, "batch_size": 1, "micro_batch": 1, "usual_intercept": -math.inf}
"""Smallest value of each number for which it is not 0."""


def _read(key: str, text: str, kind: type) -> bool | int | float:
    if kind is bool:
        if text.lower() in ("true", "false"):
            return text.lower() == "true"
        raise UsageError(f'{key} must be true or false, not "{text}"')
    try:
        value: int | float = kind(text)
    except ValueError:
        wanted = "a whole number" if kind is int else "a number"
        raise UsageError(f'{key} must be {wanted}, not "{text}"') from None
    least = _LEAST.get(key, 0)
    if not least <= value < math.inf:
        raise UsageError(f"{key} must be {least} or more and finite, not {text}")
    if key == "scale" and not value:
        raise UsageError("scale must be above 0: with 0 all photos look alike")
    return value
