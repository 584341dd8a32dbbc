"""The named recipes: ours, and those of the notebooks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from difflib import get_close_matches

from photosieve.errors import UsageError
from photosieve.training.notebooks import FORGETS, NOTEBOOK, NOTEBOOKS
from photosieve.training.recipe import Recipe

DEFAULT = "probe"

_UNTRIED = "tried on small models of random weights only"

_HEAD = Recipe(
    name="balanced",
    summary="sigmoid on each photo and label, balanced; anchors",
    batch_size=512,
    epochs=150,
    # Anchors and rate are a middle between what is best for the starter (0.16 and 3) and for CLIP
    # vectors (1 and 0.4): with either, the other is worse than no training, or near it.
    learning_rate=1.0,
    scale=0.36,
    more_views=True,
    anchor_weight=0.4,
    anchor_quantile=0.95,
    centers=True,
    own_units=True,
)
_BLOCKS = replace(
    _HEAD,
    probe=True,
    batch_size=64,
    epochs=30,
    more_views=False,  # inputs of a block are large, and six times as many with the views
    picks_epoch=True,
    interpolates=True,
)
OURS = (
    Recipe(
        name="probe",
        summary="classifier on features that starts from text scores",
        epochs=0,
        probe=True,
        centers=True,
        usual_slope=1.5,
        usual_intercept=-0.4,
    ),
    # Ours, on the projections.
    replace(_HEAD, usual_slope=1.67, usual_intercept=-3.5),
    replace(
        _HEAD,
        name="projection",
        summary="balanced, and the text side's projection moves too",
        trains_text=True,
    ),
    replace(
        _HEAD,
        name="multi-positive",
        summary="softmax with several right answers; anchors",
        caveat="nothing fixes the score above which a photo has a label",
        loss="multi_positive_softmax",
        scale=0.72,
    ),
    replace(
        NOTEBOOK,
        name="distinct",
        summary="the notebooks' softmax, no label twice in a batch",
        caveat=FORGETS,
        distinct=True,
    ),
    Recipe(
        name="zero-shot",
        summary="no training: the pretrained model as it is",
        caveat="knows nothing of your labels; only the cut is learned",
        epochs=0,
        centers=True,
    ),
    # Ours, below the projections.
    replace(
        _BLOCKS,
        name="last-2",
        summary="balanced on the last 2 photo blocks, then a probe",
        caveat=_UNTRIED,
        learning_rate=1e-5,
        blocks=2,
    ),
    replace(
        _BLOCKS,
        name="lora",
        summary="balanced, low-rank, on both towers, then a probe",
        caveat=_UNTRIED,
        learning_rate=1e-4,
        trains_text=True,
        lora_rank=8,
    ),
)

RECIPES: Mapping[str, Recipe] = {recipe.name: recipe for recipe in (*OURS, *NOTEBOOKS)}


def get_recipe(name: str = DEFAULT, settings: Mapping[str, str] | None = None) -> Recipe:
    """Look up a recipe, with single numbers changed.

    Parameters
    ----------
    name : str
    settings : mapping of str, optional
        Numbers to change, in the form of `Recipe.changed`.

    Raises
    ------
    UsageError
        If the recipe or a number does not exist, or a value does not fit.
    """
    if name not in RECIPES:
        near = get_close_matches(name, RECIPES, n=1)
        hint = f'did you mean "{near[0]}"?' if near else "list them with: photosieve recipes"
        raise UsageError(f'there is no recipe called "{name}"; {hint}')
    return RECIPES[name].changed(settings or {})
