"""The stages of a training, and how long each takes: shares of a progress bar."""

from __future__ import annotations

from photosieve.data.dataset import Dataset
from photosieve.data.photos import MORE_VIEWS
from photosieve.encoders import is_starter
from photosieve.progress import Stages
from photosieve.training.features import unlabeled_photos
from photosieve.training.hidden import PARTS
from photosieve.training.recipe import ALL, Recipe
from photosieve.training.run import Run

# The unit is the time in which the encoder embeds one photo, so that a slow machine or a large
# model changes all of them alike. Measured with the starter on 50 photos of 39 labels.
STARTER_WORDS, WORDS = 6.0, 60.0
"""Of the general words, for the starters and for models of the hub such as CLIP ViT-B/32."""

STEP = 0.08
"""Of one step of a head."""

PROBES = 8e-5
"""Of the probes of one fold, for each photo and label."""

CUT = 7.0
"""Of calibration and cut."""

BLOCK = 0.5
"""Of a photo in one epoch of training, for each trained block."""

MOST_BLOCKS = 12
"""Blocks in a tower of the usual size."""


def training_stages(encoder: str, run: Run, dataset: Dataset) -> Stages:
    """Return the stages of a training, from the loading of the encoder to the cut."""
    others = len(unlabeled_photos(dataset.unlisted, len(dataset)))
    return [
        ("loading the model", 0.0),
        ("reading photos", len(dataset) * (1.0 + MORE_VIEWS * run.recipe.more_views) + others),
        ("reading words", STARTER_WORDS if is_starter(encoder) else WORDS),
        *fitting_stages(run, dataset),
    ]


def fitting_stages(run: Run, dataset: Dataset) -> Stages:
    """Return the stages that follow when all photos and words are embedded."""
    folds, fit = len(run.split(dataset)), _fit(run.recipe, len(dataset))
    probes = PROBES * len(dataset) * len(dataset.vocabulary) * run.recipe.probe
    return [
        ("scoring held-out buildings", folds * fit),
        ("choosing the probe", folds * (fit * run.recipe.probe + probes)),
        ("asking for hidden labels", min(folds, PARTS) * (fit + probes / 2)),
        ("training", fit),
        ("learning the cut", CUT),
    ]


def _fit(recipe: Recipe, photos: int) -> float:
    """Return the time of one training."""
    if recipe.trains_blocks:
        blocks = MOST_BLOCKS if recipe.lora_rank or recipe.blocks == ALL else recipe.blocks
        return BLOCK * blocks * photos * recipe.epochs
    return STEP * recipe.epochs * -(-photos // recipe.batch_size)
