"""The recipes of the notebooks that photosieve began as, as they were, to compare with."""

from __future__ import annotations

from dataclasses import replace

from photosieve.training.recipe import ALL, Recipe

_REPEATS = "repeated labels and a photo's other labels count as wrong"
FORGETS = "nothing holds words that no label mentions"
_ALONE = "a softmax over one pair is always right, so that nothing is learned"
_FLAT = "cosines differ too little for a softmax without temperature, which stays flat"
_LENGTHS = "vectors can grow instead of turning, but search does not see their lengths"
_COLLAPSES = "nothing is pushed apart: all photos and texts may end in one point"
_GUESSED = "the margin of 0.2 is our guess"

NOTEBOOK = Recipe(
    name="notebook",
    summary="the notebooks' softmax over pairs, diagonal targets",
    caveat=f"{_REPEATS}; {FORGETS}",
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
    caveat=f"{_REPEATS}; {FORGETS}",
    loss="diagonal_softmax",
    batch_size=32,
    weight_decay=0.01,
    scale=100.0,
    learns_scale=False,
    trains_text=True,
    blocks=ALL,
)
_ALIGN = replace(_CLIP, learning_rate=1e-5, scale=1.0)

NOTEBOOKS = (
    # The notebooks' losses on the projections, for any encoder.
    NOTEBOOK,
    replace(
        NOTEBOOK,
        name="notebook-conservative",
        summary="the notebooks' softmax without temperature",
        caveat=f"{_FLAT}; {_REPEATS}",
        scale=1.0,
        learns_scale=False,
    ),
    replace(
        NOTEBOOK,
        name="notebook-dot",
        summary="the notebooks' softmax on dot products, not cosines",
        caveat=f"{_LENGTHS}; {_REPEATS}",
        scale=1.0,
        learns_scale=False,
        normalizes=False,
    ),
    replace(
        NOTEBOOK,
        name="notebook-margin-mean",
        summary="the notebooks' pull of photos to their labels' mean",
        caveat=f"{_COLLAPSES}; {_GUESSED}",
        loss="margin_to_mean",
        margin=0.2,
    ),
    replace(
        NOTEBOOK,
        name="notebook-margin-pairs",
        summary="the notebooks' pull of photos to each of their labels",
        caveat=f"{_COLLAPSES}; {_GUESSED}",
        loss="margin_of_pairs",
        margin=0.2,
    ),
    # CLIP.
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
        caveat=f"the loss of photos learned by heart decides; {_REPEATS}; {FORGETS}",
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
    # ALIGN.
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
"""For any encoder first, then for CLIP, then for ALIGN."""
