"""The default recipe is no worse than no training, and no worse than the notebooks' loss.

To one standard error of the difference, over draws of buildings: on few real photos, chance moves a
figure by .02.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import quality_sets
from photosieve.data.dataset import Dataset
from photosieve.encoders import load_encoder
from quality_figures import NOTEBOOK, PROBE, ZERO_SHOT, measure
from quality_sets import DATA, PhotoSet


def samples(_: Path) -> PhotoSet:
    return quality_sets.samples(load_encoder("starter"), 1, more_views=False)


def listings(folder: Path) -> PhotoSet:
    small = load_encoder("starter-small")
    return quality_sets.listings(small, Dataset.load(folder), 1, more_views=False)


def houses(folder: Path) -> PhotoSet:
    dataset = quality_sets.houses_to_test(folder, 20)
    small = load_encoder("starter-small")
    return quality_sets.houses(small, dataset, 3, [1], more_views=False)[0]


def clip(folder: Path) -> PhotoSet:
    return quality_sets.clip(quality_sets.flickr(folder), 1, [50])[0]


@pytest.mark.long
@pytest.mark.parametrize("photos", [samples, listings, houses, clip])
def test_the_default_is_no_worse(photos: Callable[[Path], PhotoSet]) -> None:
    folder = DATA / photos.__name__
    if photos is not samples and not folder.is_dir():
        pytest.skip(f"there is no folder {folder}")
    found = measure(photos(folder), (ZERO_SHOT, NOTEBOOK, PROBE), words=False, head_folds=2)
    for figure in ("mean_average_precision", "macro_f1"):
        for other in (ZERO_SHOT, NOTEBOOK):
            both = list(zip(found[PROBE].labels, found[other].labels, strict=True))
            gained = np.mean([ours.totals[figure] - its.totals[figure] for ours, its in both])
            # Both are drawn with the same buildings.
            draws = np.mean([ours.draws[figure] - its.draws[figure] for ours, its in both], axis=0)
            assert gained >= -draws.std(), (figure, other, gained, draws.std())
