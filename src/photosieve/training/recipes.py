"""The named recipes, as a table one can read: ours, and every variant of the notebooks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from difflib import get_close_matches

from photosieve.errors import UsageError
from photosieve.training.recipe import ALL, OF_PAIRS, Recipe

__all__ = [
    "ALL",
    "DEFAULT",
    "NOTEBOOKS",
    "OF_PAIRS",
    "OURS",
    "RECIPES",
    "Recipe",
    "get_recipe",
]

DEFAULT = "balanced"

_REPEATS = "repeated labels and a photo's other labels count as wrong"
_FORGETS = "nothing holds words that no label mentions"
_ALONE = "a softmax over one pair is always right, so that nothing is learned"
_FLAT = "cosines differ too little for a softmax without temperature, which stays flat"
_LENGTHS = "vectors can grow instead of turning, but search does not see their lengths"
_COLLAPSES = "nothing is pushed apart: all photos and texts may end in one point"
_GUESSED = "the margin of 0.2 is our guess"
_UNTRIED = "tried on small models of random weights only"

_OURS = Recipe(
    name="balanced",
    summary="sigmoid on each photo and label, balanced; anchors",
    batch_size=512,
    epochs=150,
    learning_rate=1e-3,
    scale=5.0,
    more_views=True,
    anchor_weight=30.0,
    anchor_free_cosine=0.5,
)
_OURS_BELOW = replace(
    _OURS,
    batch_size=64,
    epochs=30,
    more_views=False,  # what enters a block takes much room, and six times as much with the views
    picks_epoch=True,
    interpolates=True,
)
_NOTEBOOK = Recipe(
    name="notebook",
    summary="the notebooks' softmax over pairs, diagonal targets",
    caveat=f"{_REPEATS}; {_FORGETS}",
    loss="diagonal_softmax",
    learning_rate=1e-4,
    scale=10.0,
    trains_text=True,
)
# The notebooks trained CLIP's own factor of 100 too, but at their learning rate it moves by a
# percent in two thousand steps: here it stays.
_CLIP = Recipe(
    name="clip-32",
    summary="all of CLIP, the notebooks' softmax, 32 pairs a step",
    caveat=f"{_REPEATS}; {_FORGETS}",
    loss="diagonal_softmax",
    batch_size=32,
    weight_decay=0.01,
    scale=100.0,
    learns_scale=False,
    trains_text=True,
    blocks=ALL,
)
_ALIGN = replace(_CLIP, learning_rate=1e-5, scale=1.0)

_TABLE = (
    # Ours, on the projections. The usual curve is that of the starter: no other is known.
    replace(_OURS, usual_slope=23.0, usual_intercept=-3.5),
    replace(
        _OURS,
        name="projection",
        summary="balanced, and the text side's projection moves too",
        trains_text=True,
    ),
    replace(
        _OURS,
        name="multi-positive",
        summary="softmax with several right answers; anchors",
        caveat="nothing fixes the score above which a photo has a label",
        loss="multi_positive_softmax",
        scale=10.0,
    ),
    replace(
        _NOTEBOOK,
        name="distinct",
        summary="the notebooks' softmax, no label twice in a batch",
        caveat=_FORGETS,
        distinct=True,
    ),
    Recipe(
        name="zero-shot",
        summary="no training: the pretrained model as it is",
        caveat="knows nothing of your labels; only the cut is learned",
        epochs=0,
    ),
    # The notebooks' losses on the projections, for any encoder.
    _NOTEBOOK,
    replace(
        _NOTEBOOK,
        name="notebook-conservative",
        summary="the notebooks' softmax without temperature",
        caveat=f"{_FLAT}; {_REPEATS}",
        scale=1.0,
        learns_scale=False,
    ),
    replace(
        _NOTEBOOK,
        name="notebook-dot",
        summary="the notebooks' softmax on dot products, not cosines",
        caveat=f"{_LENGTHS}; {_REPEATS}",
        scale=1.0,
        learns_scale=False,
        normalizes=False,
    ),
    replace(
        _NOTEBOOK,
        name="notebook-margin-mean",
        summary="the notebooks' pull of photos to their labels' mean",
        caveat=f"{_COLLAPSES}; {_GUESSED}",
        loss="margin_to_mean",
        margin=0.2,
    ),
    replace(
        _NOTEBOOK,
        name="notebook-margin-pairs",
        summary="the notebooks' pull of photos to each of their labels",
        caveat=f"{_COLLAPSES}; {_GUESSED}",
        loss="margin_of_pairs",
        margin=0.2,
    ),
    # Ours, below the projections.
    replace(
        _OURS_BELOW,
        name="last-2",
        summary="balanced, on the last 2 blocks of the photo tower too",
        caveat=_UNTRIED,
        learning_rate=1e-5,
        blocks=2,
    ),
    replace(
        _OURS_BELOW,
        name="lora",
        summary="balanced, as low-rank changes to both towers",
        caveat=_UNTRIED,
        learning_rate=1e-4,
        trains_text=True,
        lora_rank=8,
    ),
    # CLIP, as in the notebooks.
    _CLIP,
    replace(
        _CLIP,
        name="clip-16",
        summary="all of CLIP, the notebooks' softmax, 16 pairs a step",
        batch_size=16,
    ),
    replace(
        _CLIP,
        name="clip-8",
        summary="all of CLIP, the notebooks' softmax, 8 pairs a step",
        batch_size=8,
    ),
    replace(
        _CLIP,
        name="clip-2",
        summary="all of CLIP, the notebooks' softmax, 2 pairs a step",
        caveat=f"one wrong answer a step teaches little; {_REPEATS}",
        batch_size=2,
        epochs=50,
    ),
    replace(
        _CLIP,
        name="clip-1",
        summary="all of CLIP, the notebooks' softmax, 1 pair a step",
        caveat=_ALONE,
        batch_size=1,
        epochs=100,
    ),
    replace(
        _CLIP,
        name="clip-freeze-1",
        summary="CLIP's last block of each tower, and projections",
        batch_size=8,
        epochs=100,
        blocks=1,
    ),
    replace(
        _CLIP,
        name="clip-freeze-2",
        summary="CLIP's last 2 blocks of each tower, and projections",
        batch_size=8,
        epochs=100,
        blocks=2,
    ),
    replace(
        _CLIP,
        name="clip-freeze-10",
        summary="CLIP's last 10 blocks of each tower, and projections",
        batch_size=8,
        epochs=100,
        blocks=10,
    ),
    replace(
        _CLIP,
        name="clip-infonce",
        summary="all of CLIP, softmax with a learned temperature",
        batch_size=8,
        epochs=100,
        scale=1 / 0.07,
        learns_scale=True,
    ),
    replace(
        _CLIP,
        name="clip-plateau",
        summary="all of CLIP, learning rate / 10 where the loss stalls",
        caveat=f"the loss of photos learned by heart decides; {_REPEATS}; {_FORGETS}",
        batch_size=16,
        epochs=100,
        schedule="plateau",
    ),
    replace(
        _CLIP,
        name="clip-conservative",
        summary="all of CLIP, softmax without temperature",
        caveat=f"{_FLAT}; {_REPEATS}",
        batch_size=16,
        epochs=100,
        scale=1.0,
    ),
    # ALIGN, as in the notebooks.
    replace(
        _ALIGN,
        name="align-softmax",
        summary="all of ALIGN, softmax over dot products",
        caveat=f"{_LENGTHS}; {_REPEATS}",
        batch_size=8,
        epochs=20,
        normalizes=False,
    ),
    replace(
        _ALIGN,
        name="align-margin-mean",
        summary="all of ALIGN, pull of photos to their labels' mean",
        caveat=f"{_COLLAPSES}; {_GUESSED}",
        loss="margin_to_mean",
        batch_size=16,
        epochs=100,
        margin=0.2,
    ),
    replace(
        _ALIGN,
        name="align-margin-pairs",
        summary="all of ALIGN, pull of photos to each of their labels",
        caveat=f"{_COLLAPSES}; {_GUESSED}",
        loss="margin_of_pairs",
        batch_size=2,
        epochs=100,
        margin=0.2,
    ),
)

RECIPES: Mapping[str, Recipe] = {recipe.name: recipe for recipe in _TABLE}

OURS: tuple[Recipe, ...] = tuple(
    RECIPES[name]
    for name in (
        "balanced",
        "projection",
        "multi-positive",
        "distinct",
        "zero-shot",
        "last-2",
        "lora",
    )
)
"""The recipes to use."""

NOTEBOOKS: tuple[Recipe, ...] = tuple(recipe for recipe in _TABLE if recipe not in OURS)
"""The notebooks' methods, for comparison."""


def get_recipe(name: str = DEFAULT, settings: Mapping[str, str] | None = None) -> Recipe:
    """Look up a recipe, with single numbers changed.

    Parameters
    ----------
    name : str
    settings : mapping of str, optional
        What `Recipe.changed` takes.

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
